//! Sparse sums by (window, stack, thread), in memory that depends on distinct keys and not on samples.
//!
//! New amounts go to a small hash map, which takes any order of time. When it is full it is sorted and merged
//! into one sorted column; the merge touches only the end of that column unless lines came late.

use rustc_hash::FxHashMap;

/// Keys that the map holds before they are merged into the column: a few megabytes, and rare enough that the
/// sort does not show.
const RECENT_MAX: usize = 1 << 16;

/// Where an amount is booked. Ordered as the session's columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Number of the window.
    pub(crate) window: u32,
    /// Row of the stack plus one; 0 for none.
    pub(crate) stack: u32,
    /// Row of the thread.
    pub(crate) thread: u32,
}

/// What is summed in a cell.
pub(crate) trait Amount: Copy {
    /// Adds another amount of the same cell.
    fn add(&mut self, other: Self);
}

/// CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) sample_count: u64,
    pub(crate) cpu_ns: u64,
}

impl Amount for Cpu {
    fn add(&mut self, other: Self) {
        self.sample_count = self.sample_count.saturating_add(other.sample_count);
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
    }
}

/// Time off the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) wait_count: u64,
    pub(crate) waited_ns: u64,
}

impl Amount for Wait {
    fn add(&mut self, other: Self) {
        self.wait_count = self.wait_count.saturating_add(other.wait_count);
        self.waited_ns = self.waited_ns.saturating_add(other.waited_ns);
    }
}

/// Allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alloc {
    pub(crate) alloc_count: u64,
    pub(crate) alloc_bytes: u64,
    pub(crate) freed_bytes: u64,
}

impl Amount for Alloc {
    fn add(&mut self, other: Self) {
        self.alloc_count = self.alloc_count.saturating_add(other.alloc_count);
        self.alloc_bytes = self.alloc_bytes.saturating_add(other.alloc_bytes);
        self.freed_bytes = self.freed_bytes.saturating_add(other.freed_bytes);
    }
}

/// The cells of one kind of amount.
#[derive(Clone, Debug)]
pub(crate) struct Cells<A> {
    recent: FxHashMap<Key, A>,
    settled: Vec<(Key, A)>,
}

impl<A> Default for Cells<A> {
    fn default() -> Self {
        Cells { recent: FxHashMap::default(), settled: Vec::new() }
    }
}

impl<A: Amount> Cells<A> {
    /// Books an amount.
    pub(crate) fn add(&mut self, key: Key, amount: A) {
        self.recent.entry(key).and_modify(|cell| cell.add(amount)).or_insert(amount);
    }

    /// Whether it is time to [`settle`](Self::settle).
    pub(crate) fn is_due(&self) -> bool {
        self.recent.len() >= RECENT_MAX
    }

    /// Cells in the column; the exact number right after settling.
    pub(crate) fn settled_len(&self) -> usize {
        self.settled.len()
    }

    /// Merges the map into the column.
    pub(crate) fn settle(&mut self) {
        let mut run: Vec<(Key, A)> = self.recent.drain().collect();
        run.sort_unstable_by_key(|cell| cell.0);
        let Some(first) = run.first() else { return };
        let kept = self.settled.partition_point(|cell| cell.0 < first.0);
        let mut tail = self.settled.split_off(kept).into_iter().peekable();
        for (key, mut amount) in run {
            while let Some(older) = tail.next_if(|older| older.0 < key) {
                self.settled.push(older);
            }
            if let Some((_, older)) = tail.next_if(|older| older.0 == key) {
                amount.add(older);
            }
            self.settled.push((key, amount));
        }
        self.settled.extend(tail);
    }

    /// Gives every cell another key and sums those that meet.
    pub(crate) fn rekey(&mut self, mut map: impl FnMut(Key) -> Key) {
        self.settle();
        for cell in &mut self.settled {
            cell.0 = map(cell.0);
        }
        self.settled.sort_unstable_by_key(|cell| cell.0);
        self.settled.dedup_by(|cell, kept| {
            let same = cell.0 == kept.0;
            if same {
                kept.1.add(cell.1);
            }
            same
        });
    }

    /// The cells in order.
    pub(crate) fn into_sorted(mut self) -> Vec<(Key, A)> {
        self.settle();
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(window: u32, stack: u32) -> Key {
        Key { window, stack, thread: 0 }
    }

    fn one() -> Cpu {
        Cpu { sample_count: 1, cpu_ns: 10 }
    }

    #[test]
    fn late_amounts_find_their_cell() {
        let mut cells = Cells::default();
        for window in [5, 6, 7] {
            cells.add(key(window, 1), one());
        }
        cells.settle();
        cells.add(key(6, 1), one());
        cells.add(key(4, 1), one());
        cells.add(key(8, 1), one());
        let sorted = cells.into_sorted();
        let seen: Vec<(u32, u64)> = sorted.iter().map(|(key, cpu)| (key.window, cpu.sample_count)).collect();
        assert_eq!(seen, [(4, 1), (5, 1), (6, 2), (7, 1), (8, 1)]);
    }

    #[test]
    fn cells_that_meet_are_summed() {
        let mut cells = Cells::default();
        for stack in [3, 1, 2] {
            cells.add(key(stack, stack), one());
        }
        cells.rekey(|_| key(0, 1));
        assert_eq!(cells.into_sorted(), [(key(0, 1), Cpu { sample_count: 3, cpu_ns: 30 })]);
    }
}
