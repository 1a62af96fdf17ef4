//! Sums: sampled time is the same whether counted by window, thread, function, module or crate, and each row
//! has the self and total time that the base columns give it.

use std::collections::HashMap;

use super::{SessionFault, Sink};
use crate::ProfileSession;
use crate::session::{CrateRollup, Function, ModuleRollup, Windows};
use crate::validate::recount::{Recount, Tree};

/// Percentages may be rounded to two places.
const PCT_TOLERANCE: f64 = 0.01;

pub(super) fn check(session: &ProfileSession, sink: &mut Sink<'_, '_>) {
    let base = session.windows.as_ref().map(|windows| Base::new(session, windows));
    if let (Some(windows), Some(base)) = (&session.windows, &base) {
        totals(session, windows, base, sink);
    }
    threads(session, base.as_ref(), sink);
    let tree = base.as_ref().map(|base| (base, tree(session)));
    let tree = tree.as_ref().map(|(base, tree)| (*base, tree));
    functions(session, tree, sink);
    modules(session, tree, sink);
    crates(session, tree, sink);
}

/// The base columns, summed over all windows.
struct Base {
    cpu_ns: Vec<u128>,
    samples: Vec<u128>,
    waited_ns: Vec<u128>,
    all: ThreadSums,
    threads: Vec<ThreadSums>,
}

#[derive(Clone, Copy, Default)]
struct ThreadSums {
    cpu_ns: u128,
    samples: u128,
    stackless_ns: u128,
    stackless_samples: u128,
    waited_ns: u128,
    waits: u128,
}

impl Base {
    fn new(session: &ProfileSession, windows: &Windows) -> Base {
        let stacks = session.stacks.frame.len();
        let mut base = Base {
            cpu_ns: vec![0; stacks],
            samples: vec![0; stacks],
            waited_ns: vec![0; stacks],
            all: ThreadSums::default(),
            threads: vec![ThreadSums::default(); session.thread_rollups.len()],
        };
        let cpu = &windows.cpu;
        for (cell, (&stack, &thread)) in cpu.stack.iter().zip(&cpu.thread).enumerate() {
            let samples = u128::from(cpu.sample_count[cell]);
            let cpu_ns = cell_cpu_ns(session, windows, cell);
            let stack = usize::try_from(stack).ok();
            if let Some(stack) = stack {
                base.cpu_ns[stack] += cpu_ns;
                base.samples[stack] += samples;
            }
            for sums in [&mut base.all, &mut base.threads[thread as usize]] {
                sums.cpu_ns += cpu_ns;
                sums.samples += samples;
                if stack.is_none() {
                    sums.stackless_ns += cpu_ns;
                    sums.stackless_samples += samples;
                }
            }
        }
        let wait = &windows.wait;
        for (cell, (&stack, &thread)) in wait.stack.iter().zip(&wait.thread).enumerate() {
            let waited_ns = u128::from(wait.waited_ns[cell]);
            if let Ok(stack) = usize::try_from(stack) {
                base.waited_ns[stack] += waited_ns;
            }
            for sums in [&mut base.all, &mut base.threads[thread as usize]] {
                sums.waited_ns += waited_ns;
                sums.waits += u128::from(wait.wait_count[cell]);
            }
        }
        base
    }
}

/// CPU time of one cell: as given, or its samples times the period.
pub(super) fn cell_cpu_ns(session: &ProfileSession, windows: &Windows, cell: usize) -> u128 {
    match &windows.cpu.cpu_ns {
        Some(cpu_ns) => cpu_ns[cell].into(),
        None => {
            let period_ns = session.sampling_diagnostics.period_ns.unwrap_or(0);
            u128::from(windows.cpu.sample_count[cell]) * u128::from(period_ns)
        }
    }
}

fn totals(session: &ProfileSession, windows: &Windows, base: &Base, sink: &mut Sink<'_, '_>) {
    let diagnostics = &session.sampling_diagnostics;
    for (field, found, expected) in [
        ("sampled_cpu_ns", diagnostics.sampled_cpu_ns, base.all.cpu_ns),
        ("sample_count", diagnostics.sample_count, base.all.samples),
        ("stackless_count", diagnostics.stackless_count, base.all.stackless_samples),
    ] {
        let path = || format!("sampling_diagnostics.{field}");
        sink.equal(path, found.into(), expected, "the sum over all windows");
    }
    let lost: u128 = windows.lost_count.iter().map(|&lost| u128::from(lost)).sum();
    let expected = u128::from(diagnostics.lost_count) + u128::from(diagnostics.dropped_count);
    if lost != expected {
        let why = format!("adds up to {lost}, but lost_count and dropped_count are {expected} together");
        sink.fault(|| "windows.lost_count".into(), SessionFault::Odd(why));
    }
}

