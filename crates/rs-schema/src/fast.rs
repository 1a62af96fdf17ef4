//! Sample lines by hand. Nearly all lines of a stream are samples, written in one fixed shape; reading and
//! writing that shape directly is several times faster than going through serde. Anything that deviates from
//! it is left to serde, so this file decides speed and never meaning: a test holds both against each other.

use std::io::{self, Write};

use crate::event::{Sample, ThreadState};

const HEAD: &[u8] = b"{\"type\":\"sample\",\"time_ns\":";

/// The sample that `text` begins with and the length of its object, if it stands there exactly as
/// [`write_sample`] writes it.
pub(crate) fn parse_sample(text: &[u8]) -> Option<(Sample, usize)> {
    let mut cursor = Cursor { rest: text.strip_prefix(HEAD)? };
    let time_ns = cursor.number()?;
    cursor.expect(b",\"thread\":")?;
    let thread = cursor.small_number()?;
    cursor.expect(b",\"stack\":")?;
    let stack = if cursor.skip(b"null") { None } else { Some(cursor.small_number()?) };
    let mut sample = Sample {
        time_ns,
        thread,
        stack,
        count: None,
        cpu_ns: None,
        state: ThreadState::Running,
        waited_ns: None,
    };
    if !cursor.skip(b"}") {
        if cursor.skip(b",\"count\":") {
            sample.count = Some(cursor.number()?);
        }
        if cursor.skip(b",\"cpu_ns\":") {
            sample.cpu_ns = Some(cursor.number()?);
        }
        if cursor.skip(b",\"state\":\"waiting\"") {
            sample.state = ThreadState::Waiting;
        } else if cursor.skip(b",\"state\":\"runnable\"") {
            sample.state = ThreadState::Runnable;
        }
        if cursor.skip(b",\"waited_ns\":") {
            sample.waited_ns = Some(cursor.number()?);
        }
        cursor.expect(b"}")?;
    }
    Some((sample, text.len() - cursor.rest.len()))
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip(&mut self, token: &[u8]) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &[u8]) -> Option<()> {
        self.skip(token).then_some(())
    }

    /// A JSON integer of at most 19 digits, which always fits; longer ones are rare enough for serde.
    fn number(&mut self) -> Option<u64> {
        const MAX_DIGITS: usize = 19;
        let mut value = 0u64;
        let mut digits = 0;
        while let Some(&byte) = self.rest.get(digits)
            && byte.is_ascii_digit()
        {
            if digits == MAX_DIGITS {
                return None;
            }
            value = value * 10 + u64::from(byte - b'0');
            digits += 1;
        }
        if digits == 0 || (digits > 1 && self.rest[0] == b'0') {
            return None;
        }
        self.rest = &self.rest[digits..];
        Some(value)
    }

    fn small_number(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }
}

/// Writes a sample line with its line break, in one piece and in the bytes that serde would write.
pub(crate) fn write_sample<W: Write>(mut output: W, sample: &Sample) -> io::Result<()> {
    let mut line = Text { bytes: [0; LONGEST], len: 0 };
    line.push(HEAD);
    line.push_number(sample.time_ns);
    line.push(b",\"thread\":");
    line.push_number(sample.thread.into());
    line.push(b",\"stack\":");
    match sample.stack {
        Some(stack) => line.push_number(stack.into()),
        None => line.push(b"null"),
    }
    if let Some(count) = sample.count {
        line.push(b",\"count\":");
        line.push_number(count);
    }
    if let Some(cpu_ns) = sample.cpu_ns {
        line.push(b",\"cpu_ns\":");
        line.push_number(cpu_ns);
    }
    match sample.state {
        ThreadState::Running => {}
        ThreadState::Waiting => line.push(b",\"state\":\"waiting\""),
        ThreadState::Runnable => line.push(b",\"state\":\"runnable\""),
    }
    if let Some(waited_ns) = sample.waited_ns {
        line.push(b",\"waited_ns\":");
        line.push_number(waited_ns);
    }
    line.push(b"}\n");
    output.write_all(&line.bytes[..line.len])
}

/// Every field at its longest, which a test writes.
const LONGEST: usize = 199;

struct Text {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Text {
    fn push(&mut self, token: &[u8]) {
        self.bytes[self.len..self.len + token.len()].copy_from_slice(token);
        self.len += token.len();
    }

