// SPDX-License-Identifier: GPL-2.0
//! Executes mcexec itself once more where the window would collide with mcexec.
//!
//! With an unlimited or huge stack, or the legacy layout, Linux puts mcexec's own mappings where
//! the program's must lie. With a finite limit of the address space the window cannot be mapped at
//! all. So limits and layout are changed for the second run, and the program's values are handed to
//! it in one environment entry, which the program does not see.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use nix::sys::personality::{self, Persona};
use nix::sys::resource::{setrlimit, Resource, RLIM_INFINITY};
use nix::unistd::execve;

use super::inherited::{ADDRESS_SPACE, STACK};
use crate::error::StartError;

/// Name of the entry.
const MARKER: &str = "MCEXEC_INHERITED=";
/// The stack limit of the second run; it has to hold arguments, not data.
const OWN_STACK_BYTES: u64 = 8 << 20;
/// Larger limits would push mcexec's mappings towards the window.
const LARGEST_STACK_BYTES: u64 = 1 << 40;

/// The program's values of everything that the second run has otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inherited {
    stack: [u64; 2],
    address_space: [u64; 2],
    persona: i32,
}

/// Makes sure that the window can be mapped: returns in the process that may go on. Takes the
/// marker out of `environment` and puts the program's values into `limits`.
///
/// # Errors
///
/// A limit may not be raised.
pub(crate) fn make_room(
    environment: &mut Vec<CString>,
    limits: &mut [[u64; 2]; 16],
) -> Result<(), StartError> {
    let marker = environment.iter().find_map(|entry| parse(entry.to_bytes()));
    environment.retain(|entry| !entry.to_bytes().starts_with(MARKER.as_bytes()));
    let persona = personality::get().unwrap_or(Persona::empty());
    let unsuitable = is_unsuitable(limits, persona);
    match marker {
        Some(inherited) if !unsuitable => {
            restore(inherited, limits);
            Ok(())
        }
        Some(_) => Err(StartError::cokernel(
            "address space layout",
            "the window collides with mcexec",
        )),
        None if unsuitable => execute_again(environment, limits, persona),
        None => Ok(()),
    }
}

fn is_unsuitable(limits: &[[u64; 2]; 16], persona: Persona) -> bool {
    limits[STACK][0] > LARGEST_STACK_BYTES
        || limits[ADDRESS_SPACE][0] != RLIM_INFINITY
        || persona.contains(Persona::ADDR_COMPAT_LAYOUT)
}

/// Gives the program's values back in the second run: stack limit and personality are the program's
/// again, and the address space limit lives in the co-kernel.
fn restore(inherited: Inherited, limits: &mut [[u64; 2]; 16]) {
    limits[STACK] = inherited.stack;
    limits[ADDRESS_SPACE] = inherited.address_space;
    // Neither raises a limit, and neither matters before the next execve.
    let _ = setrlimit(
        Resource::RLIMIT_STACK,
        inherited.stack[0],
        inherited.stack[1],
    );
    let _ = personality::set(Persona::from_bits_retain(inherited.persona));
}

fn execute_again(
    environment: &[CString],
    limits: &[[u64; 2]; 16],
    persona: Persona,
) -> Result<(), StartError> {
    let inherited = Inherited {
        stack: limits[STACK],
        address_space: limits[ADDRESS_SPACE],
        persona: persona.bits(),
    };
    let failed = |what: &str| {
        let what = what.to_owned();
        move |errno: nix::errno::Errno| StartError::cokernel(what, errno.desc())
    };
    let stack = OWN_STACK_BYTES.min(limits[STACK][1]);
    setrlimit(Resource::RLIMIT_STACK, stack, limits[STACK][1]).map_err(failed("stack limit"))?;
    // With a finite hard limit this is a privilege.
    setrlimit(Resource::RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY).map_err(|_| {
        StartError::cokernel(
            "address space limit",
            "a hard limit (ulimit -Hv) leaves no room for the window",
        )
    })?;
    personality::set(persona - Persona::ADDR_COMPAT_LAYOUT).map_err(failed("personality"))?;
    let arguments: Vec<CString> = std::env::args_os()
        .filter_map(|argument| CString::new(argument.as_bytes()).ok())
        .collect();
    let mut environment = environment.to_vec();
    environment.extend(CString::new(print(inherited)));
    match execve(c"/proc/self/exe", &arguments, &environment) {
        Ok(never) => match never {},
        Err(errno) => Err(StartError::cokernel("/proc/self/exe", errno.desc())),
    }
}

fn print(inherited: Inherited) -> String {
    let Inherited {
        stack,
        address_space,
        persona,
    } = inherited;
    format!(
        "{MARKER}{},{},{},{},{persona}",
        stack[0], stack[1], address_space[0], address_space[1]
    )
}

fn parse(entry: &[u8]) -> Option<Inherited> {
    let text = OsStr::from_bytes(entry).to_str()?.strip_prefix(MARKER)?;
    let (numbers, persona) = text.rsplit_once(',')?;
    let numbers: Vec<u64> = numbers
        .split(',')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [stack_soft, stack_hard, space_soft, space_hard] = numbers.try_into().ok()?;
    Some(Inherited {
        stack: [stack_soft, stack_hard],
        address_space: [space_soft, space_hard],
        persona: persona.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{parse, print, Inherited};

    #[test]
    fn the_marker_carries_all_values() {
        let inherited = Inherited {
            stack: [1, u64::MAX],
            address_space: [3, 4],
            persona: 0x0020_0000,
        };
        assert_eq!(parse(print(inherited).as_bytes()), Some(inherited));
        for malformed in [
            "MCEXEC_INHERITED=",
            "MCEXEC_INHERITED=1,2,3,4",
            "MCEXEC_INHERITED=1,2,3,4,5,6",
            "PATH=1,2,3,4,5",
        ] {
            assert_eq!(parse(malformed.as_bytes()), None);
        }
    }
}
