// SPDX-License-Identifier: GPL-2.0
//! Boot tests: one module per behaviour, one claim per test. Long ones are `#[ignore = "long: …"]`.

mod rig;
