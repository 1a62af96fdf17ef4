//! Metrics lines of single processes to the samples of all followed processes together.
//!
//! Lines fall into ticks of the recorder's interval. A line up to a quarter of a tick late stays with the others
//! of its round; the last words of a short-lived process join the round that comes next. Changes are summed,
//! gauges are summed over the processes heard of in the tick, and rates are computed from the sums at the end.
//! A tick spans what the longest of its lines spans.
//!
//! Long recordings keep no more than a bounded number of ticks: beyond it two become one, with the higher of
//! their gauges, so that peaks survive.

use std::collections::BTreeMap;

use rs_schema::event::{Cgroup, Metrics};
use rs_schema::session::ProcessSample;

use crate::round::{per_second, rounded};

/// Rows of `process_samples`: nearly two hours of ten a second.
const ROWS_MAX: usize = 1 << 16;
/// Ticks that may still get lines: more than the stream's one second of disorder.
const OPEN_TICKS: usize = 128;
/// Distance of ticks when the stream does not tell.
const TICK_NS: u64 = 100_000_000;

/// Metrics by tick.
#[derive(Clone, Debug)]
pub(crate) struct MetricsFold {
    tick_ns: Option<u64>,
    /// One line a process, of the ticks that may still get some.
    open: BTreeMap<u64, Vec<Metrics>>,
    closed: Vec<Tick>,
    rows_max: usize,
    cpu_ns: Option<u64>,
}

/// All processes over one tick.
#[derive(Clone, Debug)]
struct Tick {
    number: u64,
    process_count: u64,
    /// Sums over the processes; the time and length are those of the tick.
    sum: Metrics,
}

impl Default for MetricsFold {
    fn default() -> Self {
        MetricsFold {
            tick_ns: None,
            open: BTreeMap::new(),
            closed: Vec::new(),
            rows_max: ROWS_MAX,
            cpu_ns: None,
        }
    }
}

impl MetricsFold {
    /// Sets the distance of ticks that the header tells.
    pub(crate) fn set_interval(&mut self, interval_ns: Option<u64>) {
        self.tick_ns = interval_ns.filter(|&ns| ns > 0);
    }

    /// CPU time over all lines; `None` when no line knew it.
    pub(crate) fn cpu_ns(&self) -> Option<u64> {
        self.cpu_ns
    }

    /// Takes a line.
    pub(crate) fn add(&mut self, line: Metrics) {
        self.cpu_ns = plus(self.cpu_ns, line.cpu_ns);
        let own = if line.interval_ns > 0 { line.interval_ns } else { TICK_NS };
        let tick_ns = *self.tick_ns.get_or_insert(own);
        let round = line.time_ns.saturating_sub(tick_ns / 4).div_ceil(tick_ns);
        let number = round.max(self.closed.last().map_or(0, |tick| tick.number + 1));
        let processes = self.open.entry(number).or_default();
        match processes.iter_mut().find(|known| known.process == line.process) {
            Some(known) => after(known, &line),
            None => processes.push(line),
        }
        if self.open.len() > OPEN_TICKS {
            self.close_first();
        }
    }

    fn close_first(&mut self) {
        let Some((number, processes)) = self.open.pop_first() else { return };
        let process_count = processes.len() as u64;
        let Some(sum) = processes.into_iter().reduce(beside) else { return };
        self.closed.push(Tick { number, process_count, sum });
        if self.closed.len() >= self.rows_max {
            self.halve();
        }
    }

    /// Makes one tick of two.
    fn halve(&mut self) {
        self.tick_ns = self.tick_ns.map(|ns| ns.saturating_mul(2));
        for tick in &mut self.closed {
            tick.number /= 2;
        }
        self.closed.dedup_by(|tick, kept| {
            let same = tick.number == kept.number;
            if same {
                kept.process_count = kept.process_count.max(tick.process_count);
                after(&mut kept.sum, &tick.sum);
            }
            same
        });
        let after_closed = self.closed.last().map_or(0, |tick| tick.number + 1);
        for (number, processes) in std::mem::take(&mut self.open) {
            let joined = self.open.entry((number / 2).max(after_closed)).or_default();
            for line in processes {
                match joined.iter_mut().find(|known| known.process == line.process) {
                    Some(known) => after(known, &line),
                    None => joined.push(line),
                }
            }
        }
    }

