//! Boot tests.
fn main() {}
