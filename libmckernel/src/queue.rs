// SPDX-License-Identifier: GPL-2.0
//! The program's half of a queue. Any thread may use it, beside calls made the usual way.

use std::ffi::c_void;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ihk_ikc::queue::{HandleError, Wake, FUNCTION};
use ihk_ikc::slot::Request;
use ihk_ikc::syscalls::is_delegable;

use crate::kernel::{self, Kernel};
use crate::memory::Memory;
use crate::{serve, server};

/// The time that a thread on the co-kernel looks for a result before it sleeps: about twice the price of
/// sleeping and being woken, so that the price is at most three times that of knowing beforehand.
const LOOK_FOR: Duration = Duration::from_micros(200);
/// Looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 32;
/// In [`CallQueue::epoch`], beside the number: a thread is making the servers. A child that is forked
/// meanwhile has no such thread, but another number.
const STARTING: u32 = 1 << 31;

/// The choice if no entry is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Wait until another thread collects a result or a detached call ends.
    Wait,
    /// Answer `-EAGAIN`.
    Refuse,
}

/// A function that can be posted.
pub type Function = extern "C" fn(*mut c_void) -> i64;

/// A queue and its servers.
pub struct CallQueue {
    memory: Memory,
    kernel: Kernel,
    /// [`kernel::forks`] when its servers were started.
    epoch: AtomicU32,
}

impl CallQueue {
    /// Makes a queue for at most `entries` calls at once, a power of two up to 1024, and its servers.
    ///
    /// # Errors
    ///
    /// A negative errno: `EINVAL`, `ENOMEM`, `EAGAIN` without room for a thread.
    pub fn open(entries: usize) -> Result<Self, i32> {
        kernel::count_forks();
        let queue = Self {
            memory: Memory::map(entries)?,
            kernel: Kernel::detect(),
            epoch: AtomicU32::new(kernel::forks()),
        };
        if let Err(error) = queue.start_servers() {
            queue.end();
            return Err(error);
        }
        Ok(queue)
    }

    /// The lead and the watcher.
    fn start_servers(&self) -> Result<(), i32> {
        server::start(self.kernel, self.memory)?;
        server::start(self.kernel, self.memory)
    }

    /// Posts system call `number`; its handle. With `detached` the handle is good for nothing and
    /// nobody learns the result.
    ///
    /// # Errors
    ///
    /// A negative errno: `ENOSYS` for a call that the proxy cannot make for the program, `EAGAIN` if
    /// no entry is free and `full` says so, or if a child of fork has no room for its servers.
    pub fn post(
        &self,
        number: u64,
        args: [u64; 6],
        detached: bool,
        full: Full,
    ) -> Result<u32, i32> {
        if !is_delegable(number) {
            return Err(-libc::ENOSYS);
        }
        self.post_request(&Request { number, args }, detached, full)
    }

    /// Posts a call of `function` with `argument`: Sakura Call. See [`Self::post`].
    ///
    /// # Errors
    ///
    /// `-EAGAIN`.
    pub fn post_function(
        &self,
        function: Function,
        argument: *mut c_void,
        detached: bool,
        full: Full,
    ) -> Result<u32, i32> {
        let function = (function as *const ()).expose_provenance() as u64;
        let argument = argument.expose_provenance() as u64;
        let request = Request {
            number: FUNCTION,
            args: [function, argument, 0, 0, 0, 0],
        };
        self.post_request(&request, detached, full)
    }

    fn post_request(&self, request: &Request, detached: bool, full: Full) -> Result<u32, i32> {
        self.renew_after_fork()?;
        let queue = self.memory.queue();
        loop {
            let seen = queue.space_seen();
            if let Some((handle, wake)) = queue.post(request, detached) {
                if wake == Wake::All {
                    self.kernel.wake(queue.bell());
                }
                return Ok(handle);
            }
            if full == Full::Refuse {
                return Err(-libc::EAGAIN);
            }
            if let Some((word, value)) = queue.prepare_space(seen) {
                self.kernel.sleep(word, value);
            }
        }
    }

    /// The result of a call: what the system call returned, or a negative errno; what the function
    /// returned. Each result can be had once.
    ///
    /// # Errors
    ///
    /// `-EAGAIN`: there is none yet; `-EINVAL`: there is no such call (any more).
    pub fn poll(&self, handle: u32) -> Result<i64, i32> {
        // Nothing is under way in a child that has no servers yet.
        self.renew_after_fork().map_err(|_| -libc::EINVAL)?;
        let queue = self.memory.queue();
        match queue.collect(handle) {
            Ok((result, wake)) => {
                if wake == Wake::All {
                    self.kernel.wake(queue.space());
                }
                Ok(result)
            }
            Err(HandleError::Unfinished) => Err(-libc::EAGAIN),
            Err(HandleError::Unknown) => Err(-libc::EINVAL),
        }
    }

