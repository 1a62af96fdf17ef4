//! The fold's side of the session's windows: amounts booked by time, and their coarsening.
//!
//! Window `k` is `[k * interval, (k + 1) * interval)`. What took a while (a wait, a loss, a heap interval) is
//! spread over the windows that it covers, in whole numbers whose sum is exact. The number of windows is
//! bounded by doubling the interval as time runs; the number of cells is bounded by the fold, which folds
//! threads first (see [`Fold`](crate::Fold)).

use rs_schema::session;

use crate::cells::{Alloc, Amount, Cells, Cpu, Key, Wait};

/// More windows than 29 hours of 100 ms. It also bounds what one absurd time in the input can cost.
const WINDOWS_MAX: u64 = 1 << 20;

/// Amounts by window.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    interval_ns: u64,
    cpu: Cells<Cpu>,
    wait: Cells<Wait>,
    alloc: Cells<Alloc>,
    lost: Vec<u64>,
}

impl Windows {
    pub(crate) fn new(interval_ns: u64) -> Self {
        Windows {
            interval_ns: interval_ns.max(1),
            cpu: Cells::default(),
            wait: Cells::default(),
            alloc: Cells::default(),
            lost: Vec::new(),
        }
    }

    pub(crate) fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// The window of a moment. Raises the interval when there would be too many windows.
    fn window_of(&mut self, time_ns: u64) -> u32 {
        let mut factor = 1;
        while time_ns / self.interval_ns.saturating_mul(factor) >= WINDOWS_MAX {
            factor *= 2;
        }
        if factor > 1 {
            self.stretch(factor);
        }
        // Below WINDOWS_MAX by the loop above.
        (time_ns / self.interval_ns) as u32
    }

    /// Books CPU time at a moment.
    pub(crate) fn add_cpu(&mut self, time_ns: u64, stack: u32, thread: u32, amount: Cpu) {
        let window = self.window_of(time_ns);
        self.cpu.add(Key { window, stack, thread }, amount);
    }

    /// Books a wait that ended at `end_ns`: its time in every window it covers, its count in the last of them.
    pub(crate) fn add_wait(&mut self, end_ns: u64, waited_ns: u64, stack: u32, thread: u32, count: u64) {
        let start_ns = end_ns.saturating_sub(waited_ns);
        let last = self.last_window(start_ns, end_ns);
        for (window, from, to) in parts(self.interval_ns, start_ns, end_ns) {
            let wait_count = if window == last { count } else { 0 };
            self.wait.add(Key { window, stack, thread }, Wait { wait_count, waited_ns: to - from });
        }
    }

    /// Books what a heap site did in `[start_ns, end_ns)`, evenly.
    pub(crate) fn add_alloc(&mut self, start_ns: u64, end_ns: u64, stack: u32, amount: Alloc) {
        self.last_window(start_ns, end_ns);
        for (window, from, to) in parts(self.interval_ns, start_ns, end_ns) {
            let share = |whole| share(whole, start_ns, end_ns, from, to);
            let part = Alloc {
                alloc_count: share(amount.alloc_count),
                alloc_bytes: share(amount.alloc_bytes),
                freed_bytes: share(amount.freed_bytes),
            };
            if part != (Alloc { alloc_count: 0, alloc_bytes: 0, freed_bytes: 0 }) {
                self.alloc.add(Key { window, stack, thread: 0 }, part);
            }
        }
    }

    /// Books samples that were lost in `[start_ns, end_ns)`, evenly.
    pub(crate) fn add_lost(&mut self, start_ns: u64, end_ns: u64, count: u64) {
        let last = self.last_window(start_ns, end_ns) as usize;
        if self.lost.len() <= last {
            self.lost.resize(last + 1, 0);
        }
        for (window, from, to) in parts(self.interval_ns, start_ns, end_ns) {
            let sum = &mut self.lost[window as usize];
            *sum = sum.saturating_add(share(count, start_ns, end_ns, from, to));
        }
    }

    /// The last window that `[start_ns, end_ns)` covers; that of its moment when it has no length.
    fn last_window(&mut self, start_ns: u64, end_ns: u64) -> u32 {
        self.window_of(if start_ns < end_ns { end_ns - 1 } else { end_ns })
    }

    /// Whether cells should be settled.
    pub(crate) fn is_due(&self) -> bool {
        self.cpu.is_due() || self.wait.is_due() || self.alloc.is_due()
    }

