// SPDX-License-Identifier: GPL-2.0
//! `LIST = RANGE{,RANGE}`, `RANGE = N | N-M`: sets of CPUs as they are typed and printed.

use ihk_ikc::layout::MAX_LINUX_CPUS;
use ihk_ikc::uapi::CpuSet;

/// The set that `text` names.
///
/// # Errors
///
/// The REASON of an error line.
pub fn parse(text: &str) -> Result<CpuSet, String> {
    let mut set = CpuSet::default();
    for range in text.split(',') {
        let (first, last) = parse_range(range)?;
        for cpu in first..=last {
            insert(&mut set, cpu);
        }
    }
    Ok(set)
}

/// First and last number of `N` or `N-M`.
fn parse_range(range: &str) -> Result<(usize, usize), String> {
    let (first, last) = match range.split_once('-') {
        None => {
            let cpu = parse_cpu(range)?;
            (cpu, cpu)
        }
        Some((_, "")) => return Err(format!("range {range} has no end")),
        Some(("", _)) => return Err(format!("range {range} has no beginning")),
        Some((first, last)) => (parse_cpu(first)?, parse_cpu(last)?),
    };
    if first > last {
        return Err(format!("range {range} runs backwards"));
    }
    Ok((first, last))
}

fn parse_cpu(text: &str) -> Result<usize, String> {
    let cpu: usize = parse_decimal(text)?;
    if cpu >= MAX_LINUX_CPUS {
        return Err(format!(
            "no CPU {text}: the highest number is {}",
            MAX_LINUX_CPUS - 1
        ));
    }
    Ok(cpu)
}

/// A number of plain decimal digits; Rust's own parser would also take a sign.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_decimal<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    if text.is_empty() {
        return Err("a number is missing".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text} is not a number"));
    }
    text.parse().map_err(|_| format!("{text} is too large"))
}

/// Adds `cpu`, which must be below [`MAX_LINUX_CPUS`].
pub fn insert(set: &mut CpuSet, cpu: usize) {
    if let Some(word) = set.words.get_mut(cpu / 64) {
        *word |= 1 << (cpu % 64);
    }
}

/// Whether `cpu` is in `set`.
#[must_use]
pub fn contains(set: &CpuSet, cpu: usize) -> bool {
    set.words
        .get(cpu / 64)
        .is_some_and(|word| word >> (cpu % 64) & 1 == 1)
}

/// Whether there is nothing in `set`.
#[must_use]
pub fn is_empty(set: &CpuSet) -> bool {
    set.words == [0; 8]
}

/// The CPUs that are in `left` and not in `right`.
#[must_use]
pub fn difference(left: &CpuSet, right: &CpuSet) -> CpuSet {
    let mut rest = *left;
    for (word, taken) in rest.words.iter_mut().zip(right.words) {
        *word &= !taken;
    }
    rest
}

/// The numbers in `set`, ascending.
#[must_use]
pub fn numbers(set: &CpuSet) -> Vec<usize> {
    (0..MAX_LINUX_CPUS)
        .filter(|cpu| contains(set, *cpu))
        .collect()
}

/// The set of these numbers.
#[must_use]
pub fn from_numbers(numbers: impl IntoIterator<Item = usize>) -> CpuSet {
    let mut set = CpuSet::default();
    for cpu in numbers {
        insert(&mut set, cpu);
    }
    set
}

/// `set` as ascending ranges; empty for none.
#[must_use]
pub fn print(set: &CpuSet) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for cpu in numbers(set) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let texts: Vec<_> = ranges
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::{difference, parse, print};

    #[test]
    fn lists_print_as_ascending_ranges() {
        for (typed, printed) in [
            ("2", "2"),
            ("2,3", "2-3"),
            ("7,1-3,5", "1-3,5,7"),
            ("0-511", "0-511"),
            ("3-3,3", "3"),
        ] {
            assert_eq!(print(&parse(typed).unwrap()), printed);
        }
    }

    #[test]
    fn malformed_lists_are_refused() {
        for text in [
            "",
            "2-",
            "-2",
            "a",
            "3-1",
            "1,,2",
            "1,",
            "+1",
            " 1",
            "1 ",
            "0x2",
            "1-2-3",
            "512",
            "99999999999999999999",
            "1-99999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn difference_leaves_what_the_right_side_lacks() {
        let rest = difference(&parse("1-5").unwrap(), &parse("2-3,9").unwrap());
        assert_eq!(print(&rest), "1,4-5");
    }
}
