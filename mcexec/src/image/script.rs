// SPDX-License-Identifier: GPL-2.0
//! Follows `#!` lines to the program that is to be loaded, by Linux's rules.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::find;
use crate::error::ExecError;

/// The part of a file that Linux reads to see what it is.
const HEAD_BYTES: usize = 256;
/// The greatest number of scripts that may interpret each other.
const MAX_DEPTH: usize = 5;

/// The file to load, and the arguments that it gets.
#[derive(Debug)]
pub(crate) struct Program {
    /// The ELF file.
    pub file: File,
    /// Path of the file.
    pub path: PathBuf,
    /// The arguments, those of `#!` lines included.
    pub argv: Vec<CString>,
}

/// Opens the program at `path`, or the interpreter of the script there.
///
/// # Errors
///
/// The error is the one that `execve` would have.
pub(crate) fn resolve(path: &Path, argv: Vec<CString>) -> Result<Program, ExecError> {
    let mut program = Program {
        file: find::open(path)?,
        path: path.to_owned(),
        argv,
    };
    for _ in 0..=MAX_DEPTH {
        let mut head = [0; HEAD_BYTES];
        let bytes = read_head(&program.file, &mut head)?;
        let Some(line) = parse(&head, bytes)? else {
            return Ok(program);
        };
        let script =
            CString::new(program.path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let interpreter = Path::new(OsStr::from_bytes(line.interpreter.to_bytes())).to_owned();
        let mut argv = vec![line.interpreter];
        argv.extend(line.argument);
        argv.push(script);
        argv.extend(program.argv.into_iter().skip(1));
        let file =
            find::open(&interpreter).map_err(|error| bad_interpreter(&interpreter, error.errno))?;
        program = Program {
            file,
            path: interpreter,
            argv,
        };
    }
    Err(ExecError::new(
        Errno::ELOOP,
        "scripts that interpret each other",
    ))
}

fn bad_interpreter(path: &Path, errno: Errno) -> ExecError {
    ExecError::new(errno, format!("interpreter {}", path.display()))
}

fn read_head(file: &File, head: &mut [u8; HEAD_BYTES]) -> Result<usize, ExecError> {
    let mut bytes = 0;
    while let Some(rest) = head.get_mut(bytes..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, bytes as u64)? {
            0 => break,
            more => bytes += more,
        }
    }
    Ok(bytes)
}

/// The words of a `#!` line.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    interpreter: CString,
    argument: Option<CString>,
}

/// Returns the `#!` line in the first `bytes` bytes of `head`, or `None` if there is none.
fn parse(head: &[u8; HEAD_BYTES], bytes: usize) -> Result<Option<Line>, ExecError> {
    let head = head.get(..bytes).unwrap_or_default();
    let Some(text) = head.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let newline = text.iter().position(|byte| *byte == b'\n');
    let line = newline.map_or(text, |end| text.get(..end).unwrap_or_default());
    let line = line.trim_ascii_start_blank();
    let end = line
        .iter()
        .position(|byte| is_blank(byte) || *byte == 0)
        .unwrap_or(line.len());
    let (interpreter, rest) = line.split_at(end);
    // A name that fills the whole head may be cut off.
    let cut_off = newline.is_none() && bytes == HEAD_BYTES && rest.is_empty();
    if interpreter.is_empty() || cut_off {
        return Err(ExecError::format("malformed #! line"));
    }
    let rest = rest
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default()
        .trim_ascii_blank();
    let text =
        |bytes: &[u8]| CString::new(bytes).map_err(|_| ExecError::format("malformed #! line"));
    Ok(Some(Line {
        interpreter: text(interpreter)?,
        argument: if rest.is_empty() {
            None
        } else {
            Some(text(rest)?)
        },
    }))
}

/// Trimming as Linux does: blanks and tabs, no other white space.
trait TrimBlank {
    fn trim_ascii_start_blank(&self) -> &[u8];
    fn trim_ascii_blank(&self) -> &[u8];
}

