// SPDX-License-Identifier: GPL-2.0
//! Questions about rights that threads have asked Linux's kernel. The way there leads through the
//! program's worker, which may change or swallow a question, or answer in the kernel's stead: an answer
//! counts only for the thread, and for the very question, that it repeats.
//!
//! ```text
//!  open ── answer of Linux's kernel that repeats the question ──► answered
//!    └──────────────── close: not permitted    close: permitted ──────┘
//! ```

use alloc::vec::Vec;

/// A question, asked by whom `K` names. At most one is open for each.
struct Open<K, Q> {
    caller: K,
    question: Q,
    answer: Option<u64>,
}

/// All open questions. Under a lock of its owner.
pub struct OpenQuestions<K, Q>(Vec<Open<K, Q>>);

impl<K: PartialEq, Q: PartialEq> OpenQuestions<K, Q> {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// `caller` asks `question`.
    pub fn open(&mut self, caller: K, question: Q) {
        self.0.push(Open {
            caller,
            question,
            answer: None,
        });
    }

    /// Linux's kernel answers what it says that `caller` has asked. Returns whether that is so.
    pub fn answer(&mut self, caller: &K, question: &Q, answer: u64) -> bool {
        let open = self
            .0
            .iter_mut()
            .find(|open| open.caller == *caller && open.question == *question);
        open.map(|open| open.answer = Some(answer)).is_some()
    }

    /// `caller` waits no longer. Returns the answer, if there was one.
    pub fn close(&mut self, caller: &K) -> Option<u64> {
        let index = self.0.iter().position(|open| open.caller == *caller)?;
        self.0.swap_remove(index).answer
    }
}

impl<K: PartialEq, Q: PartialEq> Default for OpenQuestions<K, Q> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::OpenQuestions;

    const ATTACKER: u32 = 1;
    const OTHER: u32 = 2;

    #[test]
    fn only_the_very_question_of_the_very_caller_is_answered() {
        let mut questions = OpenQuestions::new();
        questions.open(ATTACKER, "the victim's limits");
        questions.open(OTHER, "own limits");
        assert!(!questions.answer(&ATTACKER, &"own limits", 7));
        assert!(!questions.answer(&OTHER, &"the victim's limits", 7));
        assert_eq!(questions.close(&ATTACKER), None);
        assert!(questions.answer(&OTHER, &"own limits", 7));
        assert_eq!(questions.close(&OTHER), Some(7));
    }

    #[test]
    fn an_answer_that_comes_late_or_twice_answers_nothing_later() {
        let mut questions = OpenQuestions::new();
        questions.open(ATTACKER, "limits");
        assert!(questions.answer(&ATTACKER, &"limits", 7));
        assert_eq!(questions.close(&ATTACKER), Some(7));
        assert!(!questions.answer(&ATTACKER, &"limits", 7));
        questions.open(ATTACKER, "limits");
        assert_eq!(questions.close(&ATTACKER), None);
        assert_eq!(questions.close(&ATTACKER), None);
    }
}
