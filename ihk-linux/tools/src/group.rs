// SPDX-License-Identifier: GPL-2.0
//! Groups of the local `/etc/group`. The tools are static programs, which cannot ask the C
//! library's name services.

use std::fs;

use crate::failure::{plain, Failure, Result};
use crate::list::parse_decimal;

/// The id of group `name` (a number is taken as it is).
///
/// # Errors
///
/// There is no such group.
pub fn id(name: &str) -> Result<u32> {
    if let Ok(id) = parse_decimal(name) {
        return Ok(id);
    }
    let text = fs::read_to_string("/etc/group")
        .map_err(|error| Failure::refused("/etc/group", plain(&error)))?;
    find(&text, name).ok_or_else(|| {
        Failure::refused(format_args!("group {name}"), "no such group in /etc/group")
    })
}

fn find(text: &str, name: &str) -> Option<u32> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let line = text
        .lines()
        .map(fields)
        .find(|fields| fields.first().is_some_and(|first| first == name))?;
    line.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let text = "root:x:0:\nhpc:x:990:a,b\nhp:x:7:\n";
        assert_eq!(
            (find(text, "hpc"), find(text, "hp"), find(text, "h")),
            (Some(990), Some(7), None)
        );
    }
}
