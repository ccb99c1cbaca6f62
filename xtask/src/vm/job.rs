// SPDX-License-Identifier: GPL-2.0
//! The job disk: a tar with everything of ours that the guest unpacks over its root at boot.

use anyhow::{Context, Result};
use guest_init::{Job, JOB_PATH};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use tar::{Builder, EntryType, Header, HeaderMode};

use crate::paths;
use crate::vm::options::{split_copy, VmOptions};

/// QEMU refuses disks that are no whole number of sectors; a little more than that keeps reads ahead inside.
const DISK_UNIT: u64 = 1 << 20;

/// Writes the job disk for `job`, on a guest with the kernel `release`, to `path`.
///
/// # Errors
/// A file to copy cannot be read, or the disk is full.
pub fn write(path: &Path, job: &Job, options: &VmOptions, release: &str) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut builder = Builder::new(BufWriter::new(file));
    builder.follow_symlinks(false);
    builder.mode(HeaderMode::Complete);
    for overlay in [paths::guest_overlay(), paths::modules_overlay(release)] {
        if overlay.exists() {
            add_folder(&mut builder, &overlay, Path::new("/"))?;
        }
    }
    for copy in &options.copy {
        let (host, guest) = split_copy(copy)?;
        add_tree(&mut builder, &host, &guest)
            .with_context(|| format!("--copy {}", copy.display()))?;
    }
    add_bytes(&mut builder, Path::new(JOB_PATH), &serde_json::to_vec(job)?)?;
    let file = builder.into_inner()?.into_inner().context("job disk")?;
    let length = file.metadata()?.len();
    file.set_len(length.next_multiple_of(DISK_UNIT))?;
    Ok(())
}

/// Adds a file or folder as root's, its modes and times kept, after the folders that lead to it.
fn add_tree(builder: &mut Builder<impl Write>, host: &Path, guest: &Path) -> Result<()> {
    let metadata = host.symlink_metadata()?;
    if metadata.is_dir() {
        return add_folder(builder, host, guest);
    }
    let mut header = Header::new_gnu();
    header.set_metadata(&metadata);
    header.set_uid(0);
    header.set_gid(0);
    let inside = relative(guest);
    if metadata.is_symlink() {
        builder.append_link(&mut header, inside, std::fs::read_link(host)?)?;
    } else {
        builder.append_data(&mut header, inside, File::open(host)?)?;
    }
    Ok(())
}

fn add_folder(builder: &mut Builder<impl Write>, host: &Path, guest: &Path) -> Result<()> {
    if guest != Path::new("/") {
        let mut header = Header::new_gnu();
        header.set_metadata(&host.metadata()?);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(EntryType::Directory);
        builder.append_data(&mut header, relative(guest), std::io::empty())?;
    }
    let mut entries = std::fs::read_dir(host)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        add_tree(builder, &entry.path(), &guest.join(entry.file_name()))?;
    }
    Ok(())
}

fn add_bytes(builder: &mut Builder<impl Write>, guest: &Path, bytes: &[u8]) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    builder.append_data(&mut header, relative(guest), bytes)?;
    Ok(())
}

fn relative(guest: &Path) -> &Path {
    guest.strip_prefix("/").unwrap_or(guest)
}
