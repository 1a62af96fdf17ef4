//! The smallest filter with all manners: copies its input. `tests/` runs it as a process.

use std::{io, path::PathBuf, process::ExitCode, thread, time::Duration};

use anyhow::bail;
use rs_cli::{Common, Exit, Input, Output, OutputKind, Progress, help, signal};

const PIPES: [&str; 2] = ["echo text | manners", "manners file | wc"];
const EXAMPLES: &[(&str, &str)] = &[("echo text | manners > copy", "copy stdin")];

const EXIT_STATUS: &[(&str, &str)] = &[("0", "done"), ("125", "failed")];

/// Copies its input
#[derive(clap::Parser)]
#[command(name = "manners", version, after_help = help::after_help(EXAMPLES, EXIT_STATUS))]
struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Copy one file, or two one after the other
    Copy {
        /// The file; `-` or nothing is stdin
        first: Option<PathBuf>,
        /// Another file
        second: Option<PathBuf>,
        /// Write here instead of stdout
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// Data is refused by a terminal
        #[arg(long)]
        data: bool,
    },
    /// Say one of each kind, the warning twice
    Talk,
    /// Show progress for half a second
    Wait,
    /// End in this way
    End {
        /// How
        how: String,
    },
}

fn main() -> ExitCode {
    rs_cli::run_with_failure_code("manners", 125, || {
        let args: Args = rs_cli::parse_with_usage_code(125);
        args.common.apply("manners");
        match args.action {
            Action::Copy { first, second, output, data } => copy(first, second, output, data),
            Action::Talk => talk(),
            Action::Wait => wait(),
            Action::End { how } => end(&how),
        }
    })
}

fn copy(
    first: Option<PathBuf>,
    second: Option<PathBuf>,
    output: Option<PathBuf>,
    data: bool,
) -> anyhow::Result<Exit> {
    let mut inputs = vec![Input::open(first.as_deref(), "FIRST", &PIPES)?];
    if second.is_some() {
        inputs.push(Input::open(second.as_deref(), "SECOND", &PIPES)?);
    }
    let kind = if data { OutputKind::Data } else { OutputKind::Text };
    let mut output = Output::create(output.as_deref(), kind, &PIPES)?;
    for mut input in inputs {
        signal::drain_on_interrupt(&input);
        rs_cli::detail!(1, "reading {}", input.name());
        io::copy(&mut input, &mut output)?;
    }
    output.finish()?;
    Ok(Exit::Ok)
}

fn talk() -> anyhow::Result<Exit> {
    rs_cli::error!("an error");
    for i in 1..=2 {
        rs_cli::warn_once!("warning {i}");
    }
    rs_cli::note!("a note");
    rs_cli::detail!(1, "a detail");
    Ok(Exit::Failed)
}

fn wait() -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    for step in 0..50 {
        progress.update(|| format!("step {step}"));
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Exit::Ok)
}

fn end(how: &str) -> anyhow::Result<Exit> {
    match how {
        "panic" => panic!("two\nlines"),
        "error" => Err(anyhow::anyhow!("inner").context("outer")),
        "no" => Ok(Exit::Negative),
        "not-found" => Err(Exit::NotFound.error("no-such: command not found").context("launching")),
        "child" => Ok(Exit::Child(42)),
        other => bail!("no such end: {other}"),
    }
}
