//! Reader and writer of the event stream, side by side so that they cannot drift apart.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::Deserialize;

use crate::error::{Error, LineFault};
use crate::event::{self, Line, Sample};
use crate::fast;

/// Longest line that is read; far above the longest ever written (names are cut at 64 KiB by the recorder).
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Where a line stands in its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Number of the line, from 1.
    pub line: u64,
    /// Offset of its first byte.
    pub byte: u64,
}

/// Reads an event stream line by line, in memory that does not grow with it.
///
/// A bad line is an [`Error::Line`]; reading can go on after it. The header's schema and version are checked
/// here, so whoever has a first line may rely on them.
pub struct StreamReader<R> {
    input: R,
    buffer: Vec<u8>,
    position: Position,
    next_byte: u64,
    header_seen: bool,
    unknown_types: BTreeMap<String, u64>,
}

impl<R: BufRead> StreamReader<R> {
    /// A reader of `input`.
    pub fn new(input: R) -> Self {
        StreamReader {
            input,
            buffer: Vec::with_capacity(4096),
            position: Position::default(),
            next_byte: 0,
            header_seen: false,
            unknown_types: BTreeMap::new(),
        }
    }

    /// The position of the line that [`next_line`](Self::next_line) returned last.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The text of the line that was read last, with its line break if it had one.
    pub fn raw_line(&self) -> &[u8] {
        &self.buffer
    }

    /// Lines whose type this version does not know, by type.
    pub fn unknown_types(&self) -> &BTreeMap<String, u64> {
        &self.unknown_types
    }

    /// The next line of a known type; `None` at the end of the input.
    ///
    /// # Errors
    /// [`Error::Line`] for a line that cannot be used: call again to go on behind it. All others are final.
    pub fn next_line(&mut self) -> Result<Option<Line>, Error> {
        loop {
            if let Some(sample) = self.next_sample()? {
                return Ok(Some(Line::Sample(sample)));
            }
            if !self.read_raw()? {
                if !self.header_seen {
                    return Err(Error::Empty { expected: "an event stream" });
                }
                return Ok(None);
            }
            let cut = self.buffer.last() != Some(&b'\n');
            let text = self.buffer.trim_ascii();
            if text.is_empty() {
                continue;
            }
            if !self.header_seen {
                let header = parse_header(text)?;
                self.header_seen = true;
                return Ok(Some(header));
            }
            match parse_line(text) {
                Ok(Parsed::Line(line)) => return Ok(Some(line)),
                Ok(Parsed::UnknownType(name)) => *self.unknown_types.entry(name).or_default() += 1,
                Err(_) if cut => return Err(self.fault(LineFault::Cut)),
                Err(fault) => return Err(self.fault(fault)),
            }
        }
    }

    /// The next line if it is a plain sample line that lies in the input's buffer as a whole. It is parsed
    /// there, without a search for its end first.
    fn next_sample(&mut self) -> Result<Option<Sample>, Error> {
        if !self.header_seen {
            return Ok(None);
        }
        let available = match self.input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some((sample, len)) = fast::parse_sample(available) else { return Ok(None) };
        if available.get(len) != Some(&b'\n') {
            return Ok(None);
        }
        let line_len = len + 1;
        self.buffer.clear();
        self.buffer.extend_from_slice(&available[..line_len]);
        self.input.consume(line_len);
        self.position = Position { line: self.position.line + 1, byte: self.next_byte };
        self.next_byte += line_len as u64;
        Ok(Some(sample))
    }

    fn fault(&self, fault: LineFault) -> Error {
        Error::Line { line: self.position.line, byte: self.position.byte, fault }
    }

    /// Reads one line into the buffer. False at the end of the input.
    fn read_raw(&mut self) -> Result<bool, Error> {
        self.buffer.clear();
        self.position = Position { line: self.position.line + 1, byte: self.next_byte };
        let limit = MAX_LINE_BYTES as u64;
        let read = io::Read::take(&mut self.input, limit).read_until(b'\n', &mut self.buffer)? as u64;
        self.next_byte += read;
        if read == limit && self.buffer.last() != Some(&b'\n') {
            self.next_byte += self.input.skip_until(b'\n')? as u64;
            self.buffer.clear();
            return Err(self.fault(LineFault::TooLong { limit: MAX_LINE_BYTES }));
        }
        Ok(read > 0)
    }
}