fn threads(session: &ProfileSession, base: Option<&Base>, sink: &mut Sink<'_, '_>) {
    let threads = &session.thread_rollups;
    if let Some(base) = base {
        for (i, (thread, sums)) in threads.iter().zip(&base.threads).enumerate() {
            for (field, found, expected) in [
                ("self_ns", thread.self_ns, sums.cpu_ns),
                ("samples", thread.samples, sums.samples),
                ("stackless_samples", thread.stackless_samples, sums.stackless_samples),
                ("waited_ns", thread.waited_ns, sums.waited_ns),
                ("wait_count", thread.wait_count, sums.waits),
            ] {
                let path = || format!("thread_rollups[{i}].{field}");
                sink.equal(path, found.into(), expected, "the sum over its windows");
            }
        }
    } else if !threads.is_empty() {
        let diagnostics = &session.sampling_diagnostics;
        let sum = |of: fn(&crate::session::ThreadRollup) -> u64| -> u128 {
            threads.iter().map(|thread| u128::from(of(thread))).sum()
        };
        for (field, found, expected) in [
            ("sampled_cpu_ns", diagnostics.sampled_cpu_ns, sum(|thread| thread.self_ns)),
            ("sample_count", diagnostics.sample_count, sum(|thread| thread.samples)),
            ("stackless_count", diagnostics.stackless_count, sum(|thread| thread.stackless_samples)),
        ] {
            let path = || format!("sampling_diagnostics.{field}");
            sink.equal(path, found.into(), expected, "the sum over all threads");
        }
    }
}

fn tree(session: &ProfileSession) -> Tree {
    Tree::new(session.stacks.parent.iter().map(|&parent| u32::try_from(parent).ok()).collect())
}

/// The figures that functions, modules and crates have in common.
struct Cost {
    self_ns: u64,
    total_ns: u64,
    self_samples: u64,
    total_samples: u64,
    self_pct: f64,
    total_pct: f64,
    self_waited_ns: u64,
}

macro_rules! cost {
    ($($row:ty),*) => {$(
        impl From<&$row> for Cost {
            fn from(row: &$row) -> Cost {
                Cost {
                    self_ns: row.self_ns,
                    total_ns: row.total_ns,
                    self_samples: row.self_samples,
                    total_samples: row.total_samples,
                    self_pct: row.self_pct,
                    total_pct: row.total_pct,
                    self_waited_ns: row.self_waited_ns,
                }
            }
        }
    )*};
}
cost!(Function, ModuleRollup, CrateRollup);

/// Checks the rows of one table. `group` gives the row that each function belongs to.
fn costs(
    session: &ProfileSession,
    table: &'static str,
    rows: &[Cost],
    group: &[Option<u32>],
    tree: Option<(&Base, &Tree)>,
    sink: &mut Sink<'_, '_>,
) {
    let sampled_ns = session.sampling_diagnostics.sampled_cpu_ns;
    for (i, row) in rows.iter().enumerate() {
        let path = |field: &'static str| move || format!("{table}[{i}].{field}");
        sink.at_most(path("self_ns"), row.self_ns.into(), row.total_ns.into(), "total_ns");
        sink.at_most(
            path("self_samples"),
            row.self_samples.into(),
            row.total_samples.into(),
            "total_samples",
        );
        sink.at_most(path("total_ns"), row.total_ns.into(), sampled_ns.into(), "sampled_cpu_ns");
        for (field, pct, ns) in
            [("self_pct", row.self_pct, row.self_ns), ("total_pct", row.total_pct, row.total_ns)]
        {
            let expected = if sampled_ns == 0 { 0.0 } else { 100.0 * ns as f64 / sampled_ns as f64 };
            sink.share(path(field), pct, expected, PCT_TOLERANCE);
        }
    }
    let Some((base, tree)) = tree else { return };
    let frames = &session.frames.function;
    let group: Vec<Option<u32>> =
        session.stacks.frame.iter().map(|&frame| group[frames[frame as usize] as usize]).collect();
    let cpu = tree.recount(&base.cpu_ns, &group, rows.len());
    let samples = tree.recount(&base.samples, &group, rows.len());
    let waited = tree.recount(&base.waited_ns, &group, rows.len());
    for (i, row) in rows.iter().enumerate() {
        for (field, found, expected) in [
            ("self_ns", row.self_ns, cpu.self_weight[i]),
            ("total_ns", row.total_ns, cpu.total_weight[i]),
            ("self_samples", row.self_samples, samples.self_weight[i]),
            ("total_samples", row.total_samples, samples.total_weight[i]),
            ("self_waited_ns", row.self_waited_ns, waited.self_weight[i]),
        ] {
            let path = || format!("{table}[{i}].{field}");
            sink.equal(path, found.into(), expected, "the sum over windows and stacks");
        }
    }
    if table == "functions" {
        total_waits(session, &waited, sink);
    }
}

