// SPDX-License-Identifier: GPL-2.0
//! Whose signals are counted together: those of all processes of a user, as soon as it is known who that is. Until
//! then a process and its children have an account of their own.
//!
//! Lock order: signals, then the account of a process; the table of users, then the account of a process.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use cokernel_logic::signal_room::Account;
pub use cokernel_logic::signal_room::Room;

use crate::sync::SpinLock;

/// The accounts of users, by real user id.
static USERS: SpinLock<Vec<(u32, Weak<Account>)>> = SpinLock::new(Vec::new());

/// The account that the signals of a process are counted in.
#[derive(Default)]
pub struct SignalAccount(SpinLock<Owner>);

#[derive(Clone, Default)]
struct Owner {
    /// The real user id, if it is known and has not changed since.
    uid: Option<u32>,
    account: Arc<Account>,
}

impl SignalAccount {
    /// Returns the account of a child.
    pub fn inherit(&self) -> Self {
        Self(SpinLock::new(self.0.lock().clone()))
    }

    /// Returns whether the user is known.
    pub fn is_known(&self) -> bool {
        self.0.lock().uid.is_some()
    }

    /// Notes that the user may be another one from now on. Until somebody asks, signals are counted as
    /// before.
    pub fn forget(&self) {
        self.0.lock().uid = None;
    }

    /// Notes that the real user id is `uid`.
    pub fn set(&self, uid: u32) {
        if self.0.lock().uid == Some(uid) {
            return;
        }
        let account = of_user(uid);
        *self.0.lock() = Owner {
            uid: Some(uid),
            account,
        };
    }

    /// Returns the room for signals of the process, whose limit is `limit`.
    pub fn room(&self, limit: u64) -> Room {
        let account = Arc::clone(&self.0.lock().account);
        Room { account, limit }
    }
}

fn of_user(uid: u32) -> Arc<Account> {
    let mut users = USERS.lock();
    users.retain(|(_, account)| account.strong_count() != 0);
    let mut known = users.iter().filter(|(other, _)| *other == uid);
    if let Some(account) = known.find_map(|(_, account)| account.upgrade()) {
        return account;
    }
    let account = Arc::default();
    users.push((uid, Arc::downgrade(&account)));
    account
}
