// SPDX-License-Identifier: GPL-2.0
//! The regions ihk.ko reserved become typed references.

use alloc::boxed::Box;

use ihk_ikc::channel::CpuChannel;
use ihk_ikc::control::InstanceControl;
use ihk_ikc::layout::Region;
use ihk_ikc::process::CreateMailbox;
use ihk_ikc::ring::Ring;
use spin::Once;
use x86_64::PhysAddr;

use crate::params::Params;
use crate::partition;

static CONTROL: Once<&'static InstanceControl> = Once::new();
static CHANNELS: Once<Channels> = Once::new();

#[derive(Clone, Copy)]
struct Channels {
    first: *const CpuChannel,
    count: u32,
}

// SAFETY: the pointer is to shared memory that lives as long as the kernel; each channel's parts
// are atomics or are copied out under the protocol of the mailbox.
unsafe impl Send for Channels {}

// SAFETY: as above.
unsafe impl Sync for Channels {}

/// The rings of one CPU.
pub(super) struct Rings {
    pub(super) to_cokernel: &'static Ring,
    pub(super) to_linux: &'static Ring,
}

/// Checks and maps control words and channels. The boot CPU, once, after the frames' ranges.
pub fn init(params: Params) {
    let control = checked::<InstanceControl>(params.control, 1);
    // SAFETY: `checked` found it in the partition and aligned; it consists of atomics, is reserved
    // for as long as the instance lives, and any bytes are valid.
    CONTROL.call_once(|| unsafe { &*control });
    let first = checked::<CpuChannel>(params.channels, u64::from(params.cpu_count));
    CHANNELS.call_once(|| Channels {
        first,
        count: params.cpu_count,
    });
}

/// The control words.
pub(super) fn control() -> Option<&'static InstanceControl> {
    CONTROL.get().copied()
}

/// The rings of CPU `cpu`.
pub(super) fn channel(cpu: u32) -> Rings {
    let channel = channel_ptr(cpu);
    // SAFETY: `init` checked the whole array; rings consist of atomics.
    let to_cokernel = unsafe { &(*channel).to_cokernel };
    // SAFETY: as above.
    let to_linux = unsafe { &(*channel).to_linux };
    Rings {
        to_cokernel,
        to_linux,
    }
}

/// A copy of CPU `cpu`'s mailbox, made once, so that Linux cannot change what was checked.
pub fn mailbox(cpu: u32) -> Box<CreateMailbox> {
    let offset = core::mem::offset_of!(CpuChannel, mailbox);
    let mailbox = channel_ptr(cpu)
        .wrapping_byte_add(offset)
        .cast::<CreateMailbox>();
    // SAFETY: checked by `init`; the mailbox is plain data without invalid values. Linux owns it
    // until the answer, and leaves it alone by the protocol; a volatile read of a word it changes
    // all the same yields a wrong value, which the caller's checks catch.
    let copy = unsafe { mailbox.read_volatile() };
    Box::new(copy)
}

fn channel_ptr(cpu: u32) -> *const CpuChannel {
    let channels = CHANNELS
        .get()
        .expect("channels are used before they are mapped");
    assert!(cpu < channels.count, "no channel for CPU {cpu}");
    channels.first.wrapping_add(cpu as usize)
}

/// The start of an array of `count` `T` at `region`, if it lies in the partition and is aligned.
fn checked<T>(region: Region, count: u64) -> *const T {
    let bytes = size_of::<T>() as u64 * count;
    let fits = region.bytes >= bytes && partition::map().contains(region.phys, bytes);
    assert!(
        fits && region.phys % align_of::<T>() as u64 == 0,
        "boot parameters: bad region {region:?}"
    );
    partition::direct_map_ptr(PhysAddr::new(region.phys)).cast()
}
