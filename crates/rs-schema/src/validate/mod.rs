//! What the types cannot say: that ids are defined before use, times in order, sums equal.
//!
//! [`stream`] checks an event stream as it comes, in memory that depends on its stacks and threads and not on
//! its samples; [`session`] checks a document; [`input`] tells the two apart. Each fault is handed to the
//! caller as it is found, with the place it was found at, so that a million of them cost nothing here.
//!
//! ```
//! let text = "{\"type\":\"header\",\"schema\":\"rustscope.events\",\"schema_version\":9}\n";
//! let mut found = Vec::new();
//! rs_schema::validate::stream(text.as_bytes(), &mut |fault| found.push(fault.to_string()))?;
//! assert!(found[0].starts_with("1: error: the input is rustscope.events version 9"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod recount;
mod session;
mod stream;
mod values;

use std::fmt;
use std::io::{self, BufRead, Read};

use serde::Deserialize;

pub use session::{SessionFault, SessionSummary, session};
pub use stream::{Id, StreamFault, StreamSummary, StreamValidator, stream};

use crate::error::{Error, LineFault};
use crate::stream::{MAX_LINE_BYTES, describe};
use crate::{ProfileSession, event};

/// How much a fault matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing wrong, but worth knowing.
    Note,
    /// The input is valid and less than it could be.
    Warning,
    /// The input is not valid.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Where a fault was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a line of a stream, from 1.
    Line(u64),
    /// At a line and column of a document that could not be read.
    Text {
        /// Line, from 1.
        line: usize,
        /// Column in it.
        column: usize,
    },
    /// In a field of a session, as `functions[3].self_ns`.
    Path(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "{line}"),
            Place::Text { line, column } => write!(f, "{line}:{column}"),
            Place::Path(path) => f.write_str(path),
        }
    }
}

/// Something wrong with the input.
#[derive(Debug)]
pub struct Fault {
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub what: What,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.severity, self.what)
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum What {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(Unreadable),
    /// A stream says something that cannot be.
    #[error("{0}")]
    Stream(StreamFault),
    /// A session says something that cannot be.
    #[error("{0}")]
    Session(SessionFault),
}

/// Why an input, or one line of it, cannot be read. The place stands beside it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// One line of a stream.
    #[error("{0}")]
    Line(LineFault),
    /// The text of a document.
    #[error("{0}")]
    Document(String),
    /// All of it: it is empty, something else, or too new.
    #[error("{0}")]
    Input(String),
}

/// Takes the faults as they are found.
pub type Report<'a> = dyn FnMut(Fault) + 'a;

/// What an input turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summary {
    /// An event stream.
    Stream(StreamSummary),
    /// A session.
    Session(SessionSummary),
    /// Neither; a fault says what instead.
    Neither,
}

/// Checks a stream or a session, whichever `input` holds.
///
/// # Errors
/// When the input cannot be read. All that is wrong with what was read goes to `report`.
pub fn input<R: BufRead>(mut input: R, report: &mut Report<'_>) -> io::Result<Summary> {
    let mut head = Vec::new();
    let mut limited = (&mut input).take(MAX_LINE_BYTES as u64);
    while head.trim_ascii().is_empty() {
        if limited.read_until(b'\n', &mut head)? == 0 {
            unreadable(Error::Empty { expected: "a RustScope event stream or session" }, report);
            return Ok(Summary::Neither);
        }
    }
    match guess(head.trim_ascii()) {
        Guess::Stream => Ok(Summary::Stream(stream(head.chain(input), report)?)),
        Guess::Session => {
            input.read_to_end(&mut head)?;
            Ok(document(&head, report))
        }
        Guess::Neither => {
            let found = describe(head.trim_ascii());
            unreadable(Error::NotThis { expected: "a RustScope event stream or session", found }, report);
            Ok(Summary::Neither)
        }
    }
}

/// Checks the text of a session.
fn document(text: &[u8], report: &mut Report<'_>) -> Summary {
    match ProfileSession::from_json(text) {
        Ok(document) => Summary::Session(session(&document, report)),
        Err(error) => {
            unreadable(error, report);
            Summary::Neither
        }
    }
}

enum Guess {
    Stream,
    Session,
    Neither,
}

/// Tells the formats apart by the first line: a stream's is a whole object that says so.
fn guess(text: &[u8]) -> Guess {
    #[derive(Deserialize)]
    struct Peek {
        schema: Option<String>,
    }
    if text.first() != Some(&b'{') {
        return Guess::Neither;
    }
    if text.starts_with(b"{\"type\"") {
        return Guess::Stream;
    }
    match serde_json::from_slice::<Peek>(text) {
        Ok(peek) if peek.schema.as_deref() == Some(event::SCHEMA) => Guess::Stream,
        _ => Guess::Session,
    }
}

/// Reports an error of a reader as a fault. I/O errors are not faults of the input; callers keep them apart.
fn unreadable(error: Error, report: &mut Report<'_>) {
    let (place, what) = match error {
        Error::Line { line, fault, .. } => (Place::Line(line), Unreadable::Line(fault)),
        Error::NotThis { expected, found } => {
            (Place::Line(1), Unreadable::Input(format!("this is not {expected}: {found}")))
        }
        Error::Document { line, column, message } => {
            (Place::Text { line, column }, Unreadable::Document(message))
        }
        other @ (Error::Io(_) | Error::Empty { .. } | Error::NewerVersion { .. }) => {
            (Place::Line(1), Unreadable::Input(other.to_string()))
        }
    };
    let severity = match what {
        // A stream that was cut is less than it could be, and everything downstream still takes it.
        Unreadable::Line(LineFault::Cut) => Severity::Warning,
        _ => Severity::Error,
    };
    report(Fault { severity, place, what: What::Unreadable(what) });
}
