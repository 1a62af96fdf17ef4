//! Arguments, help, generated files, exit statuses and messages.

use crate::support::{manners, stderr, stdout};
use std::process::Output;

fn run(args: &[&str]) -> Output {
    manners().args(args).output().expect("manners runs")
}

#[test]
fn usage_errors_have_the_tools_name_and_code() {
    let output = run(&["copy", "--datum"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).starts_with("manners: unexpected argument '--datum'"), "{}", stderr(&output));
    assert!(stderr(&output).contains("'--data'"), "a suggestion");
    assert_eq!(run(&[]).status.code(), Some(125));
}

#[test]
fn help_and_version_go_to_stdout() {
    for args in [["--help"], ["-h"]] {
        let output = run(&args);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
        assert!(stdout(&output).contains("Examples:\n  echo text | manners > copy\n"), "{}", stdout(&output));
        assert!(stdout(&output).contains("Exit status:\n  0    done"));
        assert!(!stdout(&output).contains('\x1b'));
        assert_eq!(stdout(&output).contains("--generate"), args == ["--help"]);
    }
    assert!(stdout(&run(&["--version"])).starts_with("manners 0."));
}

#[test]
fn generates_without_what_is_else_required() {
    for (what, sign) in
        [("bash", "_manners()"), ("zsh", "#compdef manners"), ("fish", "complete -c manners"), ("man", ".TH")]
    {
        let output = run(&["--generate", what]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains(sign), "{what}: {}", stdout(&output));
        assert_eq!(output.stdout, run(&[&format!("--generate={what}")]).stdout);
    }
    assert_eq!(run(&["--generate", "html"]).status.code(), Some(125));
    assert_eq!(run(&["-q", "--generate", "man"]).status.code(), Some(125));
}

#[test]
fn the_man_page_has_all_sections() {
    let page = stdout(&run(&["--generate", "man"]));
    for heading in [
        ".SH NAME",
        ".SH SYNOPSIS",
        ".SH \"MANNERS COPY\"",
        ".SS OPTIONS",
        ".SH EXAMPLES",
        ".SH \"EXIT STATUS\"",
    ] {
        assert!(page.contains(&format!("\n{heading}\n")), "{heading} in\n{page}");
    }
    assert!(page.contains("Print shell completions or the man page"), "{page}");
    assert_eq!(page.matches("\\-\\-quiet").count(), 2, "once in the synopsis, once as an option:\n{page}");
}

#[test]
fn ends_have_their_statuses() {
    for (how, code, said) in [
        ("error", 125, "manners: outer: inner\n"),
        ("no", 1, ""),
        ("child", 42, ""),
        ("not-found", 127, "manners: launching: no-such: command not found\n"),
    ] {
        let output = run(&["end", how]);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(code), said), "{how}");
    }
}

#[test]
fn a_panic_is_one_line_and_a_failure() {
    let output = run(&["end", "panic"]);
    assert_eq!(output.status.code(), Some(125));
    let said = stderr(&output);
    assert!(
        said.starts_with("manners: internal error at ") && said.contains(": two lines; this is a bug"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let output = manners().args(["end", "panic"]).env("RUST_BACKTRACE", "1").output().expect("manners runs");
    assert!(stderr(&output).lines().count() > 5, "a backtrace on request");
}

#[test]
fn quiet_and_verbose() {
    let said = |args: &[&str]| stderr(&run(args));
    assert_eq!(said(&["talk"]), "manners: an error\nmanners: warning 1\nmanners: a note\n");
    assert_eq!(said(&["talk", "-q"]), "manners: an error\n");
    assert_eq!(said(&["-q", "talk", "-v"]), "manners: an error\n");
    assert!(said(&["-v", "talk"]).ends_with("manners: a note\nmanners: a detail\n"));
    assert_eq!(run(&["talk"]).status.code(), Some(125), "reported errors are a failure");
}

#[test]
fn colour_only_when_told() {
    assert!(!stderr(&run(&["talk"])).contains('\x1b'));
    assert!(stderr(&run(&["talk", "--color=always"])).starts_with("\x1b[31mmanners:\x1b[0m an error\n"));
}
