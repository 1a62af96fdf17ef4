//! Bad input to every reader: an error that names the place, or a warning and what could be saved. Never a panic, never
//! silence, never half a file.
//!
//! "Must show" 7 of the design, as one table: inputs down, readers across.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rs_schema::ProfileSession;
use rs_tests::cmd::{Finished, run, scratch, shell, tool, which};
use rs_tests::skip;
use rs_tests::streams::{HEADER, stream};

const LIMIT: Duration = Duration::from_secs(60);

/// What a reader does with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Takes it without a word of complaint.
    Fine,
    /// Takes it, and warns of something in these words.
    Warns(&'static str),
    /// Does not take it, for a reason in these words.
    Refuses(&'static str),
}

use Outcome::{Fine, Refuses, Warns};

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    rollup: Outcome,
    export: Outcome,
    validate: Outcome,
}

impl Case {
    /// All readers do the same.
    fn all(name: &'static str, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
        Case { name, bytes: bytes.into(), rollup: outcome, export: outcome, validate: outcome }
    }

    /// The two that fold save what they can and warn; the validator calls it a fault.
    fn saved(
        name: &'static str,
        bytes: impl Into<Vec<u8>>,
        warns: &'static str,
        fault: &'static str,
    ) -> Case {
        let (warns, fault) = (Warns(warns), Refuses(fault));
        Case { name, bytes: bytes.into(), rollup: warns, export: warns, validate: fault }
    }
}

/// A stream with a line changed: the first that holds `from`.
fn with(from: &str, to: &str) -> String {
    let good = stream(20);
    assert!(good.contains(from), "{from}");
    good.replacen(from, to, 1)
}

/// A stream with a line put before the one that holds `before`.
fn inserted(before: &str, line: &str) -> String {
    let mut text = String::new();
    let mut done = false;
    for old in stream(20).lines() {
        if !done && old.contains(before) {
            text.push_str(line);
            text.push('\n');
            done = true;
        }
        text.push_str(old);
        text.push('\n');
    }
    assert!(done, "{before}");
    text
}

fn session() -> Vec<u8> {
    let dir = scratch("session");
    let path = dir.path().join("good");
    fs::write(&path, stream(20)).expect("it can be kept");
    run(tool("rs-rollup").arg(&path), LIMIT).ok().stdout
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    which("gzip")?;
    let dir = scratch("gzip");
    let path = dir.path().join("plain");
    fs::write(&path, bytes).expect("it can be kept");
    Some(run(Command::new("gzip").arg("-c").arg(&path), LIMIT).ok().stdout)
}

