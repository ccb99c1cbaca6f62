// SPDX-License-Identifier: GPL-2.0
//! membarrier(2): its commands, and which of them want to be registered for.
//!
//! Each kind that asks for registration has the bit above its own for that.

use ihk_ikc::errno::Errno;

const QUERY: u64 = 0;
const GLOBAL: u64 = 1;
const GLOBAL_EXPEDITED: u64 = 2;
const REGISTER_GLOBAL: u64 = 4;
const PRIVATE: u64 = 8;
const REGISTER_PRIVATE: u64 = 16;
const SYNC_CORE: u64 = 32;
const REGISTER_SYNC_CORE: u64 = 64;
const REGISTRATIONS: u64 = 512;
const ALL: u64 = GLOBAL
    | GLOBAL_EXPEDITED
    | REGISTER_GLOBAL
    | PRIVATE
    | REGISTER_PRIVATE
    | SYNC_CORE
    | REGISTER_SYNC_CORE
    | REGISTRATIONS;

/// The action that a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Nothing but this answer.
    Answer(u64),
    /// The process is registered for this kind, too.
    Register(u64),
    /// A barrier on every CPU that runs the program.
    Barrier,
    /// A barrier on every CPU that runs a program which has registered for this kind.
    BarrierForAll(u64),
}

/// The deed of `command`, for a process that has `registered` for some kinds.
///
/// # Errors
///
/// `EINVAL` for flags and unknown commands, `EPERM` for a kind that is not registered for.
pub const fn deed(command: u32, flags: u32, registered: u64) -> Result<Deed, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    match command as u64 {
        QUERY => Ok(Deed::Answer(ALL)),
        // Linux counts who has registered for the stronger kind to this one, too.
        REGISTRATIONS if registered & REGISTER_SYNC_CORE != 0 => {
            Ok(Deed::Answer(registered | REGISTER_PRIVATE))
        }
        REGISTRATIONS => Ok(Deed::Answer(registered)),
        kind @ (REGISTER_GLOBAL | REGISTER_PRIVATE | REGISTER_SYNC_CORE) => {
            Ok(Deed::Register(kind))
        }
        command @ (PRIVATE | SYNC_CORE) if registered & command << 1 == 0 => Err(Errno::EPERM),
        GLOBAL_EXPEDITED => Ok(Deed::BarrierForAll(REGISTER_GLOBAL)),
        GLOBAL | PRIVATE | SYNC_CORE => Ok(Deed::Barrier),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const COMMANDS: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

    /// membarrier(2): MEMBARRIER_CMD_QUERY returns a bit mask of the supported commands, without itself.
    #[test]
    fn a_query_tells_the_commands_that_work_and_no_others() {
        let Ok(Deed::Answer(supported)) = deed(0, 0, 0) else {
            panic!("a query has an answer");
        };
        for bit in 0..32 {
            let known = deed(1 << bit, 0, u64::MAX) != Err(Errno::EINVAL);
            assert_eq!(supported & 1 << bit != 0, known, "bit {bit}");
        }
        assert_eq!(
            deed(3, 0, u64::MAX),
            Err(Errno::EINVAL),
            "two commands at once"
        );
    }

    /// membarrier(2): EPERM if the process was not registered before; EINVAL for any flags.
    #[test]
    fn a_private_barrier_wants_its_own_registration() {
        for (command, register) in [(8, 16), (32, 64)] {
            assert_eq!(deed(command, 0, 0), Err(Errno::EPERM));
            assert_eq!(deed(command, 0, !register), Err(Errno::EPERM));
            assert_eq!(deed(command, 0, register), Ok(Deed::Barrier));
        }
        assert_eq!(deed(16, 0, 0), Ok(Deed::Register(16)));
        assert_eq!(deed(4, 0, 0), Ok(Deed::Register(4)));
        assert_eq!(deed(1, 0, 0), Ok(Deed::Barrier), "a global one needs none");
        assert_eq!(
            deed(2, 0, 0),
            Ok(Deed::BarrierForAll(4)),
            "nor does who asks"
        );
        for command in COMMANDS {
            assert_eq!(deed(command, 1, u64::MAX), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn a_process_learns_what_it_has_registered_for() {
        assert_eq!(deed(512, 0, 0), Ok(Deed::Answer(0)));
        assert_eq!(deed(512, 0, 16 | 64), Ok(Deed::Answer(16 | 64)));
        assert_eq!(deed(512, 0, 4), Ok(Deed::Answer(4)));
        assert_eq!(
            deed(512, 0, 64),
            Ok(Deed::Answer(16 | 64)),
            "as Linux says it"
        );
    }
}
