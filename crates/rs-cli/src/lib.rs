//! The manners every RustScope binary shares, written once.
//!
//! A user of pipes expects the same things of each program: `-` is stdin or stdout, data never floods a
//! terminal, a broken pipe is quiet, Ctrl-C does not lose the session, an error is one line that names the
//! tool, and exit statuses mean what the manual says. A binary gets all of it from a `main` like this:
//!
//! ```no_run
//! use std::{io::{Read, Write}, path::PathBuf, process::ExitCode};
//! use rs_cli::{Common, Exit, Input, Output, OutputKind, help};
//!
//! const HELP: &[(&str, &str)] = &[("rs-record -- ./app | rs-copy > app.ndjson", "keep a stream")];
//!
//! /// Copies an event stream.
//! #[derive(clap::Parser)]
//! #[command(version, after_help = help::after_help(HELP, help::FILTER_STATUS))]
//! struct Args {
//!     /// The stream; `-` or nothing is stdin.
//!     events: Option<PathBuf>,
//!     /// Write here instead of stdout.
//!     #[arg(short, long)]
//!     output: Option<PathBuf>,
//!     #[command(flatten)]
//!     common: Common,
//! }
//!
//! fn main() -> ExitCode {
//!     rs_cli::run("rs-copy", || {
//!         let args: Args = rs_cli::parse();
//!         args.common.apply("rs-copy");
//!         let pipes = ["rs-record -- ./app | rs-copy > app.ndjson"];
//!         let mut input = Input::open(args.events.as_deref(), "EVENTS", &pipes)?;
//!         let mut output = Output::create(args.output.as_deref(), OutputKind::Data, &pipes)?;
//!         rs_cli::signal::drain_on_interrupt(&input);
//!         let mut bytes = Vec::new();
//!         input.read_to_end(&mut bytes)?;
//!         output.write_all(&bytes)?;
//!         output.finish()?;
//!         Ok(Exit::Ok)
//!     })
//! }
//! ```
//!
//! What it does not do: know any format, any other crate of the workspace, or any tool by name.

mod common;
pub mod help;
mod input;
mod man;
mod output;
mod parse;
mod patient;
mod progress;
mod run;
pub mod signal;
mod style;
pub mod talk;
pub mod units;

pub use common::{Color, Common};
pub use input::Input;
pub use output::{Output, OutputKind};
pub use parse::{parse, parse_with_usage_code};
pub use progress::Progress;
pub use run::{Exit, run, run_with_failure_code};
pub use style::{Painted, Style};
