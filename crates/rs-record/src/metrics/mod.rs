//! What a process uses: deltas between two readings of the kernel's counters, and gauges.

pub(crate) mod cgroup;
mod proc_text;
mod reader;

use std::collections::BTreeMap;
use std::io;

use nix::errno::Errno;
use rs_schema::event::{Metrics, ProcessId};
use rs_schema::units::Capability;

use crate::clock::SessionClock;
use cgroup::CgroupMeter;
use proc_text::ProcIo;
use reader::{ProcessReader, Reading, birth_within};

/// Measures one process from reading to reading.
pub(crate) struct Meter {
    process: ProcessId,
    reader: ProcessReader,
    /// Only of the target itself: its children usually share the group.
    cgroup: Option<CgroupMeter>,
    last: Reading,
    cpu_ns: u64,
}

impl Meter {
    /// Begins to measure a process that is `pid` to us and `proc_pid` in the mounted /proc. The line holds the
    /// gauges of the moment, and no deltas.
    ///
    /// The target counts from now on. Another process that began within the session is found a little after that;
    /// it counts from its birth, when all its counters were 0.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn start(
        process: ProcessId,
        pid: i32,
        proc_pid: i32,
        is_target: bool,
        clock: &SessionClock,
    ) -> io::Result<(Meter, Metrics)> {
        let mut reader = ProcessReader::open(pid, proc_pid)?;
        let now = reader.read(clock)?;
        let gauges = gauges(process, &now);
        let birth_ns = if is_target { None } else { birth_within(&reader.stat()?, clock)? };
        let last = match birth_ns {
            None => now,
            Some(time_ns) => {
                reader.count_switches_from_birth();
                Reading { time_ns, cpu_ns: Some(0), io: Some(ProcIo::default()), ..Reading::default() }
            }
        };
        let cgroup = if is_target { CgroupMeter::of_process(proc_pid) } else { None };
        Ok((Meter { process, reader, cgroup, last, cpu_ns: 0 }, gauges))
    }

    /// What was used since the last reading.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn read(&mut self, clock: &SessionClock) -> io::Result<Metrics> {
        let now = self.reader.read(clock)?;
        let last = std::mem::replace(&mut self.last, now);
        let interval_ns = now.time_ns - last.time_ns;
        let cpu_ns = delta(now.cpu_ns, last.cpu_ns);
        self.cpu_ns += cpu_ns.unwrap_or(0);
        let io = |of: fn(&ProcIo) -> u64| delta(now.io.as_ref().map(of), last.io.as_ref().map(of));
        Ok(Metrics {
            interval_ns,
            cpu_ns,
            cpu_ratio: cpu_ns.filter(|_| interval_ns > 0).map(|cpu_ns| cpu_ns as f64 / interval_ns as f64),
            read_call_count: io(|io| io.read_call_count),
            write_call_count: io(|io| io.write_call_count),
            read_bytes: io(|io| io.read_bytes),
            write_bytes: io(|io| io.write_bytes),
            minor_fault_count: delta(Some(now.minor_fault_count), Some(last.minor_fault_count)),
            major_fault_count: delta(Some(now.major_fault_count), Some(last.major_fault_count)),
            voluntary_switch_count: now.switches.map(|switches| switches.voluntary_count),
            involuntary_switch_count: now.switches.map(|switches| switches.involuntary_count),
            cgroup: self.cgroup.as_mut().map(CgroupMeter::read),
            ..gauges(self.process, &now)
        })
    }

    /// CPU time since the start, up to the last reading.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ns
    }

    /// Whether the last reading saw all that the process will ever do.
    pub(crate) fn has_ended(&self) -> bool {
        self.last.has_ended
    }
}

const MEMORY: &[&str] = &["rss_bytes", "heap_bytes"];
const FAULTS: &[&str] = &["minor_fault_count", "major_fault_count"];
const IO: &[&str] = &["read_call_count", "write_call_count", "read_bytes", "write_bytes"];
const SWITCHES: &[&str] = &["voluntary_switch_count", "involuntary_switch_count"];
const SWITCHES_REASON: &str = "summed over the threads alive at a reading, without what a thread did between its \
    last reading and its end; null above 16 threads";

fn gauges(process: ProcessId, now: &Reading) -> Metrics {
    Metrics {
        time_ns: now.time_ns,
        process,
        rss_bytes: now.rss_bytes,
        heap_bytes: now.anonymous_bytes,
        thread_count: now.thread_count,
        open_fd_count: now.open_fd_count,
        ..Metrics::default()
    }
}

/// Known only when both ends are. The kernel's counters do not fall; should one, nothing was counted.
fn delta(now: Option<u64>, last: Option<u64>) -> Option<u64> {
    Some(now?.saturating_sub(last?))
}

