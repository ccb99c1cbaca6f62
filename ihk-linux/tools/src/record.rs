// SPDX-License-Identifier: GPL-2.0
//! The request by which `mcreboot` built an instance, kept until the instance goes, so that asking for
//! the same again changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{plain, Failure, Result};

/// The folder of all that is kept about instances.
pub(crate) const FOLDER: &str = "/run/ihk";

/// The arguments as typed; `None` = the default, chosen by the machine's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// LIST.
    pub cpu: Option<String>,
    /// SPEC.
    pub mem: Option<String>,
    /// Boot arguments.
    pub kargs: String,
    /// The co-kernel.
    pub image: PathBuf,
    /// The group that may run programs besides root.
    pub group: Option<String>,
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The request.
    pub request: Request,
    /// CPUs the instance got, as a LIST.
    pub cpu: String,
    /// Memory the instance got, as a SPEC.
    pub mem: String,
    /// Build id of its image.
    pub build_id: String,
}

fn path(os: u32) -> PathBuf {
    Path::new(FOLDER).join(format!("os{os}.json"))
}

/// The record of instance `os`; `None` if it was built by hand.
#[must_use]
pub fn read(os: u32) -> Option<Record> {
    serde_json::from_str(&fs::read_to_string(path(os)).ok()?).ok()
}

/// Keeps the record of instance `os`.
///
/// # Errors
///
/// The file cannot be written.
pub fn write(os: u32, record: &Record) -> Result {
    let path = path(os);
    let text = serde_json::to_string(record).map_err(|error| Failure::refused("record", error))?;
    let written = fs::create_dir_all(FOLDER).and_then(|()| fs::write(&path, text));
    written.map_err(|error| Failure::refused(path.display(), plain(&error)))
}

/// Forgets the record of instance `os`, if there is one.
pub fn forget(os: u32) {
    // A left-over does no harm: it is compared with what the instance has.
    let _ = fs::remove_file(path(os));
}
