//! The binary as it is used: by path and by pipe, with its output and exit statuses.

#![cfg(feature = "cli")]

mod support;

use std::process::Output;

use assert_cmd::Command;
use support::{golden, read};

fn rs_schema(args: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rs-schema"));
    command.current_dir(golden("")).args(args).write_stdin(stdin).output().expect("the binary runs")
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("output is UTF-8")
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("output is UTF-8")
}

#[test]
fn prints_the_schemas_that_are_kept() {
    for (format, kept) in [("events", "events.v1.json"), ("session", "session.v1.json")] {
        let output = rs_schema(&["print", format], b"");
        assert_eq!(output.status.code(), Some(0));
        let kept = std::fs::read_to_string(golden("../../../../../schema").join(kept)).unwrap();
        assert_eq!(out(&output), kept);
        assert_eq!(err(&output), "");
    }
}

#[test]
fn valid_inputs_say_so_on_stderr() {
    let output = rs_schema(&["validate", "events.ndjson", "session.json"], b"");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(out(&output), "");
    let expected = "rs-schema: events.ndjson: valid; event stream of 5 samples, 1 thread and 4 stacks, 200 ms long\n\
                    rs-schema: session.json: valid; session of 4 samples, 4 functions and 5 stacks, 200 ms long\n";
    assert_eq!(err(&output), expected);
    assert_eq!(err(&rs_schema(&["validate", "-q", "events.ndjson"], b"")), "");
}

#[test]
fn stdin_is_read_without_a_path_and_with_a_dash() {
    for args in [&["validate"][..], &["validate", "-"]] {
        let output = rs_schema(args, &read("damaged/undefined-stack.ndjson"));
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(out(&output), "<stdin>:6: error: stack 7 is used before it is defined\n");
    }
    let output = rs_schema(&["validate"], &read("session.json"));
    assert_eq!((output.status.code(), out(&output)), (Some(0), ""));
}

#[test]
fn a_fault_is_a_line_with_its_file_and_place() {
    let output = rs_schema(&["validate", "damaged/wrong-totals.ndjson", "damaged/no-end.ndjson"], b"");
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<&str> = out(&output).lines().collect();
    assert_eq!(
        lines[0],
        "damaged/wrong-totals.ndjson:9: error: sample_count is 3, but the lines add up to 1"
    );
    assert_eq!(lines.len(), 6);
    assert!(lines[5].starts_with("damaged/no-end.ndjson:6: warning: "), "{lines:?}");
    assert!(
        err(&output).contains("wrong-totals.ndjson: not valid: 5 errors; event stream"),
        "{}",
        err(&output)
    );
    assert!(err(&output).contains("no-end.ndjson: valid, with 1 warning; event stream"), "{}", err(&output));
}

#[test]
fn a_cut_stream_is_valid() {
    assert_eq!(rs_schema(&["validate", "damaged/cut-mid-line.ndjson"], b"").status.code(), Some(0));
}

#[test]
fn what_cannot_be_read_is_trouble_and_the_rest_is_checked() {
    let output = rs_schema(&["validate", "no-such-file", "damaged/text.ndjson"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).starts_with("rs-schema: cannot read no-such-file: No such file"),
        "{}",
        err(&output)
    );
    assert!(out(&output).starts_with("damaged/text.ndjson:1: error: this is not"), "{}", out(&output));
    assert_eq!(rs_schema(&["validate", "--colour"], b"").status.code(), Some(2));
    assert_eq!(rs_schema(&["print", "hologram"], b"").status.code(), Some(2));
}

#[test]
fn a_long_list_is_cut_and_counted() {
    let mut text = read("damaged/no-end.ndjson");
    for _ in 0..60 {
        text.extend_from_slice(b"{}\n");
    }
    let output = rs_schema(&["validate"], &text);
    assert_eq!(out(&output).lines().count(), 51);
    assert_eq!(out(&output).lines().last(), Some("<stdin>:and 11 more"));
    assert!(err(&output).contains("not valid: 60 errors, 1 warning;"), "{}", err(&output));
}

#[test]
fn escape_sequences_of_the_input_stay_out_of_the_terminal() {
    let mut text = read("damaged/no-end.ndjson");
    text.extend_from_slice(b"{\"type\":\"sample\",\"time_ns\":1,\"thread\":1,\"state\":\"\\u001b[2J\"}\n");
    let output = rs_schema(&["validate"], &text);
    assert!(out(&output).contains("\\u{1b}[2J"), "{}", out(&output));
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn help_has_examples_as_pipes() {
    for args in [&["--help"][..], &["print", "--help"], &["validate", "--help"]] {
        let output = rs_schema(args, b"");
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains("Examples:") && out(&output).contains(" | "), "{}", out(&output));
        assert!(out(&output).contains("Exit status:"), "{}", out(&output));
    }
}
