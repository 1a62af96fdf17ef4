//! What the binaries say: help, versions, completions, usage errors, quiet.

use rs_tests::cmd::{Finished, run, tool, which};

use super::{FILTERS, LIMIT, TOOLS, script, streams};

fn said(name: &str, words: &[&str]) -> Finished {
    run(tool(name).args(words), LIMIT)
}

#[test]
fn help_has_pipes_and_exit_statuses() {
    for tool in TOOLS {
        for words in tool.helps {
            for flag in ["--help", "-h"] {
                let help = said(tool.name, &[words, &[flag][..]].concat()).ok();
                let (text, what) = (help.text(), format!("{} {words:?} {flag}", tool.name));
                assert_eq!(help.stderr, "", "{what}");
                for part in ["Usage: ", "Examples:\n", "Exit status:\n"] {
                    assert!(text.contains(part), "{what}: no {part:?} in\n{text}");
                }
                assert!(
                    text.lines().all(|line| line.chars().count() <= 100),
                    "{what} fits a screen:\n{text}"
                );
            }
        }
        let help = said(tool.name, &["--help"]).text();
        let examples =
            help.split_once("Examples:\n").and_then(|(_, rest)| rest.split_once("\n\n")).expect("examples").0;
        assert!(examples.contains(" | "), "{}: pipes among its examples:\n{examples}", tool.name);
        for code in [0, tool.failure] {
            assert!(
                help.contains(&format!("\n  {code} ")),
                "{}: tells what {code} means:\n{help}",
                tool.name
            );
        }
    }
}

/// Every command of every example, with `--help` put in: what the parser refuses would not get that far.
#[test]
fn the_examples_of_the_help_parse() {
    let mut checked = 0;
    for tool in TOOLS {
        for words in tool.helps {
            let help = said(tool.name, &[words, &["--help"][..]].concat()).text();
            let examples = help.split_once("Examples:\n").map_or("", |(_, rest)| rest);
            let examples = examples.split_once("\n\n").map_or(examples, |(examples, _)| examples);
            let commands = examples.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
            for part in commands.flat_map(|line| line.split(['|', ';'])).flat_map(|line| line.split("&&")) {
                let mut words = part.split_whitespace().skip_while(|word| !word.starts_with("rs-"));
                let Some(name) = words.next().filter(|name| TOOLS.iter().any(|tool| tool.name == *name))
                else {
                    continue;
                };
                let mut words: Vec<&str> = words.take_while(|word| !word.starts_with('>')).collect();
                let place = words.iter().position(|word| *word == "--").unwrap_or(words.len());
                words.insert(place, "--help");
                let parsed = said(name, &words);
                assert!(parsed.status.success(), "{part:?} of {}: {}", tool.name, parsed.stderr);
                checked += 1;
            }
        }
    }
    assert!(checked >= 20, "only {checked} examples were found");
}

#[test]
fn versions_are_the_workspaces() {
    for tool in TOOLS {
        for flag in ["--version", "-V"] {
            let version = said(tool.name, &[flag]).ok();
            let expected = format!("{} {}", tool.name, env!("CARGO_PKG_VERSION"));
            assert!(version.text().starts_with(&expected), "{}", version.text());
        }
    }
}

