//! What can be wrong with a stream that can be folded all the same.

use rs_schema::event::{FrameId, MappingId, ProcessId, StackId, ThreadId};
use rustc_hash::FxHashMap;

/// Something wrong with a line. What the line says is used as far as it goes; the text says how far.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A sample, wait or heap line with a stack that was never defined.
    #[error("stack {stack} was not defined before it was used; the line counts without a stack")]
    UndefinedStack {
        /// The stack.
        stack: StackId,
    },
    /// A line with a thread that was never defined.
    #[error("thread {thread} was not defined before it was used; it is listed without a name")]
    UndefinedThread {
        /// The thread.
        thread: ThreadId,
    },
    /// A line with a process that was never defined.
    #[error("process {process} was not defined before it was used")]
    UndefinedProcess {
        /// The process.
        process: ProcessId,
    },
    /// A stack or latency line with a frame that was never defined.
    #[error("frame {frame} was not defined before it was used; it counts as [unknown] until it is")]
    UndefinedFrame {
        /// The frame.
        frame: FrameId,
    },
    /// A frame with a mapping that was never defined.
    #[error(
        "mapping {mapping} was not defined before it was used; the frame counts as [unknown] until it is"
    )]
    UndefinedMapping {
        /// The mapping.
        mapping: MappingId,
    },
    /// A stack whose parent was never defined.
    #[error("stack {stack} has an undefined parent and is taken as a root")]
    UndefinedParent {
        /// The stack.
        stack: StackId,
    },
    /// A stack's id that meant another stack before.
    #[error("stack {stack} was defined twice; later lines mean the second")]
    RedefinedStack {
        /// The stack.
        stack: StackId,
    },
    /// A wait that is longer than the session until then.
    #[error(
        "a wait of thread {thread} is longer than the session so far; only the part in the session counts"
    )]
    WaitBeforeStart {
        /// The thread.
        thread: ThreadId,
    },
    /// Running samples without a weight.
    #[error("a sample has no cpu_ns and the header no period; its CPU time counts as 0")]
    NoPeriod,
    /// A line before the header.
    #[error("a line comes before the header")]
    NoHeader,
    /// A second header.
    #[error("a second recording begins here; only the first was folded")]
    SecondHeader,
    /// A line after the end.
    #[error("a line comes after the end; it counts all the same")]
    AfterEnd,
    /// Raw allocation records.
    #[error("alloc and free lines are raw records and are not folded; record without --raw")]
    RawRecord,
    /// The end counts other samples than there are.
    #[error("the end counts {told} samples, the stream has {found}; lines were lost or added on the way")]
    WrongTotal {
        /// By the end.
        told: u64,
        /// In the stream.
        found: u64,
    },
    /// More events than a session keeps.
    #[error("an event beyond the first {limit} was left out")]
    TooManyEvents {
        /// How many it keeps.
        limit: usize,
    },
    /// More spans than a session keeps.
    #[error("a span beyond the first {limit} was left out")]
    TooManySpans {
        /// How many it keeps.
        limit: usize,
    },
    /// A line that could not be read.
    #[error("{0}")]
    Unreadable(String),
    /// A line of a type that this version does not know.
    #[error("{0}")]
    UnknownType(String),
    /// The input ended before the stream did.
    #[error("{0}")]
    Cut(String),
}

impl Warning {
    /// What several warnings of one kind are called.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Warning::WrongTotal { .. } => "ends with a wrong total",
            Warning::UndefinedStack { .. } => "lines with an undefined stack",
            Warning::UndefinedThread { .. } => "lines with an undefined thread",
            Warning::UndefinedProcess { .. } => "lines with an undefined process",
            Warning::UndefinedFrame { .. } => "lines with an undefined frame",
            Warning::UndefinedMapping { .. } => "frames with an undefined mapping",
            Warning::UndefinedParent { .. } => "stacks with an undefined parent",
            Warning::RedefinedStack { .. } => "stacks defined twice",
            Warning::WaitBeforeStart { .. } => "waits longer than the session",
            Warning::NoPeriod => "samples without a weight",
            Warning::NoHeader => "lines before the header",
            Warning::SecondHeader => "further recordings in the input",
            Warning::AfterEnd => "lines after the end",
            Warning::RawRecord => "raw allocation records",
            Warning::TooManyEvents { .. } => "events left out",
            Warning::TooManySpans { .. } => "spans left out",
            Warning::Unreadable(_) => "lines that could not be read",
            Warning::UnknownType(_) => "types that this version does not know",
            Warning::Cut(_) => "cuts",
        }
    }
}

/// Warnings counted by kind, with the first of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    row_of: FxHashMap<&'static str, usize>,
    rows: Vec<(&'static str, u64, String)>,
}

impl Tally {
    /// Counts a warning; returns how many of its kind there are now.
    pub(crate) fn add(&mut self, warning: &Warning) -> u64 {
        let kind = warning.kind();
        let row = *self.row_of.entry(kind).or_insert_with(|| {
            self.rows.push((kind, 0, warning.to_string()));
            self.rows.len() - 1
        });
        self.rows[row].1 += 1;
        self.rows[row].1
    }

    /// Kinds and how often each came.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.rows.iter().map(|(kind, count, _)| (*kind, *count))
    }

    /// A sentence for each kind.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let sentence = |(kind, count, first): &(&str, u64, String)| match count {
            1 => first.clone(),
            _ => format!("{count} {kind}; the first: {first}"),
        };
        self.rows.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_counted_by_kind() {
        let mut tally = Tally::default();
        for stack in 1..4 {
            tally.add(&Warning::UndefinedStack { stack });
        }
        tally.add(&Warning::AfterEnd);
        let sentences = tally.sentences();
        assert!(
            sentences[0].starts_with("3 lines with an undefined stack; the first: stack 1 was"),
            "{sentences:?}"
        );
        assert_eq!(sentences[1], "a line comes after the end; it counts all the same");
    }
}
