//! Everything said to the person: one line each, on stderr, with the tool's name in front.
//!
//! Use the macros [`error!`](crate::error), [`warn!`](crate::warn), [`warn_once!`](crate::warn_once),
//! [`note!`](crate::note) and [`detail!`](crate::detail). There are no level words: in `rs-rollup:
//! run.ndjson:41: unknown event` the reader sees what it is, and colour tells the rest on a terminal.
//!
//! A message is written by one `write`, so that the lines of several programs of a pipeline do not mix, and a
//! failure to write is ignored: with stderr closed there is nobody left to tell.

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
};

use crate::{Color, Style};

static TOOL: OnceLock<&'static str> = OnceLock::new();
static QUIET: AtomicBool = AtomicBool::new(false);
static VERBOSE: AtomicU8 = AtomicU8::new(0);
static COLOR: AtomicU8 = AtomicU8::new(0);

/// Whether a progress line stands on stderr; the lock also keeps messages of several threads apart.
static PROGRESS_SHOWN: Mutex<bool> = Mutex::new(false);

/// Back to the first column and erase to the end of the line.
const ERASE: &str = "\r\x1b[K";

/// What a message is, which decides when it is shown and how its prefix is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Always shown.
    Error,
    /// Silenced by `-q`.
    Warning,
    /// Silenced by `-q`.
    Note,
    /// Shown only with at least this many `-v`.
    Detail(u8),
}

/// Sets the name; called by [`run`](crate::run) so that even the first error has it. The first caller wins.
pub(crate) fn set_tool(tool: &'static str) {
    TOOL.get_or_init(|| tool);
}

pub(crate) fn configure(tool: &'static str, quiet: bool, verbose: u8, color: Color) {
    set_tool(tool);
    QUIET.store(quiet, Relaxed);
    VERBOSE.store(verbose, Relaxed);
    COLOR.store(color as u8, Relaxed);
}

/// The tool's name, as messages carry it.
pub fn tool() -> &'static str {
    TOOL.get().copied().unwrap_or("rustscope")
}

/// Whether `-q` was given.
pub fn is_quiet() -> bool {
    QUIET.load(Relaxed)
}

/// How many `-v` count; none after `-q`.
pub fn verbosity() -> u8 {
    if is_quiet() { 0 } else { VERBOSE.load(Relaxed) }
}

pub(crate) fn color() -> Color {
    match COLOR.load(Relaxed) {
        value if value == Color::Always as u8 => Color::Always,
        value if value == Color::Never as u8 => Color::Never,
        _ => Color::Auto,
    }
}

/// Says one message, if the settings let it through. The macros are the usual way here.
pub fn say(weight: Weight, message: fmt::Arguments<'_>) {
    let shown = match weight {
        Weight::Error => true,
        Weight::Warning | Weight::Note => !is_quiet(),
        Weight::Detail(level) => verbosity() >= level,
    };
    if shown {
        let message = printable(&message.to_string());
        let prefix = format!("{}:", tool());
        let style = Style::stderr();
        let prefix = match weight {
            Weight::Error => style.red(&prefix),
            Weight::Warning => style.yellow(&prefix),
            Weight::Note => style.bold(&prefix),
            Weight::Detail(_) => style.dim(&prefix),
        };
        write_stderr(&format!("{prefix} {message}\n"));
    }
}

/// Writes whole lines, in one piece, over the progress line if there is one.
pub(crate) fn write_stderr(lines: &str) {
    let mut shown = PROGRESS_SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let erase = if std::mem::take(&mut *shown) { ERASE } else { "" };
    let _ = io::stderr().write_all(format!("{erase}{lines}").as_bytes());
}

/// Replaces the progress line; an empty one erases it.
pub(crate) fn write_progress(line: &str) {
    let mut shown = PROGRESS_SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if *shown || !line.is_empty() {
        let _ = io::stderr().write_all(format!("{ERASE}{}", printable(line)).as_bytes());
    }
    *shown = !line.is_empty();
}

/// Messages quote paths and names from files of strangers; their escape sequences must not reach the
/// terminal.
fn printable(message: &str) -> String {
    let mut safe = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// An error the program goes on after, or the last word of one that does not: always shown.
///
/// An error that ends the program is better returned to [`run`](crate::run), which says it.
#[macro_export]
macro_rules! error {
    ($($arg:tt)*) => { $crate::talk::say($crate::talk::Weight::Error, ::std::format_args!($($arg)*)) };
}

/// Something the result suffers from, such as lost samples; silenced by `-q`.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)*) => { $crate::talk::say($crate::talk::Weight::Warning, ::std::format_args!($($arg)*)) };
}

/// Like [`warn!`](crate::warn), but each place in the source speaks only once per run, whatever its
/// arguments: for what would otherwise be said for every line of a file.
#[macro_export]
macro_rules! warn_once {
    ($($arg:tt)*) => {{
        static SAID: ::std::sync::Once = ::std::sync::Once::new();
        SAID.call_once(|| $crate::warn!($($arg)*));
    }};
}

/// Good to know, such as the summary of a recording; silenced by `-q`.
#[macro_export]
macro_rules! note {
    ($($arg:tt)*) => { $crate::talk::say($crate::talk::Weight::Note, ::std::format_args!($($arg)*)) };
}

/// The reasons behind what happens, for `-v` (level 1) and `-vv` (level 2): `detail!(1, "uses {backend}")`.
#[macro_export]
macro_rules! detail {
    ($level:expr, $($arg:tt)*) => {
        $crate::talk::say($crate::talk::Weight::Detail($level), ::std::format_args!($($arg)*))
    };
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escape_sequences_are_defused() {
        assert_eq!(printable("a\x1b[2Jb\nc\td"), "a\\u{1b}[2Jb\nc\td");
    }
}
