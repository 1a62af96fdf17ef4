//! `rs-record`: launches or attaches to a program and writes what it does as an event stream.

mod args;
mod backend;
mod binary;
mod clock;
mod collect;
mod doctor;
mod environment;
mod header;
mod host;
mod images;
mod marks;
mod metrics;
mod output;
mod pace;
mod record;
mod spikes;
mod stack_memory;
mod stacks;
mod stop;
mod symbols;
mod target;
mod watch;

use std::process::ExitCode;

use args::{Args, Command};

const TOOL: &str = "rs-record";
/// Our own failures, told apart from the status of a launched command.
const FAILURE: u8 = 125;

fn main() -> ExitCode {
    rs_cli::run_with_failure_code(TOOL, FAILURE, || {
        let args: Args = rs_cli::parse_with_usage_code(FAILURE);
        args.common.apply(TOOL);
        match args.command {
            Some(Command::Doctor { pid, exe }) => {
                let target = doctor::DoctorTarget { pid, exe };
                doctor::run(&target, &mut std::io::stdout().lock(), rs_cli::Style::stdout())
            }
            None => record::record(args.record),
        }
    })
}
