//! `rs-export --text` as it is used: the real binary, by path and by stdin, against pages kept in `tests/data`.
//!
//! `BLESS=1 cargo test -p rs-export` rewrites the pages; look at the difference before you commit it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use unicode_width::UnicodeWidthStr;

/// Page, session, and further arguments.
const PAGES: &[(&str, &str, &[&str])] = &[
    ("normal", "normal.json", &[]),
    ("normal.event", "normal.json", &["--event", "6"]),
    ("normal.mark", "normal.json", &["--event", "1"]),
    ("normal.span", "normal.json", &["--from", "1s", "--to", "1500ms"]),
    ("cut", "cut.json", &[]),
    ("metrics_only", "metrics_only.json", &[]),
    ("metrics_only.event", "metrics_only.json", &["--event", "3"]),
    ("stripped", "stripped.json", &[]),
    ("hostile", "hostile.json", &[]),
    ("hostile.event", "hostile.json", &["--event", "4294967295"]),
    ("empty", "empty.json", &[]),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn rs_export(args: &[&str], stdin: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rs-export"));
    command.current_dir(data()).env_remove("NO_COLOR").stdin(stdin);
    command.arg("--text").args(args).output().expect("the binary runs")
}

fn page(args: &[&str]) -> String {
    let output = rs_export(args, Stdio::null());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("pages are UTF-8")
}

#[test]
fn pages_are_as_kept() {
    for (name, session, args) in PAGES {
        let args: Vec<&str> = args.iter().copied().chain([*session]).collect();
        let page = page(&args);
        let kept = data().join(format!("{name}.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&kept, &page).unwrap();
        }
        let wanted = std::fs::read_to_string(&kept).unwrap_or_default();
        assert_eq!(page, wanted, "{name}.txt differs (BLESS=1 rewrites it); now it is\n{page}");
    }
}

#[test]
fn pages_are_short_narrow_and_harmless() {
    for (name, session, args) in PAGES {
        let args: Vec<&str> = args.iter().copied().chain([*session]).collect();
        let page = page(&args);
        assert!(page.lines().count() <= 40, "{name} has {} lines", page.lines().count());
        for line in page.lines() {
            assert!(line.width() <= 100, "{name}: {line}");
            assert_eq!(line, line.trim_end(), "{name}");
        }
        let raw = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert_eq!(page.find(raw), None, "{name}");
    }
}

#[test]
fn path_stdin_and_file_give_the_same_bytes() {
    let by_path = page(&["normal.json"]);
    for dash in [&["-"][..], &[]] {
        let file = std::fs::File::open(data().join("normal.json")).unwrap();
        let output = rs_export(dash, file.into());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), by_path);
    }
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("page.txt");
    assert_eq!(page(&["normal.json", "-o", kept.to_str().unwrap()]), "");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), by_path);
}

#[test]
fn colour_changes_nothing_but_colour() {
    let coloured = page(&["normal.json", "--color", "always"]);
    assert!(coloured.contains("\x1b[1m"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((text, sequence)) = rest.split_once("\x1b[") {
        plain += text;
        rest = sequence.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, page(&["normal.json"]));
}

#[test]
fn a_stream_is_told_from_a_session_by_its_content() {
    let whole = page(&["stream.ndjson"]);
    assert!(whole.contains("stress_demo::memory::fill"), "{whole}");
    assert!(whole.contains("exit status 0"), "{whole}");

    let stream = std::fs::read(data().join("stream.ndjson")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.ndjson");
    std::fs::write(&cut, &stream[..stream.len() - 100]).unwrap();
    let output = rs_export(&[cut.to_str().unwrap()], Stdio::null());
    assert!(output.status.success());
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("THE STREAM WAS CUT"), "{page}");
    assert!(page.contains("≥3 lost"), "{page}");
}

#[test]
fn mistakes_are_told_in_one_line_and_end_with_2() {
    let without_windows = {
        let text = std::fs::read(data().join("normal.json")).unwrap();
        let mut session: serde_json::Value = serde_json::from_slice(&text).unwrap();
        session["windows"] = serde_json::Value::Null;
        session["capabilities"]["windows"] =
            serde_json::json!({"status": "unavailable", "reason": "merged from 3 recordings"});
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), session.to_string()).unwrap();
        file
    };
    let without_windows = without_windows.path().to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["--event", "99", "normal.json"], "there is no event 99; there are 1 (marker at 0.25s), 2 (thread"),
        (&["--event", "1", "stripped.json"], "there is no event 1: this session has no events"),
        (&["--event", "1", "hostile.json"], "and 24 more"),
        (&["--from", "3s", "--to", "2s", "normal.json"], "--from 3.00s is not before --to 2.00s"),
        (&["--from", "2s", "--to", "2s", "normal.json"], "--from 2.00s is not before --to 2.00s"),
        (&["--from", "9s", "normal.json"], "--from 9.00s is outside the session, which ends at 6.00s"),
        (&["--to", "0s", "normal.json"], "--to 0s leaves nothing"),
        (&["--event", "3", without_windows], "has no windows (merged from 3 recordings)"),
        (&["--from", "1", "normal.json"], "has no unit"),
        (&["--event", "3", "--from", "1s", "normal.json"], "cannot be used with"),
        (&["no such file"], "cannot read no such file"),
        (&["normal.txt"], "normal.txt: "),
        (&["/dev/null"], "the input is empty"),
    ];
    for (args, told) in cases {
        let output = rs_export(args, Stdio::null());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.starts_with("rs-export: ") && stderr.contains(told), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_format_must_be_chosen() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rs-export"));
    let output = command.arg("normal.json").current_dir(data()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--text"));
}
