//! `rs-export`: turns a session or an event stream into the formats other tools read, and into text for people.

mod args;
mod format;
mod selection;

use std::process::ExitCode;

use anyhow::Context;
use rs_cli::{Exit, Input, Output, OutputKind};
use rs_profile::FoldOptions;

use self::args::Args;
use self::selection::Chosen;

/// Likely commands of someone who forgot the pipe.
const PIPES: &[&str] = &["rs-record -- ./app | rs-export --text", "rs-export --text session.json"];

fn main() -> ExitCode {
    rs_cli::run("rs-export", || {
        let args: Args = rs_cli::parse();
        args.common.apply("rs-export");
        let mut input = Input::open(args.input.as_deref(), "SESSION or EVENTS", PIPES)?;
        let mut output = Output::create(args.output.as_deref(), OutputKind::Text, PIPES)?;
        rs_cli::signal::drain_on_interrupt(&input);
        let name = input.name().to_owned();
        let mut warn = |warning: &str| rs_cli::warn!("{name}: {warning}");
        let session = rs_profile::read_profile(&mut input, FoldOptions::default(), &mut warn)
            .with_context(|| name.clone())?;
        let chosen = Chosen::find(&session, &args.selection).with_context(|| name.clone())?;
        let look = args::look(&output);
        format::write(args.format.chosen(), &session, chosen.as_ref(), look, &mut output)?;
        output.finish()?;
        Ok(Exit::Ok)
    })
}
