// SPDX-License-Identifier: GPL-2.0
//! `CPUS:LINUX_CPU{+CPUS:LINUX_CPU}`: which Linux CPU serves which co-kernel CPU.

use ihk_ikc::layout::MAX_LINUX_CPUS;
use ihk_ikc::uapi::{CpuSet, IkcMap, MAX_IKC_PAIRS};

use crate::list;

/// The map that `text` names. CPU numbers are Linux's; `assigned` are the instance's, ascending.
///
/// # Errors
///
/// The REASON of an error line.
pub fn parse(text: &str, assigned: &CpuSet) -> Result<IkcMap, String> {
    let assigned = list::numbers(assigned);
    let mut map = IkcMap {
        linux_cpu: [0; MAX_IKC_PAIRS],
    };
    for part in text.split('+') {
        let (cpus, linux_cpu) = part
            .split_once(':')
            .ok_or_else(|| format!("{part:?} is not CPUS:LINUX_CPU"))?;
        let linux_cpu: u16 = list::parse_decimal(linux_cpu)?;
        if usize::from(linux_cpu) >= MAX_LINUX_CPUS {
            return Err(format!("no CPU {linux_cpu}"));
        }
        for cpu in list::numbers(&list::parse(cpus)?) {
            let index = assigned.iter().position(|known| *known == cpu);
            let place = index.and_then(|index| map.linux_cpu.get_mut(index));
            let place =
                place.ok_or_else(|| format!("CPU {cpu} is not assigned to this instance"))?;
            if *place != 0 {
                return Err(format!("CPU {cpu} is named twice"));
            }
            *place = linux_cpu + 1;
        }
    }
    Ok(map)
}

/// The pairs (co-kernel CPU by Linux's number, Linux CPU) of `map`.
#[must_use]
pub fn pairs(map: &IkcMap, assigned: &CpuSet) -> Vec<(usize, u16)> {
    let assigned = list::numbers(assigned);
    let known = assigned.into_iter().zip(map.linux_cpu);
    known
        .filter(|(_, linux_cpu)| *linux_cpu != 0)
        .map(|(cpu, linux_cpu)| (cpu, linux_cpu - 1))
        .collect()
}

/// `map` as it is typed, one pair per Linux CPU.
#[must_use]
pub fn print(map: &IkcMap, assigned: &CpuSet) -> String {
    let pairs = pairs(map, assigned);
    let mut servers: Vec<u16> = pairs.iter().map(|(_, server)| *server).collect();
    servers.sort_unstable();
    servers.dedup();
    let parts: Vec<_> = servers
        .into_iter()
        .map(|server| {
            let served = pairs.iter().filter(|(_, linux_cpu)| *linux_cpu == server);
            let cpus = list::from_numbers(served.map(|(cpu, _)| *cpu));
            format!("{}:{server}", list::print(&cpus))
        })
        .collect();
    parts.join("+")
}

#[cfg(test)]
mod tests {
    use super::{parse, print};
    use crate::list;

    #[test]
    fn maps_print_as_they_are_typed() {
        let assigned = list::parse("2-5").unwrap();
        for text in ["2:0+3:1", "2-3,5:0+4:1", "4:0"] {
            assert_eq!(print(&parse(text, &assigned).unwrap(), &assigned), text);
        }
    }

    #[test]
    fn malformed_maps_are_refused() {
        let assigned = list::parse("2-3").unwrap();
        for text in [
            "", "2", "2:", ":0", "2:0+", "4:0", "2:0+2:1", "2:512", "2-:0", "2:a",
        ] {
            assert!(parse(text, &assigned).is_err(), "{text:?} was taken");
        }
    }
}
