//! `rs-rollup`: folds an event stream into a session.

mod args;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rs_cli::units::{show_count, show_duration};
use rs_cli::{Exit, Input, Output, OutputKind};
use rs_profile::{FoldOptions, fold_stream};
use rs_schema::session::FidelityLevel;
use rs_schema::{Error, ProfileSession};

use crate::args::{Args, PIPES, TOOL};

fn main() -> ExitCode {
    rs_cli::run(TOOL, || {
        let args: Args = rs_cli::parse();
        args.common.apply(TOOL);
        roll_up(&args)
    })
}

fn roll_up(args: &Args) -> anyhow::Result<Exit> {
    let input = Input::open(args.events.as_deref(), "EVENTS", PIPES)?;
    let mut output = Output::create(args.output.as_deref(), OutputKind::Data, PIPES)?;
    rs_cli::signal::drain_on_interrupt(&input);
    let name = input.name().to_owned();
    let session = fold(input, &name, options(args))?;
    serde_json::to_writer(&mut output, &session)?;
    output.write_all(b"\n")?;
    output.finish()?;
    rs_cli::note!("{}", in_words(&session));
    Ok(Exit::Ok)
}

fn options(args: &Args) -> FoldOptions {
    let window_ns = u64::try_from(args.window.as_nanos()).unwrap_or(u64::MAX);
    FoldOptions { window_ns, ..FoldOptions::default() }
}

fn fold(input: Input, name: &str, options: FoldOptions) -> anyhow::Result<ProfileSession> {
    let session = match fold_stream(input, options, &mut |warning| rs_cli::warn!("{name}: {warning}")) {
        Ok(session) => session,
        // These name their input themselves.
        Err(Error::Io(error)) => return Err(error.into()),
        Err(error) => return Err(error).context(name.to_owned()),
    };
    if !session.session.complete {
        rs_cli::warn!("{name}: the stream has no end; the session holds what there was");
    }
    Ok(session)
}

/// One line on what the session holds and how good it is.
fn in_words(session: &ProfileSession) -> String {
    let diagnostics = &session.sampling_diagnostics;
    let fidelity = &diagnostics.fidelity;
    let level = match fidelity.level {
        FidelityLevel::None => "none",
        FidelityLevel::Low => "low",
        FidelityLevel::Medium => "medium",
        FidelityLevel::High => "high",
    };
    let mut text = format!(
        "{}, {} in {}, {}; fidelity {level}",
        show_duration(Duration::from_nanos(session.session.duration_ns)),
        counted(diagnostics.sample_count, "sample"),
        counted(session.thread_rollups.len() as u64, "thread"),
        counted(session.functions.len() as u64, "function"),
    );
    if !fidelity.reasons.is_empty() {
        text.push_str(": ");
        text.push_str(&fidelity.reasons.join("; "));
    }
    text
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", show_count(count), if count == 1 { "" } else { "s" })
}
