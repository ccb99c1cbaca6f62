// SPDX-License-Identifier: GPL-2.0
//! A model of Linux's clocks: what a reader gets was written together. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use ihk_ikc::clock::{ClockWords, Clocks};
use loom::sync::Arc;
use loom::thread;

fn clocks(value: u64) -> Clocks {
    Clocks {
        tsc: value,
        monotonic_ns: value,
        multiplier: value,
        real_offset_ns: value,
    }
}

#[test]
fn what_is_read_was_written_together() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let words = Arc::new(ClockWords::new());
        words.write(&clocks(1));
        let reader = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                // A reader that never sees an even sequence goes on with what it knows.
                if let Some(read) = words.read() {
                    assert!(read == clocks(1) || read == clocks(2), "{read:?}");
                }
            })
        };
        words.write(&clocks(2));
        reader.join().expect("the reader ends");
        assert_eq!(words.read(), Some(clocks(2)));
    });
}
