//! Names for addresses, on a thread of their own, so that sampling never waits for debug information.
//!
//! The sampling thread writes each new frame as pending and asks here for its names; they follow as a second
//! `frame` line with the same id. What is not named by the deadline after the last sample is closed with the
//! reason `timeout`.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rs_schema::event::{Frame, FrameId, FrameKind, Line, MappingId, Symbol};
use rs_schema::units::Address;
use rs_symbol::{Image, KernelSymbols, PerfMap, Resolved, Symbolizer};
use rustc_hash::FxHashMap;

use crate::output::{Batch, Queue};

/// How long names may take after the last sample; long enough for the debug information of a large binary.
const DEADLINE: Duration = Duration::from_secs(2);
/// Maps of JIT code are written while the program runs; look again this often.
const JIT_INTERVAL: Duration = Duration::from_secs(1);

/// A frame that wants names.
#[derive(Clone)]
pub(crate) enum Request {
    /// Code of a binary.
    Code { frame: FrameId, mapping: MappingId, image: Arc<Image>, address: u64 },
    /// Code made at run time, to be looked up in the map file of its process.
    Jit { frame: FrameId, map: Arc<str>, address: u64 },
    /// A kernel function.
    Kernel { frame: FrameId, address: u64 },
}

impl Request {
    fn frame(&self) -> FrameId {
        match self {
            Request::Code { frame, .. } | Request::Jit { frame, .. } | Request::Kernel { frame, .. } => {
                *frame
            }
        }
    }

    /// The `frame` line with these names.
    pub(crate) fn line(&self, resolved: Resolved) -> Line {
        let (kind, mapping, address) = match *self {
            Request::Code { mapping, address, .. } => (FrameKind::User, Some(mapping), address),
            Request::Jit { address, .. } => (FrameKind::Jit, None, address),
            Request::Kernel { address, .. } => (FrameKind::Kernel, None, address),
        };
        Line::Frame(Box::new(Frame {
            id: self.frame(),
            kind,
            mapping,
            address: Some(Address(address)),
            symbol: resolved.symbol,
            reason: resolved.reason.map(str::to_string),
            inlined_by: resolved.inlined_by,
        }))
    }
}

/// A frame without names, for `reason`.
pub(crate) fn nameless(reason: &'static str) -> Resolved {
    Resolved { symbol: Symbol::default(), inlined_by: Vec::new(), reason: Some(reason) }
}

/// The symbolising thread.
pub(crate) struct SymbolThread {
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    open: FxHashMap<FrameId, Request>,
    nameless: u64,
}

/// Sent for each request, so that what a stuck symboliser owes is known.
struct Answer {
    frame: FrameId,
    named: bool,
}

impl SymbolThread {
    /// Starts the thread; names go to `queue`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(queue: Queue) -> io::Result<SymbolThread> {
        let (requests, received) = channel();
        let (answered, answers) = channel();
        std::thread::Builder::new().name("rs-symbols".into()).spawn(move || {
            Worker { queue, answered, kernel: KernelSymbols::new(), jit: Jit::default() }.run(&received)
        })?;
        Ok(SymbolThread { requests, answers, open: FxHashMap::default(), nameless: 0 })
    }

    /// Asks for the names of a frame whose pending line has been handed to the queue.
    pub(crate) fn ask(&mut self, request: Request) {
        self.settle();
        self.open.insert(request.frame(), request.clone());
        // Fails only when the thread panicked; the frame then ends as a timeout.
        let _ = self.requests.send(request);
    }

    fn settle(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            self.note(&answer);
        }
    }

    fn note(&mut self, answer: &Answer) {
        self.open.remove(&answer.frame);
        self.nameless += u64::from(!answer.named);
    }

    /// Waits for the names that are still out, no longer than the deadline. Returns the lines that close the
    /// frames it gave up on, and how many frames have no name.
    pub(crate) fn finish(mut self) -> (Batch, u64) {
        let (closing, _) = channel();
        drop(std::mem::replace(&mut self.requests, closing));
        let deadline = Instant::now() + DEADLINE;
        while !self.open.is_empty() {
            match self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(answer) => self.note(&answer),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut batch = Batch::default();
        let mut late: Vec<&Request> = self.open.values().collect();
        late.sort_by_key(|request| request.frame());
        for request in &late {
            batch.push(&request.line(nameless("timeout")));
        }
        (batch, self.nameless + late.len() as u64)
    }
}

