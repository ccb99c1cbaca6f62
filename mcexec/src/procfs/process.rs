// SPDX-License-Identifier: GPL-2.0
//! The text of `/proc/PID/{status,stat,statm,limits}` of a program: Linux's text about its proxy,
//! corrected by what the co-kernel knows better.

use ihk_ikc::process::prot;
use ihk_ikc::view::{area, thread_state, ProcessView, ThreadView};
use nix::errno::Errno;

use super::ask;
use super::memory::{self, Line};
use super::subject::Subject;
use crate::start::inherited;

const PAGE: u64 = 4096;
/// The C library's own signals, of which the proxy sends one to itself.
const RESERVED: u64 = 3 << 31;
/// The signals that `stat` tells of: those without the real-time ones.
const OLD_SIGNALS: u64 = 0x7fff_ffff;
/// Nanoseconds of a clock tick as user space counts them.
const NS_PER_TICK: u64 = 10_000_000;

/// Everything that is known of the subject.
pub(super) struct Known {
    process: ProcessView,
    /// The thread it is about.
    thread: Option<ThreadView>,
    lines: Vec<Line>,
    cpus: u64,
    /// Whether it asks itself. Then it runs, whatever the co-kernel did with it meanwhile.
    is_asking: bool,
}

impl Known {
    /// Asks for everything about `subject`.
    ///
    /// # Errors
    ///
    /// It is no program of the co-kernel.
    pub(super) fn of(subject: Subject) -> Result<Self, Errno> {
        let threads = ask::threads(subject.question())?;
        let wanted = u64::from(subject.thread.unwrap_or(subject.pid).unsigned_abs());
        Ok(Self {
            process: ask::process(subject.question())?,
            thread: threads.iter().find(|thread| thread.tid == wanted).copied(),
            lines: memory::lines(subject.question())?,
            cpus: ask::machine()?.cpus,
            is_asking: subject.question() == 0 && threads.len() == 1,
        })
    }

    /// Returns the sum of `amount` over the lines for which `wanted` holds, in bytes.
    fn sum(&self, wanted: impl Fn(&Line) -> bool, amount: impl Fn(&Line) -> u64) -> u64 {
        let some = self.lines.iter().filter(|line| wanted(line));
        some.map(amount).sum()
    }

    fn size(&self, wanted: impl Fn(&Line) -> bool) -> u64 {
        self.sum(wanted, Line::bytes)
    }

    fn resident(&self, wanted: impl Fn(&Line) -> bool) -> u64 {
        self.sum(wanted, |line| line.resident)
    }

    /// Returns the CPU time of the thread if the subject is one, otherwise that of all threads.
    fn cpu_ns(&self, subject: Subject) -> u64 {
        match (subject.thread, &self.thread) {
            (Some(_), Some(thread)) => thread.cpu_ns,
            _ => self.process.cpu_ns,
        }
    }

    fn state(&self) -> Option<(&'static str, &'static str)> {
        match self.thread?.state {
            _ if self.is_asking => Some(("R", "R (running)")),
            thread_state::RUNNING => Some(("R", "R (running)")),
            thread_state::SLEEPING => Some(("S", "S (sleeping)")),
            thread_state::STOPPED => Some(("T", "T (stopped)")),
            _ => None,
        }
    }
}

fn is_shared(line: &Line) -> bool {
    line.flags & area::SHARED != 0
}

fn is_code(line: &Line) -> bool {
    line.may(prot::EXEC) && !line.may(prot::WRITE) && line.kind() == area::SEGMENT
}

fn is_library_code(line: &Line) -> bool {
    line.may(prot::EXEC) && !line.may(prot::WRITE) && line.kind() == area::FILE
}

fn is_data(line: &Line) -> bool {
    line.may(prot::WRITE) && !is_shared(line) && line.kind() != area::STACK
}

fn is_stack(line: &Line) -> bool {
    line.kind() == area::STACK
}

/// Returns the text of `statm`.
pub(super) fn statm(known: &Known) -> Vec<u8> {
    let pages = |bytes: u64| bytes / PAGE;
    format!(
        "{} {} {} {} 0 {} 0\n",
        pages(known.size(|_| true)),
        pages(known.resident(|_| true)),
        pages(known.resident(is_shared)),
        pages(known.size(is_code)),
        pages(known.size(is_data) + known.size(is_stack)),
    )
    .into_bytes()
}

