//! The watcher: one thread that reads process metrics at every tick, finds spikes in them, and takes marks as they
//! come.
//!
//! Who adds or removes a process reads it at once, in its own thread. So a process that is about to be reaped is
//! read while it still can be.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use rs_schema::event::{Line, Metrics, ProcessId};

use crate::clock::SessionClock;
use crate::marks::{MarkStream, MarkTotals, Marks};
use crate::metrics::Meter;
use crate::output::{Batch, Queue};
use crate::spikes::{SpikeRules, Spikes};

/// An interval below this is no interval: its ratios are noise.
const INTERVAL_MIN_NS: u64 = 1_000_000;
/// How long marks may gather in the FIFO once some were read. A program that reports work in a loop wakes us a
/// thousand times a second and not at every line; a lone mark is read at once.
const MARKS_PAUSE_NS: u64 = 1_000_000;
/// How often to look whether late samples have come.
const LAG_PAUSE: Duration = Duration::from_millis(10);
/// Bytes read from the FIFO at once.
const MARKS_CHUNK_BYTES: usize = 64 << 10;
/// Chunks before the tick has its turn again; together what a FIFO may hold.
const MARKS_CHUNKS_MAX: usize = 16;

/// What to watch for.
pub(crate) struct WatchOptions {
    /// Between two ticks.
    pub(crate) interval: Duration,
    /// What counts as a spike.
    pub(crate) spikes: SpikeRules,
    /// Where marks come from.
    pub(crate) marks: Option<Marks>,
    /// Counts the system calls of all followed processes so far, where they are counted.
    pub(crate) syscalls: Option<SyscallCount>,
}

/// Reads a count of system calls; `None` when it cannot be read any more.
pub(crate) type SyscallCount = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// What was seen in all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WatchTotals {
    /// CPU time of all processes, by the kernel's count.
    pub(crate) process_cpu_ns: u64,
    /// Processes that were gone before their last reading: what they used since the one before it, less than an
    /// interval, is not in `process_cpu_ns`.
    pub(crate) unread_exit_count: u64,
    /// Marks.
    pub(crate) marks: MarkTotals,
}

/// The watcher at work. Dropped, it stops without a last reading.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<MarkTotals>>,
}

