//! The same session, of a part of its time, its threads or its stacks.

use rs_schema::Error;
use rs_schema::session::{AllocCells, CpuCells, Event, ProfileSession, Row, WaitCells, Windows};

use crate::check;
use crate::hot::{touched, window_start};
use crate::summary::summary;
use crate::tables;

/// Which part of a session. Each condition narrows it; the default is all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// From here on; rounded down to a window.
    pub from_ns: Option<u64>,
    /// Up to here; rounded up to a window.
    pub to_ns: Option<u64>,
    /// Rows of `thread_rollups`.
    pub threads: Option<Vec<Row>>,
    /// Row of `processes`.
    pub process: Option<Row>,
    /// Samples with a function of this crate anywhere on the stack.
    pub crate_name: Option<String>,
}

impl Selection {
    /// The windows that an event's hot list is about, and its process.
    pub fn of_event(event: &Event) -> Self {
        Selection {
            from_ns: Some(event.hot.from_ns),
            to_ns: Some(event.hot.to_ns),
            process: event.process,
            ..Selection::default()
        }
    }
}

/// A part of a session, as a session.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Start of the first window that is in it.
    pub from_ns: u64,
    /// End of the last.
    pub to_ns: u64,
    /// The session with all tables recomputed. Rows of frames, stacks, threads, processes, mappings and files
    /// are those of the whole session; functions are in a new order. Times stay absolute, windows outside are
    /// empty.
    pub session: ProfileSession,
}

/// Takes a part of a session and recomputes everything from it.
///
/// What is known of the whole session only is left out of a part: losses are those of its windows; the kernel's
/// count of CPU time, spliced stacks and, unless all threads and stacks are in, allocations are unknown. The heap's
/// totals stay those of the whole session.
///
/// # Errors
/// When the session is not structurally sound.
pub fn select(session: &ProfileSession, selection: &Selection) -> Result<View, Error> {
    if let Some(message) = check::fault(session) {
        return Err(Error::Document { line: 1, column: 1, message });
    }
    let mut part = session.clone();
    let filter = Filter::new(session, selection);
    let (from, to) = filter.windows;
    let (mut from_ns, mut to_ns) = (0, session.session.duration_ns);
    if let Some(windows) = &mut part.windows {
        if !filter.is_everything() {
            filter.apply(windows);
        }
        (from_ns, to_ns) = (window_start(windows, from), window_start(windows, to));
    }
    if !filter.all_cells {
        part.heap = None;
    }
    if !filter.is_everything() {
        restrict(&mut part, &filter, (from_ns, to_ns));
    }
    tables::derive(&mut part);
    Ok(View { from_ns, to_ns, session: part })
}

/// A selection in terms of cells.
struct Filter {
    /// The windows `[from, to)`.
    windows: (u64, u64),
    all_windows: bool,
    /// Whether no cell of these windows is left out.
    all_cells: bool,
    thread: Vec<bool>,
    stack: Vec<bool>,
    stackless: bool,
}

impl Filter {
    fn new(session: &ProfileSession, selection: &Selection) -> Self {
        let (windows, all_windows) = session.windows.as_ref().map_or(((0, 0), true), |windows| {
            let end_ns = window_start(windows, windows.count);
            let (from_ns, to_ns) = (selection.from_ns.unwrap_or(0), selection.to_ns.unwrap_or(end_ns));
            let whole = from_ns < windows.interval_ns && to_ns >= end_ns;
            let span = if whole { (0, windows.count) } else { span(windows, from_ns, to_ns) };
            (span, whole)
        });
        let threads = session.thread_rollups.iter().zip(0..);
        let thread: Vec<bool> = threads
            .map(|(thread, row)| {
                selection.process.is_none_or(|process| thread.process == process)
                    && selection.threads.as_ref().is_none_or(|rows| rows.contains(&row))
            })
            .collect();
        let stack = match &selection.crate_name {
            None => vec![true; session.stacks.frame.len()],
            Some(name) => stacks_with_crate(session, name),
        };
        let stackless = selection.crate_name.is_none();
        let all_cells = stackless && thread.iter().all(|&kept| kept);
        Filter { windows, all_windows, all_cells, thread, stack, stackless }
    }

    fn is_everything(&self) -> bool {
        self.all_windows && self.all_cells
    }

    fn has_stack(&self, stack: i64) -> bool {
        usize::try_from(stack).map_or(self.stackless, |stack| self.stack[stack])
    }

