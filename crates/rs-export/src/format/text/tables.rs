//! Where the time went: crates, modules, functions, threads, waits. In the view of a window, beside the rest of
//! the session.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use rs_schema::session::{Function, ProfileSession, Row, ThreadRollup};

use super::hot::{Index, label};
use super::layout::{Line, Look, Style, flow, wrap};
use super::names::{clean, shorten};
use super::notes::Notes;
use super::numbers::{percent_of, plural, show_ns, show_percent};
use super::table::{Cell, Table, beside};

/// What a window is compared with: the same selection without the window, less the window.
pub(super) struct Rest<'a> {
    pub(super) whole: &'a ProfileSession,
    window: &'a ProfileSession,
    crates: HashMap<&'a str, u64>,
    modules: HashMap<&'a str, u64>,
    functions: HashMap<(&'a str, Option<&'a str>), u64>,
}

impl<'a> Rest<'a> {
    pub(super) fn new(whole: &'a ProfileSession, window: &'a ProfileSession) -> Self {
        let crates = whole.crate_rollups.iter().map(|row| (row.crate_name.as_str(), row.self_ns));
        let modules = whole.module_rollups.iter().map(|row| (row.module.as_str(), row.self_ns));
        let functions = whole.functions.iter().map(|row| (key(row), row.self_ns));
        Rest {
            whole,
            window,
            crates: crates.collect(),
            modules: modules.collect(),
            functions: functions.collect(),
        }
    }

    /// Whether the window holds all samples.
    pub(super) fn is_empty(&self) -> bool {
        sampled(self.whole) <= sampled(self.window)
    }

    /// The share of the rest's CPU time; `None` when the rest has none.
    fn share(&self, whole_ns: Option<&u64>, window_ns: u64) -> Option<f64> {
        let rest_ns = sampled(self.whole).saturating_sub(sampled(self.window));
        percent_of(whole_ns.copied().unwrap_or(0).saturating_sub(window_ns), rest_ns)
    }
}

/// Functions of one name in two binaries are two.
fn key(function: &Function) -> (&str, Option<&str>) {
    (&function.function, function.crate_name.as_deref())
}

fn sampled(session: &ProfileSession) -> u64 {
    session.sampling_diagnostics.sampled_cpu_ns
}

/// A share of the window that stands out against the rest.
pub(super) fn stands_out(share: f64, rest: Option<f64>) -> Style {
    match rest {
        Some(rest) if share >= 5.0 && share >= rest * 2.0 => Style::Warn,
        _ => Style::Plain,
    }
}

pub(super) fn percent(value: Option<f64>) -> Cell {
    match value {
        // Measured nothing is a quiet zero.
        Some(0.0) => Cell::styled(Style::Dim, "0.0%"),
        Some(value) => Cell::new(show_percent(value)),
        None => Cell::styled(Style::Dim, "-"),
    }
}

/// Time in one unit for the whole table, so that the eye can compare.
struct Unit {
    name: &'static str,
    ns: f64,
}

impl Unit {
    fn for_largest(ns: u64) -> Self {
        if ns >= 100_000_000_000 { Unit { name: "s", ns: 1e9 } } else { Unit { name: "ms", ns: 1e6 } }
    }

    fn cell(&self, ns: u64) -> Cell {
        let value = ns as f64 / self.ns;
        match ns {
            0 => Cell::styled(Style::Dim, "0"),
            _ if value < 10.0 => Cell::new(format!("{value:.1}")),
            _ => Cell::new(format!("{value:.0}")),
        }
    }
}

/// `CRATES 5/31`: what is not shown is said.
pub(super) fn heading(noun: &str, shown: usize, all: usize) -> String {
    if shown < all { format!("{noun} {shown}/{all}") } else { noun.to_owned() }
}

/// Crates beside modules.
pub(super) fn crates_and_modules(
    session: &ProfileSession,
    rest: Option<&Rest<'_>>,
    rows: usize,
    look: Look,
    notes: &mut Notes<'_>,
) -> Vec<Line> {
    if session.crate_rollups.is_empty() {
        return Vec::new();
    }
    let crates = crates(session, rest, rows, notes);
    beside(&crates, &modules(session, rest, rows, notes), look.width)
}

