//! The metrics over time in a few figures.

use rs_schema::session::{Distribution, ProcessSample, ProcessSummary};
use rs_schema::units::Quantity;

use crate::quantile::{Weighted, mean, quantile};
use crate::round::rounded;

/// Averages and peaks over all intervals, each weighted by its length; `None` without any.
pub(crate) fn summary(samples: &[ProcessSample]) -> Option<ProcessSummary> {
    if samples.is_empty() {
        return None;
    }
    let sum = |field: fn(&ProcessSample) -> Option<u64>| {
        samples.iter().filter_map(field).reduce(u64::saturating_add)
    };
    let whole = |field: fn(&ProcessSample) -> Option<u64>| {
        let values = samples.iter().filter_map(|s| Some((field(s)? as f64, s.duration_ns)));
        distribution(values.collect(), |value| Quantity::Integer(value.round() as u64))
    };
    let fraction = |field: fn(&ProcessSample) -> Option<f64>| {
        let values = samples.iter().filter_map(|s| Some((field(s)?, s.duration_ns)));
        distribution(values.collect(), |value| Quantity::Fraction(rounded(value)))
    };
    let switches = |s: &ProcessSample| match (s.voluntary_switch_count, s.involuntary_switch_count) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    Some(ProcessSummary {
        cpu_ns: sum(|s| s.cpu_ns),
        cpu_ratio: fraction(|s| s.cpu_ratio),
        rss_bytes: whole(|s| s.rss_bytes),
        heap_bytes: whole(|s| s.heap_bytes),
        thread_count: whole(|s| s.thread_count),
        open_fd_count: whole(|s| s.open_fd_count),
        syscalls_per_s: fraction(|s| s.syscalls_per_s),
        io_calls_per_s: fraction(|s| s.io_calls_per_s),
        read_bytes: sum(|s| s.read_bytes),
        write_bytes: sum(|s| s.write_bytes),
        minor_fault_count: sum(|s| s.minor_fault_count),
        major_fault_count: sum(|s| s.major_fault_count),
        context_switch_count: samples.iter().filter_map(switches).reduce(u64::saturating_add),
    })
}

fn distribution(mut values: Vec<Weighted>, quantity: fn(f64) -> Quantity) -> Option<Distribution> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(Distribution {
        mean: quantity(mean(&values)?),
        peak: quantity(values.last()?.0),
        p95: quantity(quantile(&values, 0.95)?),
        p99: quantity(quantile(&values, 0.99)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_intervals_weigh_more() {
        let sample = |duration_ns, rss| ProcessSample {
            duration_ns,
            rss_bytes: Some(rss),
            cpu_ns: Some(1),
            ..ProcessSample::default()
        };
        let summary = summary(&[sample(300, 10), sample(100, 50)]).unwrap();
        let rss = summary.rss_bytes.unwrap();
        assert_eq!(
            (rss.mean, rss.peak, rss.p95),
            (Quantity::Integer(20), Quantity::Integer(50), Quantity::Integer(50))
        );
        assert_eq!(summary.cpu_ns, Some(2));
        assert_eq!(summary.cpu_ratio, None);
    }
}
