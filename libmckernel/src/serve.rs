// SPDX-License-Identifier: GPL-2.0
//! The work of a server, natively and in the proxy alike.
//!
//! ```text
//!  lead ──── takes entry after entry; without one it looks for a while, then sleeps on the bell
//!   ▲  │ was replaced meanwhile
//!   │  ▼
//!  watcher ─ looks every millisecond whether the lead takes what is there; if not, becomes the lead
//!   ▲
//!  reserve ─ sleeps until a watcher has become the lead; a few of these, whoever is more ends
//! ```
//! So a call that blocks delays the next ones by about a millisecond, and costs nothing otherwise. A
//! watcher that finds nobody in reserve has one more server started, unless there are enough that
//! perform no call: then the lead is not blocked but waits for a CPU, as others do, and the watcher
//! goes on watching. Who leads decides nothing but who looks: taking an entry is atomic.
//!
//! Whoever closes the queue says so first and then rings once. So every server reads the word it will sleep
//! on before it looks whether all is over: either it sees that, or the word changes and it does not
//! sleep (loom: `tests/loom_serve.rs`).

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use ihk_ikc::atomic::{AtomicU32, Ordering};
use ihk_ikc::queue::{Queue, Wake};
use ihk_ikc::slot::Request;

/// The longest time that the lead may be without progress.
const STALL: Duration = Duration::from_millis(1);
/// Most servers in reserve.
const MOST_RESERVES: u32 = 8;
/// Most servers that perform no call: lead, watcher and those in reserve.
const MOST_IDLE: u32 = 2 + MOST_RESERVES;
/// Looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 32;

/// The abilities of a server.
pub trait Server {
    /// The time that it looks for an entry before it sleeps.
    const LOOK_FOR: Duration;
    /// Does what an entry asks for; its result or a negative errno.
    fn perform(&self, request: &Request) -> i64;
    /// Sleeps while `word` is `value`, or until it is woken, or for no reason.
    fn sleep(&self, word: &AtomicU32, value: u32);
    /// Wakes all who sleep on `word`.
    fn wake(&self, word: &AtomicU32);
    /// Has another server started. It may fail.
    fn hire(&self);
    /// Lets that much time pass.
    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
    /// Whether it must end although the queue is not closed.
    fn must_end(&self) -> bool {
        false
    }
}

/// Serves `queue` as number `me`, which is not 0, until it is closed or there are servers enough.
pub fn serve(queue: &Queue<'_>, me: u32, server: &impl Server) {
    while !is_over(queue, server) {
        if holds(&queue.header.lead, me) {
            lead(queue, me, server);
            give_up(&queue.header.lead, me);
        } else if holds(&queue.header.watcher, me) {
            watch(queue, me, server);
            give_up(&queue.header.watcher, me);
        } else if !wait_in_reserve(queue, server) {
            return;
        }
    }
}

/// The caller has closed the queue, or wants servers to look whether they must end.
pub fn call_all(queue: &Queue<'_>, wake: impl Fn(&AtomicU32)) {
    let _ = queue.ring();
    wake(queue.bell());
    queue.header.promotions.fetch_add(1, Ordering::AcqRel);
    wake(&queue.header.promotions);
}

fn is_over(queue: &Queue<'_>, server: &impl Server) -> bool {
    queue.header.closing.load(Ordering::Acquire) != 0 || server.must_end()
}

/// Whether `me` has the role, now or already.
fn holds(role: &AtomicU32, me: u32) -> bool {
    match role.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => true,
        Err(holder) => holder == me,
    }
}

fn give_up(role: &AtomicU32, me: u32) {
    // Whoever holds it instead keeps it.
    let _ = role.compare_exchange(me, 0, Ordering::AcqRel, Ordering::Relaxed);
}

/// Takes entries until somebody else leads.
fn lead(queue: &Queue<'_>, me: u32, server: &impl Server) {
    loop {
        // Before looking whether all is over, see above.
        let seen = queue.bell_seen();
        if is_over(queue, server) || queue.header.lead.load(Ordering::Acquire) != me {
            return;
        }
        if !look(queue, server) {
            if let Some((word, value)) = queue.prepare_sleep(seen) {
                server.sleep(word, value);
            }
        }
    }
}

/// Looks for an entry for a while and does it; whether there was one.
fn look<S: Server>(queue: &Queue<'_>, server: &S) -> bool {
    if serve_one(queue, server) {
        return true;
    }
    let began = Instant::now();
    while began.elapsed() < S::LOOK_FOR {
        for _ in 0..LOOKS_PER_CLOCK {
            if serve_one(queue, server) {
                return true;
            }
            spin_loop();
        }
    }
    false
}

fn serve_one(queue: &Queue<'_>, server: &impl Server) -> bool {
    let Some((index, request)) = queue.take() else {
        return false;
    };
    let result = server.perform(&request);
    let (waiters, space) = queue.finish(index, result);
    if waiters == Wake::All {
        server.wake(queue.state_of(index));
    }
    if space == Wake::All {
        server.wake(queue.space());
    }
    true
}