fn crates(session: &ProfileSession, rest: Option<&Rest<'_>>, rows: usize, notes: &mut Notes<'_>) -> Table {
    let all = &session.crate_rollups;
    let mark = notes.sampled_mark();
    let second = if rest.is_some() { "rest" } else { "total" };
    let mut table = Table::new().figures(format!("{mark}self")).figures(format!("{mark}{second}"));
    table = table.figures(format!("{mark}blame")).names(heading("CRATES", rows.min(all.len()), all.len()));
    for row in all.iter().take(rows) {
        let in_rest = rest.and_then(|rest| rest.share(rest.crates.get(row.crate_name.as_str()), row.self_ns));
        let second = if rest.is_some() { in_rest } else { Some(row.total_pct) };
        let version = row.crate_version.as_deref().unwrap_or_default();
        table.row(vec![
            percent(Some(row.self_pct)),
            percent(second),
            percent(percent_of(row.blame_ns, sampled(session))),
            Cell::with_tail(stands_out(row.self_pct, in_rest), &row.crate_name, version),
        ]);
    }
    table
}

fn modules(session: &ProfileSession, rest: Option<&Rest<'_>>, rows: usize, notes: &mut Notes<'_>) -> Table {
    let all = &session.module_rollups;
    let mark = notes.sampled_mark();
    let unit = Unit::for_largest(all.iter().map(|row| row.total_ns).max().unwrap_or(0));
    let second = if rest.is_some() { "rest" } else { "total" };
    let mut table = Table::new().figures(format!("{mark}self {}", unit.name)).figures(format!("{mark}self"));
    table =
        table.figures(format!("{mark}{second}")).names(heading("MODULES", rows.min(all.len()), all.len()));
    for row in all.iter().take(rows) {
        let in_rest = rest.and_then(|rest| rest.share(rest.modules.get(row.module.as_str()), row.self_ns));
        let second = if rest.is_some() { in_rest } else { Some(row.total_pct) };
        table.row(vec![
            unit.cell(row.self_ns),
            percent(Some(row.self_pct)),
            percent(second),
            Cell::styled(stands_out(row.self_pct, in_rest), &row.module),
        ]);
    }
    table
}

/// Functions, with the place of each where there is room.
pub(super) fn functions(
    index: &Index<'_>,
    rest: Option<&Rest<'_>>,
    rows: usize,
    look: Look,
    notes: &mut Notes<'_>,
) -> Vec<Line> {
    let session = index.session;
    // A function that only called others is in `total` of the crates; a line without self time says nothing.
    let all: Vec<&Function> =
        session.functions.iter().filter(|function| function.total_samples > 0).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let mark = notes.sampled_mark();
    let unit = Unit::for_largest(all.iter().map(|row| row.total_ns).max().unwrap_or(0));
    let ms = unit.name;
    let mut table = Table::new().figures(format!("{mark}self {ms}")).figures(format!("{mark}self"));
    if rest.is_some() {
        table = table.figures(format!("{mark}rest"));
    }
    table = table.figures(format!("{mark}total {ms}")).figures(format!("{mark}total"));
    table = table.names(heading("FUNCTIONS", rows.min(all.len()), all.len()));
    for function in all.into_iter().take(rows) {
        let in_rest = rest.and_then(|rest| rest.share(rest.functions.get(&key(function)), function.self_ns));
        let mut row = vec![unit.cell(function.self_ns), percent(Some(function.self_pct))];
        if rest.is_some() {
            row.push(percent(in_rest));
        }
        row.push(unit.cell(function.total_ns));
        row.push(percent(Some(function.total_pct)));
        let style = stands_out(function.self_pct, in_rest);
        row.push(Cell::with_tail(style, &label(function), &index.place(function.file, function.line)));
        table.row(row);
    }
    table.lines(look.width)
}

