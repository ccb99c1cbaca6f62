// SPDX-License-Identifier: GPL-2.0
//! Memory that programs share with files, with each other and with programs of Linux.

mod program {
    //! Claims of programs about themselves, natively and then under mcexec.

    programs!(REPORTS: "shared", "inherited", "synchronised");
}

mod device {
    //! Claims of a program about devices that it maps, natively and then under mcexec.

    programs!(REPORTS: "devices");
}

mod both_sides {
    //! Programs on either side.

    use crate::script::{linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "shared", &[]));

    claims!(REPORTS: "shared.py");
}
