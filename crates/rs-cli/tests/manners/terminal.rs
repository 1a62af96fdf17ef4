//! What changes on a terminal: refusals, colour, progress.

use std::{
    fs::File,
    io::Read,
    process::{Command, ExitStatus, Stdio},
    time::Instant,
};

use crate::support::manners;
use nix::pty::{Winsize, openpty};

/// Which of the three streams are the terminal; the others are null.
#[derive(Clone, Copy)]
struct On {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// Runs on a terminal 40 columns wide and gives all it showed.
fn run_on_terminal(on: On, mut command: Command) -> (ExitStatus, String) {
    let size = Winsize { ws_row: 24, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).expect("a pty");
    let stream = |on: bool| {
        if on { Stdio::from(pty.slave.try_clone().expect("a copy")) } else { Stdio::null() }
    };
    command.stdin(stream(on.stdin)).stdout(stream(on.stdout)).stderr(stream(on.stderr));
    let mut child = command.spawn().expect("manners starts");
    // The parent's copies, or the terminal never ends.
    drop(command);
    drop(pty.slave);
    let mut shown = Vec::new();
    // Linux ends the read with EIO when the last program has closed the terminal.
    let _ = File::from(pty.master).read_to_end(&mut shown);
    let text = String::from_utf8_lossy(&shown).replace("\r\n", "\n");
    (child.wait().expect("ends"), text)
}

fn terminal(args: &[&str]) -> Command {
    let mut command = manners();
    command.args(args).env("TERM", "xterm");
    command
}

const INPUT: On = On { stdin: true, stdout: false, stderr: true };
const OUTPUT: On = On { stdin: false, stdout: true, stderr: true };

#[test]
fn a_filter_does_not_wait_for_typing() {
    let (status, text) = run_on_terminal(INPUT, terminal(&["copy", "--color=never"]));
    assert_eq!(status.code(), Some(125));
    let expected = "manners: FIRST: no file given and nothing piped in; for example:\n    \
                    echo text | manners\n    manners file | wc\n";
    assert_eq!(text, expected);
}

#[test]
fn data_does_not_flood_a_terminal() {
    for extra in [&[][..], &["-o", "-"], &["-o", "/dev/stdout"]] {
        let args = [&["copy", "--color=never", "--data"], extra].concat();
        let (status, text) = run_on_terminal(OUTPUT, terminal(&args));
        assert_eq!(status.code(), Some(125));
        assert!(text.starts_with("manners: this output is not for a terminal; "), "{text}");
        assert!(text.ends_with("\n    manners file | wc\n"), "{text}");
    }
    let (status, text) = run_on_terminal(OUTPUT, terminal(&["copy"]));
    assert_eq!((status.code(), text.as_str()), (Some(0), ""), "text is welcome");
}

#[test]
fn colour_follows_terminal_and_environment() {
    let coloured = |command: Command| run_on_terminal(OUTPUT, command).1.contains("\x1b[");
    let with = |key: &str, value: &str| {
        let mut command = terminal(&["talk"]);
        command.env(key, value);
        command
    };
    assert!(coloured(terminal(&["talk"])));
    assert!(coloured(with("NO_COLOR", "")));
    assert!(!coloured(with("NO_COLOR", "1")));
    assert!(!coloured(with("TERM", "dumb")));
    assert!(!coloured(terminal(&["talk", "--color=never"])));
    assert!(coloured(terminal(&["--help"])));
    let mut plain_help = terminal(&["--help"]);
    plain_help.env("NO_COLOR", "1");
    assert!(!coloured(plain_help));
}

#[test]
fn progress_comes_and_goes() {
    let start = Instant::now();
    let (_, text) = run_on_terminal(OUTPUT, terminal(&["wait"]));
    let most = start.elapsed().as_millis() / 200;
    let shown = text.matches("manners: step ").count() as u128;
    assert!((1..=most).contains(&shown), "at most five a second: {text:?}");
    assert!(text.ends_with("\r\x1b[K"), "erased: {text:?}");
    assert_eq!(run_on_terminal(OUTPUT, terminal(&["wait", "-q"])).1, "");
    let elsewhere = manners().arg("wait").output().expect("manners runs");
    assert!(elsewhere.stderr.is_empty());
}