impl TrimBlank for [u8] {
    fn trim_ascii_start_blank(&self) -> &[u8] {
        let first = self.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
        self.get(first.unwrap_or(self.len())..).unwrap_or_default()
    }

    fn trim_ascii_blank(&self) -> &[u8] {
        let text = self.trim_ascii_start_blank();
        let end = text
            .iter()
            .rposition(|byte| !matches!(byte, b' ' | b'\t'))
            .map_or(0, |last| last + 1);
        text.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, resolve, HEAD_BYTES};
    use nix::errno::Errno;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    fn line(text: &str) -> Result<Option<(String, Option<String>)>, Errno> {
        let mut head = [0; HEAD_BYTES];
        let bytes = text.len().min(HEAD_BYTES);
        head[..bytes].copy_from_slice(&text.as_bytes()[..bytes]);
        let owned = |text: CString| text.into_string().unwrap();
        let line = parse(&head, bytes).map_err(|error| error.errno)?;
        Ok(line.map(|line| (owned(line.interpreter), line.argument.map(owned))))
    }

    #[test]
    fn lines_are_split_as_linux_does() {
        let is = |interpreter: &str, argument: Option<&str>| {
            Ok(Some((interpreter.to_owned(), argument.map(str::to_owned))))
        };
        assert_eq!(line("#!/bin/sh\necho"), is("/bin/sh", None));
        assert_eq!(line("#! \t/bin/sh \t\n"), is("/bin/sh", None));
        assert_eq!(
            line("#!/usr/bin/env python3 -u \n"),
            is("/usr/bin/env", Some("python3 -u"))
        );
        assert_eq!(line("#!/bin/sh"), is("/bin/sh", None));
        assert_eq!(line("#!/bin/sh -e\r\n"), is("/bin/sh", Some("-e\r")));
        assert_eq!(line("\x7fELF"), Ok(None));
        assert_eq!(line(""), Ok(None));
        assert_eq!(line("#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(line("#!  \t\n/bin/sh"), Err(Errno::ENOEXEC));
    }

    #[test]
    fn a_name_that_may_be_cut_off_is_refused() {
        let long = format!("#!/{}", "x".repeat(300));
        assert_eq!(line(&long), Err(Errno::ENOEXEC));
        let fits = format!("#!/{} {}", "x".repeat(100), "y".repeat(300));
        assert_eq!(
            line(&fits).unwrap().unwrap().1.unwrap().len(),
            256 - 2 - 101 - 1
        );
    }

    /// A chain of `depth` scripts that ends in /bin/true.
    fn chain(depth: usize) -> (PathBuf, PathBuf) {
        let folder =
            std::env::temp_dir().join(format!("mcexec-script-{}-{depth}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut interpreter = PathBuf::from("/bin/true");
        for number in 0..depth {
            let path = folder.join(number.to_string());
            fs::write(&path, format!("#!{} arg{number}\n", interpreter.display())).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            interpreter = path;
        }
        (folder, interpreter)
    }

    #[test]
    fn scripts_nest_as_deep_as_in_linux() {
        for depth in [0, 1, 2, 5, 6] {
            let (folder, first) = chain(depth);
            let native = std::process::Command::new(&first).status();
            let ours = resolve(&first, vec![c"zero".to_owned(), c"one".to_owned()]);
            fs::remove_dir_all(folder).unwrap();
            assert_eq!(native.is_ok(), ours.is_ok(), "depth {depth}");
        }
    }

    #[test]
    fn arguments_are_those_of_the_lines_and_the_program() {
        let (folder, first) = chain(2);
        let program = resolve(&first, vec![c"zero".to_owned(), c"one".to_owned()]).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let argv: Vec<_> = program
            .argv
            .iter()
            .map(|text| text.to_str().unwrap())
            .collect();
        assert_eq!(
            argv,
            ["/bin/true", "arg0", &path("0"), "arg1", &path("1"), "one"]
        );
        assert_eq!(program.path, Path::new("/bin/true"));
        fs::remove_dir_all(folder).unwrap();
    }
}