    /// Settles all cells and counts them.
    pub(crate) fn settle(&mut self) -> usize {
        self.cpu.settle();
        self.wait.settle();
        self.alloc.settle();
        self.cpu.settled_len() + self.wait.settled_len() + self.alloc.settled_len()
    }

    /// Gives every cell the thread that `row_of` says.
    pub(crate) fn fold_threads(&mut self, row_of: &[u32]) {
        let map = |key: Key| Key { thread: row(row_of, key.thread), ..key };
        self.cpu.rekey(map);
        self.wait.rekey(map);
    }

    /// Doubles the interval. False when one window holds everything already.
    pub(crate) fn double(&mut self, last_time_ns: u64) -> bool {
        if self.interval_ns > last_time_ns {
            return false;
        }
        self.stretch(2);
        true
    }

    fn stretch(&mut self, factor: u64) {
        self.interval_ns = self.interval_ns.saturating_mul(factor);
        let map = |key: Key| Key { window: (u64::from(key.window) / factor) as u32, ..key };
        self.cpu.rekey(map);
        self.wait.rekey(map);
        self.alloc.rekey(map);
        let step = usize::try_from(factor).unwrap_or(usize::MAX);
        self.lost = self
            .lost
            .chunks(step)
            .map(|chunk| chunk.iter().fold(0, |sum: u64, n| sum.saturating_add(*n)))
            .collect();
    }

    /// The session's columns, with the session's rows for stacks and threads.
    pub(crate) fn into_columns(
        mut self,
        duration_ns: u64,
        period_ns: Option<u64>,
        stack_row: &[u32],
        thread_row: &[u32],
    ) -> session::Windows {
        let map = |key: Key| Key {
            stack: key.stack.checked_sub(1).map_or(0, |stack| row(stack_row, stack) + 1),
            thread: row(thread_row, key.thread),
            ..key
        };
        self.cpu.rekey(map);
        self.wait.rekey(map);
        self.alloc.rekey(|key| Key { thread: 0, ..map(key) });
        if duration_ns > 0 {
            self.window_of(duration_ns - 1);
        }
        let (cpu, wait, alloc) = (self.cpu.into_sorted(), self.wait.into_sorted(), self.alloc.into_sorted());
        let count = duration_ns
            .div_ceil(self.interval_ns)
            .max(count_of(&cpu))
            .max(count_of(&wait))
            .max(count_of(&alloc))
            .max(self.lost.len() as u64);
        self.lost.resize(count as usize, 0);
        session::Windows {
            interval_ns: self.interval_ns,
            count,
            coarsened: None,
            lost_count: self.lost,
            cpu: cpu_columns(cpu, count, period_ns),
            wait: wait_columns(wait, count),
            alloc: alloc_columns(alloc, count),
        }
    }
}

/// The windows that `[start_ns, end_ns)` covers and the part of it in each; its moment when it has no length.
fn parts(interval_ns: u64, start_ns: u64, end_ns: u64) -> impl Iterator<Item = (u32, u64, u64)> {
    let first = start_ns / interval_ns;
    let last = if start_ns < end_ns { (end_ns - 1) / interval_ns } else { first };
    (first..=last).map(move |window| {
        let from = start_ns.max(window * interval_ns);
        let to = end_ns.min((window + 1).saturating_mul(interval_ns));
        (window as u32, from, to)
    })
}

/// The share of `whole` that falls to `[from, to)` out of `[start, end)`. Shares of adjoining parts add up.
fn share(whole: u64, start: u64, end: u64, from: u64, to: u64) -> u64 {
    if start >= end {
        return whole;
    }
    let until = |time: u64| u128::from(whole) * u128::from(time - start) / u128::from(end - start);
    (until(to) - until(from)) as u64
}

fn row(rows: &[u32], number: u32) -> u32 {
    rows.get(number as usize).copied().unwrap_or(0)
}

fn count_of<A>(cells: &[(Key, A)]) -> u64 {
    cells.last().map_or(0, |(key, _)| u64::from(key.window) + 1)
}

/// Where each window's cells begin.
fn offsets<A: Amount>(cells: &[(Key, A)], count: u64) -> Vec<u64> {
    let mut offset = Vec::with_capacity(count as usize + 1);
    let mut at = 0;
    for window in 0..count {
        offset.push(at as u64);
        while cells.get(at).is_some_and(|(key, _)| u64::from(key.window) == window) {
            at += 1;
        }
    }
    offset.push(at as u64);
    offset
}

