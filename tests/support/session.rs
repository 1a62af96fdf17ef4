//! Recording a program with the real tools, and reading what came out.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rs_schema::session::{Function, ProfileSession};

use crate::cmd::{Finished, run, tool};

/// A finished recording: its stream, its session, and what the target printed.
pub struct Recording {
    /// The session.
    pub session: ProfileSession,
    /// What the target wrote to its stdout.
    pub stdout: String,
    /// What the recorder said, and the target on its stderr.
    pub stderr: String,
    /// Size of the stream.
    pub stream_bytes: u64,
}

/// `rs-record ARGS`, then `rs-rollup`, both outputs validated.
///
/// `directory` gets `events.ndjson` and `session.json`.
///
/// # Panics
/// When one of the tools fails or an output is not valid.
#[track_caller]
pub fn record<I, S>(directory: &Path, args: I, limit: Duration) -> Recording
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut command = recorder(directory);
    command.args(args);
    finish(directory, command, limit)
}

/// `rs-record` writing to `events.ndjson` in a directory.
pub fn recorder(directory: &Path) -> Command {
    let mut command = tool("rs-record");
    command.arg("-o").arg(directory.join("events.ndjson"));
    command
}

/// Runs a `recorder` to its end, then `rs-rollup`, both outputs validated.
///
/// # Panics
/// When one of the tools fails or an output is not valid.
#[track_caller]
pub fn finish(directory: &Path, mut recorder: Command, limit: Duration) -> Recording {
    let recorded = run(&mut recorder, limit);
    let stdout = recorded.text();
    let Finished { stderr, .. } = recorded.ok();
    let session = fold(directory);
    let stream = std::fs::metadata(directory.join("events.ndjson"));
    Recording { session, stdout, stderr, stream_bytes: stream.map_or(0, |meta| meta.len()) }
}

/// Folds `events.ndjson` of a directory to `session.json` there, and validates both.
///
/// # Panics
/// When one of the tools fails or an output is not valid.
#[track_caller]
pub fn fold(directory: &Path) -> ProfileSession {
    let (events, document) = (directory.join("events.ndjson"), directory.join("session.json"));
    run(tool("rs-rollup").arg("-o").arg(&document).arg(&events), Duration::from_secs(60)).ok();
    validate(&events);
    validate(&document);
    load(&document)
}

/// Reads a session.
///
/// # Panics
/// When it is none.
#[track_caller]
pub fn load(path: &Path) -> ProfileSession {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    ProfileSession::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `rs-schema validate`.
///
/// # Panics
/// When the file is not valid, with the faults.
#[track_caller]
pub fn validate(path: &Path) {
    let mut command: Command = tool("rs-schema");
    let verdict = run(command.arg("validate").arg(path), Duration::from_secs(120));
    assert!(verdict.status.success(), "{}:\n{}{}", path.display(), verdict.text(), verdict.stderr);
}

/// The function with this key.
pub fn function<'a>(session: &'a ProfileSession, key: &str) -> Option<&'a Function> {
    session.functions.iter().find(|function| function.function == key)
}

/// The hottest functions, for messages.
pub fn top(session: &ProfileSession, count: usize) -> String {
    let line = |function: &Function| {
        format!("  {:6.2} % {} ({:?})\n", function.self_pct, function.function, function.module)
    };
    session.functions.iter().take(count).map(line).collect()
}

/// The sampler that a recording gets on this machine: `perf_event` where the kernel allows it.
pub fn backend() -> Option<&'static str> {
    static BACKEND: OnceLock<Option<String>> = OnceLock::new();
    let probe = || {
        let header = run(tool("rs-record").args(["-q", "--", "true"]), Duration::from_secs(20)).text();
        let line: serde_json::Value = serde_json::from_str(header.lines().next()?).ok()?;
        Some(line["sampler"]["backend"].as_str()?.to_owned())
    };
    BACKEND.get_or_init(probe).as_deref()
}
