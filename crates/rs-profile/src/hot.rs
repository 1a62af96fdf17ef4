//! What was hot in an event's windows.
//!
//! An event's hot list covers the windows that its span touches, restricted to the threads of its process if it
//! names one. A mark has no length, so half a second on either side of it is taken; a phase spans until the
//! next one.

use rs_schema::ProfileSession;
use rs_schema::event::EventKind;
use rs_schema::session::{
    Allocated, Event, Hot, HotCrateShare, HotFunctionShare, HotModuleShare, Row, Windows,
};
use rustc_hash::FxHashMap;

use crate::index::{Index, NONE};
use crate::round::rounded;
use crate::sums::cell_cpu_ns;

/// Rows of a hot list.
pub(crate) const TOP: usize = 10;
/// What is looked at before and after a mark.
const MARK_SIDE_NS: u64 = 500_000_000;

/// The windows `[from, to)` that `[start_ns, end_ns)` touches, at most those there are. A span without length
/// touches the window of its moment.
pub(crate) fn touched(windows: &Windows, start_ns: u64, end_ns: u64) -> (u64, u64) {
    let interval_ns = windows.interval_ns.max(1);
    let from = (start_ns / interval_ns).min(windows.count);
    let to = end_ns.div_ceil(interval_ns).max((start_ns / interval_ns).saturating_add(1));
    (from, to.clamp(from, windows.count))
}

/// The moment at which a window begins.
pub(crate) fn window_start(windows: &Windows, window: u64) -> u64 {
    windows.interval_ns.saturating_mul(window)
}

/// Sums by row that are cleared at the cost of the rows in use.
#[derive(Default)]
pub(crate) struct Sparse {
    values: Vec<u64>,
    used: Vec<Row>,
}

impl Sparse {
    fn with_len(len: usize) -> Self {
        Sparse { values: vec![0; len], used: Vec::new() }
    }

    fn add(&mut self, row: Row, value: u64) {
        if row == NONE || value == 0 {
            return;
        }
        let sum = &mut self.values[row as usize];
        if *sum == 0 {
            self.used.push(row);
        }
        *sum = sum.saturating_add(value);
    }

    /// The highest, falling; rows of tables are in order already, so they decide between equals.
    pub(crate) fn top(&mut self, count: usize) -> Vec<(Row, u64)> {
        let values = &self.values;
        self.used.sort_unstable_by_key(|&row| (std::cmp::Reverse(values[row as usize]), row));
        self.used.iter().take(count).map(|&row| (row, values[row as usize])).collect()
    }

    fn clear(&mut self) {
        for row in self.used.drain(..) {
            self.values[row as usize] = 0;
        }
    }
}

/// CPU time of a range of windows by function, module, crate and blame.
pub(crate) struct Range<'a> {
    session: &'a ProfileSession,
    index: &'a Index,
    pub(crate) functions: Sparse,
    pub(crate) modules: Sparse,
    pub(crate) crates: Sparse,
    blamed: Sparse,
    sample_count: u64,
    cpu_ns: u64,
}

impl<'a> Range<'a> {
    pub(crate) fn new(session: &'a ProfileSession, index: &'a Index) -> Self {
        Range {
            session,
            index,
            functions: Sparse::with_len(session.functions.len()),
            modules: Sparse::with_len(index.modules.len),
            crates: Sparse::with_len(index.crates.len),
            blamed: Sparse::with_len(session.functions.len()),
            sample_count: 0,
            cpu_ns: 0,
        }
    }

    /// Sums the windows `[from, to)`, of one process or of all.
    pub(crate) fn sum(&mut self, windows: &Windows, (from, to): (u64, u64), process: Option<Row>) {
        for sums in [&mut self.functions, &mut self.modules, &mut self.crates, &mut self.blamed] {
            sums.clear();
        }
        (self.sample_count, self.cpu_ns) = (0, 0);
        let period_ns = self.session.sampling_diagnostics.period_ns.unwrap_or(0);
        for cell in cells(&windows.cpu.offset, from, to) {
            let thread = windows.cpu.thread[cell] as usize;
            if process.is_some_and(|process| self.session.thread_rollups[thread].process != process) {
                continue;
            }
            let cpu_ns = cell_cpu_ns(windows, period_ns, cell);
            self.sample_count = self.sample_count.saturating_add(windows.cpu.sample_count[cell]);
            self.cpu_ns = self.cpu_ns.saturating_add(cpu_ns);
            if let Ok(stack) = usize::try_from(windows.cpu.stack[cell]) {
                self.functions.add(self.index.function[stack], cpu_ns);
                self.blamed.add(self.index.blamed[stack], cpu_ns);
            }
        }
        for &function in &self.functions.used {
            let cpu_ns = self.functions.values[function as usize];
            self.modules.add(self.index.modules.of_function[function as usize], cpu_ns);
            self.crates.add(self.index.crates.of_function[function as usize], cpu_ns);
        }
    }

    pub(crate) fn module(&self, row: Row) -> String {
        self.session.module_rollups[row as usize].module.clone()
    }

    pub(crate) fn crate_name(&self, row: Row) -> String {
        self.session.crate_rollups[row as usize].crate_name.clone()
    }

