//! Tables: figures at the left and whole, names at the right and as long as there is room.

use super::chart::Series;
use super::layout::{Line, Style};
use super::names::{clean, cut_end, shorten, width};

/// A column.
pub(super) struct Column {
    head: String,
    /// Stands behind the heading if there is room.
    hint: &'static str,
    right: bool,
    /// Gives way when the table is too wide, and takes what is left over.
    flexible: bool,
}

/// A cell.
pub(super) struct Cell {
    style: Style,
    content: Content,
}

enum Content {
    /// A text, what stands before it and is never shortened, and what may stand at the column's right edge if
    /// there is room.
    Text { lead: String, text: String, tail: String },
    /// A course over time, drawn as wide as the column is.
    Chart(Series),
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Cell::styled(Style::Plain, text)
    }

    pub(super) fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Cell::text(style, "", text.as_ref(), "")
    }

    /// A share and whose it is, with something behind it that may be left out.
    pub(super) fn share(share: &str, name: &str, tail: &str) -> Self {
        Cell::text(Style::Plain, &format!("{share} "), name, tail)
    }

    /// A text with something behind it that may be left out.
    pub(super) fn with_tail(style: Style, text: &str, tail: &str) -> Self {
        Cell::text(style, "", text, tail)
    }

    fn text(style: Style, lead: &str, text: &str, tail: &str) -> Self {
        let [lead, text, tail] = [lead, text, tail].map(|part| clean(part).into_owned());
        Cell { style, content: Content::Text { lead, text, tail } }
    }

    pub(super) fn chart(series: Series) -> Self {
        Cell { style: Style::Plain, content: Content::Chart(series) }
    }

    fn width(&self) -> usize {
        match &self.content {
            Content::Text { tail, .. } if !tail.is_empty() => self.bare_width() + 2 + width(tail),
            _ => self.bare_width(),
        }
    }

    /// Without the tail.
    fn bare_width(&self) -> usize {
        match &self.content {
            Content::Text { lead, text, .. } => width(lead) + width(text),
            Content::Chart(_) => 1,
        }
    }
}

/// A table with a line of headings.
#[derive(Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    const GAP: usize = 2;
    /// Narrower than this a name says nothing.
    const NARROWEST: usize = 7;

    pub(super) fn new() -> Self {
        Table::default()
    }

    /// A column of figures, aligned at the right.
    pub(super) fn figures(mut self, head: impl Into<String>) -> Self {
        self.columns.push(Column { head: head.into(), hint: "", right: true, flexible: false });
        self
    }

    /// A column of words that are never shortened.
    pub(super) fn words(mut self, head: impl Into<String>) -> Self {
        self.columns.push(Column { head: head.into(), hint: "", right: false, flexible: false });
        self
    }

    /// A column of names that are shortened when there is no room.
    pub(super) fn names(mut self, head: impl Into<String>) -> Self {
        self.columns.push(Column { head: head.into(), hint: "", right: false, flexible: true });
        self
    }

    /// Says something behind the last heading.
    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        if let Some(last) = self.columns.last_mut() {
            last.hint = hint;
        }
        self
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    fn widest(&self, of: impl Fn(&Cell) -> usize) -> Vec<usize> {
        let cells = |at: usize| self.rows.iter().map(|row| of(&row[at])).max().unwrap_or(0);
        let widest = |(at, column): (usize, &Column)| cells(at).max(width(&column.head));
        self.columns.iter().enumerate().map(widest).collect()
    }

    fn gaps(&self) -> usize {
        Self::GAP * self.columns.len().saturating_sub(1)
    }

    /// Columns that the table would like to have.
    fn natural_width(&self) -> usize {
        self.widest(Cell::width).iter().sum::<usize>() + self.gaps()
    }

    /// Columns that show all names in full, though not what may stand behind them.
    fn bare_width(&self) -> usize {
        self.widest(Cell::bare_width).iter().sum::<usize>() + self.gaps()
    }

    fn widths(&self, columns: usize) -> Vec<usize> {
        let mut widths = self.widest(Cell::width);
        let mut excess = self.natural_width().saturating_sub(columns);
        // What stands behind names goes before any name is shortened.
        for (at, bare) in self.widest(Cell::bare_width).into_iter().enumerate() {
            let given = excess.min(widths[at] - bare);
            widths[at] -= given;
            excess -= given;
        }
        // The widest gives way first, column by column, so that short names stay whole.
        while excess > 0 {
            let widest = (0..widths.len())
                .filter(|&at| self.columns[at].flexible && widths[at] > Self::NARROWEST)
                .max_by_key(|&at| widths[at]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
            excess -= 1;
        }
        let spare = columns.saturating_sub(self.natural_width());
        if let Some(last) = self.columns.iter().rposition(|column| column.flexible) {
            widths[last] += spare;
        }
        widths
    }

    /// The headings and rows, each exactly as wide as there are columns, or wider when figures need it.
    pub(super) fn lines(&self, columns: usize) -> Vec<Line> {
        let widths = self.widths(columns);
        let mut heading = Line::new();
        for (at, (column, &columns)) in self.columns.iter().zip(&widths).enumerate() {
            heading.pad(if at == 0 { 0 } else { Self::GAP });
            let space = columns.saturating_sub(width(&column.head));
            let hint = if width(column.hint) + 2 <= space { column.hint } else { "" };
            heading.pad(if column.right { space } else { 0 });
            // What the rows are is in capitals, what their columns are is not.
            let names_rows = column.head.starts_with(|c: char| c.is_uppercase());
            heading
                .push(if names_rows { Style::Strong } else { Style::Dim }, &cut_end(&column.head, columns));
            heading.pad(if column.right { 0 } else { space - width(hint) });
            heading.push(Style::Dim, hint);
        }
        let mut lines = vec![heading];
        for row in &self.rows {
            let mut line = Line::new();
            for (at, (cell, &columns)) in row.iter().zip(&widths).enumerate() {
                line.pad(if at == 0 { 0 } else { Self::GAP });
                self.columns[at].put(cell, columns, &mut line);
            }
            lines.push(line);
        }
        lines
    }
}

