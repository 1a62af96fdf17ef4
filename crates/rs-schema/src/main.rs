//! `rs-schema`: prints the JSON Schema of RustScope's formats, and validates streams and sessions.

mod args;
mod check;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use rs_cli::{Exit, Output, OutputKind};
use rs_schema::json_schema;

use crate::args::{Args, Command, Format};

fn main() -> ExitCode {
    rs_cli::run(args::TOOL, || {
        let args: Args = rs_cli::parse();
        args.common.apply(args::TOOL);
        match args.command {
            Command::Print { format, output } => print(format, output.as_deref()),
            Command::Validate { files } => check::files(&files),
        }
    })
}

fn print(format: Format, output: Option<&Path>) -> anyhow::Result<Exit> {
    let schema = match format {
        Format::Events => json_schema::events(),
        Format::Session => json_schema::session(),
    };
    let mut output = Output::create(output, OutputKind::Text, &[])?;
    output.write_all(json_schema::to_text(&schema).as_bytes())?;
    output.finish()?;
    Ok(Exit::Ok)
}
