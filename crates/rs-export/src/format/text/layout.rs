//! Lines of a fixed width, and the page that they must fit on.

use std::io::{self, Write};

use super::names::{clean, cut_end, head, width};

/// How a piece of text stands out, on terminals that show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Strong,
    Dim,
    Warn,
    Bad,
}

impl Style {
    fn write(self, text: &str, paint: rs_cli::Style, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Style::Plain => write!(out, "{text}"),
            Style::Strong => write!(out, "{}", paint.bold(text)),
            Style::Dim => write!(out, "{}", paint.dim(text)),
            Style::Warn => write!(out, "{}", paint.yellow(text)),
            Style::Bad => write!(out, "{}", paint.red(text)),
        }
    }
}

/// A line in the making. All text enters through [`Line::push`] and is cleaned there.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    pub(super) fn new() -> Self {
        Line::default()
    }

    pub(super) fn push(&mut self, style: Style, text: &str) {
        self.0.push((style, clean(text).into_owned()));
    }

    pub(super) fn with(mut self, style: Style, text: &str) -> Self {
        self.push(style, text);
        self
    }

    pub(super) fn plain(self, text: &str) -> Self {
        self.with(Style::Plain, text)
    }

    pub(super) fn pad(&mut self, columns: usize) {
        if columns > 0 {
            self.push(Style::Plain, &" ".repeat(columns));
        }
    }

    pub(super) fn append(&mut self, other: Line) {
        self.0.extend(other.0);
    }

    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// Writes the line, never wider than the look allows and without trailing blanks.
    fn write(&self, look: Look, out: &mut dyn Write) -> io::Result<()> {
        let is_cut = self.width() > look.width;
        let mut room = look.width - usize::from(is_cut && look.width > 0);
        let last = self.0.iter().rposition(|(_, text)| !text.trim_end().is_empty());
        for (at, (style, text)) in self.0.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
            let text = if Some(at) == last { text.trim_end() } else { text };
            let fits = head(text, room);
            let style = if fits.trim().is_empty() { Style::Plain } else { *style };
            style.write(fits, look.paint, out)?;
            room -= width(fits);
            if fits.len() < text.len() {
                break;
            }
        }
        writeln!(out, "{}", if is_cut { "…" } else { "" })
    }
}

/// What the output is written for. Nothing but width and colour may depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Columns.
    pub(crate) width: usize,
    /// Colour, or none.
    pub(crate) paint: rs_cli::Style,
}

/// The page: lines, at most [`Page::LIMIT`] of them.
pub(super) struct Page {
    look: Look,
    lines: Vec<Line>,
}

impl Page {
    /// One screenful with a little to spare for the prompt and the command above it.
    pub(super) const LIMIT: usize = 40;

    pub(super) fn new(look: Look) -> Self {
        Page { look, lines: Vec::new() }
    }

    /// Adds a section, with a blank line before it if there is anything above it.
    pub(super) fn section(&mut self, lines: Vec<Line>) {
        if !self.lines.is_empty() && !lines.is_empty() {
            self.lines.push(Line::new());
        }
        self.lines.extend(lines);
    }

    /// Adds a table that has a table above it: its headings are enough to tell the two apart on a full page.
    pub(super) fn table(&mut self, lines: Vec<Line>, density: Density) {
        if density.blanks {
            self.section(lines);
        } else {
            self.lines.extend(lines);
        }
    }

    /// Lines beyond the limit.
    pub(super) fn excess(&self) -> usize {
        self.lines.len().saturating_sub(Self::LIMIT)
    }

    /// Writes the page. What would pass the limit is named as cut, not silently gone.
    pub(super) fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.lines.len() > Self::LIMIT {
            let cut = self.lines.len() - (Self::LIMIT - 1);
            self.lines.truncate(Self::LIMIT - 1);
            self.lines.push(Line::new().with(Style::Dim, &format!("({cut} more lines do not fit)")));
        }
        for line in &self.lines {
            line.write(self.look, out)?;
        }
        Ok(())
    }
}

