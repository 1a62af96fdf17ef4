//! The session's clock: CLOCK_MONOTONIC, counted from the session's start.

use std::time::SystemTime;

use nix::time::{ClockId, clock_gettime};

/// The clock that every `time_ns` of a stream is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionClock {
    start_ns: u64,
    start_wall: SystemTime,
}

impl SessionClock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        SessionClock { start_ns: monotonic_ns(), start_wall: SystemTime::now() }
    }

    /// CLOCK_MONOTONIC at the session's start.
    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Wall-clock time at the session's start, RFC 3339 in UTC.
    pub(crate) fn start_time(&self) -> String {
        humantime::format_rfc3339_nanos(self.start_wall).to_string()
    }

    /// Now, since the session's start.
    pub(crate) fn now_ns(&self) -> u64 {
        self.at(monotonic_ns())
    }

    /// A reading of CLOCK_MONOTONIC, since the session's start. What was before it counts as 0.
    pub(crate) fn at(&self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_sub(self.start_ns)
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux and macOS has this clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
