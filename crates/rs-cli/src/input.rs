//! Where data comes from: a file, or stdin.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    os::{fd::AsFd, unix::fs::FileTypeExt},
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

use crate::{output::indented, patient::Patient};

/// What a pipe holds on Linux, so one read can empty it.
const BUFFER: usize = 64 * 1024;

/// What stdin has been opened for: it can be read only once.
static STDIN_USE: Mutex<Option<String>> = Mutex::new(None);

/// An open input. Errors of reading carry its name.
#[derive(Debug)]
pub struct Input {
    name: String,
    reader: BufReader<Patient>,
    is_pipe: bool,
}

impl Input {
    /// Opens a file, or stdin for nothing, `-` or `/dev/stdin`.
    ///
    /// `what` is the word of the usage line this input is for (`EVENTS`, `BASE`). If no path is given and
    /// stdin is a terminal, the user has most likely forgotten the pipe; waiting would look like a hang, so
    /// that is an error which shows `pipes`, the likely commands. An explicit `-` is taken at its word.
    pub fn open(path: Option<&Path>, what: &str, pipes: &[&str]) -> Result<Self> {
        let Some(path) = path.filter(|path| !is_stdin(path)) else {
            return Self::stdin(path.is_some(), what, pipes);
        };
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        Self::new(name, file)
    }

    fn stdin(explicit: bool, what: &str, pipes: &[&str]) -> Result<Self> {
        if !explicit && io::stdin().is_terminal() {
            bail!("{what}: no file given and nothing piped in; for example:{}", indented(pipes));
        }
        let mut used = STDIN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = used.as_deref() {
            bail!("stdin cannot be both {other} and {what}; give one of them a file");
        }
        // A copy of the descriptor instead of std's Stdin: that one has a small buffer of its own.
        let file = io::stdin().as_fd().try_clone_to_owned().context("cannot read <stdin>")?;
        *used = Some(what.to_owned());
        Self::new("<stdin>".to_owned(), file.into())
    }

    fn new(name: String, file: File) -> Result<Self> {
        let kind = file.metadata().with_context(|| format!("cannot read {name}"))?.file_type();
        if kind.is_dir() {
            bail!("cannot read {name}: it is a directory");
        }
        let reader = BufReader::with_capacity(BUFFER, Patient(file));
        Ok(Self { name, reader, is_pipe: kind.is_fifo() || kind.is_socket() })
    }

    /// For messages: the path, or `<stdin>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a live producer may be at the other end: a pipe, a named one, or a socket (as `ssh` gives).
    pub fn is_pipe(&self) -> bool {
        self.is_pipe
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| unreadable(&self.name, &error))
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let name = &self.name;
        self.reader.fill_buf().map_err(|error| unreadable(name, &error))
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

/// Keeps the kind, by which callers retry after `Interrupted`.
fn unreadable(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {name}: {error}"))
}

fn is_stdin(path: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].iter().any(|name| path == Path::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_path() {
        let missing = Input::open(Some(Path::new("/no/such.json")), "SESSION", &[]).unwrap_err();
        assert_eq!(
            format!("{missing:#}"),
            "cannot read /no/such.json: No such file or directory (os error 2)"
        );
        let directory = Input::open(Some(Path::new("/")), "SESSION", &[]).unwrap_err();
        assert_eq!(format!("{directory:#}"), "cannot read /: it is a directory");
    }

    #[test]
    fn a_file_is_read_by_lines_and_is_no_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in");
        std::fs::write(&path, "a\nb\n").unwrap();
        let input = Input::open(Some(&path), "EVENTS", &[]).unwrap();
        assert!(!input.is_pipe());
        assert_eq!(input.lines().map(std::result::Result::unwrap).collect::<Vec<_>>(), ["a", "b"]);
    }
}
