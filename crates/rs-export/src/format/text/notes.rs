//! The marks beside figures that are not measured, and the legend that explains them.
//!
//! A figure that is estimated has `~` before it, or before its column's heading; one that is not known is `-`,
//! never 0. Each reason is told once, at the end of the page.

use rs_schema::{Status, session::ProfileSession};

use super::layout::{Line, Style, flow};
use super::table::Cell;

/// What has been marked on the page so far.
pub(super) struct Notes<'a> {
    session: &'a ProfileSession,
    estimated: Vec<(String, String)>,
    unknown: Vec<(String, String)>,
    few: bool,
}

/// Fewer samples than this say little about a share: at 20, a share of one half may as well be a third.
const FEW: u64 = 20;

impl<'a> Notes<'a> {
    pub(super) fn new(session: &'a ProfileSession) -> Self {
        Notes { session, estimated: Vec::new(), unknown: Vec::new(), few: false }
    }

    /// The mark for a figure that goes by one of these names in the session's capabilities.
    pub(super) fn mark(&mut self, what: &str, fields: &[&str]) -> &'static str {
        let found = fields.iter().find_map(|&field| self.session.capabilities.get(field));
        match found {
            Some(capability) if capability.status == Status::Estimated => {
                let reason = capability.reason.as_deref().unwrap_or("it is not said how");
                self.estimated(what, reason)
            }
            _ => "",
        }
    }

    /// The mark for CPU time by function, crate, thread: counted from samples, so an estimate unless the
    /// session says that it is not.
    pub(super) fn sampled_mark(&mut self) -> &'static str {
        const WHAT: &str = "sampled times";
        match self.session.capabilities.get("cpu_ns") {
            Some(_) => self.mark(WHAT, &["cpu_ns"]),
            None => self.estimated(WHAT, "counted from samples"),
        }
    }

    /// The mark for bytes and numbers of allocations, which are weighted when the shim sampled.
    pub(super) fn allocation_mark(&mut self) -> &'static str {
        const WHAT: &str = "allocations";
        let sampled = self.session.heap.as_ref().is_some_and(|heap| heap.mode == "sampled");
        match self.mark(WHAT, &["alloc_bytes"]) {
            "" if sampled => self.estimated(WHAT, "sampled, weighted to stand for all"),
            mark => mark,
        }
    }

    /// The mark for a figure that is an estimate for `reason`.
    pub(super) fn estimated(&mut self, what: &str, reason: &str) -> &'static str {
        add(&mut self.estimated, what, reason);
        "~"
    }

    /// The mark for a share of so few samples that it is hardly one.
    pub(super) fn few(&mut self, samples: u64) -> &'static str {
        self.few |= samples < FEW;
        if samples < FEW { "?" } else { "" }
    }

    /// The mark for a figure that is not there; `otherwise` is the reason if the session has none.
    pub(super) fn unknown(&mut self, what: &str, fields: &[&str], otherwise: &str) -> &'static str {
        let reason = self.reason(fields).unwrap_or(otherwise);
        add(&mut self.unknown, what, reason);
        "-"
    }

    /// Why a figure that goes by one of these names is not there, in the session's words.
    pub(super) fn reason(&self, fields: &[&str]) -> Option<&'a str> {
        let found = fields.iter().filter_map(|&field| self.session.capabilities.get(field));
        let mut absent = found.filter(|capability| capability.status == Status::Unavailable);
        absent.find_map(|capability| capability.reason.as_deref())
    }

    /// [`unknown`](Self::unknown) as a cell.
    pub(super) fn unknown_cell(&mut self, what: &str, fields: &[&str], otherwise: &str) -> Cell {
        Cell::styled(Style::Dim, self.unknown(what, fields, otherwise))
    }

    /// The legend.
    pub(super) fn lines(&self, columns: usize, limit: usize) -> Vec<Line> {
        let mut lines = flow("~ estimated", items(&self.estimated), columns, limit);
        if self.few {
            lines.extend(flow(
                "? doubtful",
                vec![Line::new().plain("shares of fewer than 20 samples")],
                columns,
                1,
            ));
        }
        lines.extend(flow("- unknown", items(&self.unknown), columns, limit));
        lines
    }
}

fn add(notes: &mut Vec<(String, String)>, what: &str, reason: &str) {
    if !notes.iter().any(|(known, _)| known == what) {
        notes.push((what.to_owned(), reason.to_owned()));
    }
}

/// Figures with the same reason share it.
fn items(notes: &[(String, String)]) -> Vec<Line> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (what, reason) in notes {
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, figures)) => figures.push(what),
            None => reasons.push((reason, vec![what])),
        }
    }
    let item = |(reason, figures): &(&str, Vec<&str>)| {
        Line::new().plain(&figures.join(", ")).with(Style::Dim, &format!(" ({reason})"))
    };
    reasons.iter().map(item).collect()
}