    fn apply(&self, windows: &mut Windows) {
        let (from, to) = self.windows;
        for (window, lost) in (0..).zip(&mut windows.lost_count) {
            if !(from..to).contains(&window) {
                *lost = 0;
            }
        }
        self.apply_cpu(&mut windows.cpu);
        self.apply_wait(&mut windows.wait);
        self.apply_alloc(&mut windows.alloc);
    }

    fn apply_cpu(&self, cells: &mut CpuCells) {
        let kept = self.cells(&mut cells.offset, |cell| {
            self.has_stack(cells.stack[cell]) && self.thread[cells.thread[cell] as usize]
        });
        retain(&mut cells.stack, &kept);
        retain(&mut cells.thread, &kept);
        retain(&mut cells.sample_count, &kept);
        if let Some(cpu_ns) = &mut cells.cpu_ns {
            retain(cpu_ns, &kept);
        }
    }

    fn apply_wait(&self, cells: &mut WaitCells) {
        let kept = self.cells(&mut cells.offset, |cell| {
            self.has_stack(cells.stack[cell]) && self.thread[cells.thread[cell] as usize]
        });
        retain(&mut cells.stack, &kept);
        retain(&mut cells.thread, &kept);
        retain(&mut cells.wait_count, &kept);
        retain(&mut cells.waited_ns, &kept);
    }

    /// Allocations do not tell their thread, so a part of the threads has none that are known.
    fn apply_alloc(&self, cells: &mut AllocCells) {
        let kept = self.cells(&mut cells.offset, |_| self.all_cells);
        retain(&mut cells.stack, &kept);
        retain(&mut cells.alloc_count, &kept);
        retain(&mut cells.alloc_bytes, &kept);
        retain(&mut cells.freed_bytes, &kept);
    }

    /// Which cells are kept, with the offsets moved to fit.
    fn cells(&self, offset: &mut [u64], keep: impl Fn(usize) -> bool) -> Vec<bool> {
        let count = offset.last().map_or(0, |&count| count as usize);
        let mut kept = vec![false; count];
        let (mut begin, mut len) = (0, 0);
        for (window, end) in (0..).zip(offset.iter_mut().skip(1)) {
            let cells = begin..*end as usize;
            begin = *end as usize;
            if (self.windows.0..self.windows.1).contains(&window) {
                for cell in cells {
                    kept[cell] = keep(cell);
                    len += u64::from(kept[cell]);
                }
            }
            *end = len;
        }
        kept
    }
}

/// The windows of a range that may be empty or lie outside.
fn span(windows: &Windows, from_ns: u64, to_ns: u64) -> (u64, u64) {
    if from_ns >= to_ns {
        let (from, _) = touched(windows, from_ns, from_ns);
        return (from, from);
    }
    touched(windows, from_ns, to_ns)
}

fn retain<T>(column: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    column.retain(|_| kept.next().copied().unwrap_or(false));
}

/// The stacks that have a function of a crate somewhere.
fn stacks_with_crate(session: &ProfileSession, name: &str) -> Vec<bool> {
    let mut with: Vec<bool> = Vec::with_capacity(session.stacks.frame.len());
    for (&parent, &frame) in session.stacks.parent.iter().zip(&session.stacks.frame) {
        let function = &session.functions[session.frames.function[frame as usize] as usize];
        let above = usize::try_from(parent).is_ok_and(|parent| with[parent]);
        with.push(above || function.crate_name.as_deref() == Some(name));
    }
    with
}

/// Leaves out what lies outside of the part, and what is known of the whole only.
fn restrict(part: &mut ProfileSession, filter: &Filter, (from_ns, to_ns): (u64, u64)) {
    let diagnostics = &mut part.sampling_diagnostics;
    let lost = part.windows.iter().flat_map(|windows| &windows.lost_count);
    diagnostics.lost_count = lost.fold(0u64, |sum, &lost| sum.saturating_add(lost));
    diagnostics.dropped_count = 0;
    diagnostics.truncated_count = 0;
    diagnostics.spliced_count = None;
    diagnostics.process_cpu_ns = None;
    if filter.all_windows {
        return;
    }
    let inside =
        |start_ns: u64, end_ns: u64| start_ns < to_ns && end_ns.max(start_ns.saturating_add(1)) > from_ns;
    part.process_samples
        .retain(|sample| inside(sample.time_ns, sample.time_ns.saturating_add(sample.duration_ns)));
    part.process_summary = summary(&part.process_samples);
    part.spans.retain(|span| inside(span.start_ns, span.start_ns.saturating_add(span.duration_ns)));
    part.memory_events.retain(|event| inside(event.start_ns, event.end_ns));
    part.events.retain(|event| inside(event.start_ns, event.end_ns));
}
