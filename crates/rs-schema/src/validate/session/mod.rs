//! Checks of a session: references, order, and that every derived figure follows from the base columns.

mod hot;
mod sums;
mod tables;

use super::values::{is_quantity, is_ratio, looks_like_rfc3339, without_reason};
use super::{Fault, Place, Report, Severity, What};
use crate::ProfileSession;
use crate::session::{Distribution, Heap, Session};
use crate::units::Quantity;

/// What can be wrong with a session that can be read. Where it is stands beside it, as the path of the field.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionFault {
    /// A reference to a row that is not there.
    #[error("refers to row {row} of {table}, which has {len} rows")]
    Row {
        /// The reference.
        row: i64,
        /// The table.
        table: &'static str,
        /// Its rows.
        len: usize,
    },
    /// Columns of one table that differ in length.
    #[error("has {found} entries, expected {expected}")]
    Length {
        /// Entries of this column.
        found: usize,
        /// Entries it should have.
        expected: u64,
    },
    /// A figure that is not what follows from others.
    #[error("is {found}, but {what} is {expected}")]
    Sum {
        /// The figure.
        found: u128,
        /// What it should be.
        expected: u128,
        /// What it should equal.
        what: &'static str,
    },
    /// A share that is not what follows from others.
    #[error("is {found}, expected {expected}")]
    Share {
        /// The share.
        found: f64,
        /// What it should be.
        expected: f64,
    },
    /// A figure above one that it is a part of.
    #[error("is {found}, above {what}, which is {limit}")]
    Above {
        /// The figure.
        found: u128,
        /// The figure that it cannot pass.
        limit: u128,
        /// What that is.
        what: &'static str,
    },
    /// Rows in another order than documented.
    #[error("{0}")]
    Order(&'static str),
    /// A field that cannot be as it is.
    #[error("{0}")]
    Field(String),
    /// A field that is odd.
    #[error("{0}")]
    Odd(String),
}

impl SessionFault {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            SessionFault::Odd(_) => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// What a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// Samples.
    pub sample_count: u64,
    /// Functions.
    pub function_count: usize,
    /// Distinct stacks.
    pub stack_count: usize,
    /// Windows.
    pub window_count: u64,
    /// Its length.
    pub duration_ns: u64,
    /// Whether its stream had an end.
    pub complete: bool,
}

/// Checks a session. Faults go to `report`.
pub fn session(session: &ProfileSession, report: &mut Report<'_>) -> SessionSummary {
    let mut sink = Sink { report, errors: 0 };
    sink.what_was_recorded(&session.session);
    if let Some(name) = without_reason(session.capabilities.iter()) {
        sink.field(|| "capabilities".into(), format!("gives no reason for {name}"));
    }
    sink.diagnostics(session);
    sink.summary(session);
    if let Some(heap) = &session.heap {
        sink.heap(heap);
    }
    let before = sink.errors;
    tables::check(session, &mut sink);
    // Sums over rows that do not exist would only repeat what was said.
    if sink.errors == before {
        sums::check(session, &mut sink);
        hot::check(session, &mut sink);
    }
    SessionSummary {
        sample_count: session.sampling_diagnostics.sample_count,
        function_count: session.functions.len(),
        stack_count: session.stacks.parent.len(),
        window_count: session.windows.as_ref().map_or(0, |windows| windows.count),
        duration_ns: session.session.duration_ns,
        complete: session.session.complete,
    }
}

/// Where faults go. Paths are made only for faults: a session has millions of cells and usually none.
struct Sink<'a, 'r> {
    report: &'a mut Report<'r>,
    errors: u64,
}

impl Sink<'_, '_> {
    fn fault(&mut self, path: impl FnOnce() -> String, fault: SessionFault) {
        let severity = fault.severity();
        self.errors += u64::from(severity == Severity::Error);
        (self.report)(Fault { severity, place: Place::Path(path()), what: What::Session(fault) });
    }

