//! Checks of an event stream, one line after the other.

mod fault;
mod ids;

use std::collections::HashSet;
use std::io::{self, BufRead};

pub use fault::{Id, StreamFault};
use ids::{Ids, KnownFrame, KnownMapping, KnownProcess, KnownStack, KnownThread};

use super::values::{is_quantity, is_ratio, looks_like_rfc3339, without_reason};
use super::{Fault, Place, Report, What, unreadable};
use crate::error::{Error, LineFault};
use crate::event::{
    Alloc, End, Event, Frame, Free, Header, Heap, Latency, Lifecycle, Line, Lost, LostCause, Mapping,
    Metrics, Process, Sample, Span, Stack, Thread,
};
use crate::stream::StreamReader;

/// How far lines may lie behind the newest one: the recorder's threads write independently.
const MAX_DISORDER_NS: u64 = 1_000_000_000;

/// The frame under which stacks hang whose outer part was cut off.
const TRUNCATED: &str = "[truncated]";

/// What a stream holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSummary {
    /// Lines that could be read.
    pub line_count: u64,
    /// Samples, with their `count`.
    pub sample_count: u64,
    /// Threads.
    pub thread_count: u64,
    /// Distinct stacks.
    pub stack_count: u64,
    /// Newest time of a line.
    pub duration_ns: u64,
    /// Whether it has its end line.
    pub complete: bool,
}

/// Checks an event stream. Faults go to `report`.
///
/// # Errors
/// When the input cannot be read.
pub fn stream<R: BufRead>(input: R, report: &mut Report<'_>) -> io::Result<StreamSummary> {
    let mut reader = StreamReader::new(input);
    let mut validator = StreamValidator::new();
    loop {
        match reader.next_line() {
            Ok(Some(line)) => validator.line(reader.position().line, &line, report),
            Ok(None) => break,
            Err(Error::Io(error)) => return Err(error),
            Err(error) => {
                let go_on = error.is_recoverable();
                validator.unreadable(error, report);
                if !go_on {
                    return Ok(validator.summary());
                }
            }
        }
    }
    for (name, &count) in reader.unknown_types() {
        validator.unknown_type(reader.position().line, name, count, report);
    }
    Ok(validator.finish(report))
}

/// Checks the lines of a stream as they come. Its memory grows with the ids of the stream, not with its samples.
#[derive(Default)]
pub struct StreamValidator {
    header_seen: bool,
    /// Whether the header says what a sample weighs.
    sampler_seen: bool,
    ended: bool,
    after_end_reported: bool,
    /// A line that could not be read may have held samples: the totals cannot be checked.
    lines_missing: bool,
    cut_reported: bool,
    last_line: u64,
    newest_ns: u64,
    processes: Ids<KnownProcess>,
    threads: Ids<KnownThread>,
    mappings: Ids<KnownMapping>,
    frames: Ids<KnownFrame>,
    stacks: Ids<KnownStack>,
    events: HashSet<u32>,
    line_count: u64,
    sample_count: u64,
    lost_count: u64,
    dropped_count: u64,
}

/// Where the lines of one type and thread stand in [`KnownThread::newest_ns`].
#[derive(Clone, Copy)]
enum PerThread {
    Sample,
    Alloc,
    Free,
    Span,
}

impl StreamValidator {
    /// A validator that has seen nothing.
    pub fn new() -> Self {
        StreamValidator::default()
    }

    /// Takes the next line, which is number `at` of the input.
    pub fn line(&mut self, at: u64, line: &Line, report: &mut Report<'_>) {
        self.last_line = at;
        self.line_count += 1;
        let mut sink = |fault: StreamFault| self::report(at, fault, report);
        if self.ended && !self.after_end_reported {
            self.after_end_reported = true;
            sink(if matches!(line, Line::Header(_)) {
                StreamFault::SecondHeader
            } else {
                StreamFault::AfterEnd
            });
        }
        match line {
            Line::Sample(sample) => self.sample(sample, &mut sink),
            Line::Header(header) => self.header(header, &mut sink),
            Line::Process(process) => self.process(process, &mut sink),
            Line::Thread(thread) => self.thread(thread, &mut sink),
            Line::Mapping(mapping) => self.mapping(mapping, &mut sink),
            Line::Frame(frame) => self.frame(frame, &mut sink),
            Line::Stack(stack) => self.stack(stack, &mut sink),
            Line::Metrics(metrics) => self.metrics(metrics, &mut sink),
            Line::Heap(heap) => self.heap(heap, &mut sink),
            Line::Alloc(alloc) => self.alloc(alloc, &mut sink),
            Line::Free(free) => self.free(free, &mut sink),
            Line::Event(event) => self.event(event, &mut sink),
            Line::Span(span) => self.span(span, &mut sink),
            Line::Latency(latency) => self.latency(latency, &mut sink),
            Line::Lost(lost) => self.lost(lost, &mut sink),
            Line::End(end) => self.end(end, &mut sink),
        }
    }

