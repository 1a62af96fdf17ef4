//! Marks: what the program, a script or a load generator says of itself, one line each, through a FIFO.
//!
//!     work 1000 request          units of work done, and what they are
//!     phase steady               a phase begins, and ends the one before
//!     mark deploy 42             something happened
//!     span parse 1500000         something took this many nanoseconds, until now
//!
//! Whoever writes must be able to trust that this costs and breaks nothing: the FIFO is always open for reading
//! and writing here, so that a writer neither waits for a reader nor is killed for want of one.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::Mode;
use rs_schema::event::{Event, EventKind, Line, Span};

/// Longest line that is taken.
const LINE_BYTES_MAX: usize = 4096;
/// Marks, phases and spans of a session; a program that sets one in a loop must not drown the stream.
const MARKS_MAX: u64 = 10_000;
/// Units of work of a session: they are kinds, not names of things.
const UNITS_MAX: usize = 64;
/// Room for marks that are not yet read: a writer that finds none waits.
const PIPE_BYTES: i32 = 1 << 20;

/// The FIFO. What was made for it is removed when it is dropped.
pub(crate) struct Marks {
    fifo: File,
    path: PathBuf,
    made: Made,
}

enum Made {
    Nothing,
    Fifo,
    FifoAndFolder,
}

impl Marks {
    /// Makes a FIFO that only this user can reach, at a path of its own.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn create() -> io::Result<Marks> {
        // The folder is made 0700.
        let folder = nix::unistd::mkdtemp(&std::env::temp_dir().join("rustscope-XXXXXX"))?;
        let path = folder.join("marks");
        let made = make_fifo(&path).and_then(|()| open_fifo(&path));
        match made {
            Ok(fifo) => Ok(Marks { fifo, path, made: Made::FifoAndFolder }),
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// Takes the FIFO at `path`, or makes it.
    ///
    /// # Errors
    /// When something else is there, or the system's; the path is named.
    pub(crate) fn open(path: &Path) -> io::Result<Marks> {
        let with_path = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        // Looked at before it is opened: opening a device may do something.
        let made = match fs::metadata(path) {
            Ok(found) if found.file_type().is_fifo() => Made::Nothing,
            Ok(_) => return Err(with_path(not_a_fifo())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_fifo(path).map_err(with_path)?;
                Made::Fifo
            }
            Err(error) => return Err(with_path(error)),
        };
        let fifo = open_fifo(path).map_err(with_path)?;
        Ok(Marks { fifo, path: path.to_owned(), made })
    }

    /// Where to write marks.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what is there, without waiting; 0 bytes when nothing is.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.fifo).read(buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
            read => read,
        }
    }
}

impl AsFd for Marks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        // Not what another put there in its place.
        let same = |found: fs::Metadata| {
            self.fifo.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
        };
        if !matches!(self.made, Made::Nothing) && fs::symlink_metadata(&self.path).is_ok_and(same) {
            let _ = fs::remove_file(&self.path);
        }
        if let (Made::FifoAndFolder, Some(folder)) = (&self.made, self.path.parent()) {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn make_fifo(path: &Path) -> io::Result<()> {
    Ok(nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
}

fn open_fifo(path: &Path) -> io::Result<File> {
    let fifo = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !fifo.metadata()?.file_type().is_fifo() {
        return Err(not_a_fifo());
    }
    // More room is a favour that may be refused.
    let _ = fcntl(&fifo, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    Ok(fifo)
}

fn not_a_fifo() -> io::Error {
    io::Error::other("is not a FIFO; name one, or a path where there is nothing yet")
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    Work { count: u64, unit: Option<String> },
    Phase { name: String },
    Mark { name: String, text: Option<String> },
    Span { name: String, duration_ns: u64 },
}

/// Reads one line, without its end.
fn parse(line: &str) -> Option<Mark> {
    let (command, rest) = split_word(line.trim());
    let (first, second) = split_word(rest);
    let is_word = |text: &str| !text.contains(char::is_whitespace);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match command {
        "work" if is_word(second) => Some(Mark::Work { count: first.parse().ok()?, unit: some(second) }),
        "phase" => Some(Mark::Phase { name: some(rest)? }),
        "mark" => Some(Mark::Mark { name: some(first)?, text: some(second) }),
        "span" => Some(Mark::Span { name: some(first)?, duration_ns: second.parse().ok()? }),
        _ => None,
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// Cuts what comes in pieces into lines.
#[derive(Default)]
struct Lines {
    /// A line whose end has not come yet.
    begun: Vec<u8>,
    /// The line is longer than what is taken; the rest of it is skipped.
    too_long: bool,
}

impl Lines {
    /// Gives each line that `bytes` completes to `take`, without its end; cut at the longest that is taken, and then
    /// marked so.
    fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8], bool)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (piece, is_whole) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            let room = LINE_BYTES_MAX - self.begun.len();
            self.too_long |= piece.len() > room;
            self.begun.extend_from_slice(&piece[..piece.len().min(room)]);
            if is_whole {
                take(&self.begun, self.too_long);
                self.begun.clear();
                self.too_long = false;
            }
        }
    }
}

/// What was taken and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MarkTotals {
    /// Lines understood, those dropped included.
    pub(crate) mark_count: u64,
    /// Lines not understood.
    pub(crate) bad_mark_count: u64,
    /// Marks, phases and spans beyond the most that a session takes.
    pub(crate) dropped_mark_count: u64,
}

/// Turns what comes through the FIFO into lines of the stream.
///
/// Work may be reported millions of times a second. It is summed by unit until [`flush`](Self::flush), or until a
/// mark, phase or span comes, so that it stays on its side of them.
pub(crate) struct MarkStream<I, E> {
    lines: Lines,
    work: Vec<Work>,
    units: Vec<Option<String>>,
    last_ns: u64,
    totals: MarkTotals,
    next_id: I,
    emit: E,
}
