// SPDX-License-Identifier: GPL-2.0
//! The co-kernel's log: read from the ring while an instance runs, from a copy afterwards.

use super::shared::Shared;
use crate::ffi::draft::Draft;
use crate::ffi::pages;
use crate::proto::kmsg::{readable, KmsgRing};
use crate::proto::layout::Region;
use crate::proto::uapi::ReadKmsg;
use core::sync::atomic::Ordering;
use kernel::prelude::*;

/// The ring of a running instance.
pub(crate) struct LiveLog {
    header: Shared<KmsgRing>,
    text: Region,
}

impl LiveLog {
    /// Prepares the zeroed `region` as an empty ring.
    ///
    /// # Safety
    ///
    /// `region` must be memory of ours, whole pages, as long as the value lives.
    pub(crate) unsafe fn create(region: Region) -> Result<Self> {
        let header_bytes = size_of::<KmsgRing>() as u64;
        let bytes = region.bytes.checked_sub(header_bytes).ok_or(EINVAL)?;
        let text = Region {
            phys: region.phys + header_bytes,
            bytes,
        };
        let at = pages::to_virtual(region.phys).cast::<KmsgRing>();
        // SAFETY: the caller's promise; nobody else looks yet.
        unsafe { core::ptr::addr_of_mut!((*at).capacity).write(bytes) };
        Ok(Self {
            // SAFETY: the caller's promise; the co-kernel changes the ring by atomics only.
            header: unsafe { Shared::in_region(region, 0)? },
            text,
        })
    }

    /// Bytes ever written.
    pub(crate) fn written(&self) -> u64 {
        self.header.written.load(Ordering::Acquire)
    }

    /// Calls `copy` with the pieces of the text from byte number `from` on, at most `limit` bytes;
    /// returns the number of the first byte and how many there were.
    fn pieces(
        &self,
        from: u64,
        limit: u64,
        mut copy: impl FnMut(*const u8, usize) -> Result,
    ) -> Result<(u64, u64)> {
        let capacity = self.text.bytes;
        let (start, bytes) = readable(from, self.written(), capacity);
        let bytes = bytes.min(limit).min(capacity);
        let mut done = 0;
        while done < bytes {
            let at = start.wrapping_add(done) % capacity;
            let piece = (bytes - done).min(capacity - at);
            copy(pages::to_virtual(self.text.phys + at), piece as usize)?;
            done += piece;
        }
        Ok((start, bytes))
    }

    fn read(&self, request: &mut ReadKmsg, answer: &mut Draft) -> Result {
        let limit = answer.room();
        let (start, bytes) = self.pieces(request.from, limit, |from, length| {
            // SAFETY: the piece lies in the text area, which is ours; the co-kernel may overwrite
            // it meanwhile, which the reader sees as newer text.
            unsafe { answer.add(from, length) }
        })?;
        (request.from, request.bytes) = (start, bytes);
        Ok(())
    }

    /// A copy of what is in the ring.
    fn save(&self) -> Result<SavedLog> {
        let mut text = KVVec::with_capacity(self.text.bytes as usize, GFP_KERNEL)?;
        let (start, _) = self.pieces(0, u64::MAX, |from, length| {
            // SAFETY: the piece lies in the text area, which is ours; the CPUs are stopped.
            let piece = unsafe { core::slice::from_raw_parts(from, length) };
            Ok(text.extend_from_slice(piece, GFP_KERNEL)?)
        })?;
        Ok(SavedLog { start, text })
    }
}

/// Text of an instance that stopped; byte `i` has number `start + i`.
struct SavedLog {
    start: u64,
    text: KVVec<u8>,
}

impl SavedLog {
    fn read(&self, request: &mut ReadKmsg, answer: &mut Draft) -> Result {
        let end = self.start + self.text.len() as u64;
        let from = request.from.clamp(self.start, end);
        let bytes = answer.room().min(end - from);
        let first = (from - self.start) as usize;
        let piece = self.text.get(first..first + bytes as usize).ok_or(EINVAL)?;
        // SAFETY: the piece is ours.
        unsafe { answer.add(piece.as_ptr(), piece.len())? };
        (request.from, request.bytes) = (from, bytes);
        Ok(())
    }
}

/// The log of an instance through all its life.
pub(crate) struct Log {
    saved: Option<SavedLog>,
    /// Readers start here at the earliest (`clear_kmsg`).
    cleared: u64,
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self {
            saved: None,
            cleared: 0,
        }
    }

    /// A boot begins: old text is forgotten.
    pub(crate) fn restart(&mut self) {
        *self = Self::new();
    }

    /// Keeps the text of an instance that has stopped.
    pub(crate) fn keep(&mut self, live: &LiveLog) {
        match live.save() {
            Ok(saved) => self.saved = Some(saved),
            Err(_) => pr_warn!("no memory to keep the co-kernel's log\n"),
        }
    }

    /// Serves READ_KMSG.
    pub(crate) fn read(
        &self,
        live: Option<&LiveLog>,
        request: &mut ReadKmsg,
        answer: &mut Draft,
    ) -> Result {
        request.from = request.from.max(self.cleared);
        match (live, &self.saved) {
            (Some(live), _) => live.read(request, answer),
            (None, Some(saved)) => saved.read(request, answer),
            (None, None) => {
                request.bytes = 0;
                Ok(())
            }
        }
    }

    /// Serves CLEAR_KMSG.
    pub(crate) fn clear(&mut self, live: Option<&LiveLog>) {
        self.cleared = match (live, &self.saved) {
            (Some(live), _) => live.written(),
            (None, Some(saved)) => saved.start + saved.text.len() as u64,
            (None, None) => 0,
        };
    }
}
