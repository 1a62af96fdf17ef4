//! What was hot: lists are sorted, shares are shares of the span, spans are sums of windows.

use std::collections::HashSet;

use super::sums::cell_cpu_ns;
use super::{SessionFault, Sink};
use crate::ProfileSession;
use crate::event::EventKind;
use crate::session::{Event, Hot, Windows};

/// Ratios may be rounded to four places.
const RATIO_TOLERANCE: f64 = 1e-4;

pub(super) fn check(session: &ProfileSession, sink: &mut Sink<'_, '_>) {
    snapshots(session, sink);
    let mut ids = HashSet::new();
    for (name, list, memory) in
        [("memory_events", &session.memory_events, true), ("events", &session.events, false)]
    {
        for (i, event) in list.iter().enumerate() {
            let path = format!("{name}[{i}]");
            let fits = (event.kind == EventKind::MemorySpike) == memory;
            sink.check(
                fits,
                || format!("{path}.kind"),
                "is in the wrong list: memory spikes are memory_events, all else is events",
            );
            // A merge keeps the ids that its members gave.
            if session.session.members.len() <= 1 {
                sink.check(ids.insert(event.id), || format!("{path}.id"), "is the id of another event too");
            }
            one_event(session, &path, event, sink);
        }
    }
}

fn snapshots(session: &ProfileSession, sink: &mut Sink<'_, '_>) {
    let mut of_function = vec![0u128; session.functions.len()];
    let mut before_ns = 0;
    for (s, snapshot) in session.hotspot_snapshots.iter().enumerate() {
        let path = |field: &'static str| move || format!("hotspot_snapshots[{s}].{field}");
        let follows = snapshot.time_ns >= before_ns;
        sink.check(follows, path("time_ns"), "lies before the end of the snapshot before");
        before_ns = snapshot.time_ns.saturating_add(snapshot.duration_ns);
        falling(path("functions"), snapshot.functions.iter().map(|hot| hot.self_ns), sink);
        falling(path("modules"), snapshot.modules.iter().map(|hot| hot.self_ns), sink);
        falling(path("crates"), snapshot.crates.iter().map(|hot| hot.self_ns), sink);
        for hot in &snapshot.functions {
            of_function[hot.function as usize] += u128::from(hot.self_ns);
        }
    }
    for (i, (&found, function)) in of_function.iter().zip(&session.functions).enumerate() {
        let path = || format!("hotspot_snapshots[].functions of function {i}");
        sink.at_most(path, found, function.self_ns.into(), "its self_ns");
    }
}

fn one_event(session: &ProfileSession, path: &str, event: &Event, sink: &mut Sink<'_, '_>) {
    sink.check(event.start_ns <= event.end_ns, || format!("{path}.end_ns"), "lies before start_ns");
    let hot = &event.hot;
    sink.check(hot.from_ns <= hot.to_ns, || format!("{path}.hot.to_ns"), "lies before from_ns");
    if let Some(windows) = &session.windows {
        span(session, windows, path, event, sink);
    }
    let functions = hot.functions.iter().map(|hot| (hot.self_ns, hot.ratio));
    shares(|| format!("{path}.hot.functions"), hot, functions, sink);
    let modules = hot.modules.iter().map(|hot| (hot.self_ns, hot.ratio));
    shares(|| format!("{path}.hot.modules"), hot, modules, sink);
    let crates = hot.crates.iter().map(|hot| (hot.self_ns, hot.ratio));
    shares(|| format!("{path}.hot.crates"), hot, crates, sink);
    let allocated = event.allocated.iter().flatten();
    falling(|| format!("{path}.allocated"), allocated.clone().map(|site| site.alloc_bytes), sink);
    for (i, site) in allocated.enumerate() {
        let fits = (0.0..=1.0).contains(&site.ratio);
        sink.check(fits, || format!("{path}.allocated[{i}].ratio"), "is not a number from 0 to 1");
    }
}

/// What an event says of its span against the cells of the windows in it.
fn span(session: &ProfileSession, windows: &Windows, path: &str, event: &Event, sink: &mut Sink<'_, '_>) {
    let hot = &event.hot;
    let cpu = &windows.cpu;
    let (mut samples, mut cpu_ns) = (0u128, 0u128);
    let window = |ns: u64| usize::try_from(ns).unwrap_or(usize::MAX);
    // Checked before: the offsets are one more than the windows, and the interval is not 0.
    let last = cpu.offset.len() - 1;
    let from = window(hot.from_ns.div_ceil(windows.interval_ns)).min(last);
    let to = window(hot.to_ns.div_ceil(windows.interval_ns)).clamp(from, last);
    for cell in cpu.offset[from] as usize..cpu.offset[to] as usize {
        let thread = &session.thread_rollups[cpu.thread[cell] as usize];
        if event.process.is_none_or(|process| process == thread.process) {
            samples += u128::from(cpu.sample_count[cell]);
            cpu_ns += cell_cpu_ns(session, windows, cell);
        }
    }
    let what = "the sum over the windows of the span";
    sink.equal(|| format!("{path}.hot.sample_count"), hot.sample_count.into(), samples, what);
    sink.equal(|| format!("{path}.hot.cpu_ns"), hot.cpu_ns.into(), cpu_ns, what);
}

fn shares(
    path: impl Fn() -> String,
    hot: &Hot,
    rows: impl Iterator<Item = (u64, f64)> + Clone,
    sink: &mut Sink<'_, '_>,
) {
    falling(&path, rows.clone().map(|(self_ns, _)| self_ns), sink);
    let sum = rows.clone().map(|(self_ns, _)| u128::from(self_ns)).sum();
    sink.at_most(&path, sum, hot.cpu_ns.into(), "hot.cpu_ns");
    for (i, (self_ns, ratio)) in rows.enumerate() {
        let expected = if hot.cpu_ns == 0 { 0.0 } else { self_ns as f64 / hot.cpu_ns as f64 };
        sink.share(|| format!("{}[{i}].ratio", path()), ratio, expected, RATIO_TOLERANCE);
    }
}

fn falling(path: impl FnOnce() -> String, rows: impl Iterator<Item = u64>, sink: &mut Sink<'_, '_>) {
    if !rows.is_sorted_by(|a, b| a >= b) {
        sink.fault(path, SessionFault::Order("is not sorted, the highest first"));
    }
}
