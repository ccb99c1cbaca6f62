// SPDX-License-Identifier: GPL-2.0
//! The co-kernel image, kept for the next boot. User space has parsed the file; the segment table
//! is checked again here.

use crate::ffi::{errno, user};
use crate::proto::layout::{IMAGE_BASE, IMAGE_MAX_BYTES, PAGE_BYTES};
use crate::proto::uapi::{ImageSegment, LoadImage, BUILD_ID_BYTES};
use crate::proto::ABI_VERSION;
use kernel::prelude::*;

/// An image as it lies in memory from [`IMAGE_BASE`] on.
pub(crate) struct Image {
    memory: KVVec<u8>,
    entry: u64,
    build_id: [u8; BUILD_ID_BYTES],
}

impl Image {
    /// Copies an image from user space.
    ///
    /// # Errors
    ///
    /// EPROTO: built for another version; ENOEXEC: a segment or the entry is out of bounds;
    /// EFAULT, ENOMEM.
    pub(crate) fn load(request: &LoadImage) -> Result<Self> {
        if request.version != ABI_VERSION {
            return Err(errno::protocol());
        }
        let count = request.segment_count as usize;
        let segments = request.segments.get(..count).ok_or(ENOEXEC)?;
        let bytes = check(request, segments)?;
        let mut memory = KVVec::new();
        memory.resize(bytes, 0, GFP_KERNEL)?;
        for segment in segments {
            let start =
                usize::try_from(segment.virtual_address - IMAGE_BASE).map_err(|_| ENOEXEC)?;
            let length = usize::try_from(segment.file_bytes).map_err(|_| ENOEXEC)?;
            let end = start.checked_add(length).ok_or(ENOEXEC)?;
            let target = memory.as_mut_slice().get_mut(start..end).ok_or(ENOEXEC)?;
            let from = request
                .file
                .checked_add(segment.file_offset)
                .ok_or(EFAULT)?;
            user::read_bytes(usize::try_from(from).map_err(|_| EFAULT)?, target)?;
        }
        Ok(Self {
            memory,
            entry: request.entry,
            build_id: request.build_id,
        })
    }

    /// The bytes from [`IMAGE_BASE`] on; whole pages.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory
    }

    /// Address of the first instruction.
    pub(crate) fn entry(&self) -> u64 {
        self.entry
    }

    /// Build id without the padding.
    pub(crate) fn build_id(&self) -> &[u8] {
        let length = self
            .build_id
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(BUILD_ID_BYTES);
        self.build_id.get(..length).unwrap_or(&[])
    }
}

/// Checks bounds and order of the segments; returns the length of the image in memory.
fn check(request: &LoadImage, segments: &[ImageSegment]) -> Result<usize> {
    let mut end = IMAGE_BASE;
    for segment in segments {
        let file_end = segment
            .file_offset
            .checked_add(segment.file_bytes)
            .ok_or(ENOEXEC)?;
        let memory_end = segment
            .virtual_address
            .checked_add(segment.memory_bytes)
            .ok_or(ENOEXEC)?;
        if file_end > request.file_bytes
            || segment.file_bytes > segment.memory_bytes
            || segment.virtual_address < end
            || memory_end - IMAGE_BASE > IMAGE_MAX_BYTES
        {
            return Err(ENOEXEC);
        }
        end = memory_end;
    }
    let holds_entry = |segment: &ImageSegment| {
        request
            .entry
            .checked_sub(segment.virtual_address)
            .is_some_and(|at| at < segment.memory_bytes)
    };
    if !segments.iter().any(holds_entry) {
        return Err(ENOEXEC);
    }
    let bytes = (end - IMAGE_BASE).next_multiple_of(PAGE_BYTES);
    usize::try_from(bytes).map_err(|_| ENOEXEC)
}