/// The busiest threads, on one line.
pub(super) fn threads(session: &ProfileSession, look: Look, notes: &mut Notes<'_>) -> Vec<Line> {
    const SHOWN: usize = 5;
    let mut rows: Vec<&ThreadRollup> = session.thread_rollups.iter().filter(|row| row.self_ns > 0).collect();
    rows.sort_by_key(|row| Reverse(row.self_ns));
    let mut items: Vec<Line> = Vec::new();
    for row in rows.iter().take(SHOWN) {
        let share = percent_of(row.self_ns, sampled(session)).map(show_percent).unwrap_or_default();
        let name = match (&row.name, row.tid) {
            (Some(name), _) => name.clone(),
            (None, Some(tid)) => format!("tid {tid}"),
            (None, None) => "without a name".to_owned(),
        };
        let count = if row.thread_count > 1 { format!(" ×{}", row.thread_count) } else { String::new() };
        items.push(Line::new().plain(&format!("{}{share} {name}{count}", notes.sampled_mark())));
    }
    if rows.len() > SHOWN {
        items.push(Line::new().with(Style::Dim, &format!("{} more", rows.len() - SHOWN)));
    }
    flow("threads", items, look.width, 1)
}

/// Where threads waited longest, on one line; nothing when no waits were recorded. A wait is put down to the
/// innermost function outside std and the kernel: every wait ends in the same few of those.
pub(super) fn waits(index: &Index<'_>, look: Look, notes: &mut Notes<'_>) -> Vec<Line> {
    const SHOWN: usize = 3;
    let Some(windows) = &index.session.windows else { return Vec::new() };
    let mut by_stack: HashMap<i64, u64> = HashMap::new();
    for (&stack, &waited_ns) in windows.wait.stack.iter().zip(&windows.wait.waited_ns) {
        let sum = by_stack.entry(stack).or_default();
        *sum = sum.saturating_add(waited_ns);
    }
    let mut by_function: BTreeMap<String, u64> = BTreeMap::new();
    for (stack, waited_ns) in by_stack {
        let site = Row::try_from(stack).ok().and_then(|stack| index.site(stack));
        let name = site.map_or_else(|| "without a stack".to_owned(), |(function, _)| label(function));
        let sum = by_function.entry(name).or_default();
        *sum = sum.saturating_add(waited_ns);
    }
    let mut rows: Vec<(String, u64)> = by_function.into_iter().collect();
    rows.sort_by_key(|&(_, waited_ns)| Reverse(waited_ns));
    let mark = if rows.is_empty() { "" } else { notes.mark("time off the CPU", &["waited_ns"]) };
    let item = |(name, waited_ns): &(String, u64)| {
        Line::new().plain(&format!("{mark}{} {}", show_ns(*waited_ns), shorten(&clean(name), 40)))
    };
    flow("waited", rows.iter().take(SHOWN).map(item).collect(), look.width, 1)
}

/// The line in place of the tables when there is no sample to make them of.
pub(super) fn no_samples(session: &ProfileSession, what: &str, look: Look, notes: &Notes<'_>) -> Vec<Line> {
    let diagnostics = &session.sampling_diagnostics;
    let why = match diagnostics.backend.as_deref() {
        None => "there was no sampler",
        Some(_) if diagnostics.lost_count.saturating_add(diagnostics.dropped_count) > 0 => "all were lost",
        Some(_) => "the target did not run while it was sampled",
    };
    let why = notes.reason(&["cpu_ns", "samples"]).unwrap_or(why);
    let text = format!("in {what}, so nothing can be said about crates, modules and functions: {why}");
    wrap("NO SAMPLES", Style::Warn, &text, look.width, 5)
}

/// Samples and their time, in words.
pub(super) fn amount(session: &ProfileSession, notes: &mut Notes<'_>) -> String {
    let diagnostics = &session.sampling_diagnostics;
    let mark = notes.sampled_mark();
    format!(
        "{} = {mark}{} CPU",
        plural(diagnostics.sample_count, "sample"),
        show_ns(diagnostics.sampled_cpu_ns)
    )
}