#[test]
fn completions_and_the_man_page_come_from_the_binary() {
    let dir = rs_tests::cmd::scratch("generate");
    for tool in TOOLS {
        let name = tool.name;
        let help = said(name, &["--help"]).text();
        for (what, check) in [
            ("bash", "bash -n"),
            ("zsh", "zsh -n"),
            ("fish", "fish -n"),
            ("man", "man --warnings -E UTF-8 -P cat -l"),
        ] {
            let made = said(name, &["--generate", what]).ok();
            assert_eq!(made.stderr, "");
            for option in ["--quiet", "--color", "--version"] {
                let spelled = match what {
                    "fish" => option.replacen("--", "-l ", 1),
                    "man" => option.replace('-', "\\-"),
                    _ => option.to_owned(),
                };
                assert!(made.text().contains(&spelled), "{name} --generate {what} has {spelled}");
                assert!(help.contains(option));
            }
            let program = check.split(' ').next().expect("a word");
            let file = format!("{name}.{what}");
            std::fs::write(dir.path().join(&file), &made.stdout).expect("it can be kept");
            if which(program).is_none() {
                rs_tests::skip::skip(program, &format!("{what} of {name} is not checked by its own program"));
                continue;
            }
            let checked = script(dir.path(), &format!("{check} {file} > /dev/null"));
            assert!(
                checked.status.success() && checked.stderr.is_empty(),
                "{check} {file}: {}",
                checked.stderr
            );
        }
    }
    // The completion offers what there is, in a shell that has nothing else.
    let text = "rs-rollup --generate bash > c; bash --norc -c '. ./c; COMP_WORDS=(rs-rollup --win); COMP_CWORD=1; \
                function=$(complete -p rs-rollup | sed \"s/.* -F \\([^ ]*\\).*/\\1/\"); \
                $function rs-rollup --win rs-rollup; echo \"${COMPREPLY[@]}\"'";
    assert_eq!(script(dir.path(), text).ok().text().trim(), "--window");
}

#[test]
fn usage_errors_have_the_code_the_name_and_a_hint() {
    for tool in TOOLS {
        for words in [&["--no-such-flag"][..], &["--generate", "html"], &["--color", "purple"], &["-q", "-o"]]
        {
            let wrong = said(tool.name, words);
            assert_eq!(wrong.status.code(), Some(tool.failure), "{} {words:?}", tool.name);
            assert!(wrong.stdout.is_empty());
            assert!(wrong.stderr.starts_with(&format!("{}: ", tool.name)), "{}", wrong.stderr);
            assert!(wrong.stderr.contains("--help"), "{}", wrong.stderr);
        }
    }
    for (name, words, right) in [
        ("rs-record", &["--durations", "3s", "--", "true"][..], "--duration"),
        ("rs-rollup", &["--windows", "1s"], "--window"),
        ("rs-export", &["--txt"], "--text"),
        ("rs-schema", &["validat"], "validate"),
    ] {
        let wrong = said(name, words).stderr;
        assert!(wrong.contains(&format!("'{right}'")), "{name} {words:?} suggests {right}: {wrong}");
    }
    for (name, words, hint) in [
        ("rs-record", &["--duration", "3", "--", "true"][..], "3s"),
        ("rs-record", &["--rate", "0", "--", "true"], "the least is 1"),
        ("rs-record", &["--tag", "novalue", "--", "true"], "KEY=VALUE"),
        ("rs-record", &["--pid", "0"], "1.."),
        ("rs-record", &["--pid", "1", "--", "true"], "cannot be used with"),
        ("rs-rollup", &["--window", "0s"], "no time at all"),
        ("rs-export", &["--text", "--event", "1", "--from", "1s"], "cannot be used with"),
        ("rs-schema", &["print", "hologram"], "events"),
    ] {
        let wrong = said(name, words).stderr;
        assert!(wrong.contains(hint), "{name} {words:?} says {hint}: {wrong}");
    }
}

#[test]
fn quiet_leaves_errors_and_colour_needs_a_terminal() {
    let dir = streams("quiet");
    for filter in FILTERS {
        let line = filter.line();
        let loud = script(dir.path(), &format!("NO_COLOR= {line} good")).ok();
        let summary = filter.name != "rs-export";
        assert_eq!(!loud.stderr.is_empty(), summary, "{line}: {}", loud.stderr);
        let quiet = script(dir.path(), &format!("{line} -q good")).ok();
        assert_eq!((quiet.stderr.as_str(), quiet.stdout), ("", loud.stdout), "{line}");
        let error = script(dir.path(), &format!("NO_COLOR= {line} -q no-such-file")).stderr;
        assert!(error.starts_with(&format!("{}: ", filter.name)), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        let coloured = script(dir.path(), &format!("{line} --color always no-such-file")).stderr;
        assert!(coloured.starts_with("\x1b["), "{coloured:?}");
    }
}
