//! Where data goes: stdout, or a file that appears whole or not at all.

mod replacement;

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, BufWriter, IsTerminal, Write},
    os::fd::AsFd,
    path::Path,
};

use anyhow::{Context, Result, bail};

use self::replacement::Replacement;
use crate::{Style, patient::Patient};

/// What a pipe holds on Linux, so one write can fill it.
const BUFFER: usize = 64 * 1024;

/// What is written, which decides whether a terminal may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// For people; any place is fine.
    Text,
    /// For programs, such as an event stream: it would flood a terminal.
    Data,
    /// Bytes that could upset a terminal.
    Binary,
}

/// An open output, buffered. Errors of writing carry its name.
///
/// [`finish`](Self::finish) it: without that, a file is not replaced and its temporary is removed.
#[derive(Debug)]
#[must_use]
pub struct Output {
    name: String,
    writer: BufWriter<Sink>,
    is_stdout: bool,
    is_terminal: bool,
}

#[derive(Debug)]
enum Sink {
    /// stdout, a device, a FIFO: written as it comes.
    Direct(Patient),
    /// A regular file: written beside the target, then renamed onto it.
    Replace(Replacement),
}

impl Output {
    /// Opens a file, or stdout for nothing, `-` or `/dev/stdout`, before any work is done.
    ///
    /// Data for programs is refused on a terminal, with `pipes` as the likely commands; `| cat` is the way
    /// around. What is not a regular file (`/dev/null`, a FIFO) is written straight into. A regular file is
    /// written under a temporary name beside it; this also makes `-o` onto the input safe, since the old file
    /// stays readable until all is written, so that is not refused.
    pub fn create(path: Option<&Path>, kind: OutputKind, pipes: &[&str]) -> Result<Self> {
        let output = match path.filter(|path| !is_stdout(path)) {
            None => Self::stdout()?,
            Some(path) => {
                let name = path.display().to_string();
                let sink = open(path).with_context(|| format!("cannot write {name}"))?;
                Self::new(name, sink, false)
            }
        };
        if output.is_terminal && kind != OutputKind::Text {
            bail!("this output is not for a terminal; send it on or keep it:{}", indented(pipes));
        }
        Ok(output)
    }

    fn stdout() -> Result<Self> {
        // A copy of the descriptor instead of std's Stdout: that one flushes at every line.
        let file = io::stdout().as_fd().try_clone_to_owned().context("cannot write <stdout>")?;
        Ok(Self::new("<stdout>".to_owned(), Sink::Direct(Patient(file.into())), true))
    }

    fn new(name: String, sink: Sink, is_stdout: bool) -> Self {
        let is_terminal = matches!(&sink, Sink::Direct(Patient(file)) if file.is_terminal());
        Self { name, writer: BufWriter::with_capacity(BUFFER, sink), is_stdout, is_terminal }
    }

    /// For messages: the path, or `<stdout>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the data leaves by stdout, which then nothing else may use.
    pub fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Colour for this output: a file is as plain as a pipe.
    pub fn style(&self) -> Style {
        Style::for_stream(self.is_terminal)
    }

    /// Writes what is buffered and puts a file in its place; the last moment to learn that the disk is full.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        let Self { name, writer, .. } = self;
        match writer.into_inner().map_err(io::IntoInnerError::into_error) {
            Ok(Sink::Direct(_)) => Ok(()),
            Ok(Sink::Replace(replacement)) => replacement.commit(),
            Err(error) => Err(error),
        }
        .with_context(|| format!("cannot write {name}"))
    }

    /// Keeps the kind, by which a broken pipe is known.
    fn unwritable(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot write {}: {error}", self.name))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).map_err(|error| self.unwritable(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(|error| self.unwritable(&error))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Direct(file) => file.write(bytes),
            Self::Replace(replacement) => replacement.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Direct(file) => file.flush(),
            Self::Replace(replacement) => replacement.flush(),
        }
    }
}

/// Chooses the sink by what the path is now. A new or regular file is replaced, and everything else is
/// written into: renaming over `/dev/null` would be a disaster, and over a FIFO would leave its reader
/// waiting.
fn open(path: &Path) -> Result<Sink> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => bail!("it is a directory"),
        Ok(found) if !found.is_file() => {
            Ok(Sink::Direct(Patient(OpenOptions::new().write(true).open(path)?)))
        }
        Ok(found) => Replacement::create(path, Some(&found)).map(Sink::Replace),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Replacement::create(path, None).map(Sink::Replace)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Example commands, each on a line of its own.
pub(crate) fn indented(commands: &[&str]) -> String {
    commands.iter().fold(String::new(), |mut text, command| {
        let _ = write!(text, "\n    {command}");
        text
    })
}
