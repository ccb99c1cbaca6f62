// SPDX-License-Identifier: GPL-2.0
//! Locks between runs. One is held by the run that took it and by all that this run starts meanwhile: each child has
//! the lock's file as its standard input, which sudo, too, leaves as it is. So if a run is killed, what it started
//! keeps the lock for as long as it is at work.

use anyhow::{Context, Result};
use fs2::FileExt;
use std::cell::RefCell;
use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use crate::ui;

thread_local! {
    /// What this thread holds, or works under, innermost last.
    static HELD: RefCell<Vec<Arc<File>>> = const { RefCell::new(Vec::new()) };
}

/// A lock that was taken by the present thread; free again at the end of its life.
#[derive(Debug)]
pub struct Lock {
    file: Arc<File>,
    /// It must end in the thread that took it.
    _in_thread: PhantomData<*const ()>,
}

/// Takes the lock file for as long as the returned value lives; says `reason` if that means waiting.
///
/// # Errors
/// The lock file cannot be made.
pub fn take(path: &Path, reason: &str) -> Result<Lock> {
    let file = open(path)?;
    if file.try_lock_exclusive().is_err() {
        ui::say(&format!("xtask: {reason}; waiting"));
        file.lock_exclusive()
            .with_context(|| path.display().to_string())?;
    }
    Ok(enter(Arc::new(file)))
}

/// Whether nobody holds the lock file. Any other error than that it is held counts as free.
#[must_use]
pub fn is_free(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return true;
    };
    let held = fs2::lock_contended_error().raw_os_error();
    file.try_lock_exclusive()
        .err()
        .is_none_or(|error| error.raw_os_error() != held)
}

/// Opens a lock file without taking it. What reads from it finds its end.
///
/// # Errors
/// It cannot be made.
pub(crate) fn open(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .read(true)
        .append(true)
        .open(path);
    file.with_context(|| path.display().to_string())
}

/// The standard input of a child that must not outlive the lock under which it is started.
#[must_use]
pub fn stdin() -> Stdio {
    let file = held().and_then(|file| file.try_clone().ok());
    file.map_or_else(Stdio::null, Stdio::from)
}

/// The innermost lock that this thread holds or works under, for [`under`].
pub(crate) fn held() -> Option<Arc<File>> {
    HELD.with_borrow(|held| held.last().cloned())
}

/// Does `work` under a lock of another thread, which waits for this one.
pub(crate) fn under<T>(lock: Option<Arc<File>>, work: impl FnOnce() -> T) -> T {
    let _lock = lock.map(enter);
    work()
}

fn enter(file: Arc<File>) -> Lock {
    HELD.with_borrow_mut(|held| held.push(file.clone()));
    Lock {
        file,
        _in_thread: PhantomData,
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| {
            let place = held.iter().rposition(|it| Arc::ptr_eq(it, &self.file));
            if let Some(place) = place {
                held.remove(place);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{chroot::Chroot, host::root_command};
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    /// Tells the test program that it is a run to be killed, and where it works.
    const FOLDER: &str = "MCKERNEL_TEST_KILLED";

    /// A second of work or more, done by a child of what is started: each of [`STEPS`] leaves a byte in the file `$1`.
    const WORK: &str = r#"sh -c 'i=0; while [ $i -lt 60 ]; do printf x >>"$1"; sleep 0.02; i=$((i + 1)); done' sh "$1"; :"#;

    const STEPS: u64 = 60;

    /// No claim of its own: takes a lock and does [`WORK`] under it, until the tests below kill it.
    #[test]
    fn run_to_be_killed() {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
            return;
        };
        let _lock = take(&folder.join("lock"), "not free").unwrap();
        let mut command = if folder.join("in-chroot").exists() {
            Chroot::new(Path::new("/")).command("sh")
        } else {
            root_command("sh")
        };
        let work = command.args(["-c", WORK, "sh"]).arg(folder.join("work"));
        let name = format!("test-killed-{}", std::process::id());
        let _ = ui::run_logged(&name, work);
    }

    struct Killed(PathBuf);

    impl Killed {
        /// A run that was killed in the middle of its work.
        fn new(name: &str, in_chroot: bool) -> Self {
            // A chroot has temporary files of its own.
            let name = format!("{name}-{}", std::process::id());
            let folder = crate::paths::target().join(name);
            fs::create_dir_all(&folder).unwrap();
            if in_chroot {
                fs::write(folder.join("in-chroot"), "").unwrap();
            }
            let mut run = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "lock::tests::run_to_be_killed"])
                .env(FOLDER, &folder)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let killed = Self(folder);
            let began = Instant::now();
            while killed.work() == 0 {
                assert!(began.elapsed() < Duration::from_secs(60), "nothing began");
                sleep(Duration::from_millis(10));
            }
            run.kill().unwrap();
            run.wait().unwrap();
            let log = format!("test-killed-{}.log", run.id());
            let _ = fs::remove_file(crate::paths::logs().join(log));
            killed
        }

        fn work(&self) -> u64 {
            fs::metadata(self.0.join("work")).map_or(0, |it| it.len())
        }

        fn lock(&self) -> PathBuf {
            self.0.join("lock")
        }

        /// Whoever gets the lock finds nobody else at work.
        fn check_that_the_lock_is_free_after_the_work(&self) {
            let _lock = take(&self.lock(), "what a killed run started is at work").unwrap();
            let done = self.work();
            sleep(Duration::from_millis(200));
            assert_eq!(self.work(), done);
        }
    }

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_a_killed_run_started_keeps_its_lock_until_it_has_ended() {
        let killed = Killed::new("lock-kept", false);
        assert!(!is_free(&killed.lock()));
        killed.check_that_the_lock_is_free_after_the_work();
    }

    #[test]
    fn what_a_killed_run_started_in_a_chroot_ends_with_it() {
        let killed = Killed::new("lock-chroot", true);
        killed.check_that_the_lock_is_free_after_the_work();
        // sudo cannot be told to end with us; then the lock is kept, as above.
        if nix::unistd::geteuid().is_root() {
            assert!(killed.work() < STEPS, "all was done");
        }
    }

    #[test]
    fn a_lock_is_free_again_at_its_end_and_in_other_threads_only_by_their_leave() {
        let path = std::env::temp_dir().join(format!("lock-end-{}", std::process::id()));
        let lock = take(&path, "not free").unwrap();
        assert!(held().is_some() && !is_free(&path));
        std::thread::scope(|scope| {
            let ours = held();
            scope.spawn(|| {
                assert!(held().is_none());
                under(ours, || assert!(held().is_some()));
                assert!(held().is_none());
            });
        });
        drop(lock);
        assert!(held().is_none());
        // A child that another test is just starting may have a copy of our descriptors for a moment.
        drop(take(&path, "not free yet").unwrap());
        fs::remove_file(path).unwrap();
    }
}
