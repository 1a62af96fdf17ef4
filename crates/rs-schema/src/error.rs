//! What can be wrong with a stream or a document, and where.

use std::io;

/// A fault of the input, or of reading it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// There was nothing at all.
    #[error("the input is empty: expected {expected} (did the program before this one in the pipe fail?)")]
    Empty {
        /// Name of the format that was expected.
        expected: &'static str,
    },
    /// One line of the stream is not what it should be; the lines after it can still be read.
    #[error("line {line} (byte {byte}): {fault}")]
    Line {
        /// Number of the line, from 1.
        line: u64,
        /// Offset in the input at which the line begins.
        byte: u64,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// The input is something else altogether.
    #[error("line 1: this is not {expected}: {found}")]
    NotThis {
        /// Name of the format that was expected.
        expected: &'static str,
        /// What it looks like instead.
        found: String,
    },
    /// The input was written by a newer tool.
    #[error(
        "the input is {schema} version {found}, this tool reads up to version {supported}: update RustScope"
    )]
    NewerVersion {
        /// Name of the format.
        schema: &'static str,
        /// Version in the input.
        found: u64,
        /// Newest version understood.
        supported: u32,
    },
    /// A document that is not valid JSON or does not have the right fields.
    #[error("line {line}, column {column}: {message}")]
    Document {
        /// Line of the document, from 1.
        line: usize,
        /// Column in it.
        column: usize,
        /// What is wrong, in the words of the JSON reader.
        message: String,
    },
}

/// What is wrong with one line.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// Not valid JSON, or a field is missing or of the wrong type.
    #[error("{message} at column {column}")]
    Malformed {
        /// What is wrong, in the words of the JSON reader.
        message: String,
        /// Column in the line.
        column: usize,
    },
    /// The last line has no line break: the stream was cut in its middle.
    #[error("the stream was cut in the middle of this line")]
    Cut,
    /// A line longer than any that is ever written.
    #[error("the line is longer than {limit} bytes; it was skipped")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The line is not an object with a type.
    #[error("expected a JSON object with a \"type\"")]
    NoType,
}

impl Error {
    /// Whether the lines after this fault can still be read.
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Error::Line { .. })
    }
}
