//! One process, read from the kernel.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};
use rustc_hash::FxHashMap;

use super::proc_text::{self, ProcIo, ProcStatus, Stat};
use crate::clock::SessionClock;

/// Threads up to which their context switches are read; each costs some 10 us a reading.
const SWITCHES_THREADS_MAX: u64 = 16;

/// Counters and gauges of one moment. What could not be read is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) time_ns: u64,
    /// Of all threads, those that ended included.
    pub(crate) cpu_ns: Option<u64>,
    pub(crate) minor_fault_count: u64,
    pub(crate) major_fault_count: u64,
    pub(crate) io: Option<ProcIo>,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) anonymous_bytes: Option<u64>,
    pub(crate) thread_count: Option<u64>,
    pub(crate) open_fd_count: Option<u64>,
    /// Since the reading before this one, unlike the other counters.
    pub(crate) switches: Option<Switches>,
    /// Nothing of it runs any more; it only waits to be reaped.
    pub(crate) has_ended: bool,
}

/// Context switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    pub(crate) voluntary_count: u64,
    pub(crate) involuntary_count: u64,
}

/// A process that is read again and again.
///
/// Its folder in /proc is held open: what is opened through it fails once the process is reaped, even if another
/// has its number by then. The files are opened anew each time. That costs a few microseconds, and holding
/// four descriptors for each of hundreds of processes would reach the usual limit of 1024.
pub(crate) struct ProcessReader {
    pid: Pid,
    proc_pid: i32,
    folder: OwnedFd,
    switches: SwitchCounter,
    text: Vec<u8>,
}

impl ProcessReader {
    /// Process `pid`, which is `proc_pid` in the mounted /proc.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn open(pid: i32, proc_pid: i32) -> io::Result<ProcessReader> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = nix::fcntl::open(format!("/proc/{proc_pid}").as_str(), flags, Mode::empty())?;
        let switches = SwitchCounter::default();
        Ok(ProcessReader { pid: Pid::from_raw(pid), proc_pid, folder, switches, text: Vec::new() })
    }

    /// Reads everything that may be read.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn read(&mut self, clock: &SessionClock) -> io::Result<Reading> {
        let time_ns = clock.now_ns();
        // The clock goes by number. That `stat` can be read afterwards shows that the number was not yet free.
        let cpu_ns = self.cpu_ns().ok();
        let stat = self.stat()?;
        let status = self.status().unwrap_or_default();
        let runs = !stat.has_ended();
        Ok(Reading {
            time_ns,
            cpu_ns,
            minor_fault_count: stat.minor_fault_count,
            major_fault_count: stat.major_fault_count,
            io: self.io().ok(),
            rss_bytes: status.rss_bytes,
            anonymous_bytes: status.anonymous_bytes,
            thread_count: status.thread_count.filter(|_| runs),
            open_fd_count: self.open_fd_count().ok().filter(|_| runs),
            switches: self.switches(&status).unwrap_or_default(),
            has_ended: !runs,
        })
    }

    /// CPU time by the process's own clock: to the nanosecond, where `stat` counts in 10 ms.
    pub(crate) fn cpu_ns(&self) -> io::Result<u64> {
        let time = clock_gettime(ClockId::pid_cpu_clock_id(self.pid)?)?;
        Ok(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
    }

    /// /proc/PID/stat.
    pub(crate) fn stat(&mut self) -> io::Result<Stat> {
        proc_text::parse_stat(self.text_of("stat")?).ok_or_else(not_understood)
    }

    /// /proc/PID/status.
    pub(crate) fn status(&mut self) -> io::Result<ProcStatus> {
        Ok(proc_text::parse_status(self.text_of("status")?))
    }

    /// /proc/PID/io.
    pub(crate) fn io(&mut self) -> io::Result<ProcIo> {
        proc_text::parse_io(self.text_of("io")?).ok_or_else(not_understood)
    }

    /// Open file descriptors.
    pub(crate) fn open_fd_count(&self) -> io::Result<u64> {
        // Since Linux 6.2 the folder's size tells; before, it is 0.
        let size = fstatat(&self.folder, "fd", AtFlags::empty())?.st_size;
        if size > 0 {
            return Ok(size as u64);
        }
        Ok(self.numbers_in("fd")?.len() as u64)
    }

    /// Context switches since the last call; `None` when there are too many threads, or were at the last call.
    fn switches(&mut self, status: &ProcStatus) -> io::Result<Option<Switches>> {
        let mut counts = FxHashMap::default();
        let mut count = |tid, status: &ProcStatus| {
            if let ProcStatus {
                voluntary_switch_count: Some(voluntary_count),
                involuntary_switch_count: Some(involuntary_count),
                ..
            } = *status
            {
                counts.insert(tid, Switches { voluntary_count, involuntary_count });
            }
        };
        match status.thread_count {
            // The process's own file tells of its first thread.
            Some(1) => count(self.proc_pid, status),
            Some(threads) if threads <= SWITCHES_THREADS_MAX => {
                for tid in self.numbers_in("task")? {
                    // One that has ended since the folder was read has no file any more.
                    if let Ok(text) = self.text_of(&format!("task/{tid}/status")) {
                        count(tid, &proc_text::parse_status(text));
                    }
                }
            }
            _ => {}
        }
        Ok(self.switches.advance(counts))
    }

    /// Counts the context switches from the process's birth on: the process is younger than the session.
    pub(crate) fn count_switches_from_birth(&mut self) {
        self.switches.last = Some(FxHashMap::default());
    }

    /// The numbers that the entries of a folder have for names.
    fn numbers_in(&self, folder: &str) -> io::Result<Vec<i32>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut numbers = Vec::new();
        for entry in Dir::openat(&self.folder, folder, flags, Mode::empty())?.iter() {
            numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
        }
        Ok(numbers)
    }

    fn text_of(&mut self, file: &str) -> io::Result<&[u8]> {
        let descriptor = openat(&self.folder, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        read_text(&File::from(descriptor), &mut self.text)?;
        Ok(&self.text)
    }
}

