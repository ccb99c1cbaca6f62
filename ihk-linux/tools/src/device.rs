// SPDX-License-Identifier: GPL-2.0
//! Typed calls on `/dev/mcd0` and `/dev/mcosN`.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ihk_ikc::layout::{MAX_CPUS, MAX_INSTANCES, MAX_NODES};
use ihk_ikc::uapi::{
    self, CpuSet, IkcMap, LoadImage, MemorySpec, NodeUsage, Query, StopOptions, Text, Usage,
};
use ihk_ikc::view::{what, CpuView, VIEW_WORDS};
use ihk_ikc::ABI_VERSION;
use nix::errno::Errno;
use nix::libc;

use crate::failure::{Failure, Result};
use crate::list::parse_decimal;

/// The result of a call: the kernel's word, or an error number.
pub type Call<T = ()> = std::result::Result<T, Errno>;

/// The longest time that a device node may take to appear after its instance was created.
const NODE_APPEARS: Duration = Duration::from_secs(2);

/// An open device.
struct Device(File);

impl Device {
    fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self(file))
    }

    /// `number` with a plain value.
    fn value(&self, number: u32, value: usize) -> Call<u32> {
        // SAFETY: by the contract `number` reads and writes no memory of ours.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::Ioctl::from(number), value) };
        Errno::result(result).map(i32::cast_unsigned)
    }

    /// `number` with a structure that the kernel may read and write.
    fn exchange<T: Copy>(&self, number: u32, argument: &mut T) -> Call<u32> {
        debug_assert_eq!(
            number >> 16 & 0x3fff,
            u32::try_from(size_of::<T>()).unwrap_or(0)
        );
        // SAFETY: by the contract `number` carries the size of its argument, T, all of whose bit
        // patterns are valid; the kernel touches nothing else, except buffers T points to, which
        // the callers below keep alive and exclusive.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::Ioctl::from(number),
                std::ptr::from_mut(argument),
            )
        };
        Errno::result(result).map(i32::cast_unsigned)
    }

    fn write<T: Copy>(&self, number: u32, argument: &T) -> Call {
        self.exchange(number, &mut { *argument }).map(drop)
    }

    fn read<T: Copy>(&self, number: u32, mut blank: T) -> Call<T> {
        self.exchange(number, &mut blank)?;
        Ok(blank)
    }

    /// Refuses to talk to a module of another version.
    fn check_version(&self, path: &str) -> Result {
        match self.value(uapi::GET_ABI_VERSION, 0) {
            Ok(ABI_VERSION) => Ok(()),
            Ok(theirs) => Err(Failure::refused(
                path,
                format_args!("ihk.ko speaks interface version {theirs}, this tool {ABI_VERSION}"),
            )),
            Err(errno) => Err(Failure::refused(
                path,
                format_args!("not a device of ihk.ko ({errno})"),
            )),
        }
    }
}

/// `text` as the number in `0` or `/dev/PREFIX0`.
fn parse_operand(text: &str, prefix: &str, limit: usize) -> Result<u32> {
    let path = format!("/dev/{prefix}");
    let number = parse_decimal(text.strip_prefix(&path).unwrap_or(text))
        .map_err(|_| Failure::usage(text, format_args!("neither a number nor {path}N")))?;
    if number as usize >= limit {
        return Err(Failure::refused(text, "no such device"));
    }
    Ok(number)
}

/// The instance that `text` (`0` or `/dev/mcos0`) names.
///
/// # Errors
///
/// It names none.
pub fn parse_os(text: &str) -> Result<u32> {
    parse_operand(text, "mcos", MAX_INSTANCES)
}

fn cannot_open(path: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::refused(path, "no such device"),
        io::ErrorKind::PermissionDenied => Failure::refused(path, "permission denied"),
        _ => Failure::refused(path, error),
    }
}

/// The resources of the machine: `/dev/mcd0`.
pub struct Mcd(Device);

impl fmt::Debug for Mcd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("/dev/mcd0")
    }
}

