//! The options every binary has.

use crate::talk;

/// When to colour, as given to `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    // Whatever NO_COLOR says: a flag is nearer than the environment.
    /// Also into a pipe or a file.
    Always,
    /// Nowhere.
    Never,
}

/// `-q`, `-v` and `--color`, to be flattened into a binary's arguments.
///
/// All three are global, so that `rs-schema validate -q` and `rs-schema -q validate` are the same.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Common {
    /// Print errors only
    #[arg(short, long, global = true, help_heading = "Messages")]
    pub quiet: bool,

    /// Say more on stderr; twice says still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Messages")]
    pub verbose: u8,

    /// When to colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(help_heading = "Messages")]
    pub color: Color,
}

impl Common {
    /// Makes these the settings of the whole process.
    ///
    /// They are global because a warning may come from any depth, and passing a logger through pure code only
    /// for that would cost more than it explains. `-q` wins over `-v`: a script that asks for silence gets
    /// it.
    pub fn apply(&self, tool: &'static str) {
        talk::configure(tool, self.quiet, self.verbose, self.color);
    }
}
