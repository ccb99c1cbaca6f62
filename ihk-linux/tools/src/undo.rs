// SPDX-License-Identifier: GPL-2.0
//! Steps that are taken back, last first, unless all of them succeed.

/// Collects how to take back what was done so far; dropping it does so.
#[derive(Default)]
pub struct Undo<'a>(Vec<Box<dyn FnOnce() + 'a>>);

impl<'a> Undo<'a> {
    /// `step` takes back what was done just now. It has nobody to report to.
    pub fn push(&mut self, step: impl FnOnce() + 'a) {
        self.0.push(Box::new(step));
    }

    /// Everything succeeded.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl std::fmt::Debug for Undo<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} steps", self.0.len())
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some(step) = self.0.pop() {
            step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Undo;
    use std::cell::RefCell;

    #[test]
    fn steps_are_taken_back_last_first_unless_kept() {
        let log = RefCell::new(Vec::new());
        for keep in [true, false] {
            let mut undo = Undo::default();
            undo.push(|| log.borrow_mut().push(1));
            undo.push(|| log.borrow_mut().push(2));
            if keep {
                undo.keep();
            }
        }
        assert_eq!(*log.borrow(), [2, 1]);
    }
}
