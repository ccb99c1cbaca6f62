// SPDX-License-Identifier: GPL-2.0
//! Room for queued signals: `RLIMIT_SIGPENDING` of Linux counts all that wait for the processes of a user.

use alloc::sync::Arc;

use crate::atomic::{AtomicU64, Ordering};

/// The signals that wait for the processes of one user.
#[derive(Debug)]
pub struct Account(AtomicU64);

impl Account {
    /// No signal waits.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new()
    }
}

/// The room for the signals of one process.
#[derive(Debug)]
pub struct Room {
    /// What is counted together.
    pub account: Arc<Account>,
    /// Most signals of the account.
    pub limit: u64,
}

/// The place of one signal, until it is dropped.
#[derive(Debug)]
pub struct Charge(Arc<Account>);

impl Room {
    /// Takes a place; over the limit, too, if it `must` be there. `None`: there is none.
    #[must_use]
    pub fn take(&self, must: bool) -> Option<Charge> {
        let before = self.account.0.fetch_add(1, Ordering::Relaxed);
        let charge = Charge(Arc::clone(&self.account));
        (must || before < self.limit).then_some(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0 .0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn room(limit: u64) -> Room {
        Room {
            account: Arc::default(),
            limit,
        }
    }

    #[test]
    fn there_are_as_many_places_as_the_limit_says() {
        let room = room(2);
        let taken = [room.take(false), room.take(false)];
        assert!(taken.iter().all(Option::is_some));
        assert!(room.take(false).is_none());
        drop(taken);
        assert!(room.take(false).is_some());
    }

    #[test]
    fn what_must_be_there_counts_and_is_never_refused() {
        let room = room(0);
        let charge = room.take(true);
        assert!(charge.is_some() && room.take(false).is_none());
    }

    #[test]
    fn processes_of_a_user_share_the_places_and_not_the_limit() {
        let one = room(1);
        let other = Room {
            account: Arc::clone(&one.account),
            limit: 2,
        };
        let _first = one.take(false);
        assert!(one.take(false).is_none());
        assert!(other.take(false).is_some());
    }
}