fn stack_of(key: Key) -> i64 {
    i64::from(key.stack) - 1
}

fn cpu_columns(cells: Vec<(Key, Cpu)>, count: u64, period_ns: Option<u64>) -> session::CpuCells {
    let by_period = |cpu: &Cpu| period_ns.and_then(|period_ns| cpu.sample_count.checked_mul(period_ns));
    let uniform = cells.iter().all(|(_, cpu)| by_period(cpu) == Some(cpu.cpu_ns));
    session::CpuCells {
        offset: offsets(&cells, count),
        stack: cells.iter().map(|(key, _)| stack_of(*key)).collect(),
        thread: cells.iter().map(|(key, _)| key.thread).collect(),
        sample_count: cells.iter().map(|(_, cpu)| cpu.sample_count).collect(),
        cpu_ns: (!uniform).then(|| cells.iter().map(|(_, cpu)| cpu.cpu_ns).collect()),
    }
}

fn wait_columns(cells: Vec<(Key, Wait)>, count: u64) -> session::WaitCells {
    session::WaitCells {
        offset: offsets(&cells, count),
        stack: cells.iter().map(|(key, _)| stack_of(*key)).collect(),
        thread: cells.iter().map(|(key, _)| key.thread).collect(),
        wait_count: cells.iter().map(|(_, wait)| wait.wait_count).collect(),
        waited_ns: cells.iter().map(|(_, wait)| wait.waited_ns).collect(),
    }
}

fn alloc_columns(cells: Vec<(Key, Alloc)>, count: u64) -> session::AllocCells {
    session::AllocCells {
        offset: offsets(&cells, count),
        stack: cells.iter().map(|(key, _)| stack_of(*key)).collect(),
        alloc_count: cells.iter().map(|(_, alloc)| alloc.alloc_count).collect(),
        alloc_bytes: cells.iter().map(|(_, alloc)| alloc.alloc_bytes).collect(),
        freed_bytes: cells.iter().map(|(_, alloc)| alloc.freed_bytes).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_spread_and_counted_where_it_ended() {
        let mut windows = Windows::new(100);
        windows.add_wait(250, 200, 0, 0, 1);
        windows.add_wait(300, 100, 0, 0, 1);
        let wait = windows.into_columns(300, Some(1), &[], &[0]).wait;
        assert_eq!(wait.waited_ns, [50, 100, 150]);
        assert_eq!(wait.wait_count, [0, 0, 2]);
        assert_eq!(wait.offset, [0, 1, 2, 3]);
        assert_eq!(wait.stack, [-1, -1, -1]);
    }

    #[test]
    fn shares_add_up() {
        let mut windows = Windows::new(100);
        windows.add_lost(50, 350, 10);
        windows.add_lost(420, 420, 5);
        let columns = windows.into_columns(0, Some(1), &[], &[]);
        assert_eq!(columns.lost_count, [1, 4, 3, 2, 5]);
        assert_eq!(columns.count, 5);
    }

    #[test]
    fn an_absurd_time_costs_resolution_and_nothing_else() {
        let mut windows = Windows::new(100);
        windows.add_cpu(5, 0, 0, Cpu { sample_count: 1, cpu_ns: 1 });
        windows.add_cpu(u64::MAX, 0, 0, Cpu { sample_count: 1, cpu_ns: 1 });
        windows.add_wait(u64::MAX, u64::MAX, 0, 0, 1);
        windows.add_lost(0, u64::MAX, u64::MAX);
        let columns = windows.into_columns(u64::MAX, Some(1), &[], &[]);
        assert!(columns.count <= WINDOWS_MAX, "{}", columns.count);
        assert_eq!(columns.lost_count.iter().sum::<u64>(), u64::MAX);
        assert_eq!(columns.wait.waited_ns.iter().sum::<u64>(), u64::MAX);
        assert_eq!(columns.cpu.sample_count, [1, 1]);
    }

    #[test]
    fn an_interval_that_ends_on_a_border_stays_before_it() {
        let mut windows = Windows::new(100);
        windows.add_alloc(0, 100, 1, Alloc { alloc_count: 3, alloc_bytes: 30, freed_bytes: 0 });
        let alloc = windows.into_columns(200, None, &[0], &[]).alloc;
        assert_eq!(alloc.offset, [0, 1, 1]);
        assert_eq!(alloc.alloc_bytes, [30]);
    }
}