fn total_waits(session: &ProfileSession, waited: &Recount, sink: &mut Sink<'_, '_>) {
    for (i, (function, &expected)) in session.functions.iter().zip(&waited.total_weight).enumerate() {
        let path = || format!("functions[{i}].total_waited_ns");
        sink.equal(path, function.total_waited_ns.into(), expected, "the sum over windows and stacks");
    }
}

fn functions(session: &ProfileSession, tree: Option<(&Base, &Tree)>, sink: &mut Sink<'_, '_>) {
    let functions = &session.functions;
    if functions.is_empty() {
        return;
    }
    let rows: Vec<Cost> = functions.iter().map(Cost::from).collect();
    let itself: Vec<Option<u32>> = (0..functions.len() as u32).map(Some).collect();
    costs(session, "functions", &rows, &itself, tree, sink);
    in_order("functions", functions.iter().map(|f| (f.self_ns, f.total_ns, f.function.as_str())), sink);

    let sampled_ns = u128::from(session.sampling_diagnostics.sampled_cpu_ns);
    let self_ns: u128 = rows.iter().map(|row| u128::from(row.self_ns)).sum();
    let path = || "functions".into();
    match tree {
        Some((base, _)) => {
            let expected = sampled_ns.saturating_sub(base.all.stackless_ns);
            let what = "the sampled time with a stack";
            sum_of("functions", "self_ns", self_ns, expected, what, sink);
        }
        None if session.sampling_diagnostics.stackless_count == 0 => {
            sum_of("functions", "self_ns", self_ns, sampled_ns, "sampled_cpu_ns", sink);
        }
        None => sink.at_most(path, self_ns, sampled_ns, "sampled_cpu_ns"),
    }
    let blame_ns: u128 = functions.iter().map(|function| u128::from(function.blame_ns)).sum();
    sum_of("functions", "blame_ns", blame_ns, self_ns, "the sum of their self_ns", sink);
    for (i, function) in functions.iter().enumerate() {
        let together = function.alloc_count.is_some() == function.alloc_bytes.is_some();
        let path = |field: &'static str| move || format!("functions[{i}].{field}");
        sink.check(together, path("alloc_bytes"), "and alloc_count are not both known or both null");
        if let Some(latency) = &function.latency {
            let known = [latency.p50_ns, latency.p95_ns, latency.p99_ns];
            sink.check(known.iter().flatten().is_sorted(), path("latency"), "has percentiles out of order");
            let explained = known.iter().all(Option::is_some) || latency.reason.is_some();
            sink.check(explained, path("latency.reason"), "is absent, but a percentile is null");
        }
    }
}

/// A module is known by its path; two crates of one session may both have it, as C++ namespaces do.
fn modules(session: &ProfileSession, tree: Option<(&Base, &Tree)>, sink: &mut Sink<'_, '_>) {
    let table = &session.module_rollups;
    if table.is_empty() || session.functions.is_empty() {
        return;
    }
    let mut by_pair = HashMap::new();
    let mut by_path = HashMap::new();
    for (i, row) in table.iter().enumerate() {
        if by_pair.insert((row.module.as_str(), row.crate_name.as_deref()), i as u32).is_some() {
            sink.field(|| format!("module_rollups[{i}].module"), "has a row already");
        }
        by_path.insert(row.module.as_str(), i as u32);
    }
    let row_of = |function: &Function| {
        let module = function.module.as_deref()?;
        let row = by_pair.get(&(module, function.crate_name.as_deref())).or_else(|| by_path.get(module));
        Some(row.copied())
    };
    let (rows, group) = rollup(session, "module_rollups", "module", table, row_of, sink);
    costs(session, "module_rollups", &rows, &group, tree, sink);
    in_order("module_rollups", table.iter().map(|m| (m.self_ns, m.total_ns, m.module.as_str())), sink);
    let known = |function: &&Function| function.module.is_some();
    conservation(session, "module_rollups", table.iter().map(|m| (m.self_ns, m.blame_ns)), known, sink);
    function_counts("module_rollups", table.iter().map(|m| m.function_count), &group, sink);
}

