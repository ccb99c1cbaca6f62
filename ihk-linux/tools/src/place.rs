// SPDX-License-Identifier: GPL-2.0
//! Packages and cores of the co-kernel's CPUs: from their APIC ids, by the rules of cpuid leaf 0Bh,
//! which are the same on every CPU of the machine.

use std::arch::x86_64::__cpuid_count;

use ihk_ikc::view::CpuView;

/// Place of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of its package.
    pub package: u64,
    /// Number of its core in the package.
    pub core: u64,
}

/// The number of low bits of an APIC id that tell threads of a core apart, and of those for a package.
fn shifts() -> (u32, u32) {
    const LEAF: u32 = 0xb;
    if __cpuid_count(0, 0).eax < LEAF {
        return (0, 0);
    }
    let level = |index| __cpuid_count(LEAF, index);
    let (threads, cores) = (level(0), level(1));
    if threads.ebx == 0 {
        return (0, 0);
    }
    (threads.eax & 0x1f, cores.eax & 0x1f)
}

/// The places of `cpus`, in order.
#[must_use]
pub fn places(cpus: &[CpuView]) -> Vec<Place> {
    let shifts = shifts();
    cpus.iter().map(|cpu| place(cpu.apic_id, shifts)).collect()
}

fn place(apic_id: u64, (thread_bits, package_bits): (u32, u32)) -> Place {
    let in_package = apic_id & ((1 << package_bits) - 1);
    Place {
        package: apic_id >> package_bits,
        core: if package_bits == 0 {
            0
        } else {
            in_package >> thread_bits
        },
    }
}

/// The number of low bits of an APIC id that tell the CPUs apart which share cache `index` (Linux's
/// number).
#[must_use]
pub fn cache_bits(index: u32) -> u32 {
    const INTEL: u32 = 4;
    const AMD: u32 = 0x8000_001d;
    const EXTENDED: u32 = 0x8000_0000;
    const TOPOLOGY_EXTENSIONS: u32 = 1 << 22;
    /// The first cache that CPUs of AMD without these leaves share.
    const SHARED: u32 = 3;
    let is_amd = matches!(&__cpuid_count(0, 0).ebx.to_le_bytes(), b"Auth" | b"Hygo");
    let leaf = if !is_amd {
        INTEL
    } else if __cpuid_count(EXTENDED, 0).eax >= AMD
        && __cpuid_count(EXTENDED + 1, 0).ecx & TOPOLOGY_EXTENSIONS != 0
    {
        AMD
    } else {
        return if index >= SHARED { shifts().1 } else { 0 };
    };
    let sharing = (__cpuid_count(leaf, index).eax >> 14 & 0xfff) + 1;
    sharing.next_power_of_two().trailing_zeros()
}

/// The number of cores among `places`.
#[must_use]
pub fn cores<'a>(places: impl Iterator<Item = &'a Place>) -> u64 {
    let mut cores: Vec<_> = places.map(|place| (place.package, place.core)).collect();
    cores.sort_unstable();
    cores.dedup();
    cores.len() as u64
}

#[cfg(test)]
mod tests {
    use super::{cores, place, Place};

    #[test]
    fn apic_ids_tell_package_core_and_thread() {
        let places = [4, 5, 6, 9].map(|id| place(id, (1, 3)));
        assert_eq!(
            places[0],
            Place {
                package: 0,
                core: 2
            }
        );
        assert_eq!(places[1], places[0]);
        assert_eq!(
            places[3],
            Place {
                package: 1,
                core: 0
            }
        );
        assert_eq!(cores(places.iter()), 3);
    }
}