impl Watch {
    /// Starts to watch.
    ///
    /// # Errors
    /// When there is no descriptor or thread to be had.
    pub(crate) fn start(options: WatchOptions, clock: SessionClock, queue: Queue) -> io::Result<Watch> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let shared = Arc::new(Shared {
            interval_ns: (options.interval.as_nanos() as u64).max(INTERVAL_MIN_NS),
            rules: options.spikes,
            clock,
            queue,
            event_ids: Arc::new(AtomicU32::new(1)),
            syscalls: options.syscalls,
            processes: Mutex::default(),
        });
        let thread = {
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("rs-watch".into())
                .spawn(move || shared.run(&stop, options.marks))?
        };
        Ok(Watch { shared, stop, thread: Some(thread) })
    }

    /// Watches a process from now on; it is `pid` to us and `proc_pid` in the mounted /proc. Its `process` line
    /// must be on its way already.
    pub(crate) fn add_process(&self, id: ProcessId, pid: i32, proc_pid: i32, is_target: bool) {
        self.shared.add(id, pid, proc_pid, is_target);
    }

    /// The process has ended; takes a last reading if it is not yet reaped.
    pub(crate) fn remove_process(&self, id: ProcessId) {
        self.shared.read(id, true);
    }

    /// Takes a last reading of all, and ends what goes on.
    pub(crate) fn finish(mut self) -> WatchTotals {
        let marks = self.stop();
        for id in self.shared.ids() {
            self.shared.read(id, true);
        }
        if marks.bad_mark_count + marks.dropped_mark_count > 0 {
            rs_cli::warn!(
                "of {} marks, {} were not understood and {} were too many",
                marks.mark_count + marks.bad_mark_count,
                marks.bad_mark_count,
                marks.dropped_mark_count
            );
        }
        WatchTotals { marks, ..self.shared.lock().totals }
    }

    fn stop(&mut self) -> MarkTotals {
        let Some(thread) = self.thread.take() else { return MarkTotals::default() };
        // Fails only when the counter is full, and then the thread has been told.
        let _ = self.stop.write(1);
        // Should the thread have panicked, the stream is to be finished all the same.
        thread.join().unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Shared {
    interval_ns: u64,
    rules: SpikeRules,
    clock: SessionClock,
    queue: Queue,
    event_ids: Arc<AtomicU32>,
    syscalls: Option<SyscallCount>,
    processes: Mutex<Processes>,
}

#[derive(Default)]
struct Processes {
    watched: BTreeMap<ProcessId, Watched>,
    /// Of those no longer watched.
    totals: WatchTotals,
    /// System calls up to the last reading of the target.
    syscall_count: u64,
}

struct Watched {
    is_target: bool,
    meter: Meter,
    spikes: Spikes,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self) -> Vec<ProcessId> {
        self.lock().watched.keys().copied().collect()
    }

    fn add(&self, id: ProcessId, pid: i32, proc_pid: i32, is_target: bool) {
        let mut processes = self.lock();
        match Meter::start(id, pid, proc_pid, is_target, &self.clock) {
            Ok((meter, gauges)) => {
                let mut watched = Watched { is_target, meter, spikes: Spikes::new(id, &self.rules) };
                // What rises while a program starts rises from here.
                let mut batch = Batch::default();
                self.look_for_spikes(&mut watched, &gauges, &mut batch);
                self.queue.send(&mut batch);
                processes.watched.insert(id, watched);
            }
            Err(_) => processes.totals.unread_exit_count += 1,
        }
    }

    /// Reads a process. After its last reading, or when it turns out to be gone, it is no longer watched.
    fn read(&self, id: ProcessId, is_last: bool) {
        // Held while lines go out: they are in the order of the readings, whichever thread reads.
        let mut processes = self.lock();
        let Processes { watched, totals, syscall_count } = &mut *processes;
        let Entry::Occupied(mut entry) = watched.entry(id) else { return };
        let mut batch = Batch::default();
        let is_gone = self.read_into(entry.get_mut(), syscall_count, &mut batch);
        if is_last || is_gone {
            let Watched { meter, mut spikes, .. } = entry.remove();
            spikes.finish(|event| batch.push(&Line::Event(event)));
            totals.process_cpu_ns += meter.cpu_ns();
            totals.unread_exit_count += u64::from(is_gone);
        }
        self.queue.send(&mut batch);
    }

    /// Whether the process is gone, and part of what it used unseen.
    fn read_into(&self, watched: &mut Watched, syscall_count: &mut u64, batch: &mut Batch) -> bool {
        if watched.meter.has_ended() {
            return false;
        }
        match watched.meter.read(&self.clock) {
            Ok(mut metrics) => {
                if watched.is_target
                    && let Some(count) = self.syscalls.as_ref().and_then(|read| read())
                {
                    // The counter is one for all that is followed, and stands on the line of the target.
                    metrics.syscall_count = Some(count.saturating_sub(*syscall_count));
                    *syscall_count = count;
                }
                // Of a shorter time, such as the last one, rates say nothing.
                if metrics.interval_ns >= self.interval_ns / 2 {
                    self.look_for_spikes(watched, &metrics, batch);
                }
                if metrics.interval_ns >= INTERVAL_MIN_NS {
                    batch.push(&Line::Metrics(Box::new(metrics)));
                }
                false
            }
            Err(error) => {
                let is_gone = matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT));
                if !is_gone {
                    rs_cli::warn_once!("a process could not be read, metrics are incomplete: {error}");
                }
                is_gone
            }
        }
    }

    fn look_for_spikes(&self, watched: &mut Watched, metrics: &Metrics, batch: &mut Batch) {
        let next_id = || self.event_ids.fetch_add(1, Ordering::Relaxed);
        watched.spikes.observe(metrics, next_id, |event| batch.push(&Line::Event(event)));
    }

    fn run(&self, stop: &EventFd, marks: Option<Marks>) -> MarkTotals {
        let mut marks = MarkReader::new(marks, Arc::clone(&self.event_ids));
        let mut batch = Batch::default();
        let start_ns = self.clock.now_ns();
        let mut tick_ns = start_ns + self.interval_ns;
        loop {
            let now_ns = self.clock.now_ns();
            if self.queue.samples_lag(now_ns) {
                // The machine is so busy that samples are late; readings wait for them.
                if is_told(stop, LAG_PAUSE) {
                    break;
                }
                continue;
            }
            if now_ns >= tick_ns {
                for id in self.ids() {
                    self.read(id, false);
                }
                // Ticks that were missed are left out: the next interval says that it is longer.
                let ticks = (self.clock.now_ns() - start_ns) / self.interval_ns + 1;
                tick_ns = start_ns + ticks * self.interval_ns;
                continue;
            }
            if marks.wait(stop, now_ns, tick_ns) {
                break;
            }
            marks.read(&self.clock, &mut batch);
            if marks.stream.flush_due_ns().is_some_and(|due_ns| self.clock.now_ns() >= due_ns) {
                marks.stream.flush(&mut |line| batch.push(&line));
            }
            self.queue.send(&mut batch);
        }
        marks.pause_end_ns = 0;
        marks.read(&self.clock, &mut batch);
        marks.stream.flush(&mut |line| batch.push(&line));
        self.queue.send(&mut batch);
        marks.stream.totals()
    }
}

