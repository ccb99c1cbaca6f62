// SPDX-License-Identifier: GPL-2.0
//! Tests that take turns on one machine, which is booted by the first of them.

use std::sync::mpsc::{channel, Sender};
use std::sync::{LazyLock, Mutex};
use std::thread;

use xtask::vm::Session;

use crate::{build_once, linux_only, with_scripts, Outcome};

/// A command that waits for its turn.
struct Turn {
    argv: Vec<String>,
    limit_s: u64,
    done: Sender<Result<Outcome, String>>,
}

/// The thread that owns the machine: machines end with the thread that started them, and each test is a thread.
static OWNER: LazyLock<Mutex<Sender<Turn>>> = LazyLock::new(|| {
    let (sender, turns) = channel::<Turn>();
    thread::spawn(move || {
        let mut session = Session::new(with_scripts(linux_only()));
        for turn in turns {
            let argv: Vec<&str> = turn.argv.iter().map(String::as_str).collect();
            let outcome = session.run(&argv, turn.limit_s);
            let _ = turn
                .done
                .send(outcome.map_err(|error| format!("{error:#}")));
        }
    });
    Mutex::new(sender)
});

/// Runs `argv` with an empty stdin for at most `limit_s` seconds on the machine that all callers share, of the kind of
/// [`linux_only`] [`with_scripts`].
///
/// # Errors
/// The machine did not get as far as the command's end; the next command gets a new one.
pub fn attempt_in_turn(argv: &[&str], limit_s: u64) -> Result<Outcome, String> {
    build_once();
    let (done, outcome) = channel();
    let turn = Turn {
        argv: argv.iter().map(ToString::to_string).collect(),
        limit_s,
        done,
    };
    let owner = OWNER.lock().map_err(|error| error.to_string())?;
    owner.send(turn).map_err(|error| error.to_string())?;
    outcome.recv().map_err(|error| error.to_string())?
}