/// How much is put on a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Density {
    /// Lines that one label may take.
    pub(super) lines: usize,
    /// Whether there are blank lines between tables.
    pub(super) blanks: bool,
}

/// Gives each table rows until the page is full: in turn, so that none starves, up to what each has and wants.
/// Once each has a few, the first, the page's main table, gets two at a turn.
pub(super) fn share_rows<const N: usize>(free: usize, wanted: [usize; N]) -> [usize; N] {
    const A_FEW: usize = 3;
    let mut given = [0; N];
    let mut left = free;
    loop {
        let before = left;
        let extra = usize::from(given.iter().zip(&wanted).all(|(rows, want)| rows >= want.min(&A_FEW)));
        for at in std::iter::repeat_n(0, extra).chain(0..N) {
            if left > 0 && given[at] < wanted[at] {
                given[at] += 1;
                left -= 1;
            }
        }
        if left == before {
            return given;
        }
    }
}

/// Items one after the other with a dot between, over at most `limit` lines, the label before the first.
pub(super) fn flow(label: &str, items: Vec<Line>, columns: usize, limit: usize) -> Vec<Line> {
    // A label that is too long still ends with a blank.
    let indent = LABEL - 1;
    let start = |label: &str| Line::new().with(Style::Dim, &format!("{label:<indent$} "));
    let mut lines = Vec::new();
    let mut line = start(label);
    let mut empty = true;
    for item in items.into_iter().filter(|item| item.width() > 0) {
        if !empty && line.width() + 3 + item.width() > columns && lines.len() + 1 < limit {
            lines.push(std::mem::replace(&mut line, start("")));
            empty = true;
        }
        if !empty {
            line.push(Style::Dim, " · ");
        }
        line.append(item);
        empty = false;
    }
    if !empty {
        lines.push(line);
    }
    lines
}

/// Words over at most `limit` lines, for sentences that are longer than a line.
pub(super) fn wrap(label: &str, style: Style, text: &str, columns: usize, limit: usize) -> Vec<Line> {
    let room = columns.saturating_sub(LABEL).max(1);
    let text = clean(text).into_owned();
    let mut rows: Vec<String> = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let full = rows.len() == limit;
        let row = rows.last_mut().expect("there is always a row");
        if row.is_empty() || full || width(row) + 1 + width(word) <= room {
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        } else {
            rows.push(word.to_string());
        }
    }
    rows.iter()
        .enumerate()
        .map(|(at, row)| {
            let label = if at == 0 { label } else { "" };
            Line::new().with(Style::Dim, &format!("{label:<LABEL$}")).with(style, &cut_end(row, room))
        })
        .collect()
}

/// Width of the labels at the left edge, which gives all sections one left margin.
pub(super) const LABEL: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(page: Page) -> String {
        let mut out = Vec::new();
        page.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_never_pass_the_width() {
        let look = Look { width: 10, paint: rs_cli::Style::plain() };
        let mut page = Page::new(look);
        page.section(vec![Line::new().plain("12345").plain("计算计算计算")]);
        assert_eq!(written(page), "12345计算…\n");
    }

    #[test]
    fn pages_never_pass_the_limit_and_say_so() {
        let mut page = Page::new(Look { width: 80, paint: rs_cli::Style::plain() });
        page.section(vec![Line::new().plain("x"); 60]);
        let text = written(page);
        assert_eq!(text.lines().count(), Page::LIMIT);
        assert!(text.ends_with("(21 more lines do not fit)\n"));
    }

    #[test]
    fn rows_are_shared_in_turn() {
        assert_eq!(share_rows(10, [2, 9, 9]), [2, 4, 4]);
        assert_eq!(share_rows(13, [9, 9, 9]), [5, 4, 4]);
        assert_eq!(share_rows(99, [2, 3, 0]), [2, 3, 0]);
    }
}
