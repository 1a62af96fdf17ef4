//! `rs-schema validate`: one input after the other, faults to stdout, what came of it to stderr.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rs_cli::units::{show_count, show_duration};
use rs_cli::{Exit, Input, Output, OutputKind};
use rs_schema::validate::{self, Fault, Severity, Summary};

use crate::args::PIPES;

/// Faults of one input that are listed; a stream can have one in each of its millions of lines.
const MAX_LISTED: u64 = 50;

/// Checks all inputs, also behind one that cannot be read.
pub(crate) fn files(files: &[PathBuf]) -> anyhow::Result<Exit> {
    let stdin = [PathBuf::from("-")];
    let mut output = Output::create(None, OutputKind::Text, &[])?;
    let mut exit = Exit::Ok;
    for path in if files.is_empty() { &stdin } else { files } {
        match open(path, files.is_empty()).and_then(|input| one(input, &mut output)) {
            Ok(true) => {}
            Ok(false) if exit == Exit::Ok => exit = Exit::Negative,
            Ok(false) => {}
            Err(error) if is_broken_pipe(&error) => return Err(error),
            Err(error) => {
                rs_cli::error!("{error:#}");
                exit = Exit::Failed;
            }
        }
    }
    output.finish()?;
    Ok(exit)
}

fn open(path: &Path, implicit: bool) -> anyhow::Result<Input> {
    let input = Input::open((!implicit).then_some(path), "FILE", PIPES)?;
    rs_cli::signal::drain_on_interrupt(&input);
    Ok(input)
}

/// The reader of stdout had enough: not the fault of an input.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Checks one input: whether it is valid.
fn one(input: Input, output: &mut impl Write) -> anyhow::Result<bool> {
    let name = input.name().to_owned();
    let mut listing = Listing { name: &name, output, errors: 0, warnings: 0, listed: 0, failure: None };
    let summary = check(input, &mut listing)?;
    let (errors, warnings) = listing.finish()?;
    rs_cli::note!("{name}: {}", in_words(&summary, errors, warnings));
    Ok(errors == 0)
}

fn check<W: Write>(input: impl BufRead, listing: &mut Listing<'_, W>) -> io::Result<Summary> {
    validate::input(input, &mut |fault| listing.add(&fault))
}

/// The faults of one input, written as they come.
struct Listing<'a, W> {
    name: &'a str,
    output: &'a mut W,
    errors: u64,
    warnings: u64,
    listed: u64,
    failure: Option<io::Error>,
}

impl<W: Write> Listing<'_, W> {
    fn add(&mut self, fault: &Fault) {
        match fault.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Note => {}
        }
        self.listed += 1;
        if self.listed <= MAX_LISTED {
            self.write(&fault.to_string());
        }
    }

    fn finish(mut self) -> io::Result<(u64, u64)> {
        if let Some(more) = self.listed.checked_sub(MAX_LISTED)
            && more > 0
        {
            self.write(&format!("and {more} more"));
        }
        match self.failure {
            Some(error) => Err(error),
            None => Ok((self.errors, self.warnings)),
        }
    }

    /// A fault is worth more now than at the end of a recording that goes on for hours: nothing is held back.
    fn write(&mut self, text: &str) {
        let line = printable(&format!("{}:{text}", self.name));
        let written = writeln!(self.output, "{line}").and_then(|()| self.output.flush());
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }
}

/// Messages quote the input, and stdout may be a terminal: one line each, no escape sequences.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

fn in_words(summary: &Summary, errors: u64, warnings: u64) -> String {
    let what = match summary {
        Summary::Stream(stream) => format!(
            "event stream of {}, {} and {}, {} long",
            counted(stream.sample_count, "sample"),
            counted(stream.thread_count, "thread"),
            counted(stream.stack_count, "stack"),
            show_duration(Duration::from_nanos(stream.duration_ns)),
        ),
        Summary::Session(session) => format!(
            "session of {}, {} and {}, {} long",
            counted(session.sample_count, "sample"),
            counted(session.function_count as u64, "function"),
            counted(session.stack_count as u64, "stack"),
            show_duration(Duration::from_nanos(session.duration_ns)),
        ),
        Summary::Neither => return "not valid".into(),
    };
    let verdict = match (errors, warnings) {
        (0, 0) => "valid".into(),
        (0, _) => format!("valid, with {}", counted(warnings, "warning")),
        (_, 0) => format!("not valid: {}", counted(errors, "error")),
        _ => format!("not valid: {}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    format!("{verdict}; {what}")
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", show_count(count), if count == 1 { "" } else { "s" })
}