/// Makes the text of `status` of Linux's `text`.
pub(super) fn status(known: &Known, text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| {
        let (name, given) = line.split_once(':').unwrap_or((line, ""));
        match status_value(known, name).or_else(|| signals(known, name, given)) {
            Some(value) => format!("{name}:\t{value}\n"),
            None => format!("{line}\n"),
        }
    });
    lines.collect::<String>().into_bytes()
}

fn status_value(known: &Known, name: &str) -> Option<String> {
    let resident = known.resident(|_| true);
    let bytes = match name {
        "VmPeak" | "VmSize" => known.size(|_| true),
        "VmLck" => known.size(|line| line.flags & area::LOCKED != 0),
        "VmPin" | "VmSwap" | "HugetlbPages" | "RssFile" => 0,
        "VmHWM" => known.process.peak_bytes.max(resident),
        "VmRSS" => resident,
        "RssAnon" => known.resident(|line| !is_shared(line)),
        "RssShmem" => known.resident(is_shared),
        "VmData" => known.size(is_data),
        "VmStk" => known.size(is_stack),
        "VmExe" => known.size(is_code),
        "VmLib" => known.size(is_library_code),
        "Threads" => return Some(known.process.threads.to_string()),
        "State" => return known.state().map(|(_, long)| long.to_owned()),
        "Cpus_allowed_list" => return Some(list_of(known.cpus)),
        "Cpus_allowed" => return Some(mask_of(known.cpus)),
        _ => return None,
    };
    Some(format!("{:8} kB", bytes / 1024))
}

/// Returns the value of a line about signals. A signal may wait in Linux (`given`) or in the
/// co-kernel.
fn signals(known: &Known, name: &str, given: &str) -> Option<String> {
    let thread = known.thread?;
    let in_linux = u64::from_str_radix(given.trim(), 16).unwrap_or(0) & !RESERVED;
    let set = match name {
        "SigPnd" => thread.pending | in_linux,
        "ShdPnd" => known.process.pending | in_linux,
        "SigBlk" => thread.blocked,
        "SigIgn" => known.process.ignored,
        "SigCgt" => known.process.caught,
        _ => return None,
    };
    Some(format!("{set:016x}"))
}

/// CPUs 0 to `count` − 1 as a list.
pub(super) fn list_of(count: u64) -> String {
    match count {
        0 | 1 => "0".to_owned(),
        _ => format!("0-{}", count - 1),
    }
}

/// Returns the numbers of `count` processors as a mask in groups of 32 bits.
pub(super) fn mask_of(count: u64) -> String {
    let groups = count.div_ceil(32).max(1);
    let group = |index: u64| {
        let bits = count.saturating_sub(index * 32).min(32);
        (1_u64 << bits) - 1
    };
    let mut text: Vec<String> = (0..groups)
        .rev()
        .map(|index| format!("{:08x}", group(index)))
        .collect();
    if groups == 1 {
        text = vec![format!("{:x}", group(0))];
    }
    text.join(",")
}

/// Fields of `stat` by their numbers in proc(5).
mod field {
    pub(super) const STATE: usize = 3;
    pub(super) const UTIME: usize = 14;
    pub(super) const NUM_THREADS: usize = 20;
    pub(super) const VSIZE: usize = 23;
    pub(super) const RSS: usize = 24;
    /// The field of the pending signals. Those of blocked, ignored and caught signals follow.
    pub(super) const SIGNALS: usize = 31;
    pub(super) const PROCESSOR: usize = 39;
    pub(super) const START_BRK: usize = 47;
}

/// `stat` from Linux's `text`.
pub(super) fn stat(known: &Known, subject: Subject, text: &str) -> Vec<u8> {
    // The name in parentheses may hold anything; the field after it is number 3.
    let Some((head, rest)) = text.rsplit_once(") ") else {
        return text.into();
    };
    let mut fields: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    let mut set = |number: usize, value: String| {
        if let Some(field) = fields.get_mut(number - 3) {
            *field = value;
        }
    };
    if let Some((short, _)) = known.state() {
        set(field::STATE, short.to_owned());
    }
    set(
        field::UTIME,
        (known.cpu_ns(subject) / NS_PER_TICK).to_string(),
    );
    set(field::NUM_THREADS, known.process.threads.to_string());
    set(field::VSIZE, known.size(|_| true).to_string());
    set(field::RSS, (known.resident(|_| true) / PAGE).to_string());
    set(field::START_BRK, known.process.break_start.to_string());
    if let Some(thread) = known.thread {
        set(field::PROCESSOR, thread.cpu.to_string());
        let process = &known.process;
        let sets = [
            thread.pending,
            thread.blocked,
            process.ignored,
            process.caught,
        ];
        for (number, signals) in (field::SIGNALS..).zip(sets) {
            set(number, (signals & OLD_SIGNALS).to_string());
        }
    }
    format!("{head}) {}\n", fields.join(" ")).into_bytes()
}