struct Worker {
    queue: Queue,
    answered: Sender<Answer>,
    kernel: KernelSymbols,
    jit: Jit,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut symbolizer = Symbolizer::new();
        let mut open = true;
        while open {
            // Everything that waits is taken at once: one pass over a binary names many addresses.
            let mut wave: Vec<Request> = Vec::new();
            match requests.recv_timeout(JIT_INTERVAL) {
                Ok(request) => wave.push(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
            wave.extend(requests.try_iter());
            self.resolve(&mut symbolizer, wave, !open);
        }
    }

    fn resolve(&mut self, symbolizer: &mut Symbolizer, wave: Vec<Request>, last: bool) {
        let mut batch = Batch::default();
        let mut answers = Vec::new();
        let mut by_image: FxHashMap<u64, Vec<Request>> = FxHashMap::default();
        for request in wave {
            match &request {
                Request::Code { image, .. } => by_image.entry(image.id()).or_default().push(request),
                Request::Jit { .. } => self.jit.waiting.push(request),
                Request::Kernel { address, .. } => {
                    let resolved = match self.kernel.lookup(*address) {
                        Ok(Some(symbol)) => Resolved { symbol, inlined_by: Vec::new(), reason: None },
                        Ok(None) => nameless("no_symbols"),
                        Err(unavailable) => nameless(unavailable.reason()),
                    };
                    answer(&mut batch, &mut answers, &request, resolved);
                }
            }
        }
        for requests in by_image.into_values() {
            let Some(Request::Code { image, .. }) = requests.first() else { continue };
            let addresses: Vec<u64> = requests
                .iter()
                .map(|request| match request {
                    Request::Code { address, .. } => *address,
                    Request::Jit { .. } | Request::Kernel { .. } => 0,
                })
                .collect();
            let resolved = symbolizer.symbolize_batch(image, &addresses);
            for (request, resolved) in requests.iter().zip(resolved) {
                answer(&mut batch, &mut answers, request, resolved);
            }
        }
        self.jit.resolve(last, |request, resolved| answer(&mut batch, &mut answers, request, resolved));
        self.queue.send(&mut batch);
        for answer in answers {
            // The receiver is gone only when recording was given up.
            let _ = self.answered.send(answer);
        }
    }
}

fn answer(batch: &mut Batch, answers: &mut Vec<Answer>, request: &Request, resolved: Resolved) {
    answers.push(Answer { frame: request.frame(), named: resolved.symbol.function.is_some() });
    batch.push(&request.line(resolved));
}

/// Map files of JIT code, read on as they grow.
#[derive(Default)]
struct Jit {
    maps: FxHashMap<Arc<str>, (PerfMap, u64)>,
    waiting: Vec<Request>,
    last_look: Option<Instant>,
}

impl Jit {
    fn resolve(&mut self, last: bool, mut answer: impl FnMut(&Request, Resolved)) {
        if self.waiting.is_empty()
            || !last && self.last_look.is_some_and(|look| look.elapsed() < JIT_INTERVAL)
        {
            return;
        }
        self.last_look = Some(Instant::now());
        let waiting = std::mem::take(&mut self.waiting);
        let mut paths: Vec<Arc<str>> = waiting
            .iter()
            .filter_map(|request| match request {
                Request::Jit { map, .. } => Some(Arc::clone(map)),
                Request::Code { .. } | Request::Kernel { .. } => None,
            })
            .collect();
        paths.sort_unstable();
        paths.dedup();
        for path in &paths {
            self.read_on(path);
        }
        for request in waiting {
            let Request::Jit { map, address, .. } = &request else { continue };
            let found = self.maps.get(map).and_then(|(map, _)| map.lookup(*address));
            match found {
                Some(symbol) => answer(&request, Resolved { symbol, inlined_by: Vec::new(), reason: None }),
                None if last => answer(&request, nameless("no_symbols")),
                None => self.waiting.push(request),
            }
        }
    }

    /// Reads what was added to a map file since the last time, up to its last whole line.
    fn read_on(&mut self, path: &Arc<str>) {
        use std::io::{Read, Seek, SeekFrom};
        let (map, offset) = self.maps.entry(Arc::clone(path)).or_insert_with(|| (PerfMap::parse(""), 0));
        let mut text = Vec::new();
        let read = std::fs::File::open(path.as_ref()).and_then(|mut file| {
            file.seek(SeekFrom::Start(*offset))?;
            file.read_to_end(&mut text)
        });
        if read.is_err() {
            return;
        }
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        map.extend(&String::from_utf8_lossy(&text[..whole]));
        *offset += whole as u64;
    }
}