impl Mcd {
    /// Opens the device that `operand` (`0` or `/dev/mcd0`) names.
    ///
    /// # Errors
    ///
    /// There is none, or its module has another version.
    pub fn open(operand: &str) -> Result<Self> {
        let path = format!("/dev/mcd{}", parse_operand(operand, "mcd", 1)?);
        let device = Device::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::refused(&path, "no such device (is ihk.ko loaded?)")
            }
            _ => cannot_open(&path, &error),
        })?;
        device.check_version(&path)?;
        Ok(Self(device))
    }

    /// Opens the device, or `None` if ihk.ko is not loaded.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_if_loaded() -> Result<Option<Self>> {
        if std::path::Path::new("/dev/mcd0").exists() {
            Self::open("0").map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes CPUs from Linux.
    ///
    /// # Errors
    ///
    /// The errno of the call, here and below; nothing was changed.
    pub fn reserve_cpus(&self, cpus: &CpuSet) -> Call {
        self.0.write(uapi::RESERVE_CPU, cpus)
    }

    /// Gives CPUs back to Linux.
    #[expect(
        clippy::missing_errors_doc,
        reason = "as reserve_cpus; so are all below"
    )]
    pub fn release_cpus(&self, cpus: &CpuSet) -> Call {
        self.0.write(uapi::RELEASE_CPU, cpus)
    }

    /// Reserved and not assigned.
    #[expect(clippy::missing_errors_doc, reason = "as reserve_cpus")]
    pub fn cpus(&self) -> Call<CpuSet> {
        self.0.read(uapi::QUERY_CPU, CpuSet::default())
    }

    /// Takes memory from Linux.
    #[expect(clippy::missing_errors_doc, reason = "as reserve_cpus")]
    pub fn reserve_memory(&self, memory: &MemorySpec) -> Call {
        self.0.write(uapi::RESERVE_MEMORY, memory)
    }

    /// Gives memory back to Linux.
    #[expect(clippy::missing_errors_doc, reason = "as reserve_cpus")]
    pub fn release_memory(&self, memory: &MemorySpec) -> Call {
        self.0.write(uapi::RELEASE_MEMORY, memory)
    }

    /// Reserved and not assigned.
    #[expect(clippy::missing_errors_doc, reason = "as reserve_cpus")]
    pub fn memory(&self) -> Call<MemorySpec> {
        self.0.read(uapi::QUERY_MEMORY, MemorySpec::default())
    }

    /// Creates an instance; its number.
    #[expect(clippy::missing_errors_doc, reason = "as reserve_cpus")]
    pub fn create(&self) -> Call<u32> {
        self.0.value(uapi::CREATE_OS, 0)
    }

    /// Destroys instance `os`; what it held is reserved again.
    #[expect(clippy::missing_errors_doc, reason = "as reserve_cpus")]
    pub fn destroy(&self, os: u32, force: bool) -> Call {
        let force = u32::from(force);
        self.0.write(uapi::DESTROY_OS, &StopOptions { os, force })
    }

    /// Numbers of the existing instances, ascending.
    #[expect(clippy::missing_errors_doc, reason = "as reserve_cpus")]
    pub fn instances(&self) -> Call<Vec<u32>> {
        let bits = self.0.read(uapi::GET_OS_INSTANCES, 0_u64)?;
        Ok((0..u64::BITS).filter(|os| bits >> os & 1 == 1).collect())
    }
}

/// One co-kernel instance: `/dev/mcosN`.
pub struct Mcos {
    device: Device,
    number: u32,
}

impl fmt::Debug for Mcos {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/dev/mcos{}", self.number)
    }
}

impl Mcos {
    /// Opens the instance that `operand` (`0` or `/dev/mcos0`) names.
    ///
    /// # Errors
    ///
    /// There is none, or its module has another version.
    pub fn open(operand: &str) -> Result<Self> {
        let number = parse_os(operand)?;
        let path = format!("/dev/mcos{number}");
        let device = Device::open(&path).map_err(|error| cannot_open(&path, &error))?;
        device.check_version(&path)?;
        Ok(Self { device, number })
    }

