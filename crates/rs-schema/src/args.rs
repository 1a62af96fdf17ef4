//! The command line.

use std::path::PathBuf;

use rs_cli::Common;
use rs_cli::help::after_help;

pub(crate) const TOOL: &str = "rs-schema";

/// What a terminal user without input probably wants.
pub(crate) const PIPES: &[&str] =
    &["rs-record -- ./app | rs-schema validate", "rs-schema validate app.ndjson session.json"];

const EXAMPLES: &[(&str, &str)] = &[
    ("rs-record -- ./app | rs-schema validate", "check a recording as it is made"),
    ("rs-schema print events | jq -r '.oneOf[].properties.type.const'", "list the types of lines"),
];
const STATUS: &[(&str, &str)] =
    &[("0", "done; all that was validated is valid"), ("1", "not valid"), ("2", "usage, or input or output")];

const PRINT_EXAMPLES: &[(&str, &str)] = &[
    ("rs-schema print session > session.v1.json", "keep the schema for another validator"),
    ("rs-schema print events | jq -r '.oneOf[].properties.type.const'", "list the types of lines"),
];
const PRINT_STATUS: &[(&str, &str)] = &[("0", "done"), ("2", "usage or output")];

const VALIDATE_EXAMPLES: &[(&str, &str)] = &[
    ("rs-record -- ./app | rs-schema validate", "check a recording as it is made"),
    ("rs-rollup app.ndjson | rs-schema validate", "check a session"),
    ("rs-schema validate -q *.ndjson && echo all good", "check many, say nothing but faults"),
    ("rs-schema validate app.ndjson | grep -c ': error: '", "count the errors that were listed"),
];
const VALIDATE_STATUS: &[(&str, &str)] = &[
    ("0", "all inputs are valid; there may be warnings"),
    ("1", "at least one input is not valid"),
    ("2", "usage, or an input could not be read"),
];

/// RustScope's formats: their JSON Schema, and whether a file keeps to them.
#[derive(clap::Parser)]
#[command(name = TOOL, version, after_help = after_help(EXAMPLES, STATUS))]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the JSON Schema of a format.
    #[command(after_help = after_help(PRINT_EXAMPLES, PRINT_STATUS))]
    Print {
        /// The format: one line of an event stream, or a session.
        format: Format,
        /// Write here instead of stdout.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check event streams and sessions: each fault is a line on stdout.
    ///
    /// Whether an input is a stream or a session is seen from its content. A fault is written as
    /// `FILE:PLACE: error: …`, where the place is the line of a stream or the field of a session. A stream that
    /// was cut is valid and gets a warning.
    #[command(after_help = after_help(VALIDATE_EXAMPLES, VALIDATE_STATUS))]
    Validate {
        /// Streams and sessions; `-` or nothing is stdin.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// What can be printed.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    /// The event stream.
    Events,
    /// The session.
    Session,
}