/// Makes the text of `limits` of the own process of Linux's `text`, with the limits that the
/// co-kernel keeps.
pub(super) fn limits(text: &str) -> Vec<u8> {
    const NAMES: [(usize, &str); 4] = [
        (2, "Max data size"),
        (3, "Max stack size"),
        (8, "Max locked memory"),
        (9, "Max address space"),
    ];
    let kept = inherited::kept_limits();
    let mut shown = String::new();
    for line in text.lines() {
        let limit = NAMES
            .iter()
            .find(|(_, name)| line.starts_with(name))
            .and_then(|(number, name)| Some((name, (*kept.get(*number)?)?)));
        match limit {
            Some((name, [soft, hard])) => {
                let (soft, hard) = (amount(soft), amount(hard));
                shown += &format!("{name:<25} {soft:<20} {hard:<20} {:<10}\n", "bytes");
            }
            None => shown += &format!("{line}\n"),
        }
    }
    shown.into_bytes()
}

fn amount(limit: u64) -> String {
    match limit {
        u64::MAX => "unlimited".to_owned(),
        limit => limit.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{list_of, mask_of, stat, statm, status, Known};
    use crate::procfs::memory::Line;
    use crate::procfs::subject::Subject;
    use ihk_ikc::view::{ProcessView, ThreadView};

    fn known() -> Known {
        Known {
            process: ProcessView {
                threads: 3,
                cpu_ns: 70_000_000,
                caught: 0x4000,
                ..ProcessView::default()
            },
            thread: Some(ThreadView {
                tid: 7,
                cpu: 1,
                cpu_ns: 20_000_000,
                pending: 2,
                blocked: 0x10,
                ..ThreadView::default()
            }),
            lines: vec![Line {
                start: 0x1000,
                end: 0x5000,
                flags: 3 | 1 << 8,
                resident: 0x2000,
                page_kib: 4,
                file: None,
            }],
            cpus: 2,
            is_asking: false,
        }
    }

    #[test]
    fn what_the_cokernel_knows_replaces_what_linux_says() {
        let text =
            "Name:\ta\nVmRSS:\t    9 kB\nThreads:\t9\nSigPnd:\t0000000080000001\nSigBlk:\t0\n\
                    SigCgt:\t0000000180000000\nCpus_allowed_list:\t0-9\n";
        let shown = String::from_utf8(status(&known(), text)).unwrap();
        assert_eq!(
            shown,
            "Name:\ta\nVmRSS:\t       8 kB\nThreads:\t3\nSigPnd:\t0000000000000003\nSigBlk:\t0000000000000010\n\
             SigCgt:\t0000000000004000\nCpus_allowed_list:\t0-1\n"
        );
        assert_eq!(statm(&known()), b"4 2 0 0 0 4 0\n");
    }

    #[test]
    fn stat_keeps_its_other_fields() {
        let numbers: Vec<String> = (4..=52).map(|number| number.to_string()).collect();
        let text = format!("7 (a) b) Z {}\n", numbers.join(" "));
        let subject = Subject {
            pid: 7,
            thread: Some(7),
        };
        let shown = String::from_utf8(stat(&known(), subject, &text)).unwrap();
        assert!(shown.starts_with("7 (a) b) R 4 5 "), "{shown}");
        assert!(
            shown.contains(" 13 2 15 16 17 18 19 3 21 22 16384 2 25 "),
            "{shown}"
        );
    }

    #[test]
    fn processors_have_linuxs_forms() {
        assert_eq!((list_of(1), list_of(4)), ("0".into(), "0-3".into()));
        assert_eq!(mask_of(2), "3");
        assert_eq!(mask_of(33), "00000001,ffffffff");
    }
}
