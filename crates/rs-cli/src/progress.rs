//! One line that tells how far things are, for a person who waits.

use std::{
    io::{self, IsTerminal},
    mem,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use crate::talk;

/// Five times a second is as often as a number can be read; each repaint costs a system call.
const INTERVAL: Duration = Duration::from_millis(200);

/// Assumed when the terminal does not tell its width.
const USUAL_WIDTH: usize = 80;

/// A progress line on stderr: only on a terminal and without `-q`, at most five times a second, and gone at
/// the end. Messages of [`talk`] step over it.
///
/// Several programs of a pipeline share one terminal and would overwrite each other's lines, so a filter
/// shows progress only for what takes long by itself, such as merging files. Drop it before writing a report
/// to stdout, which may be the same terminal.
#[derive(Debug)]
pub struct Progress {
    on: bool,
    /// The first line waits an interval too: work that is done by then needs none.
    last: Instant,
}

impl Progress {
    /// A line that is not shown until the first [`update`](Self::update) after a fifth of a second.
    pub fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { on: io::stderr().is_terminal() && !dumb && !talk::is_quiet(), last: Instant::now() }
    }

    /// Shows a new line. The closure is only called if it will be seen, so call this as often as you like.
    pub fn update(&mut self, line: impl FnOnce() -> String) {
        if self.on && self.last.elapsed() >= INTERVAL {
            self.last = Instant::now();
            talk::write_progress(&fit(&format!("{}: {}", talk::tool(), line()), stderr_width()));
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on {
            talk::write_progress("");
        }
    }
}

/// Cuts to one line of the terminal: a line that wraps cannot be erased by a carriage return. The last column
/// stays free, as some terminals wrap after it.
fn fit(line: &str, width: usize) -> String {
    let line = line.lines().next().unwrap_or_default();
    line.chars().take(width.saturating_sub(1)).collect()
}

fn stderr_width() -> usize {
    // SAFETY: an all-zero winsize is a value of that plain C struct.
    let mut size: libc::winsize = unsafe { mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one winsize to the pointer, which is valid for the call; a file descriptor that
    // is no terminal makes it fail and leaves the zeros.
    let result = unsafe { libc::ioctl(io::stderr().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    if result == 0 && size.ws_col > 0 { usize::from(size.ws_col) } else { USUAL_WIDTH }
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_line_never_wraps() {
        assert_eq!(fit("0123456789", 10), "012345678");
        assert_eq!(fit("ab\ncd", 10), "ab");
        assert_eq!(fit("ab", 0), "");
    }
}