    /// Takes the error that a reader returned in place of a line.
    pub fn unreadable(&mut self, error: Error, report: &mut Report<'_>) {
        if let Error::Line { line, ref fault, .. } = error {
            self.last_line = line;
            self.lines_missing = true;
            self.cut_reported |= matches!(fault, LineFault::Cut);
        }
        unreadable(error, report);
    }

    /// Takes the number of lines of an unknown type.
    pub fn unknown_type(&mut self, last_line: u64, name: &str, count: u64, report: &mut Report<'_>) {
        self.last_line = self.last_line.max(last_line);
        self::report(self.last_line, StreamFault::UnknownType { name: name.into(), count }, report);
    }

    /// Says that there are no more lines.
    pub fn finish(mut self, report: &mut Report<'_>) -> StreamSummary {
        if !self.ended && !self.cut_reported {
            self.cut_reported = true;
            self::report(self.last_line, StreamFault::Cut, report);
        }
        self.summary()
    }

    /// What was seen so far.
    pub fn summary(&self) -> StreamSummary {
        StreamSummary {
            line_count: self.line_count,
            sample_count: self.sample_count,
            thread_count: self.threads.len,
            stack_count: self.stacks.len,
            duration_ns: self.newest_ns,
            complete: self.ended,
        }
    }

    fn header(&mut self, header: &Header, sink: &mut dyn FnMut(StreamFault)) {
        if self.header_seen {
            if !self.ended {
                sink(StreamFault::SecondHeader);
            }
            return;
        }
        self.header_seen = true;
        self.sampler_seen = header.sampler.is_some();
        if let Some(sampler) = &header.sampler {
            check(sampler.period_ns > 0, "sampler.period_ns", "is 0: a sample would weigh nothing", sink);
            check(is_ratio(Some(sampler.rate_hz)), "sampler.rate_hz", "is not a number from 0 up", sink);
        }
        check(!header.session_id.is_empty(), "session_id", "is empty", sink);
        check(
            looks_like_rfc3339(&header.start_time),
            "start_time",
            "is not an RFC 3339 time in UTC, such as 2026-11-23T11:36:48.12Z",
            sink,
        );
        if let Some(start) = &header.clock.start_ns {
            check(
                start.parse::<u64>().is_ok(),
                "clock.start_ns",
                "is not a decimal number in a string",
                sink,
            );
        }
        check(header.metrics_interval_ns != Some(0), "metrics_interval_ns", "is 0", sink);
        for (kind, threshold) in &header.spikes {
            if !is_quantity(Some(*threshold)) {
                sink(field("spikes", format!("has a threshold for {kind} that is not a number from 0 up")));
            }
        }
        if let Some(name) = without_reason(header.capabilities.iter()) {
            sink(field("capabilities", format!("gives no reason for {name}")));
        }
    }

    fn process(&mut self, process: &Process, sink: &mut dyn FnMut(StreamFault)) {
        self.time(process.time_ns, sink);
        if let Some(parent) = process.parent {
            check(parent != process.id, "parent", "is the process itself", sink);
            if parent != process.id {
                self.processes.used(parent, Id::Process, sink);
            }
        }
        let known = self.processes.define(process.id);
        let redefined = |field| StreamFault::Redefined { id: Id::Process, number: process.id, field };
        match known.pid {
            Some(pid) if pid != process.pid => sink(redefined("pid")),
            Some(_) if known.exited && process.event == Lifecycle::Start => sink(redefined("life")),
            _ => {}
        }
        known.pid = Some(process.pid);
        known.exited = process.event == Lifecycle::Exit;
    }