    fn field(&mut self, path: impl FnOnce() -> String, why: impl Into<String>) {
        self.fault(path, SessionFault::Field(why.into()));
    }

    fn check(&mut self, holds: bool, path: impl FnOnce() -> String, otherwise: &str) {
        if !holds {
            self.field(path, otherwise);
        }
    }

    fn row(&mut self, path: impl FnOnce() -> String, row: i64, table: &'static str, len: usize) {
        if !usize::try_from(row).is_ok_and(|row| row < len) {
            self.fault(path, SessionFault::Row { row, table, len });
        }
    }

    fn equal(&mut self, path: impl FnOnce() -> String, found: u128, expected: u128, what: &'static str) {
        if found != expected {
            self.fault(path, SessionFault::Sum { found, expected, what });
        }
    }

    fn at_most(&mut self, path: impl FnOnce() -> String, found: u128, limit: u128, what: &'static str) {
        if found > limit {
            self.fault(path, SessionFault::Above { found, limit, what });
        }
    }

    /// Shares may be rounded to `tolerance`.
    fn share(&mut self, path: impl FnOnce() -> String, found: f64, expected: f64, tolerance: f64) {
        if !found.is_finite() || (found - expected).abs() > tolerance {
            self.fault(path, SessionFault::Share { found, expected });
        }
    }

    fn what_was_recorded(&mut self, session: &Session) {
        let path = |field: &'static str| move || format!("session.{field}");
        self.check(!session.id.is_empty(), path("id"), "is empty");
        self.check(
            looks_like_rfc3339(&session.start_time),
            path("start_time"),
            "is not an RFC 3339 time in UTC, such as 2026-11-23T11:36:48.12Z",
        );
        // A merge of several recordings has no single end.
        if session.members.len() <= 1 {
            match (session.complete, &session.end) {
                (true, None) => self.field(path("end"), "is null, but the session is complete"),
                (false, Some(_)) => self.field(path("complete"), "is false, but the session has an end"),
                _ => {}
            }
        }
        let mut before_ns = 0;
        for (i, phase) in session.phases.iter().enumerate() {
            let path = |field: &'static str| move || format!("session.phases[{i}].{field}");
            self.check(
                phase.start_ns >= before_ns,
                path("start_ns"),
                "lies before the end of the phase before",
            );
            self.check(phase.start_ns <= phase.end_ns, path("end_ns"), "lies before start_ns");
            before_ns = phase.end_ns;
        }
    }

