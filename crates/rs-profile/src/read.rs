//! From an input to a session: an event stream is folded, a session document is read.

use std::io::{self, BufRead, Read};

use rs_schema::event::{self, Line};
use rs_schema::session;
use rs_schema::{Error, ProfileSession, StreamReader};

use crate::check;
use crate::fold::{Fold, FoldOptions};
use crate::warnings::Warning;

/// Warnings of one kind that are told one by one; the rest is counted.
const TOLD: u64 = 3;
/// Bytes that are looked at to tell the formats apart.
const HEAD_MAX: usize = 1 << 20;

/// Folds an event stream into a session. A stream that was cut makes an incomplete session of what there was.
///
/// What is wrong with single lines goes to `warn`, a few of each kind and then a count, and into the session's
/// `input_warnings`.
///
/// # Errors
/// When the input is not an event stream, is from a newer version, or fails before its header is read.
pub fn fold_stream(
    reader: impl BufRead,
    options: FoldOptions,
    warn: &mut dyn FnMut(&str),
) -> Result<ProfileSession, Error> {
    let mut reader = StreamReader::new(reader);
    let mut fold = Fold::new(options);
    let mut teller = Teller { warn };
    match reader.next_line()? {
        Some(header) => teller.push(&mut fold, header, 1),
        None => return Err(Error::Empty { expected: "an event stream" }),
    }
    loop {
        match reader.next_line() {
            Ok(Some(line)) => {
                let next_recording = matches!(line, Line::Header(_));
                teller.push(&mut fold, line, reader.position().line);
                if next_recording {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                let goes_on = error.is_recoverable();
                let warning = match error {
                    Error::Line { fault, .. } => Warning::Unreadable(fault.to_string()),
                    other => {
                        Warning::Cut(format!("the input failed, and what was read before counts: {other}"))
                    }
                };
                let count = fold.note(&warning);
                teller.tell(&warning, count, reader.position().line);
                if !goes_on {
                    break;
                }
            }
        }
    }
    for (name, count) in reader.unknown_types() {
        let lines = if *count == 1 { "line" } else { "lines" };
        let text =
            format!("{count} {lines} of the unknown type {name:?} skipped; a newer RustScope may know it");
        (teller.warn)(&text);
        fold.note(&Warning::UnknownType(text));
    }
    teller.tell_rest(&fold);
    Ok(fold.finish())
}

/// Tells the first few warnings of each kind.
struct Teller<'a> {
    warn: &'a mut dyn FnMut(&str),
}

impl Teller<'_> {
    fn push(&mut self, fold: &mut Fold, line: Line, number: u64) {
        if let Err(warning) = fold.push(line) {
            self.tell(&warning, fold.count(&warning), number);
        }
    }

    fn tell(&mut self, warning: &Warning, count: u64, number: u64) {
        if count <= TOLD {
            (self.warn)(&format!("line {number}: {warning}"));
        }
    }

    fn tell_rest(&mut self, fold: &Fold) {
        for (kind, count) in fold.warning_counts() {
            if count > TOLD && kind != Warning::UnknownType(String::new()).kind() {
                (self.warn)(&format!("and {} more {kind}", count - TOLD));
            }
        }
    }
}

/// Reads a session from an event stream or from a session document, whichever the input holds.
///
/// What comes out is structurally sound: rows are in range, columns equally long, parents before their children.
///
/// # Errors
/// When the input is neither, is from a newer version, or cannot be read.
pub fn read_profile(
    mut reader: impl BufRead,
    options: FoldOptions,
    warn: &mut dyn FnMut(&str),
) -> Result<ProfileSession, Error> {
    let (mut head, is_session) = sniff(&mut reader)?;
    if !is_session {
        return fold_stream(head.chain(reader), options, warn);
    }
    reader.read_to_end(&mut head)?;
    let session = ProfileSession::from_json(&head)?;
    match check::fault(&session) {
        Some(message) => Err(Error::Document { line: 1, column: 1, message }),
        None => Ok(session),
    }
}

/// Reads the beginning of the input and decides whether it is a session document.
///
/// Both formats name their schema, a stream within its first line. Reading stops as soon as a name was seen, so
/// a live stream is not held up.
fn sniff(reader: &mut impl BufRead) -> io::Result<(Vec<u8>, bool)> {
    let mut head = Vec::new();
    loop {
        let available = reader.fill_buf()?;
        let (len, looked_at) = (available.len(), head.len());
        if len == 0 {
            return Ok((head, false));
        }
        head.extend_from_slice(available);
        reader.consume(len);
        // A name may lie across the border of two reads.
        let from = looked_at.saturating_sub(session::SCHEMA.len().max(event::SCHEMA.len()));
        let place = |name: &str| find(&head[from..], name.as_bytes());
        match (place(event::SCHEMA), place(session::SCHEMA)) {
            (None, None) if head.len() >= HEAD_MAX => {
                // No first line of a stream is that long, but a session may begin with a large table.
                let one_object = head.trim_ascii_start().first() == Some(&b'{');
                return Ok((head, one_object));
            }
            (None, None) => {}
            (None, Some(_)) => return Ok((head, true)),
            (Some(_), None) => return Ok((head, false)),
            (Some(stream), Some(session)) => return Ok((head, session < stream)),
        }
    }
}

fn find(text: &[u8], name: &[u8]) -> Option<usize> {
    text.windows(name.len()).position(|part| part == name)
}
