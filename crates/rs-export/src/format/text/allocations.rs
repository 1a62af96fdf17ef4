//! Who allocated: heap sites of the session, and of a window beside the rest.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rs_schema::session::{ProfileSession, Row};

use super::hot::{Index, label};
use super::layout::{Line, Look, Style, flow};
use super::notes::Notes;
use super::numbers::{percent_of, show_bytes, show_count};
use super::table::{Cell, Table};
use super::tables::{Rest, heading, percent, stands_out};

/// The sites that allocated most.
pub(super) fn sites(index: &Index<'_>, rows: usize, look: Look, notes: &mut Notes<'_>) -> Vec<Line> {
    let Some(heap) = &index.session.heap else { return Vec::new() };
    let mut sites: Vec<_> = heap.sites.iter().filter(|site| site.alloc_bytes > 0).collect();
    if sites.is_empty() {
        return Vec::new();
    }
    sites.sort_by_key(|site| (Reverse(site.alloc_bytes), site.stack));
    let mark = notes.allocation_mark();
    let mut table = Table::new().figures(format!("{mark}allocated")).figures(format!("{mark}share"));
    table = table.figures(format!("{mark}live at end")).figures(format!("{mark}short-lived"));
    table = table.names(heading("ALLOCATED BY", rows.min(sites.len()), sites.len()));
    for site in sites.into_iter().take(rows) {
        table.row(vec![
            Cell::new(show_bytes(site.alloc_bytes)),
            percent(percent_of(site.alloc_bytes, heap.alloc_bytes)),
            Cell::new(show_bytes(site.live_at_end_bytes)),
            percent(percent_of(site.temporary_count, site.alloc_count)),
            site_cell(index, Some(site.stack), Style::Plain),
        ]);
    }
    table.lines(look.width)
}

/// What a site did in a range of windows.
#[derive(Clone, Copy, Default)]
struct SiteUse {
    alloc_count: u64,
    alloc_bytes: u64,
    freed_bytes: u64,
}

fn uses(session: &ProfileSession) -> BTreeMap<i64, SiteUse> {
    let mut uses: BTreeMap<i64, SiteUse> = BTreeMap::new();
    let Some(cells) = session.windows.as_ref().map(|windows| &windows.alloc) else { return uses };
    let figures = cells.alloc_count.iter().zip(&cells.alloc_bytes).zip(&cells.freed_bytes);
    for (&stack, ((&alloc_count, &alloc_bytes), &freed_bytes)) in cells.stack.iter().zip(figures) {
        let sum = uses.entry(stack).or_default();
        sum.alloc_count = sum.alloc_count.saturating_add(alloc_count);
        sum.alloc_bytes = sum.alloc_bytes.saturating_add(alloc_bytes);
        sum.freed_bytes = sum.freed_bytes.saturating_add(freed_bytes);
    }
    uses
}

/// The sites that allocated most in a window, beside the rest of the session.
pub(super) fn window_sites(
    index: &Index<'_>,
    rest: &Rest<'_>,
    rows: usize,
    look: Look,
    notes: &mut Notes<'_>,
) -> Vec<Line> {
    let all = uses(rest.whole);
    if all.is_empty() {
        return Vec::new();
    }
    let total = |uses: &BTreeMap<i64, SiteUse>| {
        uses.values().map(|found| found.alloc_bytes).fold(0, u64::saturating_add)
    };
    let inside = uses(index.session);
    let (inside_bytes, rest_bytes) = (total(&inside), total(&all).saturating_sub(total(&inside)));
    let mut sites: Vec<(i64, SiteUse)> =
        inside.into_iter().filter(|(_, found)| found.alloc_bytes > 0).collect();
    if sites.is_empty() {
        return flow("allocated", vec![Line::new().plain("nothing in these windows")], look.width, 1);
    }
    sites.sort_by_key(|&(stack, found)| (Reverse(found.alloc_bytes), stack));
    let mark = notes.allocation_mark();
    let mut table = Table::new().figures(format!("{mark}allocated")).figures(format!("{mark}share"));
    table =
        table.figures(format!("{mark}rest")).figures(format!("{mark}calls")).figures(format!("{mark}freed"));
    table = table.names(heading("ALLOCATED BY", rows.min(sites.len()), sites.len()));
    for (stack, found) in sites.into_iter().take(rows) {
        let everywhere = all.get(&stack).map_or(0, |all| all.alloc_bytes);
        let (share, in_rest) = (
            percent_of(found.alloc_bytes, inside_bytes),
            percent_of(everywhere.saturating_sub(found.alloc_bytes), rest_bytes),
        );
        let style = share.map_or(Style::Plain, |share| stands_out(share, in_rest));
        table.row(vec![
            Cell::new(show_bytes(found.alloc_bytes)),
            percent(share),
            percent(in_rest),
            Cell::new(show_count(found.alloc_count)),
            Cell::new(show_bytes(found.freed_bytes)),
            site_cell(index, Row::try_from(stack).ok(), style),
        ]);
    }
    table.lines(look.width)
}

fn site_cell(index: &Index<'_>, stack: Option<Row>, style: Style) -> Cell {
    match stack.and_then(|stack| index.site(stack)) {
        Some((function, place)) => Cell::with_tail(style, &label(function), &place),
        None => Cell::styled(Style::Dim, "without a stack"),
    }
}