    fn diagnostics(&mut self, session: &ProfileSession) {
        let d = &session.sampling_diagnostics;
        let path = |field: &'static str| move || format!("sampling_diagnostics.{field}");
        for (field, ratio) in [
            ("complete_stack_ratio", d.complete_stack_ratio),
            ("symbolised_ratio", d.symbolised_ratio),
            ("attributed_ratio", d.attributed_ratio),
        ] {
            let fits = ratio.is_none_or(|ratio| (0.0..=1.0).contains(&ratio));
            self.check(fits, path(field), "is not a number from 0 to 1");
        }
        for (field, rate) in [("rate_hz", d.rate_hz), ("delivered_hz", d.delivered_hz)] {
            self.check(is_ratio(rate), path(field), "is not a number from 0 up");
        }
        let samples = u128::from(d.sample_count);
        for (field, part) in [
            ("truncated_count", d.truncated_count),
            ("stackless_count", d.stackless_count),
            ("spliced_count", d.spliced_count.unwrap_or(0)),
        ] {
            self.at_most(path(field), part.into(), samples, "sample_count");
        }
        for (i, bare) in d.mappings_without_symbols.iter().enumerate() {
            let path = |field: &'static str| {
                move || format!("sampling_diagnostics.mappings_without_symbols[{i}].{field}")
            };
            self.row(path("mapping"), bare.mapping.into(), "mappings", session.mappings.len());
            self.at_most(path("sample_count"), bare.sample_count.into(), samples, "all samples");
        }
    }

    fn summary(&mut self, session: &ProfileSession) {
        if let Some(summary) = &session.process_summary {
            for (field, distribution) in [
                ("cpu_ratio", &summary.cpu_ratio),
                ("rss_bytes", &summary.rss_bytes),
                ("heap_bytes", &summary.heap_bytes),
                ("thread_count", &summary.thread_count),
                ("open_fd_count", &summary.open_fd_count),
                ("syscalls_per_s", &summary.syscalls_per_s),
                ("io_calls_per_s", &summary.io_calls_per_s),
            ] {
                let holds = distribution.as_ref().is_none_or(is_ordered);
                let path = || format!("process_summary.{field}");
                self.check(holds, path, "is not ordered: expected mean <= peak and p95 <= p99 <= peak");
            }
        }
        let mut before_ns = 0;
        for (i, sample) in session.process_samples.iter().enumerate() {
            let path = |field: &'static str| move || format!("process_samples[{i}].{field}");
            self.check(
                sample.time_ns >= before_ns,
                path("time_ns"),
                "lies before the end of the interval before",
            );
            self.check(sample.duration_ns > 0, path("duration_ns"), "is 0");
            before_ns = sample.time_ns.saturating_add(sample.duration_ns);
            for (field, ratio) in [
                ("cpu_ratio", sample.cpu_ratio),
                ("syscalls_per_s", sample.syscalls_per_s),
                ("io_calls_per_s", sample.io_calls_per_s),
                ("cgroup.cpu_quota_ratio", sample.cgroup.as_ref().and_then(|cgroup| cgroup.cpu_quota_ratio)),
            ] {
                self.check(is_ratio(ratio), path(field), "is not a number from 0 up");
            }
        }
    }

    /// Totals come from counters and sites from records, so they need not be equal when records were dropped.
    fn heap(&mut self, heap: &Heap) {
        let sum = |of: fn(&crate::session::HeapSite) -> u64| -> u128 {
            heap.sites.iter().map(|site| u128::from(of(site))).sum()
        };
        let sites = [
            ("alloc_count", heap.alloc_count, sum(|site| site.alloc_count)),
            ("alloc_bytes", heap.alloc_bytes, sum(|site| site.alloc_bytes)),
            ("free_count", heap.free_count, sum(|site| site.free_count)),
            ("peak_bytes", heap.peak_bytes, sum(|site| site.peak_bytes)),
            ("live_at_end_count", heap.live_at_end_count, sum(|site| site.live_at_end_count)),
            ("live_at_end_bytes", heap.live_at_end_bytes, sum(|site| site.live_at_end_bytes)),
        ];
        for (field, total, of_sites) in sites {
            if u128::from(total) != of_sites && heap.dropped_count == 0 {
                let why = format!("is {total}, but the sites add up to {of_sites} and no record was dropped");
                self.fault(|| format!("heap.{field}"), SessionFault::Odd(why));
            }
        }
        for (field, part, whole, what) in [
            ("peak_bytes", heap.peak_bytes, heap.alloc_bytes, "alloc_bytes"),
            ("live_at_end_bytes", heap.live_at_end_bytes, heap.peak_bytes, "peak_bytes"),
            ("live_at_end_count", heap.live_at_end_count, heap.alloc_count, "alloc_count"),
        ] {
            self.at_most(|| format!("heap.{field}"), part.into(), whole.into(), what);
        }
    }
}

fn is_ordered(distribution: &Distribution) -> bool {
    let Distribution { mean, peak, p95, p99 } = *distribution;
    let finite = [mean, peak, p95, p99].into_iter().all(|quantity| is_quantity(Some(quantity)));
    // A mean of equal values may be rounded just above them, to six places.
    let [mean, peak, p95, p99] = [mean, peak, p95, p99].map(Quantity::as_f64);
    finite && mean <= peak * (1.0 + 1e-6) + 1e-6 && p95 <= p99 && p99 <= peak
}
