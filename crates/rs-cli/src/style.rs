//! Colour that switches itself off.

use std::{
    ffi::OsStr,
    fmt,
    io::{self, IsTerminal},
};

use crate::{Color, talk};

/// Whether one stream is coloured. stdout and stderr are asked separately, since usually only one is a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    on: bool,
}

impl Style {
    /// For text on stdout, by the settings of [`Common::apply`](crate::Common::apply).
    pub fn stdout() -> Self {
        Self::for_stream(io::stdout().is_terminal())
    }

    /// For text on stderr, by the settings of [`Common::apply`](crate::Common::apply).
    pub fn stderr() -> Self {
        Self::for_stream(io::stderr().is_terminal())
    }

    /// No colour at all.
    pub const fn plain() -> Self {
        Self { on: false }
    }

    pub(crate) fn for_stream(is_terminal: bool) -> Self {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        Self { on: decide(talk::color(), is_terminal, no_color.as_deref(), term.as_deref()) }
    }

    /// Whether anything is coloured.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// Headings and names.
    pub fn bold(self, text: &str) -> Painted<'_> {
        self.paint("1", text)
    }

    /// What may be skipped.
    pub fn dim(self, text: &str) -> Painted<'_> {
        self.paint("2", text)
    }

    /// Errors and regressions.
    pub fn red(self, text: &str) -> Painted<'_> {
        self.paint("31", text)
    }

    /// Improvements.
    pub fn green(self, text: &str) -> Painted<'_> {
        self.paint("32", text)
    }

    /// Warnings and doubts.
    pub fn yellow(self, text: &str) -> Painted<'_> {
        self.paint("33", text)
    }

    fn paint<'a>(self, code: &'static str, text: &'a str) -> Painted<'a> {
        Painted { code: self.on.then_some(code), text }
    }
}

/// Text with its colour. Width and alignment in a format string count the visible text only, so a coloured
/// column is as wide as a plain one.
#[derive(Clone, Copy, Debug)]
pub struct Painted<'a> {
    code: Option<&'static str>,
    text: &'a str,
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => f.pad(self.text),
            Some(code) => {
                write!(f, "\x1b[{code}m")?;
                f.pad(self.text)?;
                f.write_str("\x1b[0m")
            }
        }
    }
}

/// The rule of <https://no-color.org> (only a non-empty `NO_COLOR` counts); a terminal that does not say what
/// it is (`TERM` unset) gets no escape sequences, as in ripgrep.
fn decide(choice: Color, is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            is_terminal && no_color.is_none_or(OsStr::is_empty) && term.is_some_and(|term| term != "dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_asks_the_terminal_and_the_environment() {
        let ask = |terminal, no_color: Option<&str>, term: Option<&str>| {
            decide(Color::Auto, terminal, no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(ask(true, None, Some("xterm")));
        assert!(ask(true, Some(""), Some("xterm")), "an empty NO_COLOR is no wish");
        assert!(!ask(true, Some("1"), Some("xterm")));
        assert!(!ask(true, None, Some("dumb")));
        assert!(!ask(true, None, None));
        assert!(!ask(false, None, Some("xterm")));
    }

    #[test]
    fn a_flag_beats_the_environment() {
        assert!(decide(Color::Always, false, Some(OsStr::new("1")), None));
        assert!(!decide(Color::Never, true, None, Some(OsStr::new("xterm"))));
    }

    #[test]
    fn padding_counts_visible_text() {
        assert_eq!(format!("{:>5}|", Style { on: true }.red("ab")), "\x1b[31m   ab\x1b[0m|");
        assert_eq!(format!("{:<5}|", Style::plain().bold("ab")), "ab   |");
    }
}
