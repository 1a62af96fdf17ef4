//! What /proc says about a process: whether it was left as it was.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cmd::eventually;

/// The state letter of a process: `T` when it is stopped, `t` when a tracer holds it, `Z` for a zombie.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and parentheses.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// A line of /proc/PID/status.
pub fn status_field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Some(line?.trim().to_owned())
}

/// The names in a directory of /proc/PID, in order: `task` for its threads, `fd` for its descriptors.
pub fn names(pid: u32, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/{directory}")).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&child| status_field(child, "PPid").as_deref() == Some(&pid.to_string())).collect()
}

/// Waits until a process does something else on this signal than die of it: from then on it may be sent.
///
/// # Panics
/// When that does not come within ten seconds.
#[track_caller]
pub fn wait_until_handled(pid: u32, signal: Signal) {
    let bit = 1_u64 << (signal as i32 - 1);
    // Handled, or held back for a signalfd.
    let handled = || {
        ["SigCgt", "SigBlk"].iter().any(|mask| {
            let mask = status_field(pid, mask).and_then(|mask| u64::from_str_radix(&mask, 16).ok());
            mask.is_some_and(|mask| mask & bit != 0)
        })
    };
    let ready = eventually(Duration::from_secs(10), || handled().then_some(()));
    assert!(ready.is_some(), "process {pid} does not handle {signal}");
}

/// What a profiler must not change about a process.
#[derive(Debug, PartialEq, Eq)]
pub struct Traits {
    threads: Vec<String>,
    descriptors: Vec<String>,
    tracer: Option<String>,
    signals: Vec<Option<String>>,
    preloaded: bool,
}

impl Traits {
    /// As they are now.
    pub fn of(pid: u32) -> Traits {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        Traits {
            threads: names(pid, "task"),
            descriptors: names(pid, "fd"),
            tracer: status_field(pid, "TracerPid"),
            signals: ["SigBlk", "SigIgn", "SigCgt"].iter().map(|mask| status_field(pid, mask)).collect(),
            preloaded: maps.contains("rustscope"),
        }
    }
}

/// Fails when a process or one of its threads is stopped, held by a tracer, or gone.
///
/// # Panics
/// When it is.
#[track_caller]
pub fn assert_unharmed(pid: u32) {
    let stopped = |task: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{task}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        matches!(state, Some('T' | 't'))
    };
    let state = state(pid);
    assert!(state.is_some_and(|state| !"TtZX".contains(state)), "process {pid} is in state {state:?}");
    assert_eq!(status_field(pid, "TracerPid").as_deref(), Some("0"), "process {pid} is still traced");
    let stopped: Vec<String> = names(pid, "task").into_iter().filter(stopped).collect();
    assert!(stopped.is_empty(), "threads {stopped:?} of process {pid} are stopped");
}
