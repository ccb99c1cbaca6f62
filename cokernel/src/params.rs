// SPDX-License-Identifier: GPL-2.0
//! The boot parameters as a value that vouches for itself: whoever has it may rely on what it says of the
//! machine and the partition.

use core::ops::Deref;

use ihk_ikc::boot::BootParams;

/// The parameters of ihk.ko, under the entry protocol of `ihk_ikc::boot`.
#[derive(Clone, Copy)]
pub struct Params(&'static BootParams);

impl Params {
    /// The value of `params`.
    ///
    /// # Safety
    ///
    /// They are those that ihk.ko gave the entry stub: the partition is the co-kernel's, its parts are
    /// what they are called, and the CPUs are set up like Linux's.
    pub const unsafe fn new(params: &'static BootParams) -> Self {
        Self(params)
    }

    /// The parameters themselves, which stay.
    pub const fn get(self) -> &'static BootParams {
        self.0
    }
}

impl Deref for Params {
    type Target = BootParams;

    fn deref(&self) -> &BootParams {
        self.0
    }
}