/// Reads a file whose text the kernel makes when it is read, from its beginning. It comes whole unless the room is
/// too small: `status` names all groups of a process, which may be thousands.
pub(super) fn read_text(file: &File, text: &mut Vec<u8>) -> io::Result<()> {
    const ROOM: usize = 4096;
    text.clear();
    loop {
        let filled = text.len();
        text.resize(filled + ROOM, 0);
        let read = file.read_at(&mut text[filled..], filled as u64);
        text.truncate(filled + *read.as_ref().unwrap_or(&0));
        if read? < ROOM {
            return Ok(());
        }
    }
}

fn not_understood() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's text is not as expected")
}

/// When a process began, if that was within the session. `stat` gives it to a clock tick; of two neighbours the
/// earlier is taken, so that no CPU time lies outside the interval.
pub(crate) fn birth_within(stat: &Stat, clock: &SessionClock) -> io::Result<Option<u64>> {
    let ticks_per_s = sysconf(SysconfVar::CLK_TCK)?.filter(|&ticks| ticks > 0).unwrap_or(100) as u64;
    let tick_ns = 1_000_000_000 / ticks_per_s;
    let of = |id| clock_gettime(id).map(|time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64);
    // Process starts are on a clock that also counts while the machine is suspended.
    let suspended_ns = of(ClockId::CLOCK_BOOTTIME)?.saturating_sub(of(ClockId::CLOCK_MONOTONIC)?);
    let birth_ns = (stat.start_ticks * tick_ns).saturating_sub(suspended_ns);
    Ok((birth_ns + tick_ns > clock.start_ns()).then(|| clock.at(birth_ns)))
}

