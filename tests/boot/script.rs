// SPDX-License-Identifier: GPL-2.0
//! Scripts: one run, many reports, each looked up by a test of its own.

use std::fmt::Write as _;
use std::io::Write as _;
pub(crate) use tests::linux_only;
use tests::{attempt, attempt_in_turn, unwanted_lines, with_scripts, Examine, Outcome, VmOptions};

/// What a script reported, or why it could not.
pub(crate) struct Reports(Result<Outcome, String>);

impl Reports {
    /// Runs `scripts/NAME.py ARGUMENTS…` of the guest, where all scripts of `tests` lie, with the tables beside
    /// `scripts/`: in its turn on the machine that scripts share if [`linux_only`] describes it, else on one of its own.
    pub(crate) fn of(options: VmOptions, name: &str, arguments: &[&str]) -> Self {
        let patient = VmOptions {
            timeout: options.timeout,
            ..linux_only()
        };
        if options == patient {
            let limit_s = options.timeout.unwrap_or(u64::from(u32::MAX));
            Self::by(|argv| attempt_in_turn(argv, limit_s), name, arguments)
        } else {
            Self::alone(options, name, arguments)
        }
    }

    /// The same on a machine of its own, for what must have been booted just now.
    pub(crate) fn alone(options: VmOptions, name: &str, arguments: &[&str]) -> Self {
        let attempt = |argv: &[&str]| attempt(with_scripts(options), argv, b"");
        Self::by(attempt, name, arguments)
    }

    fn by(
        attempt: impl FnOnce(&[&str]) -> Result<Outcome, String>,
        name: &str,
        arguments: &[&str],
    ) -> Self {
        let path = format!("scripts/{name}.py");
        let mut argv = vec!["python3", "-B", &path];
        argv.extend(arguments);
        let reports = Self(attempt(&argv));
        if let Some(trouble) = reports.trouble() {
            // Not by eprintln!, which the test runner keeps for its summary: whoever watches reads it at once.
            let _ = writeln!(std::io::stderr(), "\nscripts/{name}.py: {trouble}");
        }
        reports
    }

    /// Why nothing can be expected of the reports, with the last words of whoever failed.
    fn trouble(&self) -> Option<String> {
        match &self.0 {
            Err(error) => Some(error.clone()),
            Ok(outcome) if outcome.status == 0 => None,
            Ok(outcome) => Some(format!("{}\n{}", self.end(), outcome.last_words())),
        }
    }

    #[track_caller]
    fn outcome(&self) -> &Outcome {
        self.0.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Panics unless the script reported that the claim holds.
    #[track_caller]
    pub(crate) fn holds(&self, claim: &str) {
        let outcome = self.outcome();
        let report = outcome
            .out()
            .lines()
            .find_map(|line| claim_and_verdict(line).filter(|(name, _)| *name == claim))
            .map(|(_, verdict)| verdict.to_string());
        match report {
            Some(verdict) if verdict.starts_with("ok") => {}
            Some(verdict) => panic!("{verdict}\nlogs: {}", outcome.kmsg.display()),
            None => panic!("no report; {}", self.end()),
        }
    }

    /// Panics unless every row beginning with `start` passed and there was at least one.
    #[track_caller]
    pub(crate) fn rows_pass(&self, start: &str) {
        let text = self.outcome().out();
        let mut failed = String::new();
        let mut passed = 0;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(row) = line.strip_prefix("row FAILED ") {
                if row_command(row).starts_with(start) {
                    let _ = writeln!(failed, "{row}\n{}", lines.next().unwrap_or_default());
                }
            } else if let Some(row) = line.strip_prefix("row ok ") {
                passed += usize::from(row_command(row).starts_with(start));
            }
        }
        assert!(
            failed.is_empty(),
            "rows that fail ({passed} pass):\n{failed}"
        );
        assert!(passed > 0, "no row; {}", self.end());
        assert_eq!(self.outcome().status, 0, "{}", self.end());
    }

    /// Panics unless the script came to its end, reported nothing but `claims`, and Linux said nothing it should not.
    #[track_caller]
    pub(crate) fn ended_well(&self, claims: &[&str]) {
        let outcome = self.outcome();
        assert_eq!(outcome.status, 0, "{}", self.end());
        let text = outcome.out();
        let untested = text
            .lines()
            .filter_map(claim_and_verdict)
            .find(|(name, _)| !claims.contains(name));
        assert_eq!(untested, None, "a claim without a test");
        let unwanted = unwanted_lines(&outcome.kmsg());
        assert!(
            unwanted.is_empty(),
            "kernel messages, see {}:\n{}",
            outcome.kmsg.display(),
            unwanted.join("\n")
        );
    }

    fn end(&self) -> String {
        let outcome = self.outcome();
        let error = outcome.err();
        let last: Vec<&str> = error.lines().rev().take(5).collect();
        format!(
            "the script ended with status {} saying {last:?}, see {}",
            outcome.status,
            outcome.console.display()
        )
    }
}

/// `claim NAME VERDICT…`
fn claim_and_verdict(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("claim ")?.split_once(' ')
}

/// The command of a row without the state in brackets before it.
fn row_command(row: &str) -> &str {
    row.split_once("] ").map_or(row, |(_, command)| command)
}

/// One test per claim of a script or program, and one that it and Linux came to a good end. It is what `claims!` makes,
/// whose names the build script reads from the sources beside the module:
///
/// * `claims!(REPORTS: "x.py")`: the claims of a script that has no long ones.
/// * `claims!(REPORTS, LONG: "x.py")`: the long ones are looked up in reports of their own.
/// * `claims!(long LONG: "x.py")`: only the long ones, without a test of the end.
macro_rules! tests {
    ([long $reports:ident] $short:tt [$(($claim:ident $reason:literal))+]) => {
        $(
            #[test]
            #[ignore = $reason]
            fn $claim() {
                $reports.holds(stringify!($claim));
            }
        )+
    };
    ([$reports:ident $long:ident] $short:tt $claims:tt) => {
        tests! { [$reports] $short [] }
        tests! { [long $long] [] $claims }
    };
    ([$reports:ident] [$($claim:ident)+] []) => {
        $(
            #[test]
            fn $claim() {
                $reports.holds(stringify!($claim));
            }
        )+

        #[test]
        fn script_ends_well_and_linux_says_nothing_unwanted() {
            $reports.ended_well(&[$(stringify!($claim)),+]);
        }
    };
}

/// `programs!(REPORTS: "x", …)`: the reports of guest programs that check claims about themselves, natively and then
/// under mcexec, and a test for each claim.
macro_rules! programs {
    ($reports:ident: $($program:tt),+ $(,)?) => {
        static $reports: std::sync::LazyLock<crate::script::Reports> = std::sync::LazyLock::new(|| {
            let programs = [$($program),+];
            crate::script::Reports::of(crate::script::linux_only(), "programs", &programs)
        });

        claims! { $reports: $($program),+ }
    };
}
