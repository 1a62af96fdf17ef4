//! Marks: what the program, a script or a load generator says of itself, one line each, through a FIFO.
//!
//!     work 1000 request          units of work done, and what they are
//!     phase steady               a phase begins, and ends the one before
//!     mark deploy 42             something happened
//!     span parse 1500000         something took this many nanoseconds, until now
//!
//! Whoever writes must be able to trust that this costs and breaks nothing: the FIFO is always open for reading
//! and writing here, so that a writer neither waits for a reader nor is killed for want of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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
/// How long work is summed. Its line carries the time of its last report, and a stream has at most 1 s of disorder.
const WORK_SUM_NS: u64 = 100_000_000;

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
        let with_path =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
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
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
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
    Set(Setting),
}

/// What is not summed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Setting {
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
        "phase" => Some(Mark::Set(Setting::Phase { name: some(rest)? })),
        "mark" => Some(Mark::Set(Setting::Mark { name: some(first)?, text: some(second) })),
        "span" => Some(Mark::Set(Setting::Span { name: some(first)?, duration_ns: second.parse().ok()? })),
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
    /// Gives each line that `bytes` completes to `take`, without its end, and whether it was too long; then it is
    /// cut.
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
/// Work may be reported millions of times a second. It is summed by unit for [`WORK_SUM_NS`], or until a mark, phase
/// or span comes, so that it stays on its side of them.
pub(crate) struct MarkStream {
    lines: Lines,
    fold: Fold,
}

struct Fold {
    ids: Arc<AtomicU32>,
    work: Vec<Work>,
    /// When the first work was read that has not gone out.
    work_since_ns: Option<u64>,
    /// Time of the last line.
    last_ns: u64,
    /// Marks, phases and spans that went out.
    set_count: u64,
    totals: MarkTotals,
}

/// Work of one unit that has not gone out. An entry stays when it has, so that there are as many as units.
struct Work {
    unit: Option<String>,
    count: u64,
    /// When the last of it was read; `None` when nothing is waiting.
    read_ns: Option<u64>,
}

impl MarkStream {
    /// Events get their numbers from `ids`.
    pub(crate) fn new(ids: Arc<AtomicU32>) -> Self {
        let fold = Fold {
            ids,
            work: Vec::new(),
            work_since_ns: None,
            last_ns: 0,
            set_count: 0,
            totals: MarkTotals::default(),
        };
        MarkStream { lines: Lines::default(), fold }
    }

    /// Takes what was read at `time_ns`.
    pub(crate) fn feed(&mut self, time_ns: u64, bytes: &[u8], emit: &mut dyn FnMut(Line)) {
        let fold = &mut self.fold;
        self.lines.feed(bytes, |line, too_long| fold.line(time_ns, line, too_long, emit));
    }

    /// When work that was summed is to go out, if there is any.
    pub(crate) fn flush_due_ns(&self) -> Option<u64> {
        Some(self.fold.work_since_ns? + WORK_SUM_NS)
    }

    /// Gives out the work that was summed.
    pub(crate) fn flush(&mut self, emit: &mut dyn FnMut(Line)) {
        self.fold.flush(emit);
    }

    /// What was taken so far.
    pub(crate) fn totals(&self) -> MarkTotals {
        self.fold.totals
    }
}

impl Fold {
    fn line(&mut self, time_ns: u64, line: &[u8], too_long: bool, emit: &mut dyn FnMut(Line)) {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() && !too_long {
            return;
        }
        let taken = match parse(&text).filter(|_| !too_long) {
            Some(Mark::Work { count, unit }) => self.work(time_ns, count, unit),
            Some(Mark::Set(setting)) => {
                self.set(time_ns, setting, emit);
                true
            }
            None => false,
        };
        if taken {
            self.totals.mark_count += 1;
        } else {
            self.totals.bad_mark_count += 1;
            let shown: String = text.chars().take(80).collect();
            rs_cli::warn_once!(
                "`{shown}` is no mark; expected work N [unit], phase NAME, mark NAME [text] or span NAME \
                 DURATION_NS; further such lines are only counted"
            );
        }
    }

    fn work(&mut self, time_ns: u64, count: u64, unit: Option<String>) -> bool {
        let known = self.work.iter().position(|work| work.unit == unit);
        if known.is_none() && self.work.len() == UNITS_MAX {
            return false;
        }
        let at = known.unwrap_or_else(|| {
            self.work.push(Work { unit, count: 0, read_ns: None });
            self.work.len() - 1
        });
        self.work[at].count = self.work[at].count.saturating_add(count);
        self.work[at].read_ns = Some(time_ns);
        self.work_since_ns.get_or_insert(time_ns);
        true
    }

