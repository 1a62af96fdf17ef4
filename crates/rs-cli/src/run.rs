//! The whole of `main`: run, and turn what came of it into an exit status.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    error::Error,
    fmt, io,
    os::unix::process::ExitStatusExt,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    process::{ExitCode, ExitStatus},
};

use crate::talk;

/// The status of a filter that failed: usage, input or output, bad data. 1 is kept for an honest "no".
const FAILURE: u8 = 2;

/// How a program ends when it did not fail with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: the honest "no", such as a regression found or a document that is not valid.
    Negative,
    /// The tool's failure status (2, or what [`run_with_failure_code`] was given), after it has reported its
    /// errors itself; for tools that go on with the next file.
    Failed,
    /// 3: not comparable, or nothing could be judged.
    NotJudged,
    /// 4: judged, but not surely enough.
    Inconclusive,
    /// 126: the command was found but cannot be executed.
    CannotExecute,
    /// 127: the command was not found.
    NotFound,
    /// The status of a child, passed on.
    Child(u8),
}

impl Exit {
    /// A child's status as a shell gives it: its exit code, or 128 and the signal that killed it.
    pub fn of_child(status: ExitStatus) -> Self {
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Self::Child(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
    }

    /// An error that ends the program with this status instead of the usual failure, to be returned with `?`
    /// from any depth: `Err(Exit::NotFound.error("./app: no such command"))`.
    pub fn error(self, message: impl fmt::Display) -> anyhow::Error {
        anyhow::Error::new(ExitError { exit: self, message: message.to_string() })
    }

    fn code(self, failure: u8) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Negative => 1,
            Self::Failed => failure,
            Self::NotJudged => 3,
            Self::Inconclusive => 4,
            Self::CannotExecute => 126,
            Self::NotFound => 127,
            Self::Child(code) => code,
        }
    }
}

/// Carries an [`Exit`] through `anyhow`.
#[derive(Debug)]
struct ExitError {
    exit: Exit,
    message: String,
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ExitError {}

/// Runs a filter: errors and panics end with status 2.
///
/// See [`run_with_failure_code`] for what it does.
pub fn run(tool: &'static str, body: impl FnOnce() -> anyhow::Result<Exit>) -> ExitCode {
    run_with_failure_code(tool, FAILURE, body)
}

/// Runs a program, whose own failures have a status of your choice: 125 for a wrapper such as `rs-record`,
/// since 1 and 2 may be its child's.
///
/// - An error is one line on stderr: the tool, then the causes from the outside in.
/// - A broken pipe is no error: the reader had enough (`| head`), so the status is 0 and nothing is said.
/// - A panic is a bug and says so in one line, with a backtrace if `RUST_BACKTRACE` asks for it; its status is
///   the failure, never Rust's 101, which a wrapper's user could not tell from the child's.
pub fn run_with_failure_code(
    tool: &'static str,
    failure: u8,
    body: impl FnOnce() -> anyhow::Result<Exit>,
) -> ExitCode {
    talk::set_tool(tool);
    panic::set_hook(Box::new(report_panic));
    // Nothing is used after a panic but the exit status, so no broken invariant can be seen.
    let code = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(exit)) => exit.code(failure),
        Ok(Err(error)) if is_broken_pipe(&error) => 0,
        Ok(Err(error)) => {
            crate::error!("{error:#}");
            let exit = error.chain().find_map(|cause| cause.downcast_ref::<ExitError>());
            exit.map_or(failure, |error| error.exit.code(failure))
        }
        Err(_) => failure,
    };
    ExitCode::from(code)
}

/// Looks through the whole chain, and at its text too: some errors (`serde_json`'s among them) print an I/O
/// error but do not show it as their source.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let text = io::Error::from_raw_os_error(libc::EPIPE).to_string();
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
            || cause.to_string().ends_with(&text)
    })
}

fn report_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let payload = info.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message").replace('\n', " ");
    let home = env!("CARGO_PKG_REPOSITORY");
    crate::error!("internal error{place}: {message}; this is a bug, please report it at {home}/issues");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        talk::write_stderr(&backtrace.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn broken_pipe_is_found_at_any_depth() {
        let pipe = || io::Error::from_raw_os_error(libc::EPIPE);
        assert!(is_broken_pipe(&anyhow::Error::new(pipe()).context("writing")));
        assert!(is_broken_pipe(&anyhow::anyhow!("at line 3: {}", pipe())));
        assert!(!is_broken_pipe(&anyhow::anyhow!("pipe dream")));
        let other = Err::<(), _>(io::Error::from_raw_os_error(libc::ENOSPC)).context("writing");
        assert!(!is_broken_pipe(&other.unwrap_err()));
    }

    #[test]
    fn a_child_is_reported_as_a_shell_does() {
        assert_eq!(Exit::of_child(ExitStatus::from_raw(3 << 8)), Exit::Child(3));
        assert_eq!(Exit::of_child(ExitStatus::from_raw(libc::SIGTERM)), Exit::Child(143));
    }
}
