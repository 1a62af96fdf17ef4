//! From the command line to the arguments, or to the end of the program.

use std::{
    ffi::OsString,
    io::{self, Write},
    process,
};

use clap::{Arg, ArgMatches, Command, Parser, ValueEnum, value_parser};
use clap_complete::Shell;

use crate::{Style, man, talk};

const GENERATE: &str = "generate";

/// What `--generate` makes, from the same definition that parses.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Generate {
    Bash,
    Zsh,
    Fish,
    Man,
}

/// Parses the arguments of a filter; usage errors end it with status 2.
///
/// `--help` and `--version` print to stdout and end with 0, and so does `--generate bash|zsh|fish|man`, which
/// every binary has by being parsed here: it prints shell completions or the man page.
pub fn parse<A: Parser>() -> A {
    parse_with_usage_code(2)
}

/// Like [`parse`], with a status of your choice for usage errors: a wrapper has 125, since 2 may be its
/// child's.
pub fn parse_with_usage_code<A: Parser>(usage_code: u8) -> A {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = with_generate(A::command());
    let parsed = matches(command.clone(), arguments).and_then(|mut matches| {
        if let Some(what) = matches.get_one::<Generate>(GENERATE) {
            print_and_exit(&generate(*what, command.clone()), usage_code);
        }
        A::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command.clone()))
    });
    match parsed {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            // clap starts with "error:"; a message of ours starts with the tool, also in the middle of a pipe.
            let text = rendered(&error, Style::stderr());
            talk::write_stderr(&text.replacen("error:", &format!("{}:", command.get_name()), 1));
            process::exit(usage_code.into());
        }
        Err(error) => print_and_exit(rendered(&error, Style::stdout()).as_bytes(), usage_code),
    }
}

/// In the long help only: needed once, by who installs.
fn with_generate(command: Command) -> Command {
    command.arg(
        Arg::new(GENERATE)
            .long(GENERATE)
            .value_name("WHAT")
            .value_parser(value_parser!(Generate))
            .exclusive(true)
            .hide_short_help(true)
            .help_heading("Messages")
            // As the long help, because clap_mangen knows no other for what the short one hides.
            .long_help("Print shell completions or the man page and exit"),
    )
}

/// `exclusive` lifts what else would be required, but not a subcommand or one of a group, so those are lifted here if the first
/// argument asks to generate; the first only, since later ones may belong to a command to be launched.
fn matches(mut command: Command, arguments: Vec<OsString>) -> clap::error::Result<ArgMatches> {
    let first = arguments.get(1).map(|first| first.to_string_lossy());
    if first.is_some_and(|first| first.starts_with("--generate")) {
        command = command.subcommand_required(false).arg_required_else_help(false);
        let groups: Vec<_> = command.get_groups().map(|group| group.get_id().clone()).collect();
        for group in groups {
            command = command.mut_group(group, |group| group.required(false));
        }
    }
    command.try_get_matches_from(arguments)
}

fn generate(what: Generate, mut command: Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let shell = match what {
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
        // Writing to memory does not fail.
        Generate::Man => return man::page(command).unwrap_or_default(),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

fn rendered(error: &clap::Error, style: Style) -> String {
    let text = error.render();
    if style.is_on() { text.ansi().to_string() } else { text.to_string() }
}

/// A reader that had enough (`--help | head -1`) is no failure; a full disk is.
fn print_and_exit(text: &[u8], failure: u8) -> ! {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            crate::error!("cannot write <stdout>: {error}");
            process::exit(failure.into());
        }
        _ => process::exit(0),
    }
}