    /// The session's samples.
    pub(crate) fn into_samples(mut self) -> Vec<ProcessSample> {
        while !self.open.is_empty() {
            self.close_first();
        }
        let mut apart: Vec<Tick> = Vec::with_capacity(self.closed.len());
        let mut end_ns = 0;
        for mut tick in self.closed {
            let start_ns = tick.sum.time_ns.saturating_sub(tick.sum.interval_ns).max(end_ns);
            tick.sum.interval_ns = tick.sum.time_ns.saturating_sub(start_ns);
            match apart.last_mut() {
                // One of the two has no time of its own, but its changes count.
                Some(before) if tick.sum.interval_ns == 0 || before.sum.interval_ns == 0 => {
                    after(&mut before.sum, &tick.sum);
                    end_ns = before.sum.time_ns;
                }
                _ => {
                    end_ns = tick.sum.time_ns;
                    apart.push(tick);
                }
            }
        }
        apart.iter().filter(|tick| tick.sum.interval_ns > 0).map(sample).collect()
    }
}

/// A sum of what may be unknown: unknown only if all of it is.
fn plus(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

/// Adds the changes of one line to those of another.
fn join_changes(to: &mut Metrics, from: &Metrics) {
    let changes = [
        (&mut to.cpu_ns, from.cpu_ns),
        (&mut to.syscall_count, from.syscall_count),
        (&mut to.read_call_count, from.read_call_count),
        (&mut to.write_call_count, from.write_call_count),
        (&mut to.read_bytes, from.read_bytes),
        (&mut to.write_bytes, from.write_bytes),
        (&mut to.minor_fault_count, from.minor_fault_count),
        (&mut to.major_fault_count, from.major_fault_count),
        (&mut to.voluntary_switch_count, from.voluntary_switch_count),
        (&mut to.involuntary_switch_count, from.involuntary_switch_count),
    ];
    for (sum, more) in changes {
        *sum = plus(*sum, more);
    }
}

/// Applies `with` to the gauges of two lines.
fn join_gauges(to: &mut Metrics, from: &Metrics, with: impl Fn(Option<u64>, Option<u64>) -> Option<u64>) {
    let gauges = [
        (&mut to.rss_bytes, from.rss_bytes),
        (&mut to.heap_bytes, from.heap_bytes),
        (&mut to.thread_count, from.thread_count),
        (&mut to.open_fd_count, from.open_fd_count),
    ];
    for (gauge, other) in gauges {
        *gauge = with(*gauge, other);
    }
}

/// The cores kept busy over two lines that follow each other.
fn mean_ratio(a: &Metrics, b: &Metrics) -> Option<f64> {
    match (a.cpu_ratio, b.cpu_ratio) {
        (Some(x), Some(y)) => {
            let (x_ns, y_ns) = (a.interval_ns as f64, b.interval_ns as f64);
            Some((x * x_ns + y * y_ns) / (x_ns + y_ns).max(1.0))
        }
        (x, y) => x.or(y),
    }
}

/// Two processes in the same tick.
fn beside(mut one: Metrics, other: Metrics) -> Metrics {
    one.cpu_ratio = match (one.cpu_ratio, other.cpu_ratio) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
    join_changes(&mut one, &other);
    join_gauges(&mut one, &other, plus);
    (one.interval_ns, one.time_ns) = (one.interval_ns, one.time_ns).max((other.interval_ns, other.time_ns));
    one.cgroup = one.cgroup.or(other.cgroup);
    one
}

/// What follows in time and is to be one with it: changes add up, gauges are the higher ones.
fn after(kept: &mut Metrics, next: &Metrics) {
    kept.cpu_ratio = mean_ratio(kept, next);
    join_changes(kept, next);
    join_gauges(kept, next, Option::max);
    kept.interval_ns = kept.interval_ns.saturating_add(next.interval_ns);
    kept.time_ns = kept.time_ns.max(next.time_ns);
    kept.cgroup = join_cgroups(kept.cgroup.take(), next.cgroup.clone());
}

/// The same control group over two intervals: changes add up, limits and gauges are the later ones.
fn join_cgroups(earlier: Option<Cgroup>, later: Option<Cgroup>) -> Option<Cgroup> {
    let (Some(earlier), Some(later)) = (&earlier, &later) else { return later.or(earlier) };
    Some(Cgroup {
        cpu_quota_ratio: later.cpu_quota_ratio.or(earlier.cpu_quota_ratio),
        memory_limit_bytes: later.memory_limit_bytes.or(earlier.memory_limit_bytes),
        memory_bytes: later.memory_bytes.max(earlier.memory_bytes),
        throttled_ns: plus(earlier.throttled_ns, later.throttled_ns),
        oom_kill_count: plus(earlier.oom_kill_count, later.oom_kill_count),
        cpu_pressure_ns: plus(earlier.cpu_pressure_ns, later.cpu_pressure_ns),
        memory_pressure_ns: plus(earlier.memory_pressure_ns, later.memory_pressure_ns),
        io_pressure_ns: plus(earlier.io_pressure_ns, later.io_pressure_ns),
    })
}

fn sample(tick: &Tick) -> ProcessSample {
    let sum = &tick.sum;
    let duration_ns = sum.interval_ns;
    let rate = |count: Option<u64>| count.and_then(|count| per_second(count, duration_ns));
    let busy = |cpu_ns| (duration_ns > 0).then(|| cpu_ns as f64 / duration_ns as f64);
    ProcessSample {
        time_ns: sum.time_ns.saturating_sub(duration_ns),
        duration_ns,
        cpu_ns: sum.cpu_ns,
        cpu_ratio: sum.cpu_ns.map_or(sum.cpu_ratio, busy).map(rounded),
        rss_bytes: sum.rss_bytes,
        heap_bytes: sum.heap_bytes,
        process_count: Some(tick.process_count),
        thread_count: sum.thread_count,
        open_fd_count: sum.open_fd_count,
        syscalls_per_s: rate(sum.syscall_count),
        io_calls_per_s: rate(plus(sum.read_call_count, sum.write_call_count)),
        read_bytes: sum.read_bytes,
        write_bytes: sum.write_bytes,
        minor_fault_count: sum.minor_fault_count,
        major_fault_count: sum.major_fault_count,
        voluntary_switch_count: sum.voluntary_switch_count,
        involuntary_switch_count: sum.involuntary_switch_count,
        cgroup: sum.cgroup.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(process: u32, time_ns: u64, interval_ns: u64, cpu_ns: u64, rss_bytes: u64) -> Metrics {
        Metrics {
            process,
            time_ns,
            interval_ns,
            cpu_ns: Some(cpu_ns),
            rss_bytes: Some(rss_bytes),
            ..Metrics::default()
        }
    }

    #[test]
    fn processes_are_summed_by_tick() {
        let mut fold = MetricsFold::default();
        fold.set_interval(Some(100));
        fold.add(line(1, 100, 100, 50, 1000));
        fold.add(line(2, 101, 100, 100, 500));
        fold.add(line(2, 130, 29, 29, 700));
        fold.add(line(1, 200, 100, 10, 1100));
        assert_eq!(fold.cpu_ns(), Some(189));
        let samples = fold.into_samples();
        assert_eq!(samples.len(), 2);
        assert_eq!((samples[0].time_ns, samples[0].duration_ns), (1, 100));
        assert_eq!(
            (samples[0].cpu_ns, samples[0].rss_bytes, samples[0].process_count),
            (Some(150), Some(1500), Some(2))
        );
        assert_eq!((samples[1].time_ns, samples[1].duration_ns), (101, 99));
        assert_eq!((samples[1].cpu_ns, samples[1].rss_bytes), (Some(39), Some(1800)));
        assert_eq!(samples[1].read_bytes, None);
    }

    #[test]
    fn long_recordings_keep_peaks_and_sums() {
        let mut fold = MetricsFold { rows_max: 64, ..MetricsFold::default() };
        for tick in 1..=1000u64 {
            fold.add(line(1, tick * 100, 100, 1, if tick == 500 { 9999 } else { 10 }));
        }
        let samples = fold.into_samples();
        assert!(samples.len() <= 64 + OPEN_TICKS, "{}", samples.len());
        assert_eq!(samples.iter().map(|sample| sample.cpu_ns.unwrap()).sum::<u64>(), 1000);
        assert_eq!(samples.iter().map(|sample| sample.duration_ns).sum::<u64>(), 100_000);
        assert_eq!(samples.iter().filter_map(|sample| sample.rss_bytes).max(), Some(9999));
        assert!(samples.windows(2).all(|pair| pair[0].time_ns < pair[1].time_ns));
    }
}