/// Takes marks from the FIFO, if there is one.
struct MarkReader {
    fifo: Option<Marks>,
    stream: MarkStream,
    buffer: Vec<u8>,
    /// Until then marks may gather.
    pause_end_ns: u64,
}

/// Whether the thread is told to stop within a time.
fn is_told(stop: &EventFd, within: Duration) -> bool {
    let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
    let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(within)), None);
    fds[0].any() == Some(true)
}

impl MarkReader {
    fn new(fifo: Option<Marks>, event_ids: Arc<AtomicU32>) -> Self {
        let buffer = vec![0; if fifo.is_some() { MARKS_CHUNK_BYTES } else { 0 }];
        MarkReader { fifo, stream: MarkStream::new(event_ids), buffer, pause_end_ns: 0 }
    }

    /// Waits for the tick, for marks, or to be told to stop, and says if it was that.
    fn wait(&self, stop: &EventFd, now_ns: u64, tick_ns: u64) -> bool {
        let mut fds = vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        let mut until_ns = self.stream.flush_due_ns().map_or(tick_ns, |due_ns| due_ns.clamp(now_ns, tick_ns));
        if let Some(fifo) = &self.fifo {
            if now_ns >= self.pause_end_ns {
                fds.push(PollFd::new(fifo.as_fd(), PollFlags::POLLIN));
            } else {
                until_ns = until_ns.min(self.pause_end_ns);
            }
        }
        let timeout = TimeSpec::from_duration(Duration::from_nanos(until_ns - now_ns));
        // Nothing but an interruption can go wrong, and that is a wakeup like others.
        let _ = ppoll(&mut fds, Some(timeout), None);
        fds[0].any() == Some(true)
    }

