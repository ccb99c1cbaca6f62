// SPDX-License-Identifier: GPL-2.0
//! Signals from Linux's side: storms, terminals, stop and continue, the clock.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static SIGNALS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "signals", &[]));

claims!(SIGNALS: "signals.py");
