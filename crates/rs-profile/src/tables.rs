//! Everything in a session that follows from its base columns, computed in one place.
//!
//! Base are the identities (threads, mappings, files, frames, stacks, what functions are), the windows, the
//! metrics over time, the heap and the events' spans. Derived are all figures, rollups, orders, snapshots and
//! hot lists. A fold, a selection and a merge differ only in the base that they hand over.

use rs_schema::ProfileSession;
use rs_schema::session::{Function, Row};

use crate::diagnostics;
use crate::hot;
use crate::index::Index;
use crate::rollups;
use crate::round::percent;
use crate::snapshots;
use crate::sums::Sums;

/// Computes everything derived, in place. The session's structure must be sound.
pub(crate) fn derive(session: &mut ProfileSession) {
    let mut index = Index::new(session);
    let sums = Sums::new(session);
    functions(session, &mut index, &sums);
    rollups::modules(session, &mut index, &sums);
    rollups::crates(session, &mut index, &sums);
    diagnostics::fill(session, &index, &sums);
    snapshots::phases(session);
    snapshots::snapshots(session, &index);
    hot::events(session, &index);
}

/// The functions' figures and order.
fn functions(session: &mut ProfileSession, index: &mut Index, sums: &Sums) {
    let figures = sums.figures(index, &index.functions);
    let has_heap = session.heap.is_some();
    for (function, figures) in session.functions.iter_mut().zip(&figures) {
        function.self_ns = figures.own.cpu_ns;
        function.total_ns = figures.total.cpu_ns;
        function.self_samples = figures.own.samples;
        function.total_samples = figures.total.samples;
        function.self_pct = percent(figures.own.cpu_ns, sums.all.cpu_ns);
        function.total_pct = percent(figures.total.cpu_ns, sums.all.cpu_ns);
        function.blame_ns = figures.blame_ns;
        function.self_waited_ns = figures.own.waited_ns;
        function.total_waited_ns = figures.total.waited_ns;
        function.alloc_count = has_heap.then_some(figures.total.alloc_count);
        function.alloc_bytes = has_heap.then_some(figures.total.alloc_bytes);
    }
    let new_row = sort_rows(&mut session.functions, |a: &Function, b: &Function| {
        (b.self_ns, b.total_ns)
            .cmp(&(a.self_ns, a.total_ns))
            .then_with(|| a.function.cmp(&b.function))
            .then_with(|| a.crate_name.cmp(&b.crate_name))
            .then_with(|| a.module.cmp(&b.module))
            .then_with(|| a.kind.cmp(&b.kind))
    });
    for row in &mut session.frames.function {
        *row = new_row[*row as usize];
    }
    index.renumber_functions(&new_row);
}

/// Sorts a table and returns the new row of each old one.
pub(crate) fn sort_rows<T>(table: &mut Vec<T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> Vec<Row> {
    let mut numbered: Vec<(Row, T)> = (0..).zip(std::mem::take(table)).collect();
    numbered.sort_by(|a, b| order(&a.1, &b.1));
    let mut new_row = vec![0; numbered.len()];
    for (new, (old, row)) in (0..).zip(numbered) {
        new_row[old as usize] = new;
        table.push(row);
    }
    new_row
}
