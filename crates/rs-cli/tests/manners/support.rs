//! Running the example filter `manners` as a user would.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// The example's executable: cargo builds it beside the tests but names its path only for binaries.
pub(crate) fn manners() -> Command {
    let mut path: PathBuf = std::env::current_exe().expect("a test has a path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let mut command = Command::new(path.join("examples/manners"));
    command.env_remove("NO_COLOR").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// A shell that knows the filter as `$manners`, for redirections.
pub(crate) fn sh(script: &str) -> Output {
    let filter = manners();
    Command::new("sh").arg("-c").arg(script).env("manners", filter.get_program()).output().expect("sh runs")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
