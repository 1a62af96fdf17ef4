//! The command line.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use rs_cli::{Common, Output};

use crate::format::{Format, Look};

const EXAMPLES: &[(&str, &str)] = &[
    ("rs-record -- ./app | rs-export --text", "record, then read where time and memory went"),
    ("rs-export --text session.json", "the same of a kept session"),
    ("rs-export --text --event 3 session.json", "what was hot when event 3 happened"),
    ("rs-export --text --from 12s --to 15s session.json", "what was hot in these three seconds"),
];

const PART: &str = "Part of the session";

/// Turns a session or an event stream into other formats, and into text for people.
///
/// Whether the input is a session or a stream is told from its content.
#[derive(clap::Parser)]
#[command(name = "rs-export", version)]
#[command(after_help = rs_cli::help::after_help(EXAMPLES, rs_cli::help::FILTER_STATUS))]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// A session document or an event stream; `-` or nothing is stdin
    #[arg(value_name = "SESSION or EVENTS")]
    pub(crate) input: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// Write here instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// Exactly one format.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct FormatArgs {
    /// At most 40 lines for a person
    #[arg(long, help_heading = "Formats (one of)")]
    text: bool,
}

impl FormatArgs {
    pub(crate) fn chosen(&self) -> Format {
        debug_assert!(self.text, "the group requires one");
        Format::Text
    }
}

/// Which windows.
#[derive(clap::Args)]
pub(crate) struct SelectionArgs {
    /// Only the windows of this event, compared with the rest of the session
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"], help_heading = PART)]
    pub(crate) event: Option<u32>,

    /// Only from here, such as 12s; in whole windows
    #[arg(long, value_name = "TIME", value_parser = rs_cli::units::parse_duration, help_heading = PART)]
    pub(crate) from: Option<Duration>,

    /// Only up to here
    #[arg(long, value_name = "TIME", value_parser = rs_cli::units::parse_duration, help_heading = PART)]
    pub(crate) to: Option<Duration>,
}

/// Width and colour for an output. Files and pipes always get the same width, so that what is kept compares.
pub(crate) fn look(output: &Output) -> Look {
    const PIPED: usize = 100;
    // Narrower, no table has room for its names; wider, the eye loses the row.
    const NARROWEST: usize = 60;
    const WIDEST: usize = 180;
    let is_terminal = output.is_stdout() && io::stdout().is_terminal();
    let terminal = if is_terminal { terminal_size::terminal_size() } else { None };
    let width = terminal.map_or(PIPED, |(width, _)| usize::from(width.0).clamp(NARROWEST, WIDEST));
    Look { width, paint: output.style() }
}
