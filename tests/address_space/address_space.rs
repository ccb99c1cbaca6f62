// SPDX-License-Identifier: GPL-2.0
//! Where a program's memory lies: the table of `docs/memory-map.md` is what the script checks.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

/// The document that the table is in.
const DOCUMENT: &str = include_str!("../../docs/memory-map.md");

static ADDRESS_SPACE: LazyLock<Reports> = LazyLock::new(|| {
    let rows = rows();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    Reports::of(linux_only(), "address_space", &rows)
});

/// Returns the rows as arguments: `NAME=FIRST-END,FIRST-END`, hexadecimal.
fn rows() -> Vec<String> {
    let table = DOCUMENT
        .lines()
        .skip_while(|line| !line.starts_with("| part |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.filter_map(row).collect()
}

fn row(line: &str) -> Option<String> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    let name = cells.next()?;
    let range = |cell: &str| cell.replace('_', "").replace(" – ", "-").replace("0x", "");
    let (natively, here) = (range(cells.next()?), range(cells.next()?));
    Some(format!("{name}={natively},{here}"))
}

claims!(ADDRESS_SPACE: "address_space.py");
