// SPDX-License-Identifier: GPL-2.0
//! The boot arguments, for everybody to read; [`cokernel_logic::kargs`] has their list.

use spin::Once;

use crate::params::Params;
pub use cokernel_logic::kargs::Place;
use cokernel_logic::kargs::{parse, BadKarg, Kargs};

static KARGS: Once<Kargs> = Once::new();

/// The values of the boot arguments; the defaults before they were read.
pub fn get() -> &'static Kargs {
    KARGS.get().unwrap_or(&Kargs::DEFAULT)
}

/// The time that a waiting thread, or an idle CPU, polls, µs.
pub fn poll_us() -> u64 {
    get().poll_us
}

/// Reads the arguments of `params`. The boot CPU, once.
///
/// # Errors
///
/// See [`BadKarg`]: the boot is to be refused.
pub fn init(params: Params) -> Result<(), BadKarg<'static>> {
    let bytes = params
        .get()
        .kargs
        .get(..params.kargs_bytes as usize)
        .ok_or(BadKarg::NotUtf8)?;
    let kargs = parse(bytes)?;
    KARGS.call_once(|| kargs);
    Ok(())
}
