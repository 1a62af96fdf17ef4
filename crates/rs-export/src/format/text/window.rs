//! One window of the session in full: what the metrics did, and what was hot in it that is not hot elsewhere.

use std::io::{self, Write};

use rs_schema::session::{Event, ProfileSession};

use crate::selection::Chosen;

use super::events::{change, kind, metric_name, show_metric};
use super::hot::Index;
use super::layout::{Line, Look, Page, Style, flow};
use super::notes::Notes;
use super::numbers::{clock_at, percent_of, show_count, show_ns, show_percent, show_time};
use super::tables::{self, Rest};
use super::{allocations, diagnostics, fill, identity, metrics};

/// Writes the page: `session` is the whole recording, for metrics and names.
pub(crate) fn write(
    session: &ProfileSession,
    chosen: &Chosen<'_>,
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    let inside = &chosen.view.session;
    let index = Index::new(inside);
    let rest = Rest::new(&chosen.whole, inside);
    let wanted = [
        inside.functions.len().min(12),
        inside.crate_rollups.len().max(inside.module_rollups.len()).min(6),
        5,
    ];
    let page = fill(wanted, |rows, density| {
        let limit = density.lines;
        let mut notes = Notes::new(session);
        let (from_ns, to_ns) = (chosen.view.from_ns, chosen.view.to_ns);
        let mut page = Page::new(look);
        page.section(heading(session, chosen, look, limit, &mut notes));
        page.section(metrics::around(session, from_ns, to_ns, look, &mut notes));
        if inside.sampling_diagnostics.sample_count == 0 {
            page.section(tables::no_samples(inside, "these windows", look, &notes));
        } else {
            if rest.is_empty() {
                notes.unknown("rest", &[], "all samples are in these windows");
            }
            page.section(tables::crates_and_modules(inside, Some(&rest), rows[1], look, &mut notes));
            page.table(tables::functions(&index, Some(&rest), rows[0], look, &mut notes), density);
        }
        let mut more = allocations::window_sites(&index, &rest, rows[2], look, &mut notes);
        more.extend(tables::threads(inside, look, &mut notes));
        more.extend(tables::waits(&index, look, &mut notes));
        page.table(more, density);
        let mut end = diagnostics::verdict_lines(&session.sampling_diagnostics.fidelity, look, limit);
        end.extend(notes.lines(look.width, limit));
        page.section(end);
        page
    });
    page.write(out)
}

fn heading(
    session: &ProfileSession,
    chosen: &Chosen<'_>,
    look: Look,
    limit: usize,
    notes: &mut Notes<'_>,
) -> Vec<Line> {
    let recording = &session.session;
    let mut lines = vec![identity::title(recording, look)];
    if !recording.complete {
        lines.push(Line::new().with(Style::Bad, "THE STREAM WAS CUT: what came after is not here"));
    }
    if let Some(event) = chosen.event {
        let label = format!("event {}", event.id);
        lines.extend(flow(&label, told(session, event, notes), look.width, limit));
    }
    lines.extend(flow("window", bounds(session, chosen), look.width, limit));
    lines.extend(flow("samples", samples(chosen, notes), look.width, limit));
    lines
}

/// The event in words.
fn told(session: &ProfileSession, event: &Event, notes: &mut Notes<'_>) -> Vec<Line> {
    let mut first = Line::new().with(Style::Strong, kind(event.kind));
    if let Some(name) = &event.name {
        first.push(Style::Plain, &format!(" {name}"));
    }
    if let Some(text) = &event.text {
        first.push(Style::Plain, &format!(" {text}"));
    }
    if event.value.is_some() {
        let metric = event.metric.as_deref().map(metric_name).unwrap_or_default();
        first.push(Style::Plain, &format!(" {metric} {}", change(event, notes)));
    }
    let mut items = vec![first];
    if let (Some(before), Some(value)) = (event.before, event.value) {
        let rise = value.as_f64() - before.as_f64();
        let sign = if rise < 0.0 { "-" } else { "+" };
        items.push(Line::new().plain(&format!("{sign}{}", show_metric(event, rise.abs()))));
    }
    if let Some(threshold) = event.threshold {
        items.push(Line::new().plain(&format!("rule {}", show_metric(event, threshold.as_f64()))));
    }
    if let Some(process) = event.process.and_then(|row| session.processes.get(row as usize)) {
        let name = process.name.as_deref().unwrap_or("process");
        items.push(Line::new().plain(&format!("{name} {}", process.pid)));
    }
    let clock = clock_at(&session.session.start_time, event.time_ns);
    let clock = clock.map(|clock| format!(", {clock}")).unwrap_or_default();
    items.push(Line::new().plain(&format!("seen at {}{clock}", show_time(event.time_ns))));
    if event.end_ns > event.start_ns {
        let span = format!("rose from {} to {}", show_time(event.start_ns), show_time(event.end_ns));
        items.push(Line::new().plain(&span));
    }
    items
}

/// The windows that were covered: more than was asked for, since a window is the finest that is known.
fn bounds(session: &ProfileSession, chosen: &Chosen<'_>) -> Vec<Line> {
    let (from_ns, to_ns) = (chosen.view.from_ns, chosen.view.to_ns);
    let mut items =
        vec![Line::new().with(Style::Strong, &format!("{} to {}", show_time(from_ns), show_time(to_ns)))];
    if let Some(windows) = &session.windows {
        let interval = windows.interval_ns.max(1);
        let (first, last) = (from_ns / interval, to_ns.div_ceil(interval).max(1) - 1);
        let count = last.saturating_sub(first) + 1;
        let which = if count == 1 { format!("window {first}") } else { format!("windows {first} to {last}") };
        let all = show_count(windows.count);
        items.push(Line::new().plain(&format!("{which} of {all}, {} each", show_ns(windows.interval_ns))));
    }
    let share = percent_of(to_ns.saturating_sub(from_ns), session.session.duration_ns);
    if let Some(share) = share.filter(|&share| share <= 100.0) {
        items.push(Line::new().plain(&format!("{} of the session", show_percent(share))));
    }
    items
}

fn samples(chosen: &Chosen<'_>, notes: &mut Notes<'_>) -> Vec<Line> {
    let inside = &chosen.view.session.sampling_diagnostics;
    // Of none at all the page says so itself.
    let few = if inside.sample_count > 0 { notes.few(inside.sample_count) } else { "" };
    let mut items = vec![Line::new().plain(&format!("{}{few}", tables::amount(&chosen.view.session, notes)))];
    let lost = inside.lost_count.saturating_add(inside.dropped_count);
    let style = if lost > 0 { Style::Warn } else { Style::Plain };
    items.push(Line::new().with(style, &format!("{} lost in them", show_count(lost))));
    items.push(Line::new().with(Style::Dim, "\"rest\" is the share outside these windows"));
    items
}
