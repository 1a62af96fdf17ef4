//! The manners of every binary of the kit, as DESIGN section 6 promises them: one table of the binaries, and each
//! promise asked of each of them. The library behind has its own tests in `crates/rs-cli`; these are of what a user
//! has in hand.

mod manners {
    mod filters;
    mod recorder;
    mod talk;
    mod terminals;

    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;

    use rs_tests::cmd::{Finished, run, shell, tool};
    use rs_tests::streams::stream;

    /// A binary of the kit.
    #[derive(Debug)]
    pub(crate) struct Tool {
        pub(crate) name: &'static str,
        /// Its own failures, usage among them.
        pub(crate) failure: i32,
        /// The words of `--help` that come before `--help`.
        pub(crate) helps: &'static [&'static [&'static str]],
    }

    pub(crate) const TOOLS: &[Tool] = &[
        Tool { name: "rs-record", failure: 125, helps: &[&[], &["doctor"]] },
        Tool { name: "rs-rollup", failure: 2, helps: &[&[]] },
        Tool { name: "rs-export", failure: 2, helps: &[&[]] },
        Tool { name: "rs-schema", failure: 2, helps: &[&[], &["print"], &["validate"]] },
    ];

    /// A binary that reads a stream, in one of its ways.
    #[derive(Debug)]
    pub(crate) struct Filter {
        pub(crate) name: &'static str,
        /// The words before the path.
        pub(crate) words: &'static [&'static str],
        /// Whether it has `-o`.
        pub(crate) has_output: bool,
        /// Whether what it writes is for programs, and so refused on a terminal.
        pub(crate) writes_data: bool,
    }

    pub(crate) const FILTERS: &[Filter] = &[
        Filter { name: "rs-rollup", words: &[], has_output: true, writes_data: true },
        Filter { name: "rs-export", words: &["--text"], has_output: true, writes_data: false },
        Filter { name: "rs-schema", words: &["validate"], has_output: false, writes_data: false },
    ];

    impl Filter {
        pub(crate) fn command(&self) -> Command {
            let mut command = tool(self.name);
            command.args(self.words);
            command
        }

        /// As typed in a shell.
        pub(crate) fn line(&self) -> String {
            [&[self.name], self.words].concat().join(" ")
        }
    }

    pub(crate) const LIMIT: Duration = Duration::from_secs(20);

    /// A directory with a valid stream in `good`, one long enough to fill a pipe in `long`, and none in `bad`.
    pub(crate) fn streams(name: &str) -> tempfile::TempDir {
        let dir = rs_tests::cmd::scratch(name);
        for (file, text) in [("good", stream(20)), ("long", stream(3000)), ("bad", "no stream\n".to_owned())]
        {
            fs::write(dir.path().join(file), text).expect("a stream can be kept");
        }
        dir
    }

    /// A script in a directory, by bash for `pipefail`, to its end.
    #[track_caller]
    pub(crate) fn script(directory: &Path, text: &str) -> Finished {
        run(shell(text).current_dir(directory), LIMIT)
    }

    /// What lies in a directory.
    pub(crate) fn files(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn read(path: PathBuf) -> String {
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
