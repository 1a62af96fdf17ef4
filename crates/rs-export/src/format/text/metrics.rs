//! What the processes used: cores, memory, threads, files, calls, I/O, and the container's limits.

use rs_schema::session::{Distribution, Heap, ProcessSample, ProcessSummary, ProfileSession};

use super::chart::Series;
use super::layout::{Line, Look, Style, flow};
use super::notes::Notes;
use super::numbers::{plural, show_bytes, show_count, show_fraction, show_ns, show_time};
use super::table::{Cell, Table};

/// One metric: where it stands in a session and how it is shown.
pub(super) struct Metric {
    pub(super) label: &'static str,
    /// Its names among the capabilities.
    fields: &'static [&'static str],
    summary: fn(&ProcessSummary) -> Option<&Distribution>,
    sample: fn(&ProcessSample) -> Option<f64>,
    show: fn(f64) -> String,
}

const CPU: Metric = Metric {
    label: "CPU cores",
    fields: &["cpu_ratio"],
    summary: |summary| summary.cpu_ratio.as_ref(),
    sample: |sample| sample.cpu_ratio,
    show: show_fraction,
};
const RSS: Metric = Metric {
    label: "RSS",
    fields: &["rss_bytes"],
    summary: |summary| summary.rss_bytes.as_ref(),
    sample: |sample| sample.rss_bytes.map(|bytes| bytes as f64),
    show: bytes,
};
const HEAP: Metric = Metric {
    label: "heap",
    fields: &["heap_bytes"],
    summary: |summary| summary.heap_bytes.as_ref(),
    sample: |sample| sample.heap_bytes.map(|bytes| bytes as f64),
    show: bytes,
};
const THREADS: Metric = Metric {
    label: "threads",
    fields: &["thread_count"],
    summary: |summary| summary.thread_count.as_ref(),
    sample: |sample| sample.thread_count.map(|count| count as f64),
    show: gauge,
};
const OPEN_FDS: Metric = Metric {
    label: "open fds",
    fields: &["open_fd_count"],
    summary: |summary| summary.open_fd_count.as_ref(),
    sample: |sample| sample.open_fd_count.map(|count| count as f64),
    show: gauge,
};
const SYSCALLS: Metric = Metric {
    label: "syscalls/s",
    fields: &["syscalls_per_s", "syscall_count"],
    summary: |summary| summary.syscalls_per_s.as_ref(),
    sample: |sample| sample.syscalls_per_s,
    show: show_fraction,
};
const IO_CALLS: Metric = Metric {
    label: "r+w calls/s",
    fields: &["io_calls_per_s", "read_call_count", "write_call_count"],
    summary: |summary| summary.io_calls_per_s.as_ref(),
    sample: |sample| sample.io_calls_per_s,
    show: show_fraction,
};

fn bytes(value: f64) -> String {
    show_bytes(value.max(0.0) as u64)
}

/// A count that is whole at any moment and broken on average.
fn gauge(value: f64) -> String {
    if value.fract() == 0.0 { show_count(value as u64) } else { show_fraction(value) }
}

impl Metric {
    /// A value as it stands in a table.
    fn cell(&self, value: Option<f64>, notes: &mut Notes<'_>) -> Cell {
        match value {
            Some(value) => {
                Cell::new(format!("{}{}", notes.mark(self.label, self.fields), (self.show)(value)))
            }
            None => notes.unknown_cell(self.label, self.fields, "not recorded"),
        }
    }

    fn distribution<'a>(&self, session: &'a ProfileSession) -> Option<&'a Distribution> {
        session.process_summary.as_ref().and_then(self.summary)
    }
}

