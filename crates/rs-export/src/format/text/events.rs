//! What happened, each event on one line with what was hot in its windows.

use std::borrow::Cow;
use std::cmp::Ordering;

use rs_schema::event::EventKind;
use rs_schema::session::{Event, ProfileSession};

use super::hot::{Index, label};
use super::layout::{Line, Look, Style, flow};
use super::names::{clean, cut_end, shorten, within};
use super::notes::Notes;
use super::numbers::{show_bytes, show_count, show_fraction, show_time};
use super::table::{Cell, Table};
use super::tables::heading;

/// Room for what happened; the names are worth more.
const CHANGE: usize = 22;

/// Events that are shown as such. Phases and work have a line of their own, since they are no surprise.
pub(super) fn listed(session: &ProfileSession) -> Vec<&Event> {
    let events = session.memory_events.iter().chain(&session.events);
    events.filter(|event| !matches!(event.kind, EventKind::Phase | EventKind::Work)).collect()
}

/// The most telling `rows` events in the order of time.
pub(super) fn lines(index: &Index<'_>, rows: usize, look: Look, notes: &mut Notes<'_>) -> Vec<Line> {
    let all = listed(index.session);
    if all.is_empty() {
        let metrics = !index.session.process_samples.is_empty();
        let none =
            if metrics { "none: no spike, no mark" } else { "no mark, and no metrics to find spikes in" };
        return flow("events", vec![Line::new().plain(none)], look.width, 1);
    }
    let shown = foremost(&all, rows);
    let mark = notes.sampled_mark();
    let mut table = Table::new().words(heading("EVENTS", shown.len(), all.len())).figures("at").words("what");
    table =
        table.names(format!("{mark}hot crate")).names("module").names("function").hint("(--event N for one)");
    for event in &shown {
        let mut row = vec![
            Cell::styled(Style::Strong, format!("{} {}", event.id, kind(event.kind))),
            Cell::new(show_time(event.time_ns)),
            Cell::new(what(event, notes)),
        ];
        row.extend(hot_cells(index, event, notes));
        table.row(row);
    }
    table.lines(look.width)
}

/// Events by how far they rose, compared with the farthest of their kind, so that each kind has its first
/// before any has its second. A mark comes after those: it is there because somebody wanted it seen.
fn foremost<'a>(all: &[&'a Event], rows: usize) -> Vec<&'a Event> {
    let rise = |event: &Event| match (event.before, event.value) {
        (Some(before), Some(value)) => (value.as_f64() - before.as_f64()).max(0.0),
        (None, Some(value)) => value.as_f64(),
        _ => 0.0,
    };
    let rank = |event: &Event| {
        if event.kind == EventKind::Marker {
            return 0.9;
        }
        let farthest = all.iter().filter(|other| other.kind == event.kind).map(|other| rise(other));
        let farthest = farthest.fold(0.0, f64::max);
        if farthest > 0.0 { rise(event) / farthest } else { 0.0 }
    };
    let mut ranked: Vec<(f64, &Event)> = all.iter().map(|&event| (rank(event), event)).collect();
    ranked.sort_by(|a, b| {
        let by_rank = b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal);
        by_rank.then(a.1.kind.cmp(&b.1.kind)).then(a.1.time_ns.cmp(&b.1.time_ns)).then(a.1.id.cmp(&b.1.id))
    });
    let mut shown: Vec<&Event> = ranked.into_iter().take(rows).map(|(_, event)| event).collect();
    shown.sort_by_key(|event| (event.time_ns, event.id));
    shown
}

/// The kind in one word.
pub(super) fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::MemorySpike => "memory",
        EventKind::CpuSpike => "cpu",
        EventKind::ThreadBurst => "threads",
        EventKind::FdGrowth => "fds",
        EventKind::SyscallBurst => "syscalls",
        EventKind::Marker => "mark",
        EventKind::Phase => "phase",
        EventKind::Work => "work",
        EventKind::Budget => "budget",
    }
}

/// From what to what, or what was marked, in at most [`CHANGE`] columns.
fn what(event: &Event, notes: &mut Notes<'_>) -> String {
    let told = [event.name.as_deref(), event.text.as_deref()];
    let told: Vec<&str> = told.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    if !told.is_empty() {
        return cut_end(&clean(&told.join(" ")), CHANGE).into_owned();
    }
    change(event, notes)
}