    /// Reads the marks that are there, unless they may still gather.
    fn read(&mut self, clock: &SessionClock, batch: &mut Batch) {
        let Some(fifo) = &self.fifo else { return };
        let time_ns = clock.now_ns();
        if time_ns < self.pause_end_ns {
            return;
        }
        for _ in 0..MARKS_CHUNKS_MAX {
            match fifo.read(&mut self.buffer) {
                Ok(0) => return,
                Ok(read) => {
                    self.stream.feed(time_ns, &self.buffer[..read], &mut |line| batch.push(&line));
                    self.pause_end_ns = time_ns + MARKS_PAUSE_NS;
                }
                Err(error) => {
                    rs_cli::warn!("{}: {error}; marks are no longer taken", fifo.path().display());
                    self.fifo = None;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Writer;
    use nix::time::ClockId;
    use rs_schema::event::{Event, EventKind};
    use std::io::{Read, Write};
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    const CHILD: &str = "RS_RECORD_WATCHED_CHILD";

    /// Not a test by itself: the child that others watch. It does a next thing at each byte on stdin.
    #[test]
    fn watched_child() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let mut kept = Vec::new();
        let mut files = Vec::new();
        for byte in std::io::stdin().lock().bytes() {
            match byte.unwrap() {
                b'm' => kept.push(std::hint::black_box(vec![1_u8; 64 << 20])),
                b'f' => files.extend((0..100).map(|_| std::fs::File::open("/dev/null").unwrap())),
                b't' => {
                    for _ in 0..12 {
                        std::thread::spawn(|| std::thread::sleep(Duration::from_secs(600)));
                    }
                }
                _ => {
                    // By the CPU's clock: the machine may be busy.
                    let cpu = || Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now().unwrap());
                    let until = cpu() + Duration::from_millis(300);
                    while cpu() < until {}
                }
            }
        }
    }

    fn watched_child_started() -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "watch::tests::watched_child", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// A stream that can be looked at while it is written.
    #[derive(Clone, Default)]
    struct Stream(Arc<Mutex<Vec<u8>>>);

    impl Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream {
        fn lines(&self) -> Vec<Line> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        fn metrics(&self) -> Vec<Metrics> {
            let metrics = |line| if let Line::Metrics(metrics) = line { Some(*metrics) } else { None };
            self.lines().into_iter().filter_map(metrics).collect()
        }

        fn events(&self) -> Vec<Event> {
            let event = |line| if let Line::Event(event) = line { Some(event) } else { None };
            self.lines().into_iter().filter_map(event).collect()
        }

        /// Waits until the stream shows it.
        fn until(&self, what: &str, shown: impl Fn(&Stream) -> bool) {
            let until = Instant::now() + Duration::from_secs(20);
            while !shown(self) {
                assert!(Instant::now() < until, "no {what}; last metrics: {:?}", self.metrics().last());
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn watch(interval_ms: u64, marks: Option<Marks>) -> (Watch, Writer<Stream>, Stream) {
        let stream = Stream::default();
        let writer = Writer::start(stream.clone()).unwrap();
        let options = WatchOptions {
            interval: Duration::from_millis(interval_ms),
            spikes: SpikeRules::default(),
            marks,
            syscalls: None,
        };
        (Watch::start(options, SessionClock::start(), writer.queue()).unwrap(), writer, stream)
    }

    #[test]
    fn a_child_that_grows() {
        let mut child = watched_child_started();
        let mut stdin = child.stdin.take().unwrap();
        let (watch, writer, stream) = watch(20, None);
        let pid = child.id() as i32;
        watch.add_process(1, pid, pid, true);
        stream.until("calm", |stream| {
            stream.metrics().iter().filter(|metrics| metrics.cpu_ratio < Some(0.3)).count() > 6
        });
        let spike = |kind| move |stream: &Stream| stream.events().iter().any(|event| event.kind == kind);
        for (byte, kind) in
            [(b'f', EventKind::FdGrowth), (b't', EventKind::ThreadBurst), (b'm', EventKind::MemorySpike)]
        {
            stdin.write_all(&[byte]).unwrap();
            stream.until(kind.as_str(), spike(kind));
        }
        stdin.write_all(b"c").unwrap();
        stream.until("use of the CPU", |stream| {
            stream.metrics().iter().filter_map(|metrics| metrics.cpu_ns).sum::<u64>() > 200_000_000
        });
        // It ends, and is read before it is reaped.
        drop(stdin);
        stream.until("end", |stream| stream.metrics().last().is_some_and(|last| last.thread_count.is_none()));
        watch.remove_process(1);
        child.wait().unwrap();
        let totals = watch.finish();
        writer.finish().unwrap();

        let metrics = stream.metrics();
        let sum: u64 = metrics.iter().filter_map(|metrics| metrics.cpu_ns).sum();
        assert!(sum <= totals.process_cpu_ns && totals.process_cpu_ns - sum < 1_000_000);
        assert_eq!(totals.unread_exit_count, 0);
        for pair in metrics.windows(2) {
            assert_eq!(pair[1].time_ns - pair[1].interval_ns, pair[0].time_ns, "no gap");
        }
        let peak = |of: fn(&Metrics) -> Option<u64>| metrics.iter().filter_map(of).max().unwrap();
        assert!(peak(|metrics| metrics.rss_bytes) > 64 << 20);
        assert!(peak(|metrics| metrics.heap_bytes) > 64 << 20);
        assert!((100..200).contains(&peak(|metrics| metrics.open_fd_count)));
        assert!((13..20).contains(&peak(|metrics| metrics.thread_count)));
        assert!(metrics.iter().filter_map(|metrics| metrics.minor_fault_count).sum::<u64>() > 100);
        let memory: Vec<Event> =
            stream.events().into_iter().filter(|event| event.kind == EventKind::MemorySpike).collect();
        let (first, last) = (memory.first().unwrap(), memory.last().unwrap());
        assert_eq!((first.id, first.time_ns, first.end_ns), (last.id, last.time_ns, None));
        assert!(last.start_ns < last.end_ns);
        assert!(last.value.unwrap().as_f64() - last.before.unwrap().as_f64() > f64::from(32 << 20));
    }

    #[test]
    fn a_process_that_is_gone() {
        let (watch, writer, stream) = watch(10, None);
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id() as i32;
        watch.add_process(1, pid, pid, false);
        stream.until("metrics", |stream| stream.metrics().len() > 1);
        child.kill().unwrap();
        child.wait().unwrap();
        watch.add_process(2, pid, pid, false);
        watch.remove_process(1);
        watch.remove_process(7);
        let totals = watch.finish();
        writer.finish().unwrap();
        assert_eq!(totals.unread_exit_count, 2);
        assert!(totals.process_cpu_ns > 0);
    }

    #[test]
    fn marks_end_to_end() {
        let marks = Marks::create().unwrap();
        let path = marks.path().to_owned();
        let (watch, writer, stream) = watch(100_000, Some(marks));
        let script = r#"
            echo "phase load" >> "$0"
            for i in 1 2 3; do echo "work 5 request" >> "$0"; done
            echo oops >> "$0"
            echo "mark deploy 42" >> "$0"
        "#;
        let status = Command::new("sh").args(["-c", script]).arg(&path).status().unwrap();
        assert!(status.success());
        stream.until("mark", |stream| stream.events().iter().any(|event| event.kind == EventKind::Marker));
        std::fs::write(&path, "work 3 request\n").unwrap();
        stream.until("work, long before the tick", |stream| {
            stream.events().last().is_some_and(|event| event.count == Some(3))
        });
        // Written at the last moment.
        std::fs::write(&path, "work 2 request\n").unwrap();
        let totals = watch.finish();
        writer.finish().unwrap();
        let events = stream.events();
        let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
        assert_eq!((kinds[0], kinds[kinds.len() - 3]), (EventKind::Phase, EventKind::Marker));
        let work = events.iter().filter(|event| event.unit.as_deref() == Some("request"));
        assert_eq!(work.filter_map(|event| event.count).sum::<u64>(), 20);
        assert!(events.is_sorted_by_key(|event| (event.time_ns, event.id)));
        assert_eq!((totals.marks.mark_count, totals.marks.bad_mark_count), (7, 1));
        assert!(!path.exists());
    }

    #[test]
    fn a_flood_of_marks_delays_no_tick() {
        let marks = Marks::create().unwrap();
        let path = marks.path().to_owned();
        let (watch, writer, stream) = watch(20, Some(marks));
        let own = std::process::id() as i32;
        watch.add_process(1, own, own, true);
        let mut fifo = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let flood = b"work 1 request\n".repeat(1000);
        for _ in 0..300 {
            fifo.write_all(&flood).unwrap();
        }
        stream.until("metrics", |stream| stream.metrics().len() > 2);
        watch.finish();
        writer.finish().unwrap();
        let events = stream.events();
        assert_eq!(events.iter().filter_map(|event| event.count).sum::<u64>(), 300_000);
        assert!(events.len() < 1000, "{}", events.len());
    }
}
