//! Latency lines to the latencies of functions.

use rs_schema::event;
use rs_schema::session::{Function, Latency, Row};
use rustc_hash::FxHashMap;

/// Sums of measured calls by frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    by_frame: FxHashMap<u32, Calls>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    count: u64,
    sum_ns: u64,
}

impl Latencies {
    /// Takes a line, with the row of its frame.
    pub(crate) fn add(&mut self, line: &event::Latency, frame: u32) {
        let calls = self.by_frame.entry(frame).or_default();
        calls.count = calls.count.saturating_add(line.count);
        calls.sum_ns = calls.sum_ns.saturating_add(line.sum_ns);
    }

    /// The frames that have some, in order.
    pub(crate) fn frames(&self) -> Vec<u32> {
        let mut frames: Vec<u32> = self.by_frame.keys().copied().collect();
        frames.sort_unstable();
        frames
    }

    /// Gives the functions their latencies. The number of a bucket does not tell its bounds yet, so percentiles
    /// are unknown, and say so.
    pub(crate) fn attach(self, functions: &mut [Function], function_row: &[Option<Row>]) {
        let mut by_function: FxHashMap<Row, Calls> = FxHashMap::default();
        for (frame, calls) in self.by_frame {
            let Some(function) = function_row.get(frame as usize).copied().flatten() else { continue };
            let sum = by_function.entry(function).or_default();
            sum.count = sum.count.saturating_add(calls.count);
            sum.sum_ns = sum.sum_ns.saturating_add(calls.sum_ns);
        }
        for (row, calls) in by_function {
            let mean_ns = calls.sum_ns.checked_div(calls.count);
            if let (Some(function), Some(mean_ns)) = (functions.get_mut(row as usize), mean_ns) {
                function.latency = Some(Latency {
                    count: calls.count,
                    mean_ns,
                    p50_ns: None,
                    p95_ns: None,
                    p99_ns: None,
                    reason: Some("percentiles are not computed from histograms yet".into()),
                });
            }
        }
    }
}
