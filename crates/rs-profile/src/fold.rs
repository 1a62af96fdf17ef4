//! The fold: takes the lines of a stream one by one and gives a session at any time.
//!
//! Its memory depends on distinct frames, stacks, threads and cells, never on samples; `bounds` keeps the cells
//! few enough.

use rs_schema::ProfileSession;
use rs_schema::event::{self, LostCause, ThreadState};
use rs_schema::event::{End, Header, Line};

use crate::cells::{Alloc, Cpu};
use crate::events::{EVENTS_MAX, EventFold};
use crate::expand::Mappings;
use crate::heap::HeapSites;
use crate::latency::Latencies;
use crate::metrics::MetricsFold;
use crate::names::{NameId, Names};
use crate::tasks::Tasks;
use crate::tree::{StackFault, StreamTree};
use crate::warnings::{Tally, Warning};
use crate::windows::Windows;

/// Spans that a session keeps.
const SPANS_MAX: usize = 100_000;

/// How to fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldOptions {
    /// Length of a window; it is raised when there would be too many cells.
    pub window_ns: u64,
    /// Most cells a session may have.
    pub max_cells: usize,
}

impl Default for FoldOptions {
    fn default() -> Self {
        FoldOptions { window_ns: 100_000_000, max_cells: 2_000_000 }
    }
}

/// Folds the lines of one stream into a session.
#[derive(Clone, Debug)]
pub struct Fold {
    pub(crate) options: FoldOptions,
    pub(crate) header: Option<Box<Header>>,
    pub(crate) period_ns: Option<u64>,
    pub(crate) names: Names,
    pub(crate) tasks: Tasks,
    pub(crate) mappings: Mappings,
    pub(crate) tree: StreamTree,
    pub(crate) windows: Windows,
    pub(crate) heap: HeapSites,
    pub(crate) metrics: MetricsFold,
    pub(crate) events: EventFold,
    pub(crate) spans: Vec<Span>,
    pub(crate) latencies: Latencies,
    pub(crate) lost_count: u64,
    pub(crate) dropped_count: u64,
    pub(crate) end: Option<End>,
    /// The latest time of any line.
    pub(crate) last_ns: u64,
    /// Samples of all states, as the end counts them.
    sample_count: u64,
    pub(crate) tally: Tally,
}

/// A named interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start_ns: u64,
    pub(crate) duration_ns: u64,
    pub(crate) thread: Option<u32>,
    pub(crate) name: NameId,
    pub(crate) source: NameId,
}

impl Fold {
    /// A fold that has seen nothing.
    pub fn new(options: FoldOptions) -> Self {
        Fold {
            options,
            header: None,
            period_ns: None,
            names: Names::default(),
            tasks: Tasks::default(),
            mappings: Mappings::default(),
            tree: StreamTree::default(),
            windows: Windows::new(options.window_ns),
            heap: HeapSites::default(),
            metrics: MetricsFold::default(),
            events: EventFold::default(),
            spans: Vec::new(),
            latencies: Latencies::default(),
            lost_count: 0,
            dropped_count: 0,
            end: None,
            last_ns: 0,
            sample_count: 0,
            tally: Tally::default(),
        }
    }

    /// Takes a line.
    ///
    /// # Errors
    /// When something is wrong with the line. It is used as far as it goes all the same: a sample always
    /// counts. The warning is also counted here and will be in the session's `input_warnings`.
    pub fn push(&mut self, line: Line) -> Result<(), Warning> {
        let mut outcome = self.take(line);
        if outcome.is_ok() && self.header.is_none() {
            outcome = Err(Warning::NoHeader);
        }
        if let Err(warning) = &outcome {
            self.tally.add(warning);
        }
        outcome
    }

    /// Counts a warning that was found elsewhere, such as by the reader; returns how many of its kind there are.
    pub(crate) fn note(&mut self, warning: &Warning) -> u64 {
        self.tally.add(warning)
    }

    /// How many warnings of the kind of this one there were.
    pub(crate) fn count(&self, warning: &Warning) -> u64 {
        self.tally.counts().find(|(kind, _)| *kind == warning.kind()).map_or(0, |(_, count)| count)
    }

