//! stdin, stdout and their ends.

use crate::support::{manners, sh, stderr, stdout};
use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Stdio};

#[test]
fn dash_and_nothing_are_stdin_and_stdout() {
    for script in [
        "printf hi | $manners copy",
        "printf hi | $manners copy - -o -",
        "printf hi | $manners copy /dev/stdin -o /dev/stdout",
    ] {
        let output = sh(script);
        assert_eq!((stdout(&output).as_str(), output.status.code()), ("hi", Some(0)), "{script}");
    }
}

#[test]
fn stdin_serves_once() {
    let output = sh("printf hi | $manners copy - -");
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(stderr(&output), "manners: stdin cannot be both FIRST and SECOND; give one of them a file\n");
}

#[test]
fn a_broken_pipe_is_quiet() {
    let mut child = manners()
        .arg("copy")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("manners starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    let _ = stdin.write_all(&vec![b'x'; 500_000]);
    drop(stdin);
    let output = child.wait_with_output().expect("manners ends");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    // Help is larger than nothing, too.
    let output = sh("{ sleep 0.2; $manners --help; echo $? >&2; } | true");
    assert_eq!(stderr(&output), "0\n");
}

#[test]
fn closed_streams_do_not_panic() {
    for (script, code) in [
        ("printf hi | $manners copy >&-", 0),
        ("printf hi | $manners copy 2>&-", 0),
        ("$manners talk >&- 2>&-", 125),
        ("$manners copy <&-", 0),
        ("$manners end error 2>/dev/full", 125),
    ] {
        let output = sh(script);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(code), ""), "{script}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    for script in ["printf hi | $manners copy > /dev/full", "printf hi | $manners copy -o /dev/full"] {
        let output = sh(script);
        assert_eq!(output.status.code(), Some(125), "{script}");
        let said = stderr(&output);
        assert!(said.starts_with("manners: cannot write ") && said.contains("No space left"), "{said}");
        assert_eq!(said.matches("cannot write").count(), 1, "{said}");
    }
    let output = sh("$manners --help > /dev/full");
    assert_eq!(output.status.code(), Some(125));
    assert!(fs::metadata("/dev/full").is_ok_and(|full| !full.is_file()), "written into, not replaced");
}

#[test]
fn a_fifo_is_written_into_and_read_from() {
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo").display().to_string();
    let output =
        sh(&format!("mkfifo {fifo}; printf hi | $manners copy -o {fifo} & $manners copy {fifo}; wait"));
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("hi", ""));
}

#[test]
fn a_new_file_has_the_mode_of_the_umask() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("new");
    for (umask, mode) in [("022", 0o644), ("007", 0o660)] {
        let output = sh(&format!("umask {umask}; printf hi | $manners copy -o {}", path.display()));
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(fs::metadata(&path).expect("written").permissions().mode() & 0o777, mode);
        fs::remove_file(&path).expect("removable");
    }
}

#[test]
fn the_input_may_be_the_output() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "hi").expect("written");
    let path = path.display();
    let output = sh(&format!("cd {}; $manners copy file file -o file", dir.path().display()));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(path.to_string()).expect("read"), "hihi");
}