impl Column {
    fn put(&self, cell: &Cell, columns: usize, line: &mut Line) {
        let (lead, text, tail) = match &cell.content {
            Content::Chart(series) => return line.push(cell.style, &series.draw(columns)),
            Content::Text { lead, text, tail } => (lead, text, tail),
        };
        line.push(Style::Plain, lead);
        let columns = columns.saturating_sub(width(lead));
        let text = if self.flexible { shorten(text, columns) } else { text.as_str().into() };
        let space = columns.saturating_sub(width(&text));
        if self.right {
            line.pad(space);
            line.push(cell.style, &text);
            return;
        }
        line.push(cell.style, &text);
        let tail_width = width(tail);
        if tail_width > 0 && tail_width + 2 <= space {
            line.pad(space - tail_width);
            line.push(Style::Dim, tail);
        } else {
            line.pad(space);
        }
    }
}

/// Two tables beside each other. The left one first gives up what stands behind its names, then as much that
/// neither has more than half.
pub(super) fn beside(left: &Table, right: &Table, columns: usize) -> Vec<Line> {
    const BETWEEN: usize = 3;
    let columns = columns.saturating_sub(BETWEEN);
    let spared = columns.saturating_sub(right.bare_width());
    let first = spared.clamp(left.bare_width(), left.natural_width()).min((columns / 2).max(spared));
    let (left, right) = (left.lines(first), right.lines(columns - first));
    let rows = left.len().max(right.len());
    let mut left = left.into_iter();
    let mut right = right.into_iter();
    (0..rows)
        .map(|_| {
            let mut line = left.next().unwrap_or_default();
            if let Some(other) = right.next() {
                line.pad((first + BETWEEN).saturating_sub(line.width()));
                line.append(other);
            }
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::text::layout::{Look, Page};

    #[test]
    fn the_widest_name_gives_way() {
        let mut table = Table::new().figures("n").names("a").names("b");
        table.row(vec![Cell::new("1"), Cell::new("short"), Cell::new("app::very::long::path::name")]);
        let lines = table.lines(30);
        assert!(lines.iter().all(|line| line.width() == 30));
        let mut page = Page::new(Look { width: 30, paint: rs_cli::Style::plain() });
        page.section(lines);
        let mut out = Vec::new();
        page.write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "n  a      b\n1  short  app::…::path::name\n");
    }
}