    fn set(&mut self, time_ns: u64, setting: Setting, emit: &mut dyn FnMut(Line)) {
        if self.set_count == MARKS_MAX {
            self.totals.dropped_mark_count += 1;
            rs_cli::warn_once!("{MARKS_MAX} marks, phases and spans are set; further ones are only counted");
            return;
        }
        self.set_count += 1;
        self.flush(emit);
        let time_ns = self.stamp(time_ns);
        emit(match setting {
            Setting::Span { name, duration_ns } => {
                Line::Span(Span { time_ns, duration_ns, thread: None, name, source: "marks".into() })
            }
            Setting::Phase { name } => {
                Line::Event(Event { name: Some(name), ..self.event(time_ns, EventKind::Phase) })
            }
            Setting::Mark { name, text } => {
                Line::Event(Event { name: Some(name), text, ..self.event(time_ns, EventKind::Marker) })
            }
        });
    }

    fn flush(&mut self, emit: &mut dyn FnMut(Line)) {
        self.work_since_ns = None;
        for at in 0..self.work.len() {
            let Some(read_ns) = self.work[at].read_ns.take() else { continue };
            let count = Some(std::mem::take(&mut self.work[at].count));
            let unit = self.work[at].unit.clone();
            let time_ns = self.stamp(read_ns);
            emit(Line::Event(Event { count, unit, ..self.event(time_ns, EventKind::Work) }));
        }
    }

    /// A time of its own for each line, a nanosecond after the one before if they were read together: a phase
    /// begins after the work that was reported before it.
    fn stamp(&mut self, read_ns: u64) -> u64 {
        self.last_ns = read_ns.max(self.last_ns + 1);
        self.last_ns
    }

