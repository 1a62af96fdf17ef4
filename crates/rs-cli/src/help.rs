//! The end of each `--help`: examples as pipes, then the exit status.
//!
//! Use it as `#[command(after_help = rs_cli::help::after_help(EXAMPLES, EXIT_STATUS))]`; the man page gets
//! the same text as sections of its own.

use std::fmt::Write as _;

use clap::builder::{StyledStr, Styles};

/// The exit status of a filter.
pub const FILTER_STATUS: &[(&str, &str)] =
    &[("0", "done, or the reader of stdout had enough"), ("2", "usage, input or output, or bad data")];

/// Renders examples, each a command and what it is for, and exit statuses, each a code and its meaning.
///
/// Keep a command within 76 columns; clap wraps longer ones.
pub fn after_help(examples: &[(&str, &str)], exit_status: &[(&str, &str)]) -> StyledStr {
    let header = Styles::default();
    let header = header.get_header();
    let (on, off) = (header.render(), header.render_reset());
    let mut text = StyledStr::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{on}Examples:{off}");
    for (command, purpose) in examples {
        let _ = writeln!(text, "  {command}\n      {purpose}");
    }
    let _ = writeln!(text, "\n{on}Exit status:{off}");
    let width = exit_status.iter().map(|(code, _)| code.chars().count()).max().unwrap_or(0);
    for (code, meaning) in exit_status {
        let _ = writeln!(text, "  {code:<width$}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_the_rest_of_the_help() {
        let text = after_help(&[("a | b", "join")], &[("0", "fine"), ("125", "own failure")]).to_string();
        assert_eq!(text, "Examples:\n  a | b\n      join\n\nExit status:\n  0    fine\n  125  own failure\n");
    }
}
