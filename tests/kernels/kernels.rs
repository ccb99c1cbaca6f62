// SPDX-License-Identifier: GPL-2.0
//! Claims that one boot can show of the kernel that `--kernel` names: the default lane runs these claims on each
//! kernel that is known to pass.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static KERNELS: LazyLock<Reports> = LazyLock::new(|| {
    let cores_and_memory = ["-c", "2-3", "-m", "512M@0"];
    Reports::of(linux_only(), "kernels", &cores_and_memory)
});

claims!(KERNELS: "kernels.py");