/// Noise that is the same each time.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn cases() -> Vec<Case> {
    let good = stream(20);
    let cut_at = good.len() - 300;
    let lines: Vec<&str> = good.lines().collect();
    let session = session();
    let sample = r#"{"type":"sample","time_ns":5000000,"thread":1,"stack":6}"#;
    let mut cases = vec![
        Case::all("good", good.clone(), Fine),
        // Nothing, or something else.
        Case::all("empty", "", Refuses("empty")),
        Case::all("blank lines", "\n\n\n", Refuses("empty")),
        Case::all("text", "hello\nworld\n", Refuses("line 1")),
        Case::all("other JSON", "{\"a\":1}\n", Refuses("1")),
        Case::all("a number", "17\n", Refuses("line 1")),
        Case::all("noise", noise(100_000), Refuses("line 1")),
        Case::all("zeros", vec![0; 100_000], Refuses("line 1")),
        Case::all(
            "an ELF file",
            fs::read(rs_tests::cmd::bin("rs-schema")).expect("itself"),
            Refuses("line 1"),
        ),
        Case::all(
            "UTF-16",
            good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
            Refuses("line 1"),
        ),
        Case::all("no header", lines[1..].join("\n"), Refuses("line 1")),
        // Of another time.
        Case::all(
            "newer",
            good.replacen("\"schema_version\":1", "\"schema_version\":2", 1),
            Refuses("version 2"),
        ),
        Case {
            rollup: Refuses("rustscope.session"),
            ..Case::all(
                "newer session",
                String::from_utf8_lossy(&session).replacen("\"schema_version\":1", "\"schema_version\":2", 1),
                Refuses("version 2"),
            )
        },
        Case::all(
            "unknown field",
            with("\"type\":\"stack\",", "\"type\":\"stack\",\"colour\":\"red\","),
            Fine,
        ),
        Case::all("unknown type", inserted("\"sample\"", r#"{"type":"aura","time_ns":1}"#), Warns("aura")),
        // Cut.
        Case::all("cut in a line", &good.as_bytes()[..cut_at], Warns("cut")),
        Case::all("no end", lines[..lines.len() - 1].join("\n") + "\n", Warns("end")),
        Case::all("header alone", format!("{HEADER}\n"), Warns("end")),
        Case::all("no last newline", good.trim_end(), Fine),
        // Damaged in the middle.
        Case::saved("a line of noise", inserted(sample, "#!?"), "line 21", "line 21"),
        Case::all("a blank line", inserted(sample, ""), Fine),
        Case::saved("no UTF-8", invalid_utf8(&good), "line", "error"),
        Case::saved("an array", inserted(sample, "[1,2,3]"), "line 21", "line 21"),
        Case::saved("no type", inserted(sample, r#"{"time_ns":1}"#), "line 21", "line 21"),
        Case::saved("NaN", with("\"time_ns\":5000000", "\"time_ns\":NaN"), "line", "error"),
        Case::saved("a huge time", with("\"time_ns\":5000000", "\"time_ns\":1e300"), "line", "error"),
        Case::saved("a negative time", with("\"time_ns\":5000000", "\"time_ns\":-5"), "line", "error"),
        Case::saved("a text for a number", with("\"time_ns\":5000000", "\"time_ns\":\"5\""), "line", "error"),
        Case::saved("a missing field", with("\"thread\":1,\"stack\":6", "\"stack\":6"), "line", "error"),
        Case::saved("an undefined stack", with("\"stack\":6}", "\"stack\":999}"), "999", "999"),
        Case::saved(
            "an undefined thread",
            with("\"thread\":1,\"stack\":6", "\"thread\":9,\"stack\":6"),
            "9",
            "9",
        ),
        Case::saved(
            "an undefined frame",
            with("\"parent\":1,\"frame\":6", "\"parent\":1,\"frame\":998"),
            "998",
            "998",
        ),
        Case::saved(
            "an undefined parent",
            with("\"id\":6,\"parent\":1", "\"id\":6,\"parent\":997"),
            "stack 6",
            "997",
        ),
        Case::saved(
            "a stack that is its own parent",
            with("\"id\":6,\"parent\":1", "\"id\":6,\"parent\":6"),
            "stack 6",
            "itself",
        ),
        Case::saved("the end twice", format!("{good}{}\n", lines[lines.len() - 1]), "end", "end"),
        Case::saved("more behind the end", format!("{good}{sample}\n"), "end", "end"),
        Case::saved("the header twice", inserted(sample, HEADER), "a second recording", "a second header"),
        Case::saved("two streams", format!("{good}{good}"), "a second recording", "a second header"),
        Case::saved("in reverse", reversed(&lines), "line", "error"),
        Case::saved("wrong totals", with("\"sample_count\":20", "\"sample_count\":21"), "21", "21"),
        // Large.
        Case::saved("a line of 20 MB", inserted(sample, &"x".repeat(20 << 20)), "line 21", "line 21"),
        Case::saved("20 MB of brackets", inserted(sample, &"[".repeat(20 << 20)), "line 21", "line 21"),
        Case::all("20 MB without a newline", "x".repeat(20 << 20), Refuses("line 1")),
        Case::all("20 MB of brackets alone", "{\"a\":".repeat(4 << 20), Refuses("line 1")),
        // A session where a stream was expected, and what may be wrong with one.
        Case { rollup: Refuses("rustscope.session"), ..Case::all("a session", session.clone(), Fine) },
        Case::all("half a session", &session[..session.len() / 2], Refuses("")),
        Case::all("a session and more", [&session[..], &session[..]].concat(), Refuses("")),
    ];
    if let Some(gzip) = gzip(good.as_bytes()) {
        cases.push(Case::all("gzip", gzip, Refuses("gzip")));
    } else {
        skip::skip("gzip", "no compressed input");
    }
    cases
}

fn invalid_utf8(good: &str) -> Vec<u8> {
    let mut bytes = good.as_bytes().to_vec();
    let place = good.find("step_3").expect("a name");
    bytes[place] = 0xff;
    bytes
}

/// All in reverse but the header, without which there is no stream.
fn reversed(lines: &[&str]) -> String {
    let mut lines: Vec<&str> = lines.to_vec();
    lines[1..].reverse();
    lines.join("\n") + "\n"
}

/// A reader of the kit.
#[derive(Clone, Copy, Debug)]
struct Reader {
    name: &'static str,
    words: &'static [&'static str],
    /// What it exits with for an input that it does not take.
    refusal: i32,
    has_output: bool,
}

const ROLLUP: Reader = Reader { name: "rs-rollup", words: &[], refusal: 2, has_output: true };
const EXPORT: Reader = Reader { name: "rs-export", words: &["--text"], refusal: 2, has_output: true };
const VALIDATE: Reader = Reader { name: "rs-schema", words: &["validate"], refusal: 1, has_output: false };

impl Reader {
    fn read(self, directory: &Path, by_pipe: bool) -> Finished {
        if by_pipe {
            let line = [&[self.name], self.words].concat().join(" ");
            let output = if self.has_output { "-o out" } else { "" };
            run(shell(format!("cat input | {line} {output}")).current_dir(directory), LIMIT)
        } else {
            let mut command = tool(self.name);
            command.args(self.words).arg("input").args(if self.has_output {
                &["-o", "out"][..]
            } else {
                &[]
            });
            run(command.current_dir(directory), LIMIT)
        }
    }
}

/// What a reader did wrong, in words.
fn judge(reader: Reader, expected: Outcome, ended: &Finished, directory: &Path, input: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    // The validator's faults are its data.
    let said = format!("{}{}", ended.stderr, if reader.has_output { String::new() } else { ended.text() });
    let lower = said.to_lowercase();
    for bug in ["internal error", "panicked", "rust_backtrace", "stack overflow"] {
        if lower.contains(bug) {
            wrong.push(format!("a bug: {said}"));
        }
    }
    if said.len() > 20_000 || said.lines().any(|line| line.len() > 1000) {
        wrong.push(format!("floods: {} bytes", said.len()));
    }
    if said.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        wrong.push("control characters of the input reach the terminal".into());
    }
    let code = ended.status.code();
    let output = directory.join("out");
    let has_written = output.exists();
    // A report for people says it itself.
    let report = if reader.name == "rs-export" {
        fs::read_to_string(&output).unwrap_or_default()
    } else {
        String::new()
    };
    let names = |words: &str| {
        // The validator points as compilers do.
        let place = words.strip_prefix("line ").filter(|_| !reader.has_output);
        let words = place.map_or(words.to_lowercase(), |line| format!("{input}:{line}:"));
        lower.contains(&words) || report.to_lowercase().contains(&words)
    };
    match expected {
        Fine | Warns(_) => {
            if code != Some(0) {
                wrong.push(format!("exit {code:?} instead of 0: {said}"));
            }
            if reader.has_output && !has_written {
                wrong.push("nothing was written".into());
            }
        }
        Refuses(_) => {
            if code != Some(reader.refusal) {
                wrong.push(format!("exit {code:?} instead of {}: {said}", reader.refusal));
            }
            if has_written {
                wrong.push("a file was written".into());
            }
        }
    }
    match expected {
        Fine => {
            if lower.contains("warning") || lower.contains("line ") {
                wrong.push(format!("complains: {said}"));
            }
        }
        Warns(words) | Refuses(words) => {
            if !names(words) {
                wrong.push(format!("does not say {words:?}: {said}"));
            }
            if !(names(input) || report.contains("cut") && said.is_empty()) {
                wrong.push(format!("does not name its input {input:?}: {said}"));
            }
        }
    }
    let expected_files = usize::from(has_written) + 1;
    if fs::read_dir(directory).expect("a directory").count() != expected_files {
        wrong.push("a temporary file is left".into());
    }
    if has_written && reader.name == "rs-rollup" {
        let bytes = fs::read(&output).expect("it was written");
        if let Err(error) = ProfileSession::from_json(&bytes) {
            wrong.push(format!("what it wrote is no session: {error}"));
        }
        let valid = run(tool("rs-schema").arg("validate").arg(&output), LIMIT);
        if !valid.status.success() {
            wrong.push(format!("what it wrote is not valid: {}", valid.text()));
        }
    }
    if ended.wall > Duration::from_secs(15) {
        wrong.push(format!("took {:?}", ended.wall));
    }
    wrong
}

/// The whole table, with everything that is wrong in one list.
#[test]
fn every_reader_takes_or_refuses_every_input() {
    let mut wrong = Vec::new();
    for case in cases() {
        for (reader, expected) in [(ROLLUP, case.rollup), (EXPORT, case.export), (VALIDATE, case.validate)] {
            for by_pipe in [false, true] {
                let dir = scratch("bad-input");
                fs::write(dir.path().join("input"), &case.bytes).expect("it can be kept");
                let ended = reader.read(dir.path(), by_pipe);
                let input = if by_pipe { "<stdin>" } else { "input" };
                let found = judge(reader, expected, &ended, dir.path(), input);
                wrong.extend(found.into_iter().map(|text| {
                    format!(
                        "{} of {:?}{}: {text}",
                        reader.name,
                        case.name,
                        if by_pipe { " by pipe" } else { "" }
                    )
                }));
            }
        }
    }
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_cannot_be_read_at_all() {
    let dir = scratch("unreadable");
    fs::write(dir.path().join("good"), stream(5)).expect("it can be kept");
    for reader in [ROLLUP, EXPORT, VALIDATE] {
        for (input, part) in [
            ("no-such-file", "No such file"),
            ("no/such/dir/file", "No such file"),
            (".", "directory"),
            ("good/below", "Not a directory"),
            ("/proc/self/mem", "cannot read"),
        ] {
            let mut command = tool(reader.name);
            command.current_dir(dir.path()).args(reader.words).arg(input);
            command.args(if reader.has_output { &["-o", "out"][..] } else { &[] });
            let ended = run(&mut command, LIMIT);
            let said = ended.stderr;
            assert_eq!(ended.status.code(), Some(2), "{} {input}: {said}", reader.name);
            assert!(said.contains(part) && said.contains(input), "{} {input}: {said}", reader.name);
            assert_eq!(said.lines().count(), 1, "{} {input}: {said}", reader.name);
            assert!(!dir.path().join("out").exists());
        }
    }
}

/// Streams cut after every 97th byte, and ones with one byte flipped: damage as disks and networks make it.
#[test]
fn cut_anywhere_and_flipped_anywhere() {
    let good = stream(6).into_bytes();
    let dir = scratch("damage");
    let input = dir.path().join("input");
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    for place in (0..good.len()).step_by(97) {
        damaged.push((format!("cut at {place}"), good[..place].to_vec()));
        let mut flipped = good.clone();
        flipped[place] ^= 1 << (place % 8);
        damaged.push((format!("flipped at {place}"), flipped));
    }
    for (what, bytes) in damaged {
        fs::write(&input, &bytes).expect("it can be kept");
        for reader in [ROLLUP, EXPORT, VALIDATE] {
            let mut command = tool(reader.name);
            let ended = run(command.args(reader.words).arg(&input), LIMIT);
            let said =
                format!("{}{}", ended.stderr, if reader.has_output { String::new() } else { ended.text() });
            assert!(!said.contains("internal error"), "{} {what}: {said}", reader.name);
            let code = ended.status.code();
            assert!(matches!(code, Some(0..=2)), "{} {what}: {}: {said}", reader.name, ended.status);
            // A report for people says it itself.
            let is_told = !said.is_empty() || reader.name == "rs-export" && ended.text().contains("cut");
            assert!(
                is_told || code == Some(0) && what.starts_with("flipped"),
                "{} {what}: silence",
                reader.name
            );
            if what.starts_with("cut") && bytes.len() > HEADER.len() {
                assert_eq!(code, Some(0), "{} {what}: what there was is saved: {said}", reader.name);
            }
        }
    }
}

/// A producer that fails gives nothing; the reader says so instead of an empty result.
#[test]
fn an_empty_pipe_is_told() {
    let dir = scratch("empty-pipe");
    for line in ["rs-rollup -o out", "rs-export --text -o out", "rs-schema validate"] {
        let script = format!("rs-record --pid 4194303 | {line}");
        let ended = run(shell(script).current_dir(dir.path()), LIMIT);
        let said = format!("{}{}", ended.stderr, ended.text());
        assert_ne!(ended.status.code(), Some(0), "{line}: {said}");
        assert!(said.contains("empty") && said.contains("before this one"), "{line}: {said}");
        assert!(!dir.path().join("out").exists());
    }
}
