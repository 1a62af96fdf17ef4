//! What changes on a terminal.

use std::process::Command;

use rs_tests::cmd::tool;
use rs_tests::terminal::{On, on_terminal};

use super::{FILTERS, streams};

fn on_xterm(mut command: Command, no_color: &str) -> Command {
    command.env("TERM", "xterm").env("NO_COLOR", no_color);
    command
}

/// The likely pipes, as they are shown: each on a line of its own, by a program of the kit.
fn pipes(text: &str) -> usize {
    text.lines().filter(|line| line.trim_start().starts_with("rs-") && line.starts_with("    ")).count()
}

#[test]
fn a_filter_does_not_wait_for_typing() {
    for filter in FILTERS {
        let (status, text) = on_terminal(on_xterm(filter.command(), "1"), On::INPUT);
        assert_eq!(status.code(), Some(2), "{}: {text}", filter.name);
        assert!(
            text.starts_with(&format!("{}: ", filter.name)) && text.contains("nothing piped in"),
            "{text}"
        );
        assert_eq!(pipes(&text), 2, "{text}");
    }
}

#[test]
fn data_does_not_flood_a_terminal() {
    let dir = streams("terminal");
    for filter in FILTERS {
        let mut command = on_xterm(filter.command(), "1");
        command.arg(dir.path().join("good"));
        let (status, text) = on_terminal(command, On::OUTPUT);
        if filter.writes_data {
            assert_eq!(status.code(), Some(2), "{}: {text}", filter.name);
            assert!(text.contains("not for a terminal"), "{text}");
            assert_eq!(pipes(&text), 2, "{text}");
        } else {
            assert!(status.success(), "text is welcome: {text}");
        }
    }
    let mark = dir.path().join("was-here");
    for words in [&[][..], &["-o", "-"], &["-o", "/dev/tty"], &["-o", "/dev/stdout"]] {
        let mut command = on_xterm(tool("rs-record"), "1");
        command.args(words).arg("--").arg("touch").arg(&mark);
        let (status, text) = on_terminal(command, On::OUTPUT);
        assert_eq!(status.code(), Some(125), "{words:?}: {text}");
        assert!(text.starts_with("rs-record: ") && text.contains("not for a terminal"), "{text}");
        assert_eq!(pipes(&text), 2, "{text}");
        assert!(!mark.exists(), "nothing was launched");
    }
}

#[test]
fn colour_on_a_terminal_unless_told_otherwise() {
    let refused = |name: &str, no_color: &str, words: &[&str]| {
        let mut command = on_xterm(tool(name), no_color);
        let needs = match name {
            "rs-record" => &["--", "true"][..],
            "rs-export" => &["--text"],
            "rs-schema" => &["validate"],
            _ => &[],
        };
        command.args(words).args(needs);
        on_terminal(command, On::ALL).1
    };
    for tool in super::TOOLS {
        assert!(refused(tool.name, "", &[]).contains("\x1b["), "{} is coloured", tool.name);
        assert!(!refused(tool.name, "1", &[]).contains('\x1b'), "{} honours NO_COLOR", tool.name);
        assert!(
            !refused(tool.name, "", &["--color=never"]).contains('\x1b'),
            "{} honours --color",
            tool.name
        );
        assert!(
            refused(tool.name, "1", &["--color=always"]).contains("\x1b["),
            "{}: a flag is nearer",
            tool.name
        );
    }
}
