// SPDX-License-Identifier: GPL-2.0
//! Checks of a co-kernel image before it is loaded: the kernel gets a segment table, not an ELF
//! file to parse.

use std::fs;
use std::path::Path;

use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_DYN, ET_EXEC};
use goblin::elf::note::NT_GNU_BUILD_ID;
use goblin::elf::program_header::{ProgramHeader, PT_INTERP, PT_LOAD};
use goblin::elf::Elf;
use ihk_ikc::layout::{IMAGE_BASE, IMAGE_MAX_BYTES};
use ihk_ikc::uapi::{ImageSegment, LoadImage, BUILD_ID_BYTES, MAX_SEGMENTS};
use ihk_ikc::ABI_VERSION;

use crate::failure::{Failure, Result};

/// The path at which the image is installed.
pub const DEFAULT_PATH: &str = "/usr/lib/ihk/cokernel.elf";

/// A checked image and the file it came from.
#[derive(Debug)]
pub struct Image {
    /// The argument for the kernel; `file` and `file_bytes` are filled in by the call.
    pub plan: LoadImage,
    /// The whole file.
    pub file: Vec<u8>,
    /// Printable build id.
    pub build_id: String,
}

/// Reads and checks the image at `path`.
///
/// # Errors
///
/// It cannot be read, or is no co-kernel image.
pub fn read(path: &Path) -> Result<Image> {
    let what = format!("image {}", path.display());
    let file =
        fs::read(path).map_err(|error| Failure::refused(&what, crate::failure::plain(&error)))?;
    let (plan, build_id) = check(&file).map_err(|reason| Failure::refused(&what, reason))?;
    Ok(Image {
        plan,
        file,
        build_id,
    })
}

/// The segments of `file`, and its build id.
fn check(file: &[u8]) -> std::result::Result<(LoadImage, String), String> {
    if !file.starts_with(b"\x7fELF") {
        return Err("not an ELF file".to_owned());
    }
    let elf = Elf::parse(file).map_err(|error| format!("damaged ELF file: {error}"))?;
    let ident = elf.header.e_ident;
    if ident[EI_CLASS] != ELFCLASS64
        || ident[EI_DATA] != ELFDATA2LSB
        || elf.header.e_machine != EM_X86_64
    {
        return Err("not for x86-64".to_owned());
    }
    let headers = &elf.program_headers;
    if !matches!(elf.header.e_type, ET_EXEC | ET_DYN)
        || headers.iter().any(|header| header.p_type == PT_INTERP)
    {
        return Err("not a statically linked program".to_owned());
    }
    let build_id = build_id(&elf, file);
    let mut plan = LoadImage {
        version: ABI_VERSION,
        segment_count: 0,
        file: 0,
        file_bytes: 0,
        entry: elf.header.e_entry,
        build_id: [0; BUILD_ID_BYTES],
        segments: [ImageSegment::default(); MAX_SEGMENTS],
    };
    for (byte, letter) in plan.build_id.iter_mut().zip(build_id.bytes()) {
        *byte = letter;
    }
    let loaded = headers
        .iter()
        .filter(|header| header.p_type == PT_LOAD && header.p_memsz != 0);
    fill_segments(&mut plan, loaded, file.len() as u64)?;
    Ok((plan, build_id))
}

/// Puts the loaded segments into `plan`: ascending, disjoint, inside the image's place and the file.
fn fill_segments<'a>(
    plan: &mut LoadImage,
    headers: impl Iterator<Item = &'a ProgramHeader>,
    file_bytes: u64,
) -> std::result::Result<(), String> {
    let mut free_from = IMAGE_BASE;
    let mut entry_is_loaded = false;
    let mut places = plan.segments.iter_mut();
    for header in headers {
        let place = places
            .next()
            .ok_or_else(|| format!("more than {MAX_SEGMENTS} segments"))?;
        let end = header.p_vaddr.checked_add(header.p_memsz);
        let end = end
            .filter(|end| header.p_vaddr >= free_from && *end <= IMAGE_BASE + IMAGE_MAX_BYTES)
            .ok_or_else(|| {
                format!(
                    "segment at {:#x} lies outside the image's place",
                    header.p_vaddr
                )
            })?;
        let file_end = header.p_offset.checked_add(header.p_filesz);
        if header.p_filesz > header.p_memsz || file_end.is_none_or(|end| end > file_bytes) {
            return Err(format!(
                "segment at {:#x} goes beyond the file",
                header.p_vaddr
            ));
        }
        *place = ImageSegment {
            file_offset: header.p_offset,
            file_bytes: header.p_filesz,
            virtual_address: header.p_vaddr,
            memory_bytes: header.p_memsz,
        };
        entry_is_loaded |= (header.p_vaddr..end).contains(&plan.entry);
        plan.segment_count += 1;
        free_from = end;
    }
    if entry_is_loaded {
        Ok(())
    } else {
        Err("its entry point is not loaded".to_owned())
    }
}

/// The linker's build id in hexadecimal, or `unknown`.
fn build_id(elf: &Elf<'_>, file: &[u8]) -> String {
    let segments = elf.iter_note_headers(file).into_iter().flatten();
    let sections = elf.iter_note_sections(file, None).into_iter().flatten();
    let id = segments
        .chain(sections)
        .flatten()
        .find(|note| note.n_type == NT_GNU_BUILD_ID && note.name == "GNU");
    let Some(id) = id else {
        return "unknown".to_owned();
    };
    let text: String = id.desc.iter().map(|byte| format!("{byte:02x}")).collect();
    text.chars().take(BUILD_ID_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use ihk_ikc::layout::IMAGE_BASE;

    /// A file with one segment of 16 bytes at offset 120.
    fn image(vaddr: u64, memory_bytes: u64, entry: u64) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend(entry.to_le_bytes());
        file.extend(64_u64.to_le_bytes());
        file.extend([0; 12]);
        file.extend([64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
        file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
        for word in [120, vaddr, vaddr, 16, memory_bytes, 4096] {
            file.extend(u64::to_le_bytes(word));
        }
        file.extend([0x90; 16]);
        file
    }

    #[test]
    fn a_good_image_becomes_a_segment_table() {
        let (plan, id) = check(&image(IMAGE_BASE, 8192, IMAGE_BASE + 4)).unwrap();
        assert_eq!((plan.segment_count, plan.entry), (1, IMAGE_BASE + 4));
        let first = plan.segments[0];
        assert_eq!(
            (first.file_offset, first.file_bytes, first.memory_bytes),
            (120, 16, 8192)
        );
        assert_eq!(id, "unknown");
    }

    #[test]
    fn images_outside_their_place_are_refused() {
        for (vaddr, bytes) in [
            (0x40_0000, 16),
            (IMAGE_BASE - 1, 16),
            (IMAGE_BASE, (64 << 20) + 1),
            (IMAGE_BASE, u64::MAX),
            (IMAGE_BASE, 8),
        ] {
            assert!(
                check(&image(vaddr, bytes, vaddr)).is_err(),
                "{vaddr:#x} {bytes:#x}"
            );
        }
        assert!(check(&image(IMAGE_BASE, 16, IMAGE_BASE + 16)).is_err());
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = image(IMAGE_BASE, 16, IMAGE_BASE);
        for bytes in 0..good.len() {
            assert!(check(&good[..bytes]).is_err(), "cut at {bytes}");
        }
        assert!(check(b"#!/bin/sh\n").is_err());
    }
}
