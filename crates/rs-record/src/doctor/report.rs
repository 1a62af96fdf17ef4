//! What the doctor found, for a person to read.

use std::fmt::Display;
use std::io::{self, Write};

use rs_cli::Style;

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Works.
    Ok,
    /// Works in part.
    Limited,
    /// Does not work.
    No,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// What, in a word or two.
    pub(crate) subject: &'static str,
    /// How it is, and what that means for a recording.
    pub(crate) text: String,
    /// What to do for more.
    pub(crate) fix: Option<String>,
}

impl Finding {
    pub(crate) fn ok(subject: &'static str, text: impl Display) -> Finding {
        Finding { level: Level::Ok, subject, text: text.to_string(), fix: None }
    }

    pub(crate) fn limited(subject: &'static str, text: impl Display) -> Finding {
        Finding { level: Level::Limited, subject, text: text.to_string(), fix: None }
    }

    pub(crate) fn no(subject: &'static str, text: impl Display) -> Finding {
        Finding { level: Level::No, subject, text: text.to_string(), fix: None }
    }

    pub(crate) fn fix(self, fix: impl Into<String>) -> Finding {
        self.maybe_fix(Some(fix.into()))
    }

    pub(crate) fn maybe_fix(self, fix: Option<String>) -> Finding {
        Finding { fix, ..self }
    }
}

/// Findings, by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<(String, Vec<Finding>)>,
}

impl Report {
    pub(crate) fn section(&mut self, title: String, findings: Vec<Finding>) {
        self.sections.push((title, findings));
    }

    /// Writes everything, in columns.
    ///
    /// # Errors
    /// The writer's.
    pub(crate) fn write(&self, out: &mut impl Write, style: Style) -> io::Result<()> {
        let subjects =
            self.sections.iter().flat_map(|(_, findings)| findings).map(|finding| finding.subject.len());
        let width = subjects.max().unwrap_or_default();
        for (title, findings) in &self.sections {
            writeln!(out, "{}", style.bold(&printable(title)))?;
            for Finding { level, subject, text, fix } in findings {
                let level = match level {
                    Level::Ok => style.green("ok"),
                    Level::Limited => style.yellow("limited"),
                    Level::No => style.red("no"),
                };
                writeln!(out, "  {level:<7}  {subject:<width$}  {}", printable(text))?;
                if let Some(fix) = fix {
                    let arrow = style.dim("fix:");
                    writeln!(out, "  {:<7}  {:<width$}  {arrow} {}", "", "", printable(fix))?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// What a recording would hold.
#[derive(Clone, Debug)]
pub(crate) struct Outlook {
    pub(crate) user_time: bool,
    pub(crate) kernel_time: bool,
    /// Whether stacks are followed behind the part that the kernel copies.
    pub(crate) deep_stacks: bool,
    /// How large that part is.
    dump: String,
    /// Whether the program's code can be unwound.
    pub(crate) unwindable: bool,
    /// What names are from; unknown without a program.
    pub(crate) names: Option<&'static str>,
    /// What to say where there is nothing.
    without_samples: &'static str,
}

impl Outlook {
    /// What a machine allows by itself.
    pub(crate) fn of_machine(user_time: bool, kernel_time: bool, deep_stacks: bool, dump: String) -> Outlook {
        Outlook {
            user_time,
            kernel_time,
            deep_stacks,
            dump,
            unwindable: true,
            names: None,
            without_samples: "no samples, only metrics",
        }
    }

    /// No samples.
    pub(crate) fn nothing(why: &'static str) -> Outlook {
        Outlook { without_samples: why, ..Outlook::of_machine(false, false, false, String::new()) }
    }

    /// Whether there will be samples.
    pub(crate) fn samples(&self) -> bool {
        self.user_time || self.kernel_time
    }

    /// Writes the last word.
    ///
    /// # Errors
    /// The writer's.
    pub(crate) fn write(&self, out: &mut impl Write, style: Style) -> io::Result<()> {
        writeln!(out, "{} {}.", style.bold("What you will get:"), self.sentence())
    }

    fn sentence(&self) -> String {
        if !self.samples() {
            return self.without_samples.to_owned();
        }
        let time = match (self.user_time, self.kernel_time) {
            (true, true) => "user and kernel time",
            (true, false) => "user time without the kernel's",
            (false, _) => "kernel time",
        };
        let stacks = match (self.unwindable, self.deep_stacks) {
            (false, _) => "stacks as far as frame pointers lead".to_owned(),
            (true, true) => "complete stacks".to_owned(),
            (true, false) => format!("stacks that are complete up to {}", self.dump),
        };
        match self.names {
            None => format!("{time}, {stacks}"),
            Some(names) => format!("{time}, {stacks}, {names}"),
        }
    }
}

/// Names of processes and files are a stranger's text; escape sequences in them must not reach the terminal.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let mut report = Report::default();
        report.section(
            "machine".into(),
            vec![
                Finding::ok("user time", "sampled"),
                Finding::limited("kernel names", "hid\x1b[2Jden\n").fix("sudo this"),
            ],
        );
        let mut text = Vec::new();
        report.write(&mut text, Style::plain()).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "machine\n  ok       user time     sampled\n  limited  kernel names  hid\\u{1b}[2Jden\\n\n\
             \x20                        fix: sudo this\n\n"
        );
    }

    #[test]
    fn the_last_word() {
        let mut outlook = Outlook::of_machine(true, false, true, "64.0 KiB".into());
        assert_eq!(outlook.sentence(), "user time without the kernel's, complete stacks");
        outlook.kernel_time = true;
        outlook.deep_stacks = false;
        outlook.names = Some("some names");
        assert_eq!(
            outlook.sentence(),
            "user and kernel time, stacks that are complete up to 64.0 KiB, some names"
        );
        assert!(!Outlook::nothing("x").samples());
    }
}
