// SPDX-License-Identifier: GPL-2.0
//! Finds Linux's own vdso. The program gets the same pages, so its time is Linux's.

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::{VdsoArgs, MAX_VDSO_PAGES};

use crate::proc_file;

/// Returns where mcexec's vdso and the data pages before it lie, or all zeroes if there is none.
/// The place in the program is not chosen yet.
#[must_use]
pub(crate) fn find() -> VdsoArgs {
    parse(&proc_file::read_text("/proc/self/maps")).unwrap_or_default()
}

/// Returns the `[vdso]` of `maps` and the run of `[vvar…]` areas that ends where it begins.
fn parse(maps: &str) -> Option<VdsoArgs> {
    let areas: Vec<_> = maps.lines().filter_map(parse_line).collect();
    let (start, end, _) = *areas.iter().find(|(_, _, name)| *name == "[vdso]")?;
    let mut source = start;
    for (area_start, area_end, name) in areas.iter().rev() {
        if *area_end == source && name.starts_with("[vvar") {
            source = *area_start;
        }
    }
    let vdso = VdsoArgs {
        source,
        vvar_bytes: start - source,
        vdso_bytes: end - start,
        target: 0,
    };
    ((end - source) / PAGE_BYTES <= MAX_VDSO_PAGES as u64).then_some(vdso)
}

fn parse_line(line: &str) -> Option<(u64, u64, &str)> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?, fields.last()?))
}

#[cfg(test)]
mod tests {
    use super::{find, parse};

    #[test]
    fn all_data_areas_before_the_vdso_belong_to_it() {
        let maps = "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n\
                    7ffe00000000-7ffe00004000 r--p 00000000 00:00 0                  [vvar]\n\
                    7ffe00004000-7ffe00006000 r--p 00000000 00:00 0                  [vvar_vclock]\n\
                    7ffe00006000-7ffe00008000 r-xp 00000000 00:00 0                  [vdso]\n";
        let vdso = parse(maps).unwrap();
        assert_eq!(
            (vdso.source, vdso.vvar_bytes, vdso.vdso_bytes),
            (0x7ffe_0000_0000, 0x6000, 0x2000)
        );
        assert!(parse("7f0000000000-7f0000001000 rw-p 00000000 00:00 0 [heap]\n").is_none());
    }

    #[test]
    fn this_process_has_one() {
        assert!(find().vdso_bytes > 0);
    }
}