/// The section on the whole session.
pub(super) fn lines(session: &ProfileSession, look: Look, limit: usize, notes: &mut Notes<'_>) -> Vec<Line> {
    if session.process_samples.is_empty() && session.process_summary.is_none() {
        notes.unknown("CPU, memory and other metrics", &["metrics"], "no metrics were recorded");
        return Vec::new();
    }
    let span = format!("from 0 to {}, each scaled to its peak", show_time(session.session.duration_ns));
    let mut table = Table::new().words("METRICS").figures("mean").figures("peak").figures("p99").names(span);
    for metric in [CPU, RSS, HEAP] {
        let found = metric.distribution(session);
        let mut row = vec![Cell::styled(Style::Strong, format!("{:<10}", metric.label))];
        for value in [found.map(|d| d.mean), found.map(|d| d.peak), found.map(|d| d.p99)] {
            row.push(metric.cell(value.map(|value| value.as_f64()), notes));
        }
        row.push(Cell::chart(series(session, &metric)));
        table.row(row);
    }
    let mut lines = table.lines(look.width);
    lines.extend(flow("peaks", peaks(session, notes), look.width, limit));
    lines.extend(flow("I/O", totals(session, notes), look.width, limit));
    lines.extend(flow("container", container(&session.process_samples), look.width, limit));
    if let Some(heap) = &session.heap {
        lines.extend(flow("allocated", allocated(heap, notes), look.width, limit));
    }
    lines
}

fn series(session: &ProfileSession, metric: &Metric) -> Series {
    let point = |sample: &ProcessSample| {
        let end_ns = sample.time_ns.saturating_add(sample.duration_ns);
        (metric.sample)(sample).map(|value| (sample.time_ns, end_ns, value))
    };
    let points = session.process_samples.iter().filter_map(point).collect();
    Series::new(points, session.session.duration_ns)
}

fn peaks(session: &ProfileSession, notes: &mut Notes<'_>) -> Vec<Line> {
    let mut items = Vec::new();
    for metric in [THREADS, OPEN_FDS, SYSCALLS, IO_CALLS] {
        items.push(match metric.distribution(session) {
            Some(found) => {
                let mark = notes.mark(metric.label, metric.fields);
                let peak = (metric.show)(found.peak.as_f64());
                // The mean number of threads tells nothing, the mean rate of calls does.
                let mean = match metric.label.ends_with("/s") {
                    true => format!(" (mean {})", show_fraction(found.mean.as_f64())),
                    false => String::new(),
                };
                Line::new().plain(&format!("{} {mark}{peak}{mean}", metric.label))
            }
            None => {
                let absent = notes.unknown(metric.label, metric.fields, "not recorded");
                Line::new().with(Style::Dim, &format!("{} {absent}", metric.label))
            }
        });
    }
    items
}

fn totals(session: &ProfileSession, notes: &mut Notes<'_>) -> Vec<Line> {
    let nothing = ProcessSummary::default();
    let summary = session.process_summary.as_ref().unwrap_or(&nothing);
    let mut total = |what: &str, fields: &[&str], value: Option<u64>, show: fn(u64) -> String| match value {
        Some(value) => format!("{}{} {what}", notes.mark(what, fields), show(value)),
        None => format!("{what} {}", notes.unknown(what, fields, "not recorded")),
    };
    let read = total("read", &["read_bytes"], summary.read_bytes, show_bytes);
    let written = total("written", &["write_bytes"], summary.write_bytes, show_bytes);
    let faults = [summary.minor_fault_count, summary.major_fault_count].into_iter().flatten();
    let faults = faults.reduce(u64::saturating_add);
    let faults = total("faults", &["minor_fault_count"], faults, show_count);
    let major = total("major", &["major_fault_count"], summary.major_fault_count, show_count);
    [read, written, format!("{faults} ({major})")].iter().map(|item| Line::new().plain(item)).collect()
}