    fn push_number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::event::Line;

    fn any_sample() -> impl Strategy<Value = Sample> {
        let number =
            || prop_oneof![0..200u64, any::<u64>(), Just(u64::MAX), Just(10_000_000_000_000_000_000)];
        let id = || prop_oneof![0..200u32, any::<u32>(), Just(u32::MAX)];
        let state =
            prop_oneof![Just(ThreadState::Running), Just(ThreadState::Waiting), Just(ThreadState::Runnable)];
        (
            number(),
            id(),
            option::of(id()),
            option::of(number()),
            option::of(number()),
            state,
            option::of(number()),
        )
            .prop_map(|(time_ns, thread, stack, count, cpu_ns, state, waited_ns)| Sample {
                time_ns,
                thread,
                stack,
                count,
                cpu_ns,
                state,
                waited_ns,
            })
    }

    fn by_hand(sample: &Sample) -> String {
        let mut text = Vec::new();
        write_sample(&mut text, sample).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// What is accepted here serde accepts too, with the same value.
    fn agrees_with_serde(text: &[u8]) {
        if let Some((sample, len)) = parse_sample(text) {
            assert_eq!(serde_json::from_slice::<Sample>(&text[..len]).unwrap(), sample);
            assert_eq!(serde_json::from_slice::<Line>(&text[..len]).unwrap(), Line::Sample(sample));
        }
    }

    #[test]
    fn the_longest_line_fits() {
        let sample = Sample {
            time_ns: u64::MAX,
            thread: u32::MAX,
            stack: Some(u32::MAX),
            count: Some(u64::MAX),
            cpu_ns: Some(u64::MAX),
            state: ThreadState::Runnable,
            waited_ns: Some(u64::MAX),
        };
        assert_eq!(by_hand(&sample).len(), LONGEST);
    }

    #[test]
    fn leaves_to_serde_what_is_not_written_like_this() {
        for text in [
            r#"{"type":"sample","time_ns":01,"thread":1,"stack":1}"#,
            r#"{"type":"sample","time_ns":-0,"thread":1,"stack":1}"#,
            r#"{"type":"sample","time_ns":1.0,"thread":1,"stack":1}"#,
            r#"{"type":"sample","time_ns":18446744073709551616,"thread":1,"stack":1}"#,
            r#"{"type":"sample","time_ns":1,"thread":4294967296,"stack":1}"#,
            r#"{"type":"sample","time_ns":1,"thread":1}"#,
            r#"{"type":"sample","time_ns":1,"stack":1,"thread":1}"#,
            r#"{"type":"sample","time_ns":1,"thread":1,"stack":1,"waited_ns":1,"count":2}"#,
            r#"{"type":"sample","time_ns":1,"thread":1,"stack":1,"#,
            r#"{"type":"sample","time_ns":"#,
        ] {
            assert_eq!(parse_sample(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn writes_what_serde_writes(sample in any_sample()) {
            let line = serde_json::to_string(&Line::Sample(sample)).unwrap() + "\n";
            prop_assert_eq!(by_hand(&sample), line);
        }

        #[test]
        fn reads_what_it_writes(sample in any_sample()) {
            let text = by_hand(&sample);
            let numbers = [Some(sample.time_ns), sample.count, sample.cpu_ns, sample.waited_ns];
            if numbers.iter().flatten().all(|&n| n < 10_000_000_000_000_000_000) {
                prop_assert_eq!(parse_sample(text.as_bytes()), Some((sample, text.len() - 1)));
            }
            agrees_with_serde(text.as_bytes());
        }

        #[test]
        fn agrees_with_serde_on_damaged_lines(
            sample in any_sample(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, prop_oneof![
                prop::sample::select(&b"0123456789-+.eE,:{}\"n \\"[..]), any::<u8>(),
            ]), 1..4),
        ) {
            let mut text = by_hand(&sample).into_bytes();
            for (at, edit, byte) in edits {
                let at = at.index(text.len());
                match edit {
                    0 => text[at] = byte,
                    1 => text.insert(at, byte),
                    _ => drop(text.remove(at)),
                }
                if text.is_empty() {
                    break;
                }
            }
            agrees_with_serde(&text);
        }
    }
}
