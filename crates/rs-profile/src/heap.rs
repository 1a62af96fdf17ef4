//! Heap lines to heap sites.

use rs_schema::event;
use rs_schema::session::{Heap, HeapSite};
use rustc_hash::FxHashMap;

/// Sums and gauges of all heap sites.
///
/// The session's peak is the highest sum of live bytes over all sites at the end of an interval. What each
/// site held at the peak is kept without copying all sites at every new one: a site remembers its figure when
/// it first changes after a peak.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeapSites {
    seen: bool,
    sampled: bool,
    rows: FxHashMap<(event::ProcessId, Option<u32>), usize>,
    sites: Vec<Site>,
    live_bytes: u128,
    /// End of the interval that is being read.
    time_ns: u64,
    peak_bytes: u64,
    peak_time_ns: u64,
    /// Number of the latest peak.
    peak: u64,
}

#[derive(Clone, Debug, Default)]
struct Site {
    stack: Option<u32>,
    sums: HeapSite,
    freed_bytes: u64,
    /// Bytes live at peak number `peak`; that of a later one is what is live now.
    peak: u64,
}

impl HeapSites {
    /// Takes a heap line, with the row of its stack if that is defined.
    pub(crate) fn add(&mut self, line: &event::Heap, stack: Option<u32>) {
        if line.time_ns > self.time_ns {
            self.close_interval();
            self.time_ns = line.time_ns;
        }
        self.seen = true;
        self.sampled |= line.sample_count.is_some();
        let row = *self.rows.entry((line.process, stack)).or_insert_with(|| {
            self.sites.push(Site { stack, peak: self.peak, ..Site::default() });
            self.sites.len() - 1
        });
        let site = &mut self.sites[row];
        if site.peak != self.peak {
            site.peak = self.peak;
            site.sums.peak_bytes = site.sums.live_at_end_bytes;
        }
        self.live_bytes =
            self.live_bytes - u128::from(site.sums.live_at_end_bytes) + u128::from(line.live_bytes);
        let sums = &mut site.sums;
        sums.live_at_end_bytes = line.live_bytes;
        sums.live_at_end_count = line.live_count;
        if let Some(count) = line.sample_count {
            sums.sample_count = Some(sums.sample_count.unwrap_or(0).saturating_add(count));
        }
        sums.alloc_count = sums.alloc_count.saturating_add(line.alloc_count);
        sums.alloc_bytes = sums.alloc_bytes.saturating_add(line.alloc_bytes);
        sums.free_count = sums.free_count.saturating_add(line.free_count);
        sums.temporary_count = sums.temporary_count.saturating_add(line.temporary_count);
        site.freed_bytes = site.freed_bytes.saturating_add(line.freed_bytes);
    }

    fn close_interval(&mut self) {
        let live = u64::try_from(self.live_bytes).unwrap_or(u64::MAX);
        if live > self.peak_bytes {
            self.peak_bytes = live;
            self.peak_time_ns = self.time_ns;
            self.peak += 1;
        }
    }

    /// The session's heap; `None` without heap lines. Sites without a stack are in the totals alone.
    pub(crate) fn into_heap(mut self, stack_row: &[u32]) -> Option<Heap> {
        if !self.seen {
            return None;
        }
        self.close_interval();
        let mut heap = Heap {
            mode: if self.sampled { "sampled" } else { "all" }.into(),
            peak_bytes: self.peak_bytes,
            peak_time_ns: self.peak_time_ns,
            ..Heap::default()
        };
        let mut rows: FxHashMap<u32, usize> = FxHashMap::default();
        for mut site in self.sites {
            if site.peak != self.peak {
                site.sums.peak_bytes = site.sums.live_at_end_bytes;
            }
            heap.alloc_count = heap.alloc_count.saturating_add(site.sums.alloc_count);
            heap.alloc_bytes = heap.alloc_bytes.saturating_add(site.sums.alloc_bytes);
            heap.free_count = heap.free_count.saturating_add(site.sums.free_count);
            heap.freed_bytes = heap.freed_bytes.saturating_add(site.freed_bytes);
            heap.live_at_end_bytes = heap.live_at_end_bytes.saturating_add(site.sums.live_at_end_bytes);
            heap.live_at_end_count = heap.live_at_end_count.saturating_add(site.sums.live_at_end_count);
            let Some(&stack) = site.stack.and_then(|stack| stack_row.get(stack as usize)) else { continue };
            site.sums.stack = stack;
            match rows.get(&stack) {
                Some(&row) => add_site(&mut heap.sites[row], &site.sums),
                None => {
                    rows.insert(stack, heap.sites.len());
                    heap.sites.push(site.sums);
                }
            }
        }
        heap.sites.sort_by(|a, b| b.alloc_bytes.cmp(&a.alloc_bytes).then(a.stack.cmp(&b.stack)));
        Some(heap)
    }
}

/// Adds the figures of a site that turned out to be the same.
fn add_site(to: &mut HeapSite, from: &HeapSite) {
    to.sample_count = match (to.sample_count, from.sample_count) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    let sums = [
        (&mut to.alloc_count, from.alloc_count),
        (&mut to.alloc_bytes, from.alloc_bytes),
        (&mut to.free_count, from.free_count),
        (&mut to.temporary_count, from.temporary_count),
        (&mut to.peak_bytes, from.peak_bytes),
        (&mut to.live_at_end_count, from.live_at_end_count),
        (&mut to.live_at_end_bytes, from.live_at_end_bytes),
    ];
    for (sum, more) in sums {
        *sum = sum.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time_ns: u64, stack: u32, alloc_bytes: u64, freed_bytes: u64, live_bytes: u64) -> event::Heap {
        event::Heap {
            time_ns,
            interval_ns: 10,
            stack,
            alloc_bytes,
            freed_bytes,
            live_bytes,
            ..Default::default()
        }
    }

    #[test]
    fn sites_know_what_they_held_at_the_peak() {
        let mut sites = HeapSites::default();
        for (time, stack, alloc, freed, live) in [
            (10, 0, 50, 0, 50),
            (10, 1, 10, 0, 10),
            (20, 1, 30, 0, 40),
            (30, 0, 0, 50, 0),
            (40, 2, 60, 0, 60),
        ] {
            sites.add(&line(time, stack, alloc, freed, live), Some(stack));
        }
        // 60 at 10, 90 at 20, 40 at 30, 100 at 40.
        let heap = sites.clone().into_heap(&[0, 1, 2]).unwrap();
        assert_eq!((heap.peak_bytes, heap.peak_time_ns, heap.live_at_end_bytes), (100, 40, 100));
        let at_peak: Vec<_> = heap.sites.iter().map(|site| (site.stack, site.peak_bytes)).collect();
        assert_eq!(at_peak, [(2, 60), (0, 0), (1, 40)]);
        // Lower afterwards: the peak stays, and so does what each site held.
        sites.add(&line(50, 1, 0, 40, 0), Some(1));
        sites.add(&line(50, 2, 5, 0, 65), Some(2));
        let heap = sites.into_heap(&[0, 1, 1]).unwrap();
        assert_eq!((heap.peak_bytes, heap.live_at_end_bytes), (100, 65));
        let at_peak: Vec<_> = heap.sites.iter().map(|site| (site.stack, site.peak_bytes)).collect();
        assert_eq!(at_peak, [(1, 100), (0, 0)]);
        assert_eq!(heap.mode, "all");
    }
}