/// Limits and what they did. Being held back or killed by the container explains much and is easily missed.
fn container(samples: &[ProcessSample]) -> Vec<Line> {
    let groups = || samples.iter().filter_map(|sample| sample.cgroup.as_ref());
    let mut items = Vec::new();
    if let Some(quota) = groups().filter_map(|group| group.cpu_quota_ratio).reduce(f64::min) {
        items.push(Line::new().plain(&format!("quota {} cores", show_fraction(quota))));
    }
    let throttled = groups().filter_map(|group| group.throttled_ns).fold(0, u64::saturating_add);
    if throttled > 0 {
        items.push(Line::new().with(Style::Warn, &format!("throttled for {}", show_ns(throttled))));
    }
    if let Some(limit) = groups().filter_map(|group| group.memory_limit_bytes).min() {
        let used = groups().filter_map(|group| group.memory_bytes).max();
        let used = used.map(|used| format!(", at most {} used", show_bytes(used))).unwrap_or_default();
        items.push(Line::new().plain(&format!("memory limit {}{used}", show_bytes(limit))));
    }
    let killed = groups().filter_map(|group| group.oom_kill_count).fold(0, u64::saturating_add);
    if killed > 0 {
        items.push(Line::new().with(Style::Bad, &plural(killed, "OOM kill")));
    }
    items
}

fn allocated(heap: &Heap, notes: &mut Notes<'_>) -> Vec<Line> {
    let mark = notes.allocation_mark();
    let mut items = vec![
        format!("{mark}{} in {mark}{}", show_bytes(heap.alloc_bytes), plural(heap.alloc_count, "call")),
        format!("peak {mark}{} ({})", show_bytes(heap.peak_bytes), show_time(heap.peak_time_ns)),
        format!("{mark}{} at end", show_bytes(heap.live_at_end_bytes)),
    ];
    if heap.dropped_count > 0 {
        items.push(format!("{} lost", plural(heap.dropped_count, "record")));
    }
    items.iter().map(|item| Line::new().plain(item)).collect()
}

/// The metrics of a range beside those before and after it.
pub(super) fn around(
    session: &ProfileSession,
    from_ns: u64,
    to_ns: u64,
    look: Look,
    notes: &mut Notes<'_>,
) -> Vec<Line> {
    if session.process_samples.is_empty() {
        notes.unknown("CPU, memory and other metrics", &["metrics"], "no metrics were recorded");
        return Vec::new();
    }
    let heads = ["before", "mean in it", "peak in it", "after", "mean of all"];
    let mut table = heads.into_iter().fold(Table::new().words("METRICS"), |table, head| table.figures(head));
    let samples = &session.process_samples;
    let end = |sample: &ProcessSample| sample.time_ns.saturating_add(sample.duration_ns);
    let before = samples.iter().rfind(|sample| end(sample) <= from_ns);
    let after = samples.iter().find(|sample| sample.time_ns >= to_ns);
    let inside = || samples.iter().filter(|sample| sample.time_ns < to_ns && end(sample) > from_ns);
    for metric in [CPU, RSS, HEAP, THREADS, OPEN_FDS, SYSCALLS, IO_CALLS] {
        let all = metric.distribution(session).map(|found| found.mean.as_f64());
        let values =
            || inside().filter_map(|sample| Some(((metric.sample)(sample)?, sample.duration_ns as f64)));
        // Syscalls of one kind are enough: what was never recorded would be a row of dashes.
        if all.is_none() && samples.iter().all(|sample| (metric.sample)(sample).is_none()) {
            notes.unknown(metric.label, metric.fields, "not recorded");
            continue;
        }
        let time: f64 = values().map(|(_, time)| time).sum();
        let mean = (time > 0.0).then(|| values().map(|(value, time)| value * time).sum::<f64>() / time);
        let peak = values().map(|(value, _)| value).reduce(f64::max);
        let edge = |sample: Option<&ProcessSample>| sample.and_then(metric.sample);
        let mut row = vec![Cell::styled(Style::Strong, metric.label)];
        for value in [edge(before), mean, peak, edge(after), all] {
            // At the session's edges there is nothing before or after: no figure is missing.
            row.push(match value {
                Some(_) => metric.cell(value, notes),
                None => Cell::new(""),
            });
        }
        table.row(row);
    }
    table.lines(look.width)
}
