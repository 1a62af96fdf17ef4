//! The formats, one module each. Each writes from a session into a writer and knows no path.

mod text;

use std::io::{self, Write};

use rs_schema::session::ProfileSession;

use crate::selection::Chosen;

pub(crate) use self::text::{Look, show_time};

/// A format that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a person.
    Text,
}

/// Writes a session, or the chosen part of it.
pub(crate) fn write(
    format: Format,
    session: &ProfileSession,
    chosen: Option<&Chosen<'_>>,
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    match (format, chosen) {
        (Format::Text, None) => text::write_overview(session, look, out),
        (Format::Text, Some(chosen)) => text::write_window(session, chosen, look, out),
    }
}
