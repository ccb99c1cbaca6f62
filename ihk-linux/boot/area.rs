// SPDX-License-Identifier: GPL-2.0
//! The boot area: one contiguous piece at the start of a run, where image, parameters and the
//! structures shared with the co-kernel lie.

use crate::proto::boot::BootParams;
use crate::proto::channel::CpuChannel;
use crate::proto::control::InstanceControl;
use crate::proto::exposed;
use crate::proto::layout::{Region, PAGE_BYTES};
use crate::resource::memory::Run;
use kernel::prelude::*;

/// Bytes of the log, header included.
const KMSG_BYTES: u64 = 256 << 10;
/// Bytes of one CPU's boot stack.
pub(crate) const STACK_BYTES: u64 = 16 << 10;

/// The places of everything in the boot area; names as in [`BootParams`].
pub(crate) struct BootArea {
    pub(crate) image: Region,
    pub(crate) params: Region,
    pub(crate) control: Region,
    pub(crate) kmsg: Region,
    pub(crate) channels: Region,
    pub(crate) exposed: Region,
    pub(crate) stacks: Region,
    pub(crate) whole: Region,
}

/// Hands out pieces of whole pages, one after the other.
struct Cursor(u64);

impl Cursor {
    fn take(&mut self, bytes: u64) -> Region {
        let region = Region {
            phys: self.0,
            bytes: bytes.next_multiple_of(PAGE_BYTES),
        };
        self.0 += region.bytes;
        region
    }
}

impl BootArea {
    /// Puts the area at the start of one of `runs` that is long enough, where it breaks no GiB if there
    /// is such a place.
    ///
    /// # Errors
    ///
    /// E2BIG if none is: the memory is too little or too scattered.
    pub(crate) fn place(runs: &[Run], image_bytes: u64, cpu_count: u64) -> Result<Self> {
        let frames = runs.iter().map(|run| run.bytes / PAGE_BYTES).sum();
        let at = |run: &Run| Self::at(run.phys, image_bytes, cpu_count, frames);
        let fitting = runs.iter().filter(|run| at(run).whole.bytes <= run.bytes);
        let broken = |run: &&Run| {
            let bytes = at(run).whole.bytes;
            let rest = Run {
                phys: run.phys + bytes,
                bytes: run.bytes - bytes,
                ..**run
            };
            run.whole_giants() - rest.whole_giants()
        };
        fitting.min_by_key(broken).map(at).ok_or(E2BIG)
    }

    fn at(start: u64, image_bytes: u64, cpu_count: u64, frames: u64) -> Self {
        let mut cursor = Cursor(start);
        Self {
            // The image comes first: its 2 MiB mapping needs 2 MiB alignment.
            image: cursor.take(image_bytes),
            params: cursor.take(size_of::<BootParams>() as u64),
            control: cursor.take(size_of::<InstanceControl>() as u64),
            kmsg: cursor.take(KMSG_BYTES),
            channels: cursor.take(cpu_count * size_of::<CpuChannel>() as u64),
            exposed: cursor.take(exposed::words_for(frames) * 8),
            stacks: cursor.take(cpu_count * STACK_BYTES),
            whole: Region {
                phys: start,
                bytes: cursor.0 - start,
            },
        }
    }

    /// All but the image.
    pub(crate) fn behind_image(&self) -> Region {
        Region {
            phys: self.image.phys + self.image.bytes,
            bytes: self.whole.bytes - self.image.bytes,
        }
    }

    /// Top of the boot stack of CPU `index`.
    pub(crate) fn stack_top(&self, index: u64) -> u64 {
        self.stacks.phys + (index + 1) * STACK_BYTES
    }
}