/// What can be known of a process that is `pid` to us and `proc_pid` in the mounted /proc, found out by reading
/// it once.
pub(crate) fn capabilities(pid: i32, proc_pid: i32) -> BTreeMap<String, Capability> {
    let mut all = BTreeMap::from([(
        "syscall_count".to_owned(),
        Capability::unavailable("costs about 90 ns a call; use --syscalls"),
    )]);
    let mut put = |names: &[&str], source: &str, error: Option<&io::Error>, otherwise: Capability| {
        let capability = error.map_or(otherwise, |error| unavailable(source, error));
        all.extend(names.iter().map(|name| (name.to_string(), capability.clone())));
    };
    let mut reader = match ProcessReader::open(pid, proc_pid) {
        Ok(reader) => reader,
        Err(error) => {
            let folder = format!("/proc/{proc_pid}");
            let names =
                [&["cpu_ratio", "thread_count", "open_fd_count"], MEMORY, FAULTS, IO, SWITCHES].concat();
            put(&names, &folder, Some(&error), Capability::measured());
            return all;
        }
    };
    put(&["cpu_ratio"], "the process's CPU clock", reader.cpu_ns().err().as_ref(), Capability::measured());
    put(&["open_fd_count"], "/proc/PID/fd", reader.open_fd_count().err().as_ref(), Capability::measured());
    put(FAULTS, "/proc/PID/stat", reader.stat().err().as_ref(), Capability::measured());
    put(IO, "/proc/PID/io", reader.io().err().as_ref(), Capability::measured());
    let status = reader.status();
    let has_memory = status.as_ref().is_ok_and(|status| status.rss_bytes.is_some());
    let error = status.as_ref().err();
    put(&["thread_count"], "/proc/PID/status", error, Capability::measured());
    put(SWITCHES, "/proc/PID/status", error, Capability::estimated(SWITCHES_REASON));
    let (rss, heap) = if has_memory {
        (Capability::measured(), Capability::estimated("anonymous resident memory; no allocation shim"))
    } else {
        let none = Capability::unavailable("the process has no memory of its own");
        (none.clone(), none)
    };
    put(&MEMORY[..1], "/proc/PID/status", error, rss);
    put(&MEMORY[1..], "/proc/PID/status", error, heap);
    all
}

fn unavailable(source: &str, error: &io::Error) -> Capability {
    // The name of the error is what one searches for; its text is what one understands.
    let reason = match error.raw_os_error() {
        Some(number) => {
            format!("{source}: {:?}: {}", Errno::from_raw(number), Errno::from_raw(number).desc())
        }
        None => format!("{source}: {error}"),
    };
    Capability::unavailable(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rs_schema::units::Status;

    #[test]
    fn own_process_uses_something() {
        let clock = SessionClock::start();
        let own = std::process::id() as i32;
        let (mut meter, gauges) = Meter::start(3, own, own, true, &clock).unwrap();
        assert_eq!((gauges.process, gauges.interval_ns, gauges.cpu_ns), (3, 0, None));
        assert!(gauges.rss_bytes > Some(0));
        std::hint::black_box(vec![1u8; 8 << 20]);
        let metrics = meter.read(&clock).unwrap();
        assert_eq!(metrics.time_ns, gauges.time_ns + metrics.interval_ns);
        assert!(metrics.cpu_ns > Some(0) && metrics.minor_fault_count > Some(0));
        assert_eq!(metrics.cpu_ns, Some(meter.cpu_ns()));
        assert!(metrics.read_call_count > Some(0) && metrics.voluntary_switch_count.is_some());
        assert_eq!(metrics.syscall_count, None);
    }

    #[test]
    fn a_child_counts_from_its_birth() {
        let clock = SessionClock::start();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        std::thread::sleep(std::time::Duration::from_millis(50));
        let (mut meter, _) = Meter::start(1, pid, pid, false, &clock).unwrap();
        let metrics = meter.read(&clock).unwrap();
        assert!(metrics.interval_ns > 40_000_000, "{}", metrics.interval_ns);
        assert!(metrics.minor_fault_count > Some(20), "the faults of its start");
        assert!(metrics.voluntary_switch_count > Some(0));
        child.kill().unwrap();
        // Killed, not reaped: its clock can still be read.
        while !meter.has_ended() {
            meter.read(&clock).unwrap();
        }
        assert!(meter.cpu_ns() > 0);
        child.wait().unwrap();
        assert!(meter.read(&clock).is_err());
    }

    #[test]
    fn capabilities_of_own_process() {
        let own = std::process::id() as i32;
        let all = capabilities(own, own);
        assert_eq!(all["cpu_ratio"], Capability::measured());
        assert_eq!(all["heap_bytes"].status, Status::Estimated);
        assert_eq!(all["syscall_count"].status, Status::Unavailable);
        assert_eq!(all.len(), 14);
    }

    #[test]
    fn capabilities_of_none() {
        // Above the highest number that the kernel gives.
        let all = capabilities(1 << 23, 1 << 23);
        let reason = all["rss_bytes"].reason.as_deref().unwrap();
        assert_eq!(reason, "/proc/8388608: ENOENT: No such file or directory");
        assert_eq!(all.len(), 14);
        assert!(all.values().all(|capability| capability.status == Status::Unavailable));
    }
}