enum Parsed {
    Line(Line),
    UnknownType(String),
}

/// Parses one line. The type is read first and the line then parsed into its own struct: a tagged serde enum
/// would copy every field through a buffer and be several times slower on the millions of samples.
fn parse_line(text: &[u8]) -> Result<Parsed, LineFault> {
    fn body<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, LineFault> {
        serde_json::from_slice(text).map_err(malformed)
    }
    if let Some((sample, len)) = fast::parse_sample(text)
        && len == text.len()
    {
        return Ok(Parsed::Line(Line::Sample(sample)));
    }
    let name = type_of(text)?;
    let line = match name.as_ref() {
        "sample" => Line::Sample(body(text)?),
        "stack" => Line::Stack(body(text)?),
        "frame" => Line::Frame(body(text)?),
        "metrics" => Line::Metrics(body(text)?),
        "heap" => Line::Heap(body(text)?),
        "alloc" => Line::Alloc(body(text)?),
        "free" => Line::Free(body(text)?),
        "thread" => Line::Thread(body(text)?),
        "process" => Line::Process(body(text)?),
        "mapping" => Line::Mapping(body(text)?),
        "event" => Line::Event(body(text)?),
        "span" => Line::Span(body(text)?),
        "latency" => Line::Latency(body(text)?),
        "lost" => Line::Lost(body(text)?),
        "end" => Line::End(body(text)?),
        "header" => Line::Header(body(text)?),
        _ => return Ok(Parsed::UnknownType(name.into_owned())),
    };
    Ok(Parsed::Line(line))
}

fn malformed(error: serde_json::Error) -> LineFault {
    let text = error.to_string();
    // serde_json appends " at line 1 column N"; the line is ours to say.
    let message = text.split(" at line ").next().unwrap_or(&text).to_string();
    LineFault::Malformed { message, column: error.column() }
}

/// The line's type: straight from its first bytes as writers put it there, else by parsing.
fn type_of(text: &[u8]) -> Result<std::borrow::Cow<'_, str>, LineFault> {
    if let Some(rest) = text.strip_prefix(b"{\"type\":\"") {
        let end = rest.iter().position(|&b| b == b'"' || b == b'\\');
        if let Some(end) = end
            && rest[end] == b'"'
            && let Ok(name) = std::str::from_utf8(&rest[..end])
        {
            return Ok(name.into());
        }
    }
    #[derive(Deserialize)]
    struct Tag {
        #[serde(rename = "type")]
        name: String,
    }
    if text.first() != Some(&b'{') {
        return Err(LineFault::NoType);
    }
    match serde_json::from_slice::<Tag>(text) {
        Ok(tag) => Ok(tag.name.into()),
        Err(error) if error.is_data() => Err(LineFault::NoType),
        Err(error) => Err(malformed(error)),
    }
}

/// The first line decides whether this is a stream at all, and of which version.
fn parse_header(text: &[u8]) -> Result<Line, Error> {
    #[derive(Deserialize)]
    struct Peek {
        schema: Option<String>,
        schema_version: Option<u64>,
    }
    let not_this = |found: String| Error::NotThis { expected: "a RustScope event stream", found };
    let peek: Peek = match serde_json::from_slice(text) {
        Ok(peek) => peek,
        Err(_) => return Err(not_this(describe(text))),
    };
    match peek.schema.as_deref() {
        Some(event::SCHEMA) => {}
        Some(other) => return Err(not_this(format!("its schema is {other:?}"))),
        None => return Err(not_this("the first line has no \"schema\"".into())),
    }
    match peek.schema_version {
        Some(found) if found > u64::from(event::SCHEMA_VERSION) => {
            return Err(Error::NewerVersion {
                schema: event::SCHEMA,
                found,
                supported: event::SCHEMA_VERSION,
            });
        }
        Some(_) => {}
        None => return Err(not_this("the header has no \"schema_version\"".into())),
    }
    match parse_line(text) {
        Ok(Parsed::Line(header @ Line::Header(_))) => Ok(header),
        Ok(_) => Err(not_this("the first line is not a header".into())),
        // Nothing behind a header that cannot be read can be trusted: not even its version was understood whole.
        Err(fault) => Err(not_this(format!("its header cannot be read: {fault}"))),
    }
}

