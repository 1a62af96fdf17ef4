//! Laws of the stream: what is written reads back the same, and no input makes a reader or a validator panic.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use rs_schema::event::Line;
use rs_schema::stream::{MAX_LINE_BYTES, StreamReader, StreamWriter};
use rs_schema::validate::StreamValidator;
use rs_schema::{Error, ProfileSession};
use support::lines::{any_line, header};
use support::{faults, read};

fn write(lines: &[Line]) -> Vec<u8> {
    let mut writer = StreamWriter::new(Vec::new());
    for line in lines {
        writer.write(line).expect("memory takes everything");
    }
    writer.into_inner()
}

/// All lines, and the faults between them.
fn read_all(text: &[u8]) -> (Vec<Line>, Vec<Error>) {
    let mut reader = StreamReader::new(text);
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    loop {
        match reader.next_line() {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => return (lines, errors),
            Err(error) => {
                let go_on = error.is_recoverable();
                errors.push(error);
                if !go_on {
                    return (lines, errors);
                }
            }
        }
    }
}

/// A small buffer makes lines lie across its end.
fn read_in_pieces(text: &[u8], capacity: usize) -> Vec<(u64, u64, Line)> {
    let mut reader = StreamReader::new(std::io::BufReader::with_capacity(capacity, text));
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().expect("the stream is valid") {
        let position = reader.position();
        assert!(text[position.byte as usize..].starts_with(reader.raw_line()));
        lines.push((position.line, position.byte, line));
    }
    lines
}

#[test]
fn golden_files_read_the_same_in_any_pieces_and_are_written_back_byte_for_byte() {
    for name in ["events.ndjson", "every-type.ndjson"] {
        let text = read(name);
        let whole = read_in_pieces(&text, text.len());
        for capacity in [1, 7, 64, 333] {
            assert_eq!(read_in_pieces(&text, capacity), whole, "{name} in pieces of {capacity}");
        }
        let lines: Vec<Line> = whole.into_iter().map(|(_, _, line)| line).collect();
        let written = String::from_utf8(write(&lines)).unwrap();
        let expected = String::from_utf8(text).unwrap();
        for (written, expected) in written.lines().zip(expected.lines()) {
            assert_eq!(written, expected, "{name}");
        }
        assert_eq!(read_all(written.as_bytes()).0, lines, "{name}");
    }
}

#[test]
fn the_golden_session_is_written_back_byte_for_byte() {
    let text = read("session.json");
    let session = ProfileSession::from_json(&text).unwrap();
    assert_eq!(serde_json::to_string(&session).unwrap() + "\n", String::from_utf8(text).unwrap());
}

#[test]
fn a_line_of_the_greatest_length_is_read_and_one_more_byte_is_not() {
    let text = read("events.ndjson");
    let header = text.split_inclusive(|&b| b == b'\n').next().unwrap();
    for (excess, expected) in [(0, 0), (1, 1)] {
        let mut text = header.to_vec();
        let line = br#"{"type":"new","pad":""#;
        text.extend_from_slice(line);
        text.resize(text.len() + MAX_LINE_BYTES + excess - line.len() - 3, b'x');
        text.extend_from_slice(b"\"}\n");
        assert_eq!(read_all(&text).1.len(), expected, "{excess} bytes too long");
    }
}

proptest! {
    #[test]
    fn every_line_reads_back_equal(header in header(), lines in vec(any_line(), 0..8)) {
        let mut expected = vec![Line::Header(Box::new(header))];
        expected.extend(lines);
        let text = write(&expected);
        let (lines, errors) = read_all(&text);
        prop_assert!(errors.is_empty(), "{:?}", errors);
        prop_assert_eq!(&lines, &expected);
        // The tagged enum agrees with the reader that goes by type.
        for (line, text) in expected.iter().zip(text.split(|&b| b == b'\n')) {
            prop_assert_eq!(&serde_json::from_slice::<Line>(text).unwrap(), line);
        }
    }

    #[test]
    fn lines_without_sense_do_not_upset_the_validator(lines in vec(any_line(), 0..40)) {
        let mut validator = StreamValidator::new();
        for (at, line) in (1..).zip(&lines) {
            validator.line(at, line, &mut |fault| drop(fault.to_string()));
        }
        validator.finish(&mut |fault| drop(fault.to_string()));
    }

    #[test]
    fn no_bytes_make_anything_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
        let _ = ProfileSession::from_json(&bytes);
        faults(&bytes);
    }

    #[test]
    fn nothing_json_like_makes_anything_panic(text in "[\\[\\]{}\":,0-9a-z.\\-\\\\ \n]{0,300}") {
        read_all(text.as_bytes());
        let _ = ProfileSession::from_json(text.as_bytes());
        faults(text.as_bytes());
    }
}

/// Cuts, swaps, overwrites and doubles parts of `text`.
fn damage(text: &[u8], edits: &[(prop::sample::Index, usize, u8, u8)]) -> Vec<u8> {
    let mut text = text.to_vec();
    for &(at, len, kind, byte) in edits {
        if text.is_empty() {
            break;
        }
        let from = at.index(text.len());
        let to = (from + len).min(text.len());
        match kind % 5 {
            0 => text[from] = byte,
            1 => drop(text.drain(from..to)),
            2 => {
                let piece = text[from..to].to_vec();
                text.splice(from..from, piece);
            }
            3 => text.truncate(from),
            _ => {
                // Another digit keeps it JSON and makes it say something else.
                if let Some(digit) = text[from..].iter().position(u8::is_ascii_digit) {
                    text[from + digit] = b'0' + byte % 10;
                }
            }
        }
    }
    text
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, u8, u8)>> {
    vec((any::<prop::sample::Index>(), 1..80usize, any::<u8>(), any::<u8>()), 1..6)
}

/// Only other digits: most of these are valid JSON and reach the checks behind the parser.
fn other_digits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, u8, u8)>> {
    vec((any::<prop::sample::Index>(), Just(1), Just(4), any::<u8>()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_damage_to_a_stream_makes_anything_panic(edits in prop_oneof![edits(), other_digits()]) {
        for name in ["events.ndjson", "every-type.ndjson"] {
            let text = damage(&read(name), &edits);
            read_all(&text);
            faults(&text);
        }
    }

    #[test]
    fn no_damage_to_a_session_makes_anything_panic(edits in prop_oneof![edits(), other_digits()]) {
        let text = damage(&read("session.json"), &edits);
        let _ = ProfileSession::from_json(&text);
        faults(&text);
    }
}
