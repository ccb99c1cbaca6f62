// SPDX-License-Identifier: GPL-2.0
//! The run queue of one CPU: first come, first served.

use alloc::collections::VecDeque;

/// The runnable threads of one CPU; the running one is not among them.
pub struct RunQueue<T> {
    waiting: VecDeque<T>,
}

impl<T> RunQueue<T> {
    /// An empty queue; takes no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
        }
    }

    /// `item` became runnable: it runs after all that wait already.
    pub fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    /// The thread that runs next.
    pub fn pop(&mut self) -> Option<T> {
        self.waiting.pop_front()
    }

    /// Takes the first item for which `is_it` holds out of the queue.
    pub fn remove(&mut self, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let index = self.waiting.iter().position(is_it)?;
        self.waiting.remove(index)
    }

    /// The number of threads that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn first_come_first_served() {
        let mut queue = RunQueue::new();
        for item in 1..=3 {
            queue.push(item);
        }
        assert_eq!((queue.pop(), queue.pop()), (Some(1), Some(2)));
        queue.push(4);
        assert_eq!(
            (queue.pop(), queue.pop(), queue.pop()),
            (Some(3), Some(4), None)
        );
    }

    #[test]
    fn removed_items_do_not_run() {
        let mut queue = RunQueue::new();
        queue.push(1);
        queue.push(2);
        assert_eq!(queue.remove(|item| *item == 1), Some(1));
        assert_eq!(queue.remove(|item| *item == 1), None);
        assert_eq!(queue.pop(), Some(2));
        assert!(queue.is_empty());
    }
}