    /// Opens an instance that was created just now: waits for its device node.
    ///
    /// # Errors
    ///
    /// It does not appear, or as [`Self::open`].
    pub fn open_created(number: u32) -> Result<Self> {
        let path = format!("/dev/mcos{number}");
        let began = Instant::now();
        while !std::path::Path::new(&path).exists() && began.elapsed() < NODE_APPEARS {
            sleep(Duration::from_millis(5));
        }
        Self::open(&number.to_string())
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Gives the instance reserved CPUs.
    ///
    /// # Errors
    ///
    /// The errno of the call, here and below; nothing was changed.
    pub fn assign_cpus(&self, cpus: &CpuSet) -> Call {
        self.device.write(uapi::ASSIGN_CPU, cpus)
    }

    /// Makes CPUs reserved only.
    #[expect(
        clippy::missing_errors_doc,
        reason = "as assign_cpus; so are all below"
    )]
    pub fn unassign_cpus(&self, cpus: &CpuSet) -> Call {
        self.device.write(uapi::UNASSIGN_CPU, cpus)
    }

    /// The instance's CPUs.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn cpus(&self) -> Call<CpuSet> {
        self.device.read(uapi::QUERY_OS_CPU, CpuSet::default())
    }

    /// Gives the instance reserved memory.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn assign_memory(&self, memory: &MemorySpec) -> Call {
        self.device.write(uapi::ASSIGN_MEMORY, memory)
    }

    /// Makes memory reserved only.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn unassign_memory(&self, memory: &MemorySpec) -> Call {
        self.device.write(uapi::UNASSIGN_MEMORY, memory)
    }

    /// The instance's memory.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn memory(&self) -> Call<MemorySpec> {
        self.device
            .read(uapi::QUERY_OS_MEMORY, MemorySpec::default())
    }

    /// Hands over an image for the next boot; `file` is the whole file it was made from.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn load(&self, image: &LoadImage, file: &[u8]) -> Call {
        let file = (file.as_ptr().addr() as u64, file.len() as u64);
        self.device.write(
            uapi::LOAD,
            &LoadImage {
                file: file.0,
                file_bytes: file.1,
                ..*image
            },
        )
    }

    /// Boot arguments for the next boot.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn set_kargs(&self, kargs: &str) -> Call {
        self.device.write(uapi::SET_KARGS, &to_text(kargs)?)
    }

    /// Boots; returns when RUNNING.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn boot(&self) -> Call {
        self.device.value(uapi::BOOT, 0).map(drop)
    }

    /// Says which mcexec runs what programs execute.
    ///
    /// # Errors
    ///
    /// `ENODEV` without mcctrl.ko, `EPERM`.
    pub fn set_mcexec(&self, mcexec: &File) -> Call {
        let number = usize::try_from(mcexec.as_raw_fd()).map_err(|_| Errno::EBADF)?;
        self.device.value(uapi::SET_MCEXEC, number).map(drop)
    }

    /// Shuts down.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn shutdown(&self, force: bool) -> Call {
        let options = StopOptions {
            os: self.number,
            force: u32::from(force),
        };
        self.device.write(uapi::SHUTDOWN, &options)
    }

    /// One of [`uapi::status`].
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn status(&self) -> Call<u32> {
        self.device.value(uapi::GET_STATUS, 0)
    }

    /// The co-kernel's CPUs.
    ///
    /// # Errors
    ///
    /// It does not run, or no mcctrl.ko is there to ask it.
    pub fn cpu_views(&self) -> Call<Vec<CpuView>> {
        let mut cpus: Vec<CpuView> = Vec::new();
        loop {
            let mut words = vec![0_u64; VIEW_WORDS];
            let mut query = Query {
                pid: 0,
                what: what::CPUS,
                from: cpus.len() as u64,
                buffer: words.as_mut_ptr().expose_provenance() as u64,
                words: 0,
            };
            self.device.exchange(uapi::QUERY, &mut query)?;
            words.truncate(usize::try_from(query.words).unwrap_or(0));
            let before = cpus.len();
            for record in words.chunks_exact(CpuView::WORDS) {
                let record = record.try_into().map_err(|_| Errno::EPROTO)?;
                cpus.push(CpuView::from_words(record));
            }
            if cpus.len() == before || cpus.len() > MAX_CPUS {
                return Ok(cpus);
            }
        }
    }

    /// Counters.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn usage(&self) -> Call<Usage> {
        let blank = Usage {
            frames_total: 0,
            frames_free: 0,
            frames_pinned: 0,
            processes: 0,
            threads: 0,
            slots: 0,
            cpu_count: 0,
            interrupts: [0; MAX_CPUS],
            nodes: [NodeUsage {
                frames_total: 0,
                frames_free: 0,
                blocks_free: 0,
            }; MAX_NODES],
            frames_set_aside: 0,
        };
        self.device.read(uapi::QUERY_USAGE, blank)
    }

    /// Log bytes from number `from` on: the number of the first one returned, and how many are
    /// in `buffer` now.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn read_kmsg(&self, from: u64, buffer: &mut [u8]) -> Call<(u64, usize)> {
        let mut argument = uapi::ReadKmsg {
            from,
            buffer: buffer.as_mut_ptr().addr() as u64,
            bytes: buffer.len() as u64,
        };
        self.device.exchange(uapi::READ_KMSG, &mut argument)?;
        let bytes = usize::try_from(argument.bytes).map_err(|_| Errno::EIO)?;
        Ok((argument.from, bytes.min(buffer.len())))
    }

    /// Readers of the log start from here from now on.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn clear_kmsg(&self) -> Call {
        self.device.value(uapi::CLEAR_KMSG, 0).map(drop)
    }

    /// Sets which Linux CPU serves which co-kernel CPU.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn set_ikc_map(&self, map: &IkcMap) -> Call {
        self.device.write(uapi::SET_IKC_MAP, map)
    }

    /// The Linux CPU that serves each co-kernel CPU.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn ikc_map(&self) -> Call<IkcMap> {
        let blank = IkcMap {
            linux_cpu: [0; uapi::MAX_IKC_PAIRS],
        };
        self.device.read(uapi::GET_IKC_MAP, blank)
    }

    /// Build id of the loaded image.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn build_id(&self) -> Call<String> {
        let blank = Text {
            bytes: 0,
            reserved: 0,
            text: [0; 1024],
        };
        let answer = self.device.read(uapi::GET_BUILD_ID, blank)?;
        let bytes = answer.text.get(..answer.bytes as usize).ok_or(Errno::EIO)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Bytes of the instance's memory from `offset` of its concatenated ranges; how many are in
    /// `buffer` now, 0 at the end.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn read_memory(&self, offset: u64, buffer: &mut [u8]) -> Call<usize> {
        let mut argument = uapi::ReadMemory {
            offset,
            buffer: buffer.as_mut_ptr().addr() as u64,
            bytes: buffer.len() as u64,
        };
        self.device.exchange(uapi::READ_MEMORY, &mut argument)?;
        let bytes = usize::try_from(argument.bytes).map_err(|_| Errno::EIO)?;
        Ok(bytes.min(buffer.len()))
    }

    /// Lets group `gid` run programs.
    #[expect(clippy::missing_errors_doc, reason = "as assign_cpus")]
    pub fn set_group(&self, gid: u32) -> Call {
        self.device.write(uapi::SET_GROUP, &gid)
    }
}

fn to_text(text: &str) -> Call<Text> {
    let mut field = Text {
        bytes: 0,
        reserved: 0,
        text: [0; 1024],
    };
    let place = field.text.get_mut(..text.len()).ok_or(Errno::E2BIG)?;
    place.copy_from_slice(text.as_bytes());
    field.bytes = u32::try_from(text.len()).map_err(|_| Errno::E2BIG)?;
    Ok(field)
}