    fn share(&self, cpu_ns: u64) -> f64 {
        if self.cpu_ns == 0 { 0.0 } else { rounded(cpu_ns as f64 / self.cpu_ns as f64) }
    }

    fn hot(&mut self, windows: &Windows, (from, to): (u64, u64)) -> Hot {
        let (functions, modules, crates) =
            (self.functions.top(TOP), self.modules.top(TOP), self.crates.top(TOP));
        let blamed = self.blamed.top(1);
        let function = |&(function, self_ns): &(Row, u64)| HotFunctionShare {
            function,
            self_ns,
            ratio: self.share(self_ns),
        };
        let lost = windows.lost_count.iter().skip(from as usize).take((to - from) as usize);
        Hot {
            from_ns: window_start(windows, from),
            to_ns: window_start(windows, to),
            sample_count: self.sample_count,
            cpu_ns: self.cpu_ns,
            lost_count: lost.fold(0, |sum, lost| sum.saturating_add(*lost)),
            functions: functions.iter().map(function).collect(),
            modules: (modules.into_iter())
                .map(|(row, self_ns)| HotModuleShare {
                    module: self.module(row),
                    self_ns,
                    ratio: self.share(self_ns),
                })
                .collect(),
            crates: (crates.into_iter())
                .map(|(row, self_ns)| HotCrateShare {
                    crate_name: self.crate_name(row),
                    self_ns,
                    ratio: self.share(self_ns),
                })
                .collect(),
            blamed: blamed.first().map(function),
        }
    }
}

/// The cells of the windows `[from, to)`.
pub(crate) fn cells(offset: &[u64], from: u64, to: u64) -> std::ops::Range<usize> {
    let at = |window: u64| offset.get(window as usize).map_or(0, |&cell| cell as usize);
    at(from)..at(to)
}

/// The hot lists and allocations of all events.
pub(crate) fn events(session: &mut ProfileSession, index: &Index) {
    let mut memory_events = std::mem::take(&mut session.memory_events);
    let mut events = std::mem::take(&mut session.events);
    if let Some(windows) = &session.windows {
        let mut range = Range::new(session, index);
        for event in memory_events.iter_mut().chain(&mut events) {
            let (start_ns, end_ns) = looked_at(event);
            let span = touched(windows, start_ns, end_ns);
            range.sum(windows, span, event.process);
            event.hot = range.hot(windows, span);
            event.allocated = session.heap.is_some().then(|| allocated(windows, span));
        }
    }
    (session.memory_events, session.events) = (memory_events, events);
}

/// The span that an event's hot list is about.
fn looked_at(event: &Event) -> (u64, u64) {
    match event.kind {
        EventKind::Marker if event.start_ns == event.end_ns => {
            (event.time_ns.saturating_sub(MARK_SIDE_NS), event.time_ns.saturating_add(MARK_SIDE_NS))
        }
        _ => (event.start_ns, event.end_ns),
    }
}

/// The sites that allocated most in the windows `[from, to)`.
fn allocated(windows: &Windows, (from, to): (u64, u64)) -> Vec<Allocated> {
    let mut by_stack: FxHashMap<Row, u64> = FxHashMap::default();
    let mut all_bytes = 0u64;
    for cell in cells(&windows.alloc.offset, from, to) {
        let bytes = windows.alloc.alloc_bytes[cell];
        all_bytes = all_bytes.saturating_add(bytes);
        if let Ok(stack) = Row::try_from(windows.alloc.stack[cell])
            && bytes > 0
        {
            let sum = by_stack.entry(stack).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }
    let mut sites: Vec<(Row, u64)> = by_stack.into_iter().collect();
    sites.sort_unstable_by_key(|&(stack, bytes)| (std::cmp::Reverse(bytes), stack));
    sites.truncate(TOP);
    let share = |bytes: u64| rounded(bytes as f64 / all_bytes as f64);
    (sites.into_iter())
        .map(|(stack, alloc_bytes)| Allocated { stack, alloc_bytes, ratio: share(alloc_bytes) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rs_schema::session::{AllocCells, CpuCells, WaitCells};

    #[test]
    fn a_span_touches_whole_windows() {
        let windows = Windows {
            interval_ns: 100,
            count: 5,
            coarsened: None,
            lost_count: vec![0; 5],
            cpu: CpuCells::default(),
            wait: WaitCells::default(),
            alloc: AllocCells::default(),
        };
        assert_eq!(touched(&windows, 0, 100), (0, 1));
        assert_eq!(touched(&windows, 50, 101), (0, 2));
        assert_eq!(touched(&windows, 200, 200), (2, 3));
        assert_eq!(touched(&windows, 450, 9999), (4, 5));
        assert_eq!(touched(&windows, 9000, u64::MAX), (5, 5));
    }

    #[test]
    fn equals_keep_the_order_of_their_table() {
        let mut sums = Sparse::with_len(4);
        for (row, value) in [(3, 5), (1, 5), (0, 1), (NONE, 9), (3, 0)] {
            sums.add(row, value);
        }
        assert_eq!(sums.top(2), [(1, 5), (3, 5)]);
        sums.clear();
        assert_eq!(sums.top(2), []);
    }
}