/// Watches the lead until it must be replaced, which then has happened.
fn watch(queue: &Queue<'_>, me: u32, server: &impl Server) {
    let (mut before, _) = queue.progress();
    loop {
        // As in `lead`.
        let bell = queue.bell_seen();
        if is_over(queue, server) {
            return;
        }
        if queue.is_asleep() {
            server.sleep(queue.bell(), bell);
            before = queue.progress().0;
            continue;
        }
        server.pause(STALL);
        let (head, more) = queue.progress();
        let lead = queue.header.lead.load(Ordering::Acquire);
        let stalled = more && head == before;
        if lead == 0 || (stalled && has_successor(queue)) {
            queue.header.lead.store(me, Ordering::Release);
            return replace_watcher(queue, me, server);
        }
        before = head;
    }
}

/// Whether the watcher can become the lead: somebody in reserve can watch, or one more server is worth
/// having. Each call under way occupies one server, so the others are idle or have not had a CPU yet.
fn has_successor(queue: &Queue<'_>) -> bool {
    let servers = queue.header.servers.load(Ordering::Acquire);
    queue.header.reserves.load(Ordering::Acquire) != 0
        || servers < MOST_IDLE
        || servers.saturating_sub(queue.count_taken()) < MOST_IDLE
}

/// The watcher has become the lead: somebody in reserve is the next watcher, or a new server.
fn replace_watcher(queue: &Queue<'_>, me: u32, server: &impl Server) {
    give_up(&queue.header.watcher, me);
    queue.header.promotions.fetch_add(1, Ordering::AcqRel);
    if queue.header.reserves.load(Ordering::Acquire) == 0 {
        server.hire();
    } else {
        server.wake(&queue.header.promotions);
    }
}

/// Sleeps until a role may be free; false if there are enough in reserve.
fn wait_in_reserve(queue: &Queue<'_>, server: &impl Server) -> bool {
    let header = queue.header;
    let promotions = header.promotions.load(Ordering::Acquire);
    if header.reserves.fetch_add(1, Ordering::AcqRel) >= MOST_RESERVES {
        header.reserves.fetch_sub(1, Ordering::AcqRel);
        return false;
    }
    let roles_taken = header.watcher.load(Ordering::Acquire) != 0;
    if roles_taken && !is_over(queue, server) {
        server.sleep(&header.promotions, promotions);
    }
    header.reserves.fetch_sub(1, Ordering::AcqRel);
    true
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{watch, Server, MOST_IDLE};
    use crate::memory::Memory;
    use ihk_ikc::queue::Queue;
    use ihk_ikc::slot::Request;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    const REQUEST: Request = Request {
        number: 7,
        args: [0; 6],
    };

    /// A server whose colleagues never get a CPU; it closes the queue after some pauses.
    struct Hiring<'a> {
        queue: Queue<'a>,
        pauses: Cell<u32>,
    }

    impl Server for Hiring<'_> {
        const LOOK_FOR: Duration = Duration::ZERO;

        fn perform(&self, _: &Request) -> i64 {
            0
        }

        fn sleep(&self, _: &AtomicU32, _: u32) {}

        fn wake(&self, _: &AtomicU32) {}

        fn hire(&self) {
            self.queue.header.servers.fetch_add(1, Ordering::Relaxed);
        }

        fn pause(&self, _: Duration) {
            self.pauses.set(self.pauses.get() + 1);
            if self.pauses.get() > 200 {
                self.queue.header.closing.store(1, Ordering::Relaxed);
            }
        }
    }

    /// Servers that there are after each has watched a lead that made no progress, and each of
    /// the first `blocked` leads has taken a call before.
    fn servers_after(blocked: u32) -> u32 {
        let memory = Memory::map(128).expect("a queue");
        let queue = memory.queue();
        let server = Hiring {
            queue: memory.queue(),
            pauses: Cell::new(0),
        };
        queue.header.servers.store(2, Ordering::Relaxed);
        queue.header.lead.store(1, Ordering::Relaxed);
        let _ = queue.post(&REQUEST, false).expect("room");
        let mut me = 1;
        while queue.header.closing.load(Ordering::Relaxed) == 0 {
            me += 1;
            if me < 2 + blocked {
                queue.take().expect("posted");
                let _ = queue.post(&REQUEST, false).expect("room");
            }
            queue.header.watcher.store(me, Ordering::Relaxed);
            watch(&queue, me, &server);
        }
        let servers = queue.header.servers.load(Ordering::Relaxed);
        memory.unmap();
        servers
    }

    #[test]
    fn a_lead_that_waits_for_a_cpu_costs_a_few_servers_only() {
        assert_eq!(servers_after(0), MOST_IDLE);
    }

    #[test]
    fn each_call_that_blocks_is_made_up_for() {
        assert_eq!(servers_after(100), MOST_IDLE + 100);
    }
}
