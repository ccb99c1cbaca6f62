// SPDX-License-Identifier: GPL-2.0
//! `SIZE = N[K|M|G]` and `SPEC = SIZE@NODE{,SIZE@NODE}`: memory as it is typed and printed.

use ihk_ikc::layout::{LARGE_PAGE_BYTES, MAX_NODES};
use ihk_ikc::uapi::MemorySpec;
use serde::Serialize;

use crate::list::parse_decimal;

/// The reason why a notation was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// It is none.
    Malformed(String),
    /// It is well-formed and still impossible.
    Impossible(String),
}

/// Bytes of one node, as `--json` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NodeBytes {
    /// Linux's number of the node.
    pub node: usize,
    /// Its bytes.
    pub bytes: u64,
}

/// The memory that `text` names. A node named twice gets the sum.
///
/// # Errors
///
/// [`SpecError`].
pub fn parse(text: &str) -> Result<MemorySpec, SpecError> {
    let mut spec = MemorySpec::default();
    for part in text.split(',') {
        let (size, node) = part
            .split_once('@')
            .ok_or_else(|| SpecError::Malformed(format!("{part:?} is not SIZE@NODE")))?;
        let bytes = parse_size(size)?;
        let number: usize = parse_decimal(node).map_err(SpecError::Malformed)?;
        let total = spec
            .bytes
            .get_mut(number)
            .ok_or_else(|| SpecError::Impossible(format!("no node {node}")))?;
        *total = total
            .checked_add(bytes)
            .ok_or_else(|| SpecError::Impossible(format!("{text} is too large")))?;
    }
    Ok(spec)
}

/// Bytes of `N[K|M|G]`, a positive multiple of 2 MiB.
fn parse_size(text: &str) -> Result<u64, SpecError> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let count: u64 = parse_decimal(digits).map_err(SpecError::Malformed)?;
    let bytes = count
        .checked_mul(1 << shift)
        .ok_or_else(|| SpecError::Impossible(format!("{text} is too large")))?;
    if bytes == 0 || bytes % LARGE_PAGE_BYTES != 0 {
        return Err(SpecError::Impossible(format!(
            "{text} is not a multiple of 2M"
        )));
    }
    Ok(bytes)
}

/// `bytes` in the largest unit that divides it.
#[must_use]
pub fn print_size(bytes: u64) -> String {
    for (shift, unit) in [(30, "G"), (20, "M"), (10, "K")] {
        if bytes != 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// The nodes that have some, ascending.
#[must_use]
pub fn nodes(spec: &MemorySpec) -> Vec<NodeBytes> {
    let all = spec.bytes.iter().enumerate().take(MAX_NODES);
    all.filter(|(_, bytes)| **bytes != 0)
        .map(|(node, &bytes)| NodeBytes { node, bytes })
        .collect()
}

/// `spec` as it is typed; empty for none.
#[must_use]
pub fn print(spec: &MemorySpec) -> String {
    let parts: Vec<_> = nodes(spec)
        .iter()
        .map(|part| format!("{}@{}", print_size(part.bytes), part.node))
        .collect();
    parts.join(",")
}

/// The part of `wanted` that goes beyond `present`, node by node.
#[must_use]
pub fn missing(wanted: &MemorySpec, present: &MemorySpec) -> MemorySpec {
    let mut rest = *wanted;
    for (bytes, there) in rest.bytes.iter_mut().zip(present.bytes) {
        *bytes = bytes.saturating_sub(there);
    }
    rest
}

/// Whether there is nothing in `spec`.
#[must_use]
pub fn is_empty(spec: &MemorySpec) -> bool {
    spec.bytes.iter().all(|bytes| *bytes == 0)
}

#[cfg(test)]
mod tests {
    use super::{missing, parse, print, SpecError};

    #[test]
    fn specs_print_in_the_largest_unit() {
        for (typed, printed) in [
            ("512M@0", "512M@0"),
            ("1G@1,2M@0", "2M@0,1G@1"),
            ("1024M@0", "1G@0"),
            ("2097152@3", "2M@3"),
            ("2048K@0,2M@0", "4M@0"),
        ] {
            assert_eq!(print(&parse(typed).unwrap()), printed);
        }
    }

    #[test]
    fn malformed_specs_are_told_from_impossible_ones() {
        for text in [
            "", "512M", "@0", "M@0", "512m@0", "512MB@0", "1.5G@0", "512M@", "512M@a", "2M@0,",
        ] {
            assert!(
                matches!(parse(text), Err(SpecError::Malformed(_))),
                "{text:?}"
            );
        }
        for text in [
            "3M@0",
            "4096@0",
            "0M@0",
            "2M@64",
            "17179869184G@0",
            "18446744073707454464@0,2M@0",
        ] {
            assert!(
                matches!(parse(text), Err(SpecError::Impossible(_))),
                "{text:?}"
            );
        }
        assert!(parse("99999999999999999999M@0").is_err());
    }

    #[test]
    fn missing_is_counted_per_node() {
        let rest = missing(&parse("8M@0,4M@1").unwrap(), &parse("2M@0,6M@1").unwrap());
        assert_eq!(print(&rest), "6M@0");
    }
}
