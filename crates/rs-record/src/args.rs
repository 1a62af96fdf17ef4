//! The command line of `rs-record`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use rs_cli::{Common, help, units};

use crate::spikes::SpikeRules;
use crate::target::cargo::{Artifact, CargoTarget};

const EXAMPLES: &[(&str, &str)] = &[
    ("rs-record -- ./app | rs-rollup > s.json", "from start to exit"),
    ("rs-record --pid 4242 --duration 30s | rs-export --text", "half a minute of a running program"),
    ("rs-record --cargo my-crate --bin server | rs-rollup > s.json", "build and record"),
    ("rs-record -o app.ndjson -- ./app", "into a file; the program keeps its stdout"),
    ("ssh prod rs-record --pid 4242 --duration 30s | rs-rollup > prod.json", "from another machine"),
    ("rs-record doctor --pid 4242", "what this machine and this target allow"),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("N", "the launched command's own status; 128+N when signal N ended it"),
    ("0", "attached, and recorded as asked"),
    ("125", "rs-record itself failed"),
    ("126", "the command cannot be executed"),
    ("127", "the command was not found"),
];

const DOCTOR_EXAMPLES: &[(&str, &str)] = &[
    ("rs-record doctor", "this machine"),
    ("rs-record doctor --pid 4242", "and a running process"),
    ("rs-record doctor ./app", "and a program: its symbols, and whether it can be launched"),
];

const DOCTOR_STATUS: &[(&str, &str)] = &[
    ("0", "samples can be taken, perhaps with limits"),
    ("1", "nothing can be sampled"),
    ("125", "rs-record itself failed"),
];

/// Records where a program spends its time, and what it uses, as an event stream.
#[derive(Debug, Parser)]
#[command(
    name = "rs-record",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = help::after_help(EXAMPLES, EXIT_STATUS),
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What else than record.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what this machine and a target allow, what is missing, and the smallest fix.
    #[command(after_help = help::after_help(DOCTOR_EXAMPLES, DOCTOR_STATUS))]
    Doctor {
        /// A running process to look at.
        #[arg(long, value_name = "N", conflicts_with = "exe", value_parser = clap::value_parser!(i32).range(1..))]
        pid: Option<i32>,
        /// A program to look at.
        #[arg(value_name = "EXE")]
        exe: Option<PathBuf>,
    },
}

/// What and how to record.
#[derive(Clone, Debug, ClapArgs)]
#[command(group = ArgGroup::new("target").required(true).args(["pid", "cargo", "program"]).multiple(true))]
pub(crate) struct RecordArgs {
    /// Attach to a running process, all its threads and children.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: Option<i32>,

    #[command(flatten)]
    pub(crate) cargo: CargoArgs,

    /// The program to launch, and its arguments.
    ///
    /// With `--cargo`, the arguments of the program that cargo builds.
    #[arg(last = true, value_name = "CMD", conflicts_with = "pid")]
    pub(crate) program: Vec<String>,

    /// Name of the session.
    #[arg(long, value_name = "S")]
    pub(crate) name: Option<String>,

    /// Tag the session; may be repeated.
    #[arg(long = "tag", value_name = "K=V", value_parser = parse_tag)]
    pub(crate) tags: Vec<(String, String)>,

    /// Keep this environment variable in the session; nothing else of the environment is recorded.
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environment: Vec<String>,

    /// Stop after this long (500ms, 30s, 2m).
    #[arg(long, short, value_name = "TIME", value_parser = units::parse_positive_duration)]
    pub(crate) duration: Option<Duration>,

    /// Samples per second of CPU time, of each thread.
    #[arg(long, short = 'F', value_name = "HZ", default_value = "997", value_parser = units::parse_rate)]
    pub(crate) rate: u32,

    /// Distance between readings of the process metrics.
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = parse_metrics_interval)]
    pub(crate) metrics_interval: Duration,

    /// Leave child processes out.
    #[arg(long)]
    pub(crate) no_follow: bool,

    /// Name kernel functions instead of counting all kernel time as `[kernel]`.
    #[arg(long)]
    pub(crate) kernel: bool,

    /// Count system calls; costs the target about 90 ns a call.
    #[arg(long)]
    pub(crate) syscalls: bool,

    /// When to report a spike: memory=5MiB,cpu=80%,threads=8,fds=64,syscalls=20000, or off.
    #[arg(long, value_name = "RULES", default_value_t)]
    pub(crate) spike: SpikeRules,

    /// Take marks, phases and work counts from this FIFO instead of one made for RUSTSCOPE_MARKS.
    #[arg(long, value_name = "FIFO")]
    pub(crate) marks: Option<PathBuf>,

    /// Write to this file instead of stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A target that cargo builds.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct CargoArgs {
    /// Build this package with cargo and record its program.
    #[arg(long, value_name = "PKG", conflicts_with = "pid")]
    pub(crate) cargo: Option<String>,
    /// Which binary of the package.
    #[arg(long, value_name = "NAME", requires = "cargo", group = "cargo_target")]
    pub(crate) bin: Option<String>,
    /// Record this example instead.
    #[arg(long, value_name = "NAME", requires = "cargo", group = "cargo_target")]
    pub(crate) example: Option<String>,
    /// Record this benchmark instead.
    #[arg(long, value_name = "NAME", requires = "cargo", group = "cargo_target")]
    pub(crate) bench: Option<String>,
    /// Record this test instead.
    #[arg(long, value_name = "NAME", requires = "cargo", group = "cargo_target")]
    pub(crate) test: Option<String>,
    /// Profile to build with (default: release).
    #[arg(long, value_name = "P", requires = "cargo")]
    pub(crate) profile: Option<String>,
    /// Features to build with.
    #[arg(long, value_name = "F", requires = "cargo")]
    pub(crate) features: Option<String>,
    /// Record what was built before.
    #[arg(long, requires = "cargo")]
    pub(crate) no_build: bool,
}

impl CargoArgs {
    /// What cargo is to build, if anything.
    pub(crate) fn target(&self) -> Option<CargoTarget> {
        let artifact = [
            self.bin.clone().map(Artifact::Bin),
            self.example.clone().map(Artifact::Example),
            self.bench.clone().map(Artifact::Bench),
            self.test.clone().map(Artifact::Test),
        ]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(Artifact::Default);
        Some(CargoTarget {
            package: self.cargo.clone()?,
            artifact,
            profile: self.profile.clone(),
            features: self.features.clone(),
            no_build: self.no_build,
        })
    }
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

fn parse_metrics_interval(text: &str) -> Result<Duration, String> {
    let interval = units::parse_positive_duration(text).map_err(|error| error.to_string())?;
    // Below, reading /proc would be a load of its own; above, one reading would tell nothing of an event.
    if (Duration::from_millis(10)..=Duration::from_secs(10)).contains(&interval) {
        Ok(interval)
    } else {
        Err("expected between 10ms and 10s".into())
    }
}
