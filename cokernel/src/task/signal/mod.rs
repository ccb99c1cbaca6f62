// SPDX-License-Identifier: GPL-2.0
//! Signals: [`cokernel_logic::signal_state`] keeps actions, masks and pending sets, [`send`] adds to them,
//! [`crate::process::signal::deliver`] acts on them.

pub mod account;
pub mod proxy;
pub mod send;

pub use cokernel_logic::pending::{Info, SI_KERNEL, SI_USER};
pub use cokernel_logic::signal_action::{flag, Action, DEFAULT_HANDLER, IGNORE_HANDLER};
pub use cokernel_logic::signal_frame::Trap;
pub use cokernel_logic::signal_stack::SignalStack;
use cokernel_logic::signal_state::{self, Own, Shared};
pub use cokernel_logic::signal_state::{RESERVED, SI_TKILL};

use crate::sync::SpinLock;

/// The signals of a process.
pub type ProcessSignals = signal_state::ProcessSignals<SpinLock<Shared>>;
/// The signals of a thread.
pub type ThreadSignals = signal_state::ThreadSignals<SpinLock<Own>>;