fn crates(session: &ProfileSession, tree: Option<(&Base, &Tree)>, sink: &mut Sink<'_, '_>) {
    let table = &session.crate_rollups;
    if table.is_empty() || session.functions.is_empty() {
        return;
    }
    let mut by_name = HashMap::new();
    for (i, row) in table.iter().enumerate() {
        if by_name.insert(row.crate_name.as_str(), i as u32).is_some() {
            sink.field(|| format!("crate_rollups[{i}].crate"), "has a row already");
        }
    }
    let row_of = |function: &Function| Some(by_name.get(function.crate_name.as_deref()?).copied());
    let (rows, group) = rollup(session, "crate_rollups", "crate", table, row_of, sink);
    costs(session, "crate_rollups", &rows, &group, tree, sink);
    in_order("crate_rollups", table.iter().map(|c| (c.self_ns, c.total_ns, c.crate_name.as_str())), sink);
    let known = |function: &&Function| function.crate_name.is_some();
    conservation(session, "crate_rollups", table.iter().map(|c| (c.self_ns, c.blame_ns)), known, sink);
    function_counts("crate_rollups", table.iter().map(|c| c.function_count), &group, sink);
}

/// Rows of a table and the row that each function belongs to. `row_of` returns nothing for a function that
/// belongs nowhere, and no row for one whose row is missing.
fn rollup<'a, T>(
    session: &'a ProfileSession,
    table: &'static str,
    field: &'static str,
    rows: &'a [T],
    row_of: impl Fn(&'a Function) -> Option<Option<u32>>,
    sink: &mut Sink<'_, '_>,
) -> (Vec<Cost>, Vec<Option<u32>>)
where
    Cost: From<&'a T>,
{
    let mut group = Vec::with_capacity(session.functions.len());
    for (i, function) in session.functions.iter().enumerate() {
        let row = row_of(function);
        if row == Some(None) {
            sink.field(|| format!("functions[{i}].{field}"), format!("has no row in {table}"));
        }
        group.push(row.flatten());
    }
    (rows.iter().map(Cost::from).collect(), group)
}

/// Time is only grouped: what the functions with a module have, the modules have.
fn conservation<'a>(
    session: &'a ProfileSession,
    table: &'static str,
    rows: impl Iterator<Item = (u64, u64)>,
    known: impl FnMut(&&'a Function) -> bool,
    sink: &mut Sink<'_, '_>,
) {
    let sum = |(a, b): (u128, u128), (c, d): (u64, u64)| (a + u128::from(c), b + u128::from(d));
    let found = rows.fold((0, 0), sum);
    let functions = session.functions.iter().filter(known);
    let expected = functions.map(|function| (function.self_ns, function.blame_ns)).fold((0, 0), sum);
    sum_of(table, "self_ns", found.0, expected.0, "that of their functions", sink);
    sum_of(table, "blame_ns", found.1, expected.1, "that of their functions", sink);
}

fn sum_of(
    table: &'static str,
    field: &'static str,
    found: u128,
    expected: u128,
    what: &'static str,
    sink: &mut Sink<'_, '_>,
) {
    sink.equal(|| format!("sum of {table}[].{field}"), found, expected, what);
}

fn function_counts(
    table: &'static str,
    counts: impl Iterator<Item = u64>,
    group: &[Option<u32>],
    sink: &mut Sink<'_, '_>,
) {
    let counts: Vec<u64> = counts.collect();
    let mut expected = vec![0u64; counts.len()];
    for &row in group.iter().flatten() {
        expected[row as usize] += 1;
    }
    for (i, (&found, &expected)) in counts.iter().zip(&expected).enumerate() {
        let path = || format!("{table}[{i}].function_count");
        sink.equal(path, found.into(), expected.into(), "the number of its functions");
    }
}

/// Rows go by self time, then total time, both falling, then name.
fn in_order<'a>(
    table: &'static str,
    rows: impl Iterator<Item = (u64, u64, &'a str)>,
    sink: &mut Sink<'_, '_>,
) {
    let mut before = None;
    for (i, (self_ns, total_ns, name)) in rows.enumerate() {
        let key = (std::cmp::Reverse((self_ns, total_ns)), name);
        if before.is_some_and(|before| before > key) {
            let why = "is out of order: rows go by self_ns, then total_ns, both falling, then name";
            sink.fault(|| format!("{table}[{i}]"), SessionFault::Order(why));
            return;
        }
        before = Some(key);
    }
}
