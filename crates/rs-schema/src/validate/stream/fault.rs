//! What can be wrong with a stream.

use std::fmt;

use crate::validate::Severity;

/// A kind of thing that lines refer to by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Id {
    Process,
    Thread,
    Mapping,
    Frame,
    Stack,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Id::Process => "process",
            Id::Thread => "thread",
            Id::Mapping => "mapping",
            Id::Frame => "frame",
            Id::Stack => "stack",
        })
    }
}

/// What can be wrong with a stream whose lines can be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StreamFault {
    /// Streams put one behind the other.
    #[error("a second header: expected one stream; give several as several files")]
    SecondHeader,
    /// More lines behind the last.
    #[error("a line after the end line: expected nothing behind it")]
    AfterEnd,
    /// No last line.
    #[error("the stream has no end line: it was cut here, and totals and losses are unknown")]
    Cut,
    /// Lines that this version does not know.
    #[error("lines of the unknown type {name:?}, skipped: {count}")]
    UnknownType {
        /// The type.
        name: String,
        /// How many.
        count: u64,
    },
    /// An id that no line before defines.
    #[error("{id} {number} is used before it is defined")]
    Undefined {
        /// Kind of id.
        id: Id,
        /// The id.
        number: u32,
    },
    /// An id that was something else before.
    #[error("{id} {number} was defined before with another {field}: ids are never reused")]
    Redefined {
        /// Kind of id.
        id: Id,
        /// The id.
        number: u32,
        /// What differs.
        field: &'static str,
    },
    /// A thread's time runs backwards.
    #[error("time_ns {time_ns} lies before {before_ns}, the {kind} line before it of thread {thread}")]
    Backwards {
        /// Type of the lines.
        kind: &'static str,
        /// The thread.
        thread: u32,
        /// Time of this line.
        time_ns: u64,
        /// Time of the line before.
        before_ns: u64,
    },
    /// A line comes too late.
    #[error("time_ns {time_ns} lies more than 1 s behind {newest_ns}, the newest time so far")]
    Disorder {
        /// Time of this line.
        time_ns: u64,
        /// The newest time.
        newest_ns: u64,
    },
    /// A total of the end line that is not the sum of the lines.
    #[error("{field} is {said}, but the lines add up to {counted}")]
    Total {
        /// Field of the end line.
        field: &'static str,
        /// What it says.
        said: u64,
        /// What was counted.
        counted: u64,
    },
    /// A field that cannot be as it is.
    #[error("{field} {why}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A field that is odd.
    #[error("{field} {why}")]
    Odd {
        /// The field.
        field: &'static str,
        /// What is odd about it.
        why: String,
    },
    /// Frames whose names never came.
    #[error("frames still \"pending\" at the end: {count}; expected a name or another reason for each")]
    Pending {
        /// How many.
        count: u64,
    },
}

impl StreamFault {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            StreamFault::UnknownType { .. } => Severity::Note,
            StreamFault::Cut | StreamFault::Odd { .. } | StreamFault::Pending { .. } => Severity::Warning,
            _ => Severity::Error,
        }
    }
}