    fn thread(&mut self, thread: &Thread, sink: &mut dyn FnMut(StreamFault)) {
        self.time(thread.time_ns, sink);
        self.processes.used(thread.process, Id::Process, sink);
        let known = self.threads.define(thread.id);
        if known.process.is_some_and(|process| process != thread.process) {
            sink(StreamFault::Redefined { id: Id::Thread, number: thread.id, field: "process" });
        }
        known.process = Some(thread.process);
    }

    fn mapping(&mut self, mapping: &Mapping, sink: &mut dyn FnMut(StreamFault)) {
        self.time(mapping.time_ns, sink);
        self.processes.used(mapping.process, Id::Process, sink);
        check(mapping.start < mapping.end, "end", "is not above start", sink);
        let known = self.mappings.define(mapping.id);
        if known.build_id.is_some() && mapping.build_id.is_some() && known.build_id != mapping.build_id {
            sink(StreamFault::Redefined { id: Id::Mapping, number: mapping.id, field: "build_id" });
        }
        if mapping.build_id.is_some() {
            known.build_id.clone_from(&mapping.build_id);
        }
    }

    fn frame(&mut self, frame: &Frame, sink: &mut dyn FnMut(StreamFault)) {
        if let Some(mapping) = frame.mapping {
            self.mappings.used(mapping, Id::Mapping, sink);
        }
        let unnamed = frame.symbol.function.is_none();
        if unnamed && frame.reason.is_none() {
            sink(field("function", "is null and no reason says why".into()));
        }
        if frame.inlined_by.iter().any(|caller| caller.function.is_none()) {
            sink(field("inlined_by", "has a function that is null".into()));
        }
        let address = frame.address.map(|address| address.0);
        let known = self.frames.define(frame.id);
        if known.address.is_some() && address.is_some() && known.address != address {
            sink(StreamFault::Redefined { id: Id::Frame, number: frame.id, field: "address" });
        }
        *known = KnownFrame {
            address: address.or(known.address),
            truncated: frame.symbol.function.as_deref() == Some(TRUNCATED),
            unnamed,
            pending: unnamed && frame.reason.as_deref() == Some("pending"),
            samples_as_root: known.samples_as_root,
        };
    }

    /// A parent is defined before its child and a node never changes, so the tree cannot have a cycle.
    fn stack(&mut self, stack: &Stack, sink: &mut dyn FnMut(StreamFault)) {
        self.frames.used(stack.frame, Id::Frame, sink);
        let mut root_frame = stack.frame;
        if let Some(parent) = stack.parent {
            if parent == stack.id {
                sink(field("parent", "is the stack itself".into()));
            } else {
                self.stacks.used(parent, Id::Stack, sink);
                if let Some(&KnownStack { node: Some(_), root_frame: of_parent }) = self.stacks.get(parent) {
                    root_frame = of_parent;
                }
            }
        }
        let node = (stack.parent, stack.frame);
        let known = self.stacks.define(stack.id);
        match known.node {
            Some((parent, _)) if parent != node.0 => {
                sink(StreamFault::Redefined { id: Id::Stack, number: stack.id, field: "parent" });
            }
            Some((_, frame)) if frame != node.1 => {
                sink(StreamFault::Redefined { id: Id::Stack, number: stack.id, field: "frame" });
            }
            _ => *known = KnownStack { node: Some(node), root_frame },
        }
    }

    fn sample(&mut self, sample: &Sample, sink: &mut dyn FnMut(StreamFault)) {
        self.time(sample.time_ns, sink);
        self.thread_time(PerThread::Sample, sample.thread, sample.time_ns, sink);
        let count = sample.count.unwrap_or(1);
        self.sample_count = self.sample_count.saturating_add(count);
        if let Some(stack) = sample.stack {
            self.stacks.used(stack, Id::Stack, sink);
            if let Some(&KnownStack { node: Some(_), root_frame }) = self.stacks.get(stack) {
                let total = &mut self.frames.define(root_frame).samples_as_root;
                *total = total.saturating_add(count);
            }
        }
        if !self.sampler_seen && sample.cpu_ns.is_none() && sample.state.is_running() {
            // Once is enough: every other sample has the same fault.
            self.sampler_seen = true;
            sink(field(
                "cpu_ns",
                "is absent and the header has no sampler that says what a sample weighs".into(),
            ));
        }
        check(count > 0, "count", "is 0: a sample stands for at least one observation", sink);
        if let Some(waited_ns) = sample.waited_ns
            && sample.state.is_running()
        {
            sink(StreamFault::Odd {
                field: "waited_ns",
                why: format!("is {waited_ns} for a running thread"),
            });
        }
    }

