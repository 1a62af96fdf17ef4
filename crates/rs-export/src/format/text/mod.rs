//! `--text`: at most 40 lines for a person, the whole session or one window of it.
//!
//! The format does not depend on the terminal; only colour and width do. Figures stand at the left, since they
//! have a width, and names at the right, since they have none.

mod allocations;
mod chart;
mod diagnostics;
mod events;
mod hot;
mod identity;
mod layout;
mod metrics;
mod names;
mod notes;
mod numbers;
mod table;
mod tables;
mod window;

use std::io::{self, Write};

use rs_schema::session::ProfileSession;

pub(crate) use self::layout::Look;
pub(crate) use self::numbers::show_time;
pub(crate) use self::window::write as write_window;

use self::hot::Index;
use self::layout::{Density, Page, share_rows};
use self::notes::Notes;

/// Writes the session's overview.
pub(crate) fn write_overview(session: &ProfileSession, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let index = Index::new(session);
    let wanted = [
        session.functions.len().min(12),
        session.crate_rollups.len().max(session.module_rollups.len()).min(7),
        events::listed(session).len().min(8),
        session.heap.as_ref().map_or(0, |heap| heap.sites.len().min(4)),
    ];
    let page = fill(wanted, |rows, density| {
        let limit = density.lines;
        let mut notes = Notes::new(session);
        let mut page = Page::new(look);
        page.section(identity::lines(session, look, limit, &mut notes));
        page.section(metrics::lines(session, look, limit, &mut notes));
        page.section(events::lines(&index, rows[2], look, &mut notes));
        if session.sampling_diagnostics.sample_count == 0 {
            page.section(tables::no_samples(session, "this session", look, &notes));
        } else {
            page.section(tables::crates_and_modules(session, None, rows[1], look, &mut notes));
            page.table(tables::functions(&index, None, rows[0], look, &mut notes), density);
        }
        let mut more = allocations::sites(&index, rows[3], look, &mut notes);
        more.extend(tables::threads(session, look, &mut notes));
        more.extend(tables::waits(&index, look, &mut notes));
        page.table(more, density);
        let mut end = diagnostics::lines(session, look, limit, &mut notes);
        end.extend(notes.lines(look.width, limit));
        page.section(end);
        page
    });
    page.write(out)
}

/// Builds the page so that it fits: with fewer rows, taken from the longest tables first, and when that would
/// leave too few, denser: first without blanks between tables, then with one line for each label.
fn fill<const N: usize>(wanted: [usize; N], build: impl Fn([usize; N], Density) -> Page) -> Page {
    // Rows in all tables together that are worth more than blank lines, and more than whole sentences.
    const COMFORTABLE: usize = 12;
    const LEAST: usize = 8;
    let all: usize = wanted.iter().sum();
    for (density, least) in
        [(Density { lines: 2, blanks: true }, COMFORTABLE), (Density { lines: 2, blanks: false }, LEAST)]
    {
        let (page, rows) = squeeze(wanted, density, &build);
        if page.excess() == 0 && rows >= least.min(all) {
            return page;
        }
    }
    squeeze(wanted, Density { lines: 1, blanks: false }, &build).0
}

/// Takes rows away until the page fits or there is none left. More than once, since a table without rows loses
/// its headings too, and what is shown decides what needs explaining.
fn squeeze<const N: usize>(
    wanted: [usize; N],
    density: Density,
    build: &impl Fn([usize; N], Density) -> Page,
) -> (Page, usize) {
    let (mut rows, mut left) = (wanted, wanted.iter().sum::<usize>());
    loop {
        let page = build(rows, density);
        if page.excess() == 0 || left == 0 {
            return (page, left);
        }
        left = left.saturating_sub(page.excess());
        rows = share_rows(left, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::SelectionArgs;
    use crate::selection::Chosen;
    use rs_profile::FoldOptions;

    const SESSIONS: [&str; 6] = ["normal", "cut", "metrics_only", "stripped", "hostile", "empty"];

    fn session(name: &str) -> ProfileSession {
        let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read(path).unwrap();
        rs_profile::read_profile(&text[..], FoldOptions::default(), &mut |_| {}).unwrap()
    }

    /// The overview and the window of the first event, if there is one.
    fn pages(session: &ProfileSession, width: usize) -> Vec<String> {
        let look = Look { width, paint: rs_cli::Style::plain() };
        let mut overview = Vec::new();
        write_overview(session, look, &mut overview).unwrap();
        let mut pages = vec![overview];
        if let Some(event) = session.memory_events.first() {
            let args = SelectionArgs { event: Some(event.id), from: None, to: None };
            let chosen = Chosen::find(session, &args).unwrap().unwrap();
            let mut window = Vec::new();
            write_window(session, &chosen, look, &mut window).unwrap();
            pages.push(window);
        }
        pages.into_iter().map(|page| String::from_utf8(page).unwrap()).collect()
    }

    #[test]
    fn pages_fit_terminals_of_any_width() {
        for name in SESSIONS {
            let session = session(name);
            for width in [60, 80, 100, 137, 180] {
                for page in pages(&session, width) {
                    assert!(page.lines().count() <= Page::LIMIT, "{name} at {width}:\n{page}");
                    let widest = page.lines().map(names::width).max().unwrap();
                    assert!(widest <= width, "{name} at {width}: {widest} columns\n{page}");
                }
            }
        }
    }

    #[test]
    fn figures_are_whole_on_the_narrowest_common_terminal() {
        let pages = pages(&session("normal"), 80);
        for figure in ["77.2 MiB", "47.0%  100.0%   65.6%", "core::slice::sort\n", "16.6 → 76.9 MiB"] {
            assert!(pages[0].contains(figure), "{figure} is not in\n{}", pages[0]);
        }
        for figure in ["before  mean in it  peak in it", "stress_demo::memory::fill", "92.9%  57.4%"] {
            assert!(pages[1].contains(figure), "{figure} is not in\n{}", pages[1]);
        }
    }

    #[test]
    fn a_window_of_everything_has_no_rest() {
        let session = session("stripped");
        let args = SelectionArgs { event: None, from: Some(std::time::Duration::ZERO), to: None };
        let chosen = Chosen::find(&session, &args).unwrap().unwrap();
        let mut page = Vec::new();
        let look = Look { width: 100, paint: rs_cli::Style::plain() };
        write_window(&session, &chosen, look, &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("rest (all samples are in these windows)"), "{page}");
    }
}