/// A few words on what some bytes are, for the message that refuses them.
pub(crate) fn describe(text: &[u8]) -> String {
    let head = &text[..text.len().min(60)];
    if head.starts_with(b"\x1f\x8b") {
        return "it is gzip data; decompress it first (gunzip -c)".into();
    }
    if head.starts_with(b"PERFILE2") {
        return "it is a perf.data file".into();
    }
    match std::str::from_utf8(head) {
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\t') => {
            format!("it begins with {text:?}")
        }
        _ => "it is binary data".into(),
    }
}

/// Writes an event stream, one line at a time.
pub struct StreamWriter<W> {
    output: W,
}

impl<W: Write> StreamWriter<W> {
    /// A writer to `output`, which should be buffered.
    pub fn new(output: W) -> Self {
        StreamWriter { output }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        write_line(&mut self.output, line)
    }

    /// Passes on what is buffered.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// The output behind the writer.
    pub fn into_inner(self) -> W {
        self.output
    }
}

/// Writes one line with its line break.
///
/// # Errors
/// Those of the output.
pub fn write_line<W: Write>(mut output: W, line: &Line) -> io::Result<()> {
    if let Line::Sample(sample) = line {
        return fast::write_sample(output, sample);
    }
    serde_json::to_writer(&mut output, line)?;
    output.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"type":"header","schema":"rustscope.events","schema_version":1,"session_id":"a","tool":"t","tool_version":"1","start_time":"2026-11-23T11:36:48Z","clock":{"id":"monotonic"}}"#;

    fn read_all(text: &[u8]) -> (Vec<Line>, Vec<String>) {
        let mut reader = StreamReader::new(text);
        let (mut lines, mut errors) = (Vec::new(), Vec::new());
        loop {
            match reader.next_line() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => return (lines, errors),
                Err(error) => {
                    let go_on = error.is_recoverable();
                    errors.push(error.to_string());
                    if !go_on {
                        return (lines, errors);
                    }
                }
            }
        }
    }

    #[test]
    fn reads_past_a_bad_line_and_says_where_it_was() {
        let text = format!(
            "{HEADER}\n{{\"type\":\"sample\",\"time_ns\":-1,\"thread\":1}}\n{{\"type\":\"sample\",\"time_ns\":2,\"thread\":1}}\n"
        );
        let (lines, errors) = read_all(text.as_bytes());
        assert_eq!(lines.len(), 2);
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with(&format!("line 2 (byte {}): invalid value", HEADER.len() + 1)),
            "{errors:?}"
        );
    }

    #[test]
    fn a_cut_last_line_is_told_apart_from_a_malformed_one() {
        let (lines, errors) = read_all(format!("{HEADER}\n{{\"type\":\"sam").as_bytes());
        assert_eq!(lines.len(), 1);
        assert!(errors[0].contains("cut in the middle"), "{errors:?}");
    }

    #[test]
    fn refuses_what_is_not_a_stream() {
        for (text, part) in [
            (&b""[..], "input is empty"),
            (b"\x7fELF\x00\x01", "binary data"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"hello world\n", "begins with \"hello world\""),
            (b"{\"schema\":\"rustscope.session\"}\n", "rustscope.session"),
            (b"{\"schema\":\"rustscope.events\",\"schema_version\":2,\"type\":\"header\"}\n", "version 2"),
        ] {
            let (lines, errors) = read_all(text);
            assert!(lines.is_empty());
            assert!(errors[0].contains(part), "{errors:?}");
        }
    }

    #[test]
    fn counts_unknown_types_and_finds_the_type_anywhere() {
        let text =
            format!("{HEADER}\n{{\"type\":\"new\"}}\n{{\"time_ns\":1,\"thread\":3,\"type\":\"sample\"}}\n");
        let mut reader = StreamReader::new(text.as_bytes());
        reader.next_line().unwrap();
        assert!(matches!(reader.next_line().unwrap(), Some(Line::Sample(s)) if s.thread == 3));
        assert_eq!(reader.unknown_types().get("new"), Some(&1));
    }

    #[test]
    fn a_huge_line_is_skipped() {
        let mut text = format!("{HEADER}\n").into_bytes();
        text.resize(text.len() + MAX_LINE_BYTES + 100, b'x');
        text.extend_from_slice(b"\n{\"type\":\"sample\",\"time_ns\":2,\"thread\":1}\n");
        let (lines, errors) = read_all(&text);
        assert_eq!(lines.len(), 2);
        assert!(errors[0].contains("longer than"), "{errors:?}");
    }
}