    /// As [`Self::poll`], but waits for the result. Handlers of signals run meanwhile.
    ///
    /// # Errors
    ///
    /// `-EINVAL`.
    pub fn wait(&self, handle: u32) -> Result<i64, i32> {
        loop {
            match self.look(handle) {
                Err(error) if error == -libc::EAGAIN => {}
                result => return result,
            }
            match self.memory.queue().prepare_wait(handle) {
                Ok(Some((word, value))) => self.kernel.sleep(word, value),
                Ok(None) => {}
                Err(_) => return Err(-libc::EINVAL),
            }
        }
    }

    /// Polls for a while, where the server has a CPU of its own.
    fn look(&self, handle: u32) -> Result<i64, i32> {
        let first = self.poll(handle);
        if self.kernel == Kernel::Native || first != Err(-libc::EAGAIN) {
            return first;
        }
        let began = Instant::now();
        while began.elapsed() < LOOK_FOR {
            for _ in 0..LOOKS_PER_CLOCK {
                let result = self.poll(handle);
                if result != Err(-libc::EAGAIN) {
                    return result;
                }
                spin_loop();
            }
            // Whoever else can run on this core runs first.
            std::thread::yield_now();
        }
        Err(-libc::EAGAIN)
    }

    /// Ends the servers and gives the memory back.
    ///
    /// # Errors
    ///
    /// The queue and `-EBUSY`, if a call is under way or a result was not collected.
    pub fn close(self) -> Result<(), (Self, i32)> {
        let forked = self.epoch.load(Ordering::Acquire) != kernel::forks();
        if forked {
            // Its servers stayed in the parent.
            self.memory.queue().reset();
        } else if !self.memory.queue().is_unused() {
            return Err((self, -libc::EBUSY));
        }
        self.end();
        Ok(())
    }

    fn end(self) {
        self.end_servers();
        self.memory.unmap();
    }

    fn end_servers(&self) {
        let queue = self.memory.queue();
        queue.header.closing.store(1, Ordering::Release);
        serve::call_all(&queue, |word| self.kernel.wake(word));
        let servers = &queue.header.servers;
        loop {
            let left = servers.load(Ordering::Acquire);
            if left == 0 {
                return;
            }
            self.kernel.sleep(servers, left);
        }
    }

    /// In a forked child: forgets what was under way in the parent, and makes servers. Without room
    /// for them the next call tries again, so that nothing is posted that nobody would do.
    fn renew_after_fork(&self) -> Result<(), i32> {
        self.renew(Self::start_servers)
    }

    fn renew(&self, start_servers: impl FnOnce(&Self) -> Result<(), i32>) -> Result<(), i32> {
        let now = kernel::forks();
        let starting = now | STARTING;
        let before = loop {
            let seen = self.epoch.load(Ordering::Acquire);
            if seen == now {
                return Ok(());
            }
            let claim = || {
                self.epoch
                    .compare_exchange(seen, starting, Ordering::AcqRel, Ordering::Acquire)
            };
            if seen != starting && claim().is_ok() {
                break seen;
            }
            std::thread::yield_now();
        };
        self.memory.queue().reset();
        let started = start_servers(self);
        if started.is_err() {
            self.end_servers();
            let header = self.memory.queue().header;
            header.closing.store(0, Ordering::Release);
        }
        let epoch = if started.is_ok() { now } else { before };
        self.epoch.store(epoch, Ordering::Release);
        started
    }
}

#[cfg(test)]
mod tests {
    use super::{server, CallQueue, Full, Kernel, Memory};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    const GETPPID: u64 = libc::SYS_getppid.cast_unsigned();

    /// The queue of a child that was forked while a thread of its parent, which was a child itself,
    /// made servers.
    fn queue_of_a_child() -> CallQueue {
        CallQueue {
            memory: Memory::map(1).expect("a queue"),
            kernel: Kernel::Native,
            epoch: AtomicU32::new(u32::MAX),
        }
    }

    #[test]
    fn a_child_forked_while_its_parent_made_servers_makes_its_own() {
        let queue = queue_of_a_child();
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let polled = queue.poll(0);
            let closed = queue.close().map_err(|(_, error)| error);
            sender.send((polled, closed))
        });
        let what = ended.recv_timeout(Duration::from_secs(60));
        assert_eq!(what, Ok((Err(-libc::EINVAL), Ok(()))));
    }

    #[test]
    fn a_child_without_room_for_servers_is_told_so_each_time_until_there_is_room() {
        let queue = queue_of_a_child();
        let half = |queue: &CallQueue| {
            server::start(queue.kernel, queue.memory)?;
            Err(-libc::EAGAIN)
        };
        for _ in 0..2 {
            assert_eq!(queue.renew(half), Err(-libc::EAGAIN));
            let header = queue.memory.queue().header;
            assert_eq!(header.servers.load(Ordering::Acquire), 0, "none is left");
        }
        let handle = queue.post(GETPPID, [0; 6], false, Full::Refuse);
        let result = queue.wait(handle.expect("posted"));
        assert_eq!(result, Ok(i64::from(std::os::unix::process::parent_id())));
        assert!(queue.close().is_ok());
    }
}
