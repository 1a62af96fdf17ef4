//! Tests that a machine cannot run.
//!
//! `skip!("perf", "perf_event_paranoid is 3")` says so on the real stderr, where the capture of the test harness does
//! not hide it, and returns. Where the environment variable `RUSTSCOPE_REQUIRE` lists the need (`perf,root,...`, or
//! `all`) it fails instead. With `RUSTSCOPE_SKIP_LOG` the line is appended to that file too, so that a script can count.

use std::fs::OpenOptions;
use std::io::Write;

/// Ends the test without a result, in a function that returns nothing.
#[macro_export]
macro_rules! skip {
    ($need:expr, $($reason:tt)+) => {{
        $crate::skip::skip($need, &format!($($reason)+));
        return;
    }};
}

/// Prints and counts a skip.
///
/// # Panics
/// When `RUSTSCOPE_REQUIRE` lists the need.
pub fn skip(need: &str, reason: &str) {
    assert!(!required(need), "RUSTSCOPE_REQUIRE wants {need}, but {reason}");
    let thread = std::thread::current();
    let line = format!("SKIP {}: {need}: {reason}\n", thread.name().unwrap_or("test"));
    // One write, to the descriptor: print macros would be captured.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("RUSTSCOPE_SKIP_LOG") {
        let log = OpenOptions::new().create(true).append(true).open(path);
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

/// Whether a skip for this need is a failure.
pub fn required(need: &str) -> bool {
    let list = std::env::var("RUSTSCOPE_REQUIRE").unwrap_or_default();
    list.split(',').map(str::trim).any(|word| word == need || word == "all")
}

/// Whether this process is root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says something on the real stderr, for figures that are worth seeing when the test passes.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
