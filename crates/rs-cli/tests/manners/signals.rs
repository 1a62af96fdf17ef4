//! Ctrl-C in a pipeline.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crate::support::manners;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A copy that has its handlers and waits for input.
struct Copy {
    child: Child,
    stdin: ChildStdin,
}

impl Copy {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("manners starts");
        let stdin = child.stdin.take().expect("piped");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("readable");
        assert!(line.starts_with("manners: reading"), "{line}");
        Self { child, stdin }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("alive");
        // Two signals of a kind sent at once arrive as one.
        thread::sleep(Duration::from_millis(50));
    }

    fn end(mut self) -> (ExitStatus, String) {
        drop(self.stdin);
        let mut text = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut text).expect("readable");
        (self.child.wait().expect("ends"), text)
    }
}

fn copy(args: &[&str]) -> Copy {
    let mut command = manners();
    command.args(["-v", "copy"]).args(args);
    Copy::start(command)
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).expect("a directory").next().is_none()
}

#[test]
fn the_first_signal_lets_a_pipe_drain() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut copy = copy(&[]);
        copy.stdin.write_all(b"before ").expect("open");
        copy.signal(signal);
        copy.stdin.write_all(b"after").expect("still open");
        let (status, text) = copy.end();
        assert_eq!((status.code(), text.as_str()), (Some(0), "before after"), "{signal}");
    }
}

#[test]
fn the_second_of_any_kind_kills_and_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("out");
    let copy = copy(&["-o", path.to_str().expect("UTF-8")]);
    assert!(!is_empty(dir.path()), "the temporary is there");
    copy.signal(Signal::SIGINT);
    copy.signal(Signal::SIGTERM);
    let (status, _) = copy.end();
    assert_eq!(status.signal(), Some(libc::SIGTERM));
    assert!(is_empty(dir.path()));
}

#[test]
fn reading_a_file_is_interruptible_and_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("out");
    // A terminal without a writer is the input that is no pipe and does not end.
    let pty = nix::pty::openpty(None, None).expect("a pty");
    let mut child = manners()
        .args(["-v", "copy", "-", "-o"])
        .arg(&path)
        .stdin(pty.slave)
        .stderr(Stdio::piped())
        .spawn()
        .expect("manners starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("readable");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("alive");
    assert_eq!(child.wait().expect("ends").signal(), Some(libc::SIGINT));
    assert!(is_empty(dir.path()));
}

#[test]
fn ignored_signals_stay_ignored() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" -v copy"]).arg(manners().get_program());
    let mut copy = Copy::start(command);
    for _ in 0..3 {
        copy.signal(Signal::SIGHUP);
    }
    copy.stdin.write_all(b"on").expect("open");
    let (status, text) = copy.end();
    assert_eq!((status.code(), text.as_str()), (Some(0), "on"));
}