/// Turns the switches of each thread into those of the process between two readings. Threads come and go, so
/// the sum over the living may fall; only what each did is added up. What a thread does between its last
/// reading and its end is not seen.
#[derive(Default)]
struct SwitchCounter {
    /// By thread, at the last reading; `None` when there was none.
    last: Option<FxHashMap<i32, Switches>>,
}

impl SwitchCounter {
    fn advance(&mut self, now: FxHashMap<i32, Switches>) -> Option<Switches> {
        if now.is_empty() {
            self.last = None;
            return None;
        }
        let last = self.last.replace(now);
        let (last, now) = (last?, self.last.as_ref()?);
        let mut sum = Switches::default();
        for (tid, counts) in now {
            let before = last.get(tid).copied().unwrap_or_default();
            // Less than before: the number belongs to another thread now, all of whose switches are new.
            let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
            sum.voluntary_count += since(counts.voluntary_count, before.voluntary_count);
            sum.involuntary_count += since(counts.involuntary_count, before.involuntary_count);
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(threads: &[(i32, u64)]) -> FxHashMap<i32, Switches> {
        (threads.iter())
            .map(|&(tid, count)| (tid, Switches { voluntary_count: count, involuntary_count: 2 * count }))
            .collect()
    }

    #[test]
    fn switches_of_threads_that_come_and_go() {
        let mut counter = SwitchCounter::default();
        let mut voluntary = |threads: &[(i32, u64)]| {
            counter.advance(counts(threads)).map(|switches| switches.voluntary_count)
        };
        assert_eq!(voluntary(&[(1, 100)]), None, "no reading before");
        assert_eq!(voluntary(&[(1, 103), (2, 5)]), Some(8), "all of a new thread counts");
        assert_eq!(voluntary(&[(1, 103)]), Some(0), "an end takes nothing back");
        assert_eq!(voluntary(&[]), None, "too many threads");
        assert_eq!(voluntary(&[(1, 200)]), None);
        assert_eq!(voluntary(&[(1, 201), (7, 50)]), Some(51));
        assert_eq!(voluntary(&[(1, 201), (7, 2)]), Some(2), "a reused number");
    }

    #[test]
    fn long_texts_are_read_whole() {
        let long = vec![b'x'; 10_000];
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&long, 0).unwrap();
        let mut text = b"old".to_vec();
        read_text(&file, &mut text).unwrap();
        assert_eq!(text, long);
    }

    #[test]
    fn own_process() {
        let clock = SessionClock::start();
        let own = std::process::id() as i32;
        let mut reader = ProcessReader::open(own, own).unwrap();
        let first = reader.read(&clock).unwrap();
        assert!(first.switches.is_none() && !first.has_ended);
        let files: Vec<File> = (0..20).map(|_| File::open("/dev/null").unwrap()).collect();
        let second = reader.read(&clock).unwrap();
        assert!(second.cpu_ns.unwrap() > first.cpu_ns.unwrap());
        assert!(second.io.unwrap().read_call_count > first.io.unwrap().read_call_count);
        assert!(second.open_fd_count.unwrap() >= 20 + 3);
        assert!(second.rss_bytes.unwrap() > second.anonymous_bytes.unwrap());
        assert!(second.thread_count.unwrap() >= 1);
        drop(files);
        // The folder tells the same as its size, but for the descriptor that reads it; other tests open and close.
        let listed = reader.numbers_in("fd").unwrap().len() as i64;
        assert!((listed - reader.open_fd_count().unwrap() as i64).abs() < 40);
    }

    #[test]
    fn birth() {
        let session = SessionClock::start();
        let own = std::process::id() as i32;
        let stat = ProcessReader::open(own, own).unwrap().stat().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id() as i32;
        let of_child = ProcessReader::open(pid, pid).unwrap().stat().unwrap();
        let birth_ns = birth_within(&of_child, &session).unwrap().unwrap();
        assert!((15_000_000..=session.now_ns()).contains(&birth_ns), "{birth_ns}");
        assert_eq!(birth_within(&stat, &SessionClock::start()).unwrap(), None, "of a process from before");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