    /// How many warnings of each kind there were.
    pub(crate) fn warning_counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.tally.counts()
    }

    /// The session so far, as if the stream had been cut here.
    pub fn snapshot(&self) -> ProfileSession {
        self.clone().finish()
    }

    fn take(&mut self, line: Line) -> Result<(), Warning> {
        if self.end.is_some() && !matches!(line, Line::Header(_)) {
            self.take_body(line)?;
            return Err(Warning::AfterEnd);
        }
        self.take_body(line)
    }

    fn take_body(&mut self, line: Line) -> Result<(), Warning> {
        match line {
            Line::Sample(line) => return self.sample(&line),
            Line::Header(line) => return self.header(line),
            Line::Process(line) => {
                self.see(line.time_ns);
                if !self.tasks.process(&line, &mut self.names) {
                    return Err(Warning::UndefinedProcess { process: line.parent.unwrap_or(0) });
                }
            }
            Line::Thread(line) => return self.thread(&line),
            Line::Mapping(line) => {
                self.see(line.time_ns);
                self.mappings.add(&line, &mut self.names);
            }
            Line::Frame(line) => {
                self.tree.frame(&line, &mut self.names);
                if let Some(mapping) = line.mapping
                    && !self.mappings.contains(mapping)
                {
                    return Err(Warning::UndefinedMapping { mapping });
                }
            }
            Line::Stack(line) => {
                return self.tree.stack(&line).map_err(|fault| match fault {
                    StackFault::Frame => Warning::UndefinedFrame { frame: line.frame },
                    StackFault::Parent => Warning::UndefinedParent { stack: line.id },
                    StackFault::Redefined => Warning::RedefinedStack { stack: line.id },
                });
            }
            Line::Metrics(line) => {
                self.see(line.time_ns);
                let known = self.tasks.process_row(line.process);
                let process = line.process;
                self.metrics.add(*line);
                known.ok_or(Warning::UndefinedProcess { process })?;
            }
            Line::Heap(line) => return self.heap(&line),
            Line::Alloc(_) | Line::Free(_) => return Err(Warning::RawRecord),
            Line::Event(line) => return self.event(line),
            Line::Span(line) => return self.span(&line),
            Line::Latency(line) => {
                self.see(line.time_ns);
                let frame = line.frame;
                let known = self.tree.has_frame(frame);
                self.latencies.add(&line, self.tree.frame_row(frame));
                if !known {
                    return Err(Warning::UndefinedFrame { frame });
                }
            }
            Line::Lost(line) => self.lost(&line),
            Line::End(line) => {
                self.see(line.time_ns);
                let (told, found) = (line.sample_count, self.sample_count);
                self.end = Some(line);
                if told != found {
                    return Err(Warning::WrongTotal { told, found });
                }
            }
        }
        Ok(())
    }

    fn see(&mut self, time_ns: u64) {
        self.last_ns = self.last_ns.max(time_ns);
    }

    fn header_pid(&self) -> Option<u32> {
        self.header.as_ref().and_then(|header| header.pid)
    }

    fn header(&mut self, header: Box<Header>) -> Result<(), Warning> {
        if self.header.is_some() {
            return Err(Warning::SecondHeader);
        }
        self.period_ns = header.sampler.as_ref().map(|sampler| sampler.period_ns);
        self.metrics.set_interval(header.metrics_interval_ns);
        self.header = Some(header);
        Ok(())
    }

    fn thread(&mut self, line: &event::Thread) -> Result<(), Warning> {
        self.see(line.time_ns);
        let known = self.tasks.thread(line, self.header_pid(), &mut self.names);
        self.keep_threads_bounded();
        if known { Ok(()) } else { Err(Warning::UndefinedProcess { process: line.process }) }
    }

    fn thread_row(&mut self, id: event::ThreadId) -> (u32, Result<(), Warning>) {
        match self.tasks.thread_row(id) {
            Some(row) => (row, Ok(())),
            None => {
                let row = self.tasks.unknown_thread(id, self.header_pid(), &mut self.names);
                (row, Err(Warning::UndefinedThread { thread: id }))
            }
        }
    }

    /// The stack as cells have it, 0 for none.
    fn stack_key(&self, id: Option<event::StackId>) -> (u32, Result<(), Warning>) {
        match id.map(|id| (id, self.tree.stack_row(id))) {
            None => (0, Ok(())),
            Some((_, Some(row))) => (row.saturating_add(1), Ok(())),
            Some((stack, None)) => (0, Err(Warning::UndefinedStack { stack })),
        }
    }

    /// Almost all lines are samples: this is what has to be fast.
    fn sample(&mut self, line: &event::Sample) -> Result<(), Warning> {
        self.see(line.time_ns);
        let (thread, thread_known) = self.thread_row(line.thread);
        let (stack, stack_known) = self.stack_key(line.stack);
        let mut outcome = thread_known.and(stack_known);
        let count = line.count.unwrap_or(1);
        self.sample_count = self.sample_count.saturating_add(count);
        let running = line.state == ThreadState::Running;
        let sample_count = if running { count } else { 0 };
        let cpu_ns = line.cpu_ns.unwrap_or_else(|| sample_count.saturating_mul(self.period_ns.unwrap_or(0)));
        if running || cpu_ns > 0 {
            self.windows.add_cpu(line.time_ns, stack, thread, Cpu { sample_count, cpu_ns });
            if running && line.cpu_ns.is_none() && self.period_ns.is_none() {
                outcome = outcome.and(Err(Warning::NoPeriod));
            }
        }
        if !running || line.waited_ns.is_some() {
            let waited_ns = line.waited_ns.unwrap_or(0);
            self.windows.add_wait(line.time_ns, waited_ns, stack, thread, count);
            if waited_ns > line.time_ns {
                outcome = outcome.and(Err(Warning::WaitBeforeStart { thread: line.thread }));
            }
        }
        self.keep_bounded();
        outcome
    }

    fn heap(&mut self, line: &event::Heap) -> Result<(), Warning> {
        self.see(line.time_ns);
        let row = self.tree.stack_row(line.stack);
        self.heap.add(line, row);
        let amount = Alloc {
            alloc_count: line.alloc_count,
            alloc_bytes: line.alloc_bytes,
            freed_bytes: line.freed_bytes,
        };
        let start_ns = line.time_ns.saturating_sub(line.interval_ns);
        let stack = row.map_or(0, |row| row.saturating_add(1));
        self.windows.add_alloc(start_ns, line.time_ns, stack, amount);
        self.keep_bounded();
        row.map(|_| ()).ok_or(Warning::UndefinedStack { stack: line.stack })
    }

    fn event(&mut self, line: event::Event) -> Result<(), Warning> {
        self.see(line.time_ns);
        let named = line.process;
        let process = named.and_then(|id| self.tasks.process_row(id));
        if !self.events.add(line, process, &mut self.names) {
            return Err(Warning::TooManyEvents { limit: EVENTS_MAX });
        }
        match (named, process) {
            (Some(process), None) => Err(Warning::UndefinedProcess { process }),
            _ => Ok(()),
        }
    }

    fn span(&mut self, line: &event::Span) -> Result<(), Warning> {
        self.see(line.time_ns);
        if self.spans.len() >= SPANS_MAX {
            return Err(Warning::TooManySpans { limit: SPANS_MAX });
        }
        let (thread, outcome) = match line.thread {
            None => (None, Ok(())),
            Some(id) => {
                let (row, outcome) = self.thread_row(id);
                (Some(row), outcome)
            }
        };
        self.spans.push(Span {
            start_ns: line.time_ns.saturating_sub(line.duration_ns),
            duration_ns: line.duration_ns,
            thread,
            name: self.names.intern(&line.name),
            source: self.names.intern(&line.source),
        });
        outcome
    }

    fn lost(&mut self, line: &event::Lost) {
        self.see(line.time_ns);
        let sum = match line.cause {
            LostCause::Backpressure => &mut self.dropped_count,
            LostCause::RingFull | LostCause::Throttled | LostCause::Unreadable => &mut self.lost_count,
        };
        *sum = sum.saturating_add(line.count);
        self.windows.add_lost(line.since_ns.unwrap_or(line.time_ns), line.time_ns, line.count);
    }
}
