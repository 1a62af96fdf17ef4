//! The way out: a bounded queue of finished lines between the threads that make them and the one that writes.
//!
//! Whoever samples must never wait for whoever reads. Lines are collected in batches and handed to a writer
//! thread; when more than [`LIMIT_BYTES`] wait there, only `sample` lines are shed, and counted. All other
//! lines are few, and needed to understand the rest.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rs_schema::event::Line;

/// Bytes that may wait for a slow reader before samples are shed.
const LIMIT_BYTES: usize = 64 << 20;

/// Lag of the samples from which on lines of other producers wait for them.
const LAG_NS: u64 = 500_000_000;

/// Lines of one producer, in order, not yet handed over.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    /// Appends a line.
    pub(crate) fn push(&mut self, line: &Line) {
        rs_schema::stream::write_line(&mut self.bytes, line).expect("lines serialise, and memory takes them");
    }

    /// Whether there is nothing to hand over.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[derive(Default)]
struct State {
    batches: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    closed: bool,
    /// The reader is gone; nothing will be written any more.
    broken: Option<io::ErrorKind>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Samples up to this time have been handed over; 0 while nobody samples.
    sampled_until_ns: AtomicU64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere does not make the queue unsound; the stream is to be finished all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines go. Cheap to clone; all clones feed one writer.
#[derive(Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

impl Queue {
    /// Hands over what `batch` holds and empties it.
    pub(crate) fn send(&self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let capacity = batch.bytes.len();
        let bytes = std::mem::replace(&mut batch.bytes, Vec::with_capacity(capacity));
        let mut state = self.shared.lock();
        if state.broken.is_none() {
            state.waiting_bytes += bytes.len();
            state.batches.push_back(bytes);
            self.shared.changed.notify_one();
        }
    }

    /// Hands over one line.
    pub(crate) fn send_line(&self, line: &Line) {
        let mut batch = Batch::default();
        batch.push(line);
        self.send(&mut batch);
    }

    /// Notes that all samples up to this time have been handed over.
    pub(crate) fn sampled_until(&self, time_ns: u64) {
        self.shared.sampled_until_ns.store(time_ns, Ordering::Release);
    }

    /// Whether samples are so late that a line of `now_ns` would be far ahead of them. Readers may count on a
    /// stream that is never more than a second out of order.
    pub(crate) fn samples_lag(&self, now_ns: u64) -> bool {
        let sampled_until_ns = self.shared.sampled_until_ns.load(Ordering::Acquire);
        sampled_until_ns != 0 && now_ns.saturating_sub(sampled_until_ns) > LAG_NS
    }

    /// Whether so much waits that samples must be shed.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.lock().waiting_bytes > LIMIT_BYTES
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn broken(&self) -> Option<io::ErrorKind> {
        self.shared.lock().broken
    }
}

/// The writer thread.
pub(crate) struct Writer<W> {
    queue: Queue,
    /// Taken by `finish`.
    thread: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> Writer<W> {
    /// Starts to write to `output`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(output: W) -> io::Result<Writer<W>> {
        let shared = Arc::new(Shared::default());
        let queue = Queue { shared: Arc::clone(&shared) };
        let thread =
            std::thread::Builder::new().name("rs-writer".into()).spawn(move || write_all(output, &shared))?;
        Ok(Writer { queue, thread: Some(thread) })
    }

    /// The queue in front of the writer.
    pub(crate) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Writes what is left and gives the output back.
    ///
    /// # Errors
    /// The first that the output met.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.close()
    }
}

impl<W> Writer<W> {
    fn close(&mut self) -> io::Result<W> {
        self.queue.shared.lock().closed = true;
        self.queue.shared.changed.notify_one();
        let joined = self.thread.take().map(JoinHandle::join);
        joined
            .unwrap_or_else(|| Ok(Err(io::Error::other("the writer was closed before"))))
            .unwrap_or_else(|_| Err(io::Error::other("the writer thread panicked")))
    }
}

impl<W> Drop for Writer<W> {
    /// Given up: the output is dropped here and not with the process, so that it can clean up after itself.
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.close();
        }
    }
}

fn write_all<W: Write>(mut output: W, shared: &Shared) -> io::Result<W> {
    loop {
        let batch = {
            let mut state = shared.lock();
            loop {
                if let Some(batch) = state.batches.pop_front() {
                    break batch;
                }
                if state.closed {
                    drop(state);
                    output.flush()?;
                    return Ok(output);
                }
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // Flushed batch by batch: a stream is useful while it runs.
        let written = output.write_all(&batch).and_then(|()| output.flush());
        let mut state = shared.lock();
        state.waiting_bytes -= batch.len();
        if let Err(error) = written {
            state.broken = Some(error.kind());
            state.batches.clear();
            state.waiting_bytes = 0;
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rs_schema::event::Sample;

    fn sample(time_ns: u64) -> Line {
        Line::Sample(Sample {
            time_ns,
            thread: 1,
            stack: None,
            count: None,
            cpu_ns: None,
            state: Default::default(),
            waited_ns: None,
        })
    }

    #[test]
    fn writes_all_lines_in_order() {
        let writer = Writer::start(Vec::new()).unwrap();
        let queue = writer.queue();
        for time_ns in 0..1000 {
            queue.send_line(&sample(time_ns));
        }
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        let times: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["time_ns"].as_u64().unwrap())
            .collect();
        assert_eq!(times, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn says_when_the_reader_is_gone() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let writer = Writer::start(Gone).unwrap();
        let queue = writer.queue();
        queue.send_line(&sample(1));
        while queue.broken().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(queue.broken(), Some(io::ErrorKind::BrokenPipe));
        assert!(writer.finish().is_err());
    }
}
