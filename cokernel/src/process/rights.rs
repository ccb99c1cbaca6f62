// SPDX-License-Identifier: GPL-2.0
//! What the current thread may do to others, or beyond its limits. Linux's kernel says so, from the
//! credentials of the thread's worker; the worker only carries the question there.

use alloc::sync::Arc;

use cokernel_logic::open_questions::OpenQuestions;
use ihk_ikc::packet::ProcessHandle;
use ihk_ikc::process::{op, right};

use crate::delegate;
use crate::errno::Errno;
use crate::sync::SpinLock;
use crate::task::process::{self, Process};
use crate::task::thread::Thread;
use crate::task::{current, sched};

/// A question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// One of [`right`].
    pub what: u32,
    /// The capability or limit.
    pub number: u32,
    /// The process or thread that it is about, by the program's number for it; 0 = the caller.
    pub id: i32,
    /// The wanted limit, soft and hard.
    pub limit: [u64; 2],
}

impl Question {
    /// Whether `what` is permitted with process or thread `id`.
    pub const fn about(what: u32, id: i32) -> Self {
        Self {
            what,
            number: 0,
            id,
            limit: [0; 2],
        }
    }
}

/// Whom a permitted question is about.
pub struct Subject(u64);

impl Subject {
    /// The process, if it runs here.
    pub fn process(&self) -> Option<Arc<Process>> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half")]
        process::find(self.0 as ProcessHandle)
    }

    /// The thread, if it runs here.
    pub fn thread(&self) -> Option<Arc<Thread>> {
        let mut threads = self.process()?.threads().into_iter();
        threads.find(|thread| u64::from(thread.data.tid.unsigned_abs()) == self.0 >> 32)
    }
}

/// A thread: its process, and the index of its slot.
type Caller = (ProcessHandle, u32);

/// Nothing is locked under it.
static OPEN: SpinLock<OpenQuestions<Caller, Question>> = SpinLock::new(OpenQuestions::new());

/// Asks `question`. Returns whom it is about, if it is permitted.
///
/// # Errors
///
/// That of Linux; `EPERM`, too, if its kernel was not asked.
pub fn ask(question: Question) -> Result<Subject, Errno> {
    let Question {
        what,
        number,
        id,
        limit: [soft, hard],
    } = question;
    let caller = (current::process().handle, sched::current().slot);
    OPEN.lock().open(caller, question);
    let [slot, what, number] = [caller.1, what, number].map(u64::from);
    let id = u64::from(id as u32);
    let passed_on = delegate::ask(op::PERMIT, [slot, what, number, id, soft, hard]);
    let answer = OPEN.lock().close(&caller);
    passed_on?;
    answer.map(Subject).ok_or(Errno::EPERM)
}

/// Whether the program may use Linux's capability `number` (one of [`ihk_ikc::process::capability`]).
pub fn has(number: u32) -> bool {
    let question = Question {
        number,
        ..Question::about(right::CAPABLE, 0)
    };
    ask(question).is_ok()
}

/// Linux's kernel says that `question`, which thread `slot` of process `handle` has asked, is permitted;
/// `subject` says whom it is about.
///
/// # Errors
///
/// `ESRCH` if that was not asked.
pub fn on_permitted(caller: Caller, question: &Question, subject: u64) -> Result<(), Errno> {
    let was_asked = OPEN.lock().answer(&caller, question, subject);
    was_asked.then_some(()).ok_or(Errno::ESRCH)
}