    fn metrics(&mut self, metrics: &Metrics, sink: &mut dyn FnMut(StreamFault)) {
        self.time(metrics.time_ns, sink);
        self.processes.used(metrics.process, Id::Process, sink);
        check(is_ratio(metrics.cpu_ratio), "cpu_ratio", "is not a number from 0 up", sink);
        let quota = metrics.cgroup.as_ref().and_then(|cgroup| cgroup.cpu_quota_ratio);
        check(is_ratio(quota), "cgroup.cpu_quota_ratio", "is not a number from 0 up", sink);
        let Some(begin_ns) = interval_begin(metrics.time_ns, metrics.interval_ns, sink) else { return };
        if metrics.interval_ns == 0 && metrics.cpu_ns.is_some_and(|cpu_ns| cpu_ns > 0) {
            sink(field("interval_ns", "is 0, but CPU time was used in it".into()));
        }
        let known = self.processes.define(metrics.process);
        if begin_ns < known.metrics_end_ns {
            let end_ns = known.metrics_end_ns;
            sink(field(
                "interval_ns",
                format!("reaches back to {begin_ns}, into the interval before it, which ended at {end_ns}"),
            ));
        }
        known.metrics_end_ns = known.metrics_end_ns.max(metrics.time_ns);
        if let (Some(ratio), Some(cpu_ns), 1..) = (metrics.cpu_ratio, metrics.cpu_ns, metrics.interval_ns) {
            let expected = cpu_ns as f64 / metrics.interval_ns as f64;
            if (ratio - expected).abs() > 0.01 * expected + 0.001 {
                let why = format!("is {ratio}, but cpu_ns / interval_ns is {expected:.3}");
                sink(StreamFault::Odd { field: "cpu_ratio", why });
            }
        }
    }

    fn heap(&mut self, heap: &Heap, sink: &mut dyn FnMut(StreamFault)) {
        self.time(heap.time_ns, sink);
        self.processes.used(heap.process, Id::Process, sink);
        self.stacks.used(heap.stack, Id::Stack, sink);
        interval_begin(heap.time_ns, heap.interval_ns, sink);
    }

    fn alloc(&mut self, alloc: &Alloc, sink: &mut dyn FnMut(StreamFault)) {
        self.time(alloc.time_ns, sink);
        self.thread_time(PerThread::Alloc, alloc.thread, alloc.time_ns, sink);
        if let Some(stack) = alloc.stack {
            self.stacks.used(stack, Id::Stack, sink);
        }
    }

    fn free(&mut self, free: &Free, sink: &mut dyn FnMut(StreamFault)) {
        self.time(free.time_ns, sink);
        self.thread_time(PerThread::Free, free.thread, free.time_ns, sink);
    }

    /// An event is written again when its rise has stopped: under the time at which it was first seen.
    fn event(&mut self, event: &Event, sink: &mut dyn FnMut(StreamFault)) {
        if self.events.insert(event.id) {
            self.time(event.time_ns, sink);
        }
        if let Some(process) = event.process {
            self.processes.used(process, Id::Process, sink);
        }
        if let (Some(start_ns), Some(end_ns)) = (event.start_ns, event.end_ns) {
            check(start_ns <= end_ns, "end_ns", "lies before start_ns", sink);
        }
        for (name, value) in
            [("before", event.before), ("value", event.value), ("threshold", event.threshold)]
        {
            check(is_quantity(value), name, "is not a number from 0 up", sink);
        }
    }

    fn span(&mut self, span: &Span, sink: &mut dyn FnMut(StreamFault)) {
        self.time(span.time_ns, sink);
        if let Some(thread) = span.thread {
            self.thread_time(PerThread::Span, thread, span.time_ns, sink);
        }
        if span.duration_ns > span.time_ns {
            let why = "is longer than the session was at its end".into();
            sink(StreamFault::Odd { field: "duration_ns", why });
        }
    }

