// SPDX-License-Identifier: GPL-2.0
//! Posted calls and functions in programs as they come: the example web server.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static SAKURA: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "sakura", &[]));

claims!(SAKURA:
    web_server_answers_as_natively,
    killed_with_servers_leaves_nothing_behind,
);