/// `12.0 → 64.0 MiB`.
pub(super) fn change(event: &Event, notes: &mut Notes<'_>) -> String {
    let show = |value: f64| show_metric(event, value);
    let metric = event.metric.as_deref().unwrap_or_default();
    let mark = notes.mark(metric_name(metric), &[metric]);
    match (event.before, event.value) {
        (Some(before), Some(value)) => {
            let (before, value) = (show(before.as_f64()), show(value.as_f64()));
            let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
            let before = match before.split_once(' ') {
                Some((figure, of)) if unit(&value).as_deref() == Some(of) => figure.to_owned(),
                _ => before,
            };
            format!("{mark}{before} → {mark}{value}")
        }
        (None, Some(value)) => format!("{mark}{}", show(value.as_f64())),
        _ => notes.unknown("size of an event", &[], "the stream did not tell").to_owned(),
    }
}

/// A value of the event's metric, by the unit in the metric's name.
pub(super) fn show_metric(event: &Event, value: f64) -> String {
    let metric = event.metric.as_deref().unwrap_or_default();
    let is_bytes = metric.ends_with("_bytes") || (metric.is_empty() && event.kind == EventKind::MemorySpike);
    if is_bytes {
        show_bytes(value.max(0.0) as u64)
    } else if metric.ends_with("cpu_ratio") || (metric.is_empty() && event.kind == EventKind::CpuSpike) {
        // No unit: every other place that shows cores has the word before the figure.
        show_fraction(value)
    } else if metric.ends_with("_per_s") {
        format!("{} /s", show_fraction(value))
    } else if value.fract() == 0.0 {
        show_count(value.max(0.0) as u64)
    } else {
        show_fraction(value)
    }
}

/// A metric's name as it stands in the other sections.
pub(super) fn metric_name(metric: &str) -> &str {
    match metric {
        "rss_bytes" => "RSS",
        "heap_bytes" => "heap",
        "cpu_ratio" => "CPU cores",
        "thread_count" => "threads",
        "open_fd_count" => "open fds",
        "syscalls_per_s" | "syscall_count" => "syscalls/s",
        "io_calls_per_s" => "reads+writes/s",
        other => other,
    }
}

/// The hottest crate, module and function with their shares. Each begins with `::` where it continues the
/// one before.
fn hot_cells(index: &Index<'_>, event: &Event, notes: &mut Notes<'_>) -> [Cell; 3] {
    let hot = &event.hot;
    let (Some(top_crate), Some(top_module)) = (hot.crates.first(), hot.modules.first()) else {
        let why = if hot.lost_count > 0 { "all samples lost" } else { "no samples" };
        return [Cell::styled(Style::Dim, why), Cell::new(""), Cell::new("")];
    };
    let few = notes.few(hot.sample_count);
    let share = |ratio: f64| format!("{}{few}", whole_percent(ratio));
    let function = hot.functions.first().and_then(|top| Some((top, index.function(top.function)?)));
    let function = match function {
        None => Cell::new(""),
        Some((top, function)) => {
            let own = within(&function.function, &top_module.module);
            // A runtime function says little; who called it is the answer.
            let blamed = hot.blamed.as_ref().filter(|_| index.is_runtime(function));
            let name = match blamed.and_then(|blamed| index.function(blamed.function)) {
                Some(caller) => Cow::Owned(format!("{own} ← {}", caller.function)),
                None => Cow::Borrowed(own),
            };
            Cell::share(&share(top.ratio), &name, &allocated_by(index, event, &top_module.module, notes))
        }
    };
    let module = within(&top_module.module, &top_crate.crate_name);
    [
        Cell::share(&share(top_crate.ratio), &top_crate.crate_name, ""),
        Cell::share(&share(top_module.ratio), module, ""),
        function,
    ]
}

/// The site that allocated most in the event's windows, or nothing.
fn allocated_by(index: &Index<'_>, event: &Event, top_module: &str, notes: &mut Notes<'_>) -> String {
    const ROOM: usize = 20;
    let site = event.allocated.as_ref().and_then(|sites| sites.first());
    let Some((site, (function, _))) = site.and_then(|site| Some((site, index.site(site.stack)?))) else {
        return String::new();
    };
    let share = whole_percent(site.ratio);
    let name = label(function);
    let name = shorten(&clean(within(&name, top_module)), ROOM).into_owned();
    format!("heap {}{} {name}", notes.allocation_mark(), share.trim_start())
}

/// Shares of a few hundred samples: decimals would claim too much.
fn whole_percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent > 0.0 && percent < 0.5 { " <1%".to_owned() } else { format!("{percent:>3.0}%") }
}