    fn latency(&mut self, latency: &Latency, sink: &mut dyn FnMut(StreamFault)) {
        self.time(latency.time_ns, sink);
        self.frames.used(latency.frame, Id::Frame, sink);
        interval_begin(latency.time_ns, latency.interval_ns, sink);
        check(latency.min_ns <= latency.max_ns, "max_ns", "is below min_ns", sink);
        check(latency.max_ns <= latency.sum_ns || latency.count == 0, "sum_ns", "is below max_ns", sink);
        let counted: u128 = latency.buckets.iter().map(|&(_, count)| u128::from(count)).sum();
        if counted != u128::from(latency.count) {
            sink(field("buckets", format!("add up to {counted}, but count is {}", latency.count)));
        }
    }

    fn lost(&mut self, lost: &Lost, sink: &mut dyn FnMut(StreamFault)) {
        self.time(lost.time_ns, sink);
        check(
            lost.since_ns.is_none_or(|since| since <= lost.time_ns),
            "since_ns",
            "lies after time_ns",
            sink,
        );
        let total = match lost.cause {
            LostCause::Backpressure => &mut self.dropped_count,
            LostCause::RingFull | LostCause::Throttled | LostCause::Unreadable => &mut self.lost_count,
        };
        *total = total.saturating_add(lost.count);
    }

    fn end(&mut self, end: &End, sink: &mut dyn FnMut(StreamFault)) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.time(end.time_ns, sink);
        if self.lines_missing {
            return;
        }
        let (mut truncated, mut unnamed, mut pending) = (0u64, 0, 0);
        for frame in self.frames.iter() {
            if frame.truncated {
                truncated = truncated.saturating_add(frame.samples_as_root);
            }
            unnamed += u64::from(frame.unnamed);
            pending += u64::from(frame.pending);
        }
        for (field, said, counted) in [
            ("sample_count", end.sample_count, self.sample_count),
            ("lost_count", end.lost_count, self.lost_count),
            ("dropped_count", end.dropped_count, self.dropped_count),
            ("truncated_count", end.truncated_count, truncated),
            ("unresolved_frame_count", end.unresolved_frame_count, unnamed),
        ] {
            if said != counted {
                sink(StreamFault::Total { field, said, counted });
            }
        }
        check(end.spliced_count <= end.sample_count, "spliced_count", "is above sample_count", sink);
        if pending > 0 {
            sink(StreamFault::Pending { count: pending });
        }
    }

    /// The order that holds for all lines.
    fn time(&mut self, time_ns: u64, sink: &mut dyn FnMut(StreamFault)) {
        if time_ns > self.newest_ns {
            self.newest_ns = time_ns;
        } else if self.newest_ns - time_ns > MAX_DISORDER_NS {
            sink(StreamFault::Disorder { time_ns, newest_ns: self.newest_ns });
        }
    }

    /// The order that holds for the lines of one type and thread.
    fn thread_time(&mut self, kind: PerThread, id: u32, time_ns: u64, sink: &mut dyn FnMut(StreamFault)) {
        self.threads.used(id, Id::Thread, sink);
        let newest = &mut self.threads.define(id).newest_ns[kind as usize];
        if time_ns < *newest {
            let kind = match kind {
                PerThread::Sample => "sample",
                PerThread::Alloc => "alloc",
                PerThread::Free => "free",
                PerThread::Span => "span",
            };
            sink(StreamFault::Backwards { kind, thread: id, time_ns, before_ns: *newest });
        }
        *newest = time_ns;
    }
}

fn report(line: u64, fault: StreamFault, report: &mut Report<'_>) {
    report(Fault { severity: fault.severity(), place: Place::Line(line), what: What::Stream(fault) });
}

fn field(field: &'static str, why: String) -> StreamFault {
    StreamFault::Field { field, why }
}

fn check(holds: bool, name: &'static str, otherwise: &str, sink: &mut dyn FnMut(StreamFault)) {
    if !holds {
        sink(field(name, otherwise.into()));
    }
}

/// Start of the interval that ends at `time_ns`.
fn interval_begin(time_ns: u64, interval_ns: u64, sink: &mut dyn FnMut(StreamFault)) -> Option<u64> {
    let begin = time_ns.checked_sub(interval_ns);
    check(begin.is_some(), "interval_ns", "is longer than the session was at its end", sink);
    begin
}