    fn event(&self, time_ns: u64, kind: EventKind) -> Event {
        Event {
            id: self.ids.fetch_add(1, Ordering::Relaxed),
            time_ns,
            kind,
            process: None,
            metric: None,
            start_ns: None,
            end_ns: None,
            before: None,
            value: None,
            threshold: None,
            name: None,
            text: None,
            count: None,
            unit: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn grammar() {
        let work = |count, unit: Option<&str>| Mark::Work { count, unit: unit.map(str::to_owned) };
        let mark = |name: &str, text: Option<&str>| {
            Mark::Set(Setting::Mark { name: name.to_owned(), text: text.map(str::to_owned) })
        };
        let phase = |name: &str| Mark::Set(Setting::Phase { name: name.to_owned() });
        let span = Mark::Set(Setting::Span { name: "parse".to_owned(), duration_ns: 1_500_000 });
        for (line, expected) in [
            ("work 1000 request", Some(work(1000, Some("request")))),
            ("  work\t7\r", Some(work(7, None))),
            ("phase steady", Some(phase("steady"))),
            ("phase warm up", Some(phase("warm up"))),
            ("mark deploy 42 of 43", Some(mark("deploy", Some("42 of 43")))),
            ("mark x", Some(mark("x", None))),
            ("span parse 1500000", Some(span)),
            ("work", None),
            ("work many", None),
            ("work -1", None),
            ("work 18446744073709551616", None),
            ("work 1 big request", None),
            ("phase ", None),
            ("mark", None),
            ("span parse", None),
            ("span parse 1.5", None),
            ("Work 1", None),
            ("", None),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    /// What comes of pieces of text, each read at its number, as brief texts.
    fn fed(pieces: &[&[u8]]) -> (Vec<String>, MarkTotals) {
        let mut stream = MarkStream::new(Arc::new(AtomicU32::new(1)));
        let mut brief = Vec::new();
        let mut emit = |line: Line| {
            brief.push(match line {
                Line::Event(event) => format!(
                    "{} {} {} {}{}",
                    event.time_ns,
                    event.id,
                    event.kind.as_str(),
                    event.name.or(event.count.map(|count| count.to_string())).unwrap(),
                    event.text.or(event.unit).map(|text| format!(" {text}")).unwrap_or_default(),
                ),
                Line::Span(span) => format!("{} span {} {}", span.time_ns, span.name, span.duration_ns),
                line => panic!("{line:?}"),
            });
        };
        for (at, bytes) in pieces.iter().enumerate() {
            stream.feed(10 * at as u64, bytes, &mut emit);
        }
        stream.flush(&mut emit);
        stream.flush(&mut emit);
        (brief, stream.totals())
    }

    #[test]
    fn work_is_summed_and_stays_on_its_side_of_a_phase() {
        let (lines, totals) = fed(&[
            b"work 1 a\nwork 2 a\nwork 5\npha",
            b"se steady\nwork 4 a\n\nspan p 3\n",
            b"work 1\nwork 1\n",
            b"work 1\nmark cut off, not whole",
        ]);
        assert_eq!(
            lines,
            [
                "1 1 work 3 a",
                "2 2 work 5",
                "10 3 phase steady",
                "11 4 work 4 a",
                "12 span p 3",
                "30 5 work 3",
            ]
        );
        assert_eq!(totals, MarkTotals { mark_count: 9, ..MarkTotals::default() });
    }

    #[test]
    fn what_is_no_mark_is_counted() {
        let long = [&b"mark "[..], &[b'x'; 5000], b"\nmark y\n"].concat();
        let (lines, totals) = fed(&[b"hello\nwork 1e3\n\xff\xfe\n", &long[..3000], &long[3000..]]);
        assert_eq!(lines, ["20 1 marker y"]);
        assert_eq!((totals.mark_count, totals.bad_mark_count), (1, 4));
    }

    #[test]
    fn floods_stay_small() {
        let work = b"work 1 request\n".repeat(100_000);
        let mut units = String::new();
        let mut marks = String::new();
        for at in 0..200 {
            units += &format!("work 1 unit{at}\n");
        }
        for at in 0..20_000 {
            marks += &format!("mark m{at}\nwork 1 request\n");
        }
        let (lines, totals) = fed(&[&work, units.as_bytes(), marks.as_bytes()]);
        assert_eq!(totals.dropped_mark_count, 10_000);
        assert_eq!(totals.bad_mark_count, 200 - (UNITS_MAX as u64 - 1));
        let done: u64 = (lines.iter())
            .filter_map(|line| line.split_once(" work ")?.1.strip_suffix(" request")?.parse::<u64>().ok())
            .sum();
        assert_eq!(done, 120_000);
        assert!(lines.len() <= 20_000 + UNITS_MAX, "{}", lines.len());
    }

    #[test]
    fn a_fifo_of_its_own() {
        let marks = Marks::create().unwrap();
        let path = marks.path().to_owned();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let mut buffer = [0; 64];
        assert_eq!(marks.read(&mut buffer).unwrap(), 0, "does not wait");
        for text in ["work 1\n", "work 2\n"] {
            // Opened and closed like `echo >> $RUSTSCOPE_MARKS`.
            OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        }
        let read = marks.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"work 1\nwork 2\n");
        assert_eq!(marks.read(&mut buffer).unwrap(), 0, "no end of file");
        drop(marks);
        assert!(!path.exists() && !path.parent().unwrap().exists());
    }

    #[test]
    fn a_fifo_of_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        drop(Marks::open(&path).unwrap());
        assert!(!path.exists(), "made here, removed here");
        make_fifo(&path).unwrap();
        drop(Marks::open(&path).unwrap());
        assert!(path.exists(), "the user's own stays");

        let marks = Marks::open(&folder.path().join("other")).unwrap();
        fs::remove_file(marks.path()).unwrap();
        fs::write(marks.path(), "of another").unwrap();
        drop(marks);
        assert!(folder.path().join("other").exists(), "not what another put there");

        let error = Marks::open(&folder.path().join("other")).err().unwrap().to_string();
        assert!(
            error.ends_with("other: is not a FIFO; name one, or a path where there is nothing yet"),
            "{error}"
        );
        let error = Marks::open(&folder.path().join("none/fifo")).err().unwrap().to_string();
        assert!(error.contains("none/fifo: "), "{error}");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            // With many ends of lines.
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(0_usize..300, 0..6),
        ) {
            let lines_of = |pieces: &[&[u8]]| {
                let (mut lines, mut all) = (Lines::default(), Vec::new());
                for piece in pieces {
                    lines.feed(piece, |line, too_long| all.push((line.to_vec(), too_long)));
                }
                all
            };
            let within = cuts.into_iter().map(|cut| cut.min(text.len()));
            let mut cuts: Vec<usize> = within.chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            prop_assert_eq!(lines_of(&pieces), lines_of(&[&text]));
        }

        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            fed(&[&text, b"\n"]);
        }

        #[test]
        fn words_of_marks(line in "(work|phase|mark|span|x)?[ \t]{0,2}[a-z0-9]{0,4}[ \t]{0,2}[a-z0-9 ]{0,4}") {
            fed(&[line.as_bytes(), b"\n"]);
        }
    }
}
