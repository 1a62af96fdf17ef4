//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use rs_cli::Common;
use rs_cli::help::{FILTER_STATUS, after_help};
use rs_cli::units::parse_positive_duration;

pub(crate) const TOOL: &str = "rs-rollup";

/// What a terminal user without input or output probably wants.
pub(crate) const PIPES: &[&str] =
    &["rs-record -- ./app | rs-rollup > session.json", "rs-rollup app.ndjson -o session.json"];

const EXAMPLES: &[(&str, &str)] = &[
    ("rs-record -- ./app | rs-rollup -o session.json", "record and keep the session"),
    ("rs-record --pid 4242 | rs-top | rs-rollup -o session.json", "watch live and keep the session"),
    ("rs-rollup app.ndjson | rs-export --text", "read a kept stream"),
    ("rs-rollup --window 10ms app.ndjson -o fine.json", "see shorter moments"),
];

/// Folds an event stream into a session: one JSON document with everything that happened.
///
/// Memory depends on distinct stacks and windows, not on samples. A stream that was cut gives an incomplete
/// session of what there was. Ctrl-C in a pipeline ends the recorder; this program reads on to its end and
/// writes the session.
#[derive(clap::Parser)]
#[command(name = TOOL, version, after_help = after_help(EXAMPLES, FILTER_STATUS))]
pub(crate) struct Args {
    /// The event stream; `-` or nothing is stdin.
    pub(crate) events: Option<PathBuf>,
    /// Length of the windows that show what happened when; raised when a session would get too large.
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = parse_positive_duration)]
    pub(crate) window: Duration,
    /// Write here instead of stdout; the file appears whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}
