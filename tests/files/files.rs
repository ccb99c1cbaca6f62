// SPDX-License-Identifier: GPL-2.0
//! Pages of files that all processes share.

mod mapping {
    //! Claims of a program about its mappings, natively and then under mcexec.

    programs!(REPORTS: "pages");
}

mod demand {
    //! Claims of a program about pages that come when they are touched, natively and then under mcexec.

    programs!(REPORTS: "demand");
}

mod sharing {
    //! Programs of one file at once and one after the other.

    use crate::script::{linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "files", &[]));

    claims!(REPORTS: "files.py");
}
