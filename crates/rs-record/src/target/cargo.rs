//! Programs that cargo builds: `--cargo PKG`.
//!
//! Where an executable lies is asked, never guessed: cargo names it in its messages, and `cargo metadata` knows
//! the target directory, whatever variables and configuration files say.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use rs_symbol::Image;
use serde_json::Value;

/// What to build and run.
#[derive(Clone, Debug)]
pub(crate) struct CargoTarget {
    /// Name of a package of the workspace.
    pub(crate) package: String,
    /// Which of its programs.
    pub(crate) artifact: Artifact,
    /// The profile to build with, if not that of the artifact.
    pub(crate) profile: Option<String>,
    /// Features, as cargo takes them.
    pub(crate) features: Option<String>,
    /// Whether to take what was built last.
    pub(crate) no_build: bool,
}

/// One program of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Artifact {
    /// The only binary, or the one that the manifest runs by default.
    Default,
    /// A binary.
    Bin(String),
    /// An example.
    Example(String),
    /// A benchmark.
    Bench(String),
    /// An integration test.
    Test(String),
}

/// A program, ready to run as cargo would run it.
#[derive(Clone, Debug)]
pub(crate) struct Executable {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// The profile it was built with.
    pub(crate) cargo_profile: String,
    /// What cargo passes before the user's arguments: without `--bench`, benchmarks only test themselves.
    pub(crate) arguments: Vec<String>,
    /// Where cargo runs it, if not here: tests and benchmarks read files of their package.
    pub(crate) directory: Option<PathBuf>,
}

impl Artifact {
    /// As target kinds are called in cargo's messages.
    fn kind(&self) -> &'static str {
        match self {
            Artifact::Default | Artifact::Bin(_) => "bin",
            Artifact::Example(_) => "example",
            Artifact::Bench(_) => "bench",
            Artifact::Test(_) => "test",
        }
    }

    /// Whether cargo runs it in the directory of its package.
    fn runs_in_package(&self) -> bool {
        matches!(self, Artifact::Bench(_) | Artifact::Test(_))
    }

    fn default_profile(&self) -> &'static str {
        if let Artifact::Bench(_) = self { "bench" } else { "release" }
    }
}

/// Builds a program, or with `no_build` finds the one that was built last. Cargo's own messages go to stderr.
///
/// # Errors
/// When there is no such program, or it does not build; the message says what to do.
pub(crate) fn build(target: &CargoTarget) -> Result<Executable> {
    let metadata = metadata()?;
    let package = find_package(&metadata, &target.package)?;
    let name = program_name(package, &target.artifact)?;
    let command = Invocation { target, name: &name };
    let path = if target.no_build { newest_built(&metadata, package, &command)? } else { command.run()? };
    let manifest = package["manifest_path"].as_str().map(Path::new);
    let executable = Executable {
        path,
        cargo_profile: command.profile().to_owned(),
        arguments: if let Artifact::Bench(_) = target.artifact {
            vec!["--bench".to_owned()]
        } else {
            Vec::new()
        },
        directory: manifest
            .and_then(Path::parent)
            .filter(|_| target.artifact.runs_in_package())
            .map(Path::to_owned),
    };
    if let Some(hint) = line_table_hint(&executable) {
        rs_cli::note!("{hint}");
    }
    Ok(executable)
}

/// The command line that builds a program.
struct Invocation<'a> {
    target: &'a CargoTarget,
    name: &'a str,
}

impl Invocation<'_> {
    fn profile(&self) -> &str {
        self.target.profile.as_deref().unwrap_or(self.target.artifact.default_profile())
    }

    fn arguments(&self) -> Vec<&str> {
        let mut arguments = match self.target.artifact {
            Artifact::Default | Artifact::Bin(_) => vec!["build", "--bin", self.name],
            Artifact::Example(_) => vec!["build", "--example", self.name],
            Artifact::Bench(_) => vec!["bench", "--no-run", "--bench", self.name],
            Artifact::Test(_) => vec!["test", "--no-run", "--test", self.name],
        };
        arguments.extend(["--package", &self.target.package, "--profile", self.profile()]);
        if let Some(features) = &self.target.features {
            arguments.extend(["--features", features]);
        }
        arguments
    }

    /// As a person would type it.
    fn shown(&self) -> String {
        format!("cargo {}", self.arguments().join(" "))
    }

    fn run(&self) -> Result<PathBuf> {
        let messages = cargo_output(
            self.arguments().into_iter().chain(["--message-format=json-render-diagnostics"]),
            &format!("`{}` failed; fix what it says above", self.shown()),
        )?;
        let built = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| {
                message["reason"] == "compiler-artifact"
                    && message["target"]["name"] == self.name
                    && has_kind(&message["target"], self.target.artifact.kind())
            })
            .find_map(|message| message["executable"].as_str().map(PathBuf::from));
        built.with_context(|| format!("`{}` succeeded but named no executable", self.shown()))
    }
}

/// What cargo prints; it uses this very cargo if it runs us.
fn cargo_output<'a>(arguments: impl Iterator<Item = &'a str>, failure: &str) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(&cargo)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}, which --cargo needs", cargo.display()))?;
    if !output.status.success() {
        bail!("{failure}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn metadata() -> Result<Value> {
    let text = cargo_output(
        ["metadata", "--no-deps", "--format-version", "1"].into_iter(),
        "--cargo needs a cargo project: change to its directory",
    )?;
    serde_json::from_str(&text).context("cargo metadata printed something else than JSON")
}

fn find_package<'a>(metadata: &'a Value, wanted: &str) -> Result<&'a Value> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = wanted.split_once('@').map_or(wanted, |(name, _)| name);
    packages.iter().find(|package| package["name"] == name).with_context(|| {
        let names = packages.iter().filter_map(|package| package["name"].as_str());
        let root = metadata["workspace_root"].as_str().unwrap_or(".");
        format!("no package {wanted} in {root}; it has: {}", listed(names))
    })
}

/// Name of the target of the package that is meant.
fn program_name(package: &Value, artifact: &Artifact) -> Result<String> {
    let kind = artifact.kind();
    let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = targets
        .iter()
        .filter(|target| has_kind(target, kind))
        .filter_map(|target| target["name"].as_str())
        .collect();
    let package_name = package["name"].as_str().unwrap_or_default();
    match artifact {
        Artifact::Default => match (names.as_slice(), package["default_run"].as_str()) {
            (_, Some(name)) | (&[name], None) => Ok(name.to_owned()),
            (&[], None) => bail!(
                "package {package_name} has no binary; choose with --example, --bench or --test what to run"
            ),
            (many, None) => bail!(
                "package {package_name} has several binaries; choose with --bin: {}",
                listed(many.iter().copied())
            ),
        },
        Artifact::Bin(name) | Artifact::Example(name) | Artifact::Bench(name) | Artifact::Test(name) => {
            if names.contains(&name.as_str()) {
                return Ok(name.clone());
            }
            bail!("package {package_name} has no --{kind} {name}; it has: {}", listed(names.into_iter()))
        }
    }
}

fn has_kind(target: &Value, kind: &str) -> bool {
    target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|found| found == kind))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let list: Vec<&str> = names.collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

/// The newest executable of that name below the directories that cargo builds in, for whatever platform.
fn newest_built(metadata: &Value, package: &Value, command: &Invocation<'_>) -> Result<PathBuf> {
    let profile_directory = match command.profile() {
        "dev" | "test" => "debug",
        "bench" => "release",
        name => name,
    };
    // Intermediate files may have a directory of their own, and tests and benchmarks count as such.
    let roots = ["target_directory", "build_directory"].map(|key| metadata[key].as_str().map(Path::new));
    let candidates = roots
        .into_iter()
        .flatten()
        .flat_map(|root| std::iter::once(root.to_owned()).chain(directories_in(root)))
        .flat_map(|root| built_in(&root.join(profile_directory), package, command));
    candidates.max_by_key(|(modified, _)| *modified).map(|(_, path)| path).with_context(|| {
        let root = metadata["target_directory"].as_str().unwrap_or("target");
        format!("nothing built yet below {root}; run `{}`, or leave out --no-build", command.shown())
    })
}

/// Executables of the wanted name in a profile's directory, and when they were made.
fn built_in(directory: &Path, package: &Value, command: &Invocation<'_>) -> Vec<(SystemTime, PathBuf)> {
    let paths = match command.target.artifact {
        Artifact::Default | Artifact::Bin(_) => vec![directory.join(command.name)],
        Artifact::Example(_) => vec![directory.join("examples").join(command.name)],
        Artifact::Bench(_) => hashed(directory, package, command.name, "test-bench"),
        Artifact::Test(_) => hashed(directory, package, command.name, "test-integration-test"),
    };
    let made = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file)?.modified().ok();
    paths.into_iter().filter_map(|path| Some((made(&path)?, path))).collect()
}

/// Files `deps/NAME-HASH`. A unit test or another package's program may have the same name: cargo's notes on
/// what it built tell, where they are.
fn hashed(directory: &Path, package: &Value, name: &str, note: &str) -> Vec<PathBuf> {
    let start = format!("{}-", name.replace('-', "_"));
    let package = package["name"].as_str().unwrap_or_default();
    let deps = directory.join("deps");
    let names = fs::read_dir(&deps).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names
        .filter(|file| {
            let Some(hash) = file.to_str().and_then(|file| file.strip_prefix(&start)) else { return false };
            let notes = directory.join(".fingerprint").join(format!("{package}-{hash}"));
            let is_known = directory.join(".fingerprint").is_dir();
            hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && (!is_known || notes.join(format!("{note}-{name}")).exists())
        })
        .map(|file| deps.join(file))
        .collect()
}

fn directories_in(root: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir())
}

/// How to get line tables, for a program that has none.
fn line_table_hint(executable: &Executable) -> Option<String> {
    let image = Image::open(fs::File::open(&executable.path).ok()?, &executable.path).ok()?;
    let profile = &executable.cargo_profile;
    let variable = format!("CARGO_PROFILE_{}", profile.to_ascii_uppercase().replace('-', "_"));
    match image.facts().debuginfo? {
        "symbols" => Some(format!(
            "profile {profile} has no line tables: functions are named, lines and inlined calls are not; \
             set {variable}_DEBUG=1 to have them"
        )),
        "stripped" => Some(format!(
            "profile {profile} strips symbols, so functions have no names; \
             set {variable}_STRIP=none {variable}_DEBUG=1 to have them"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(artifact: Artifact) -> CargoTarget {
        CargoTarget { package: "app".to_owned(), artifact, profile: None, features: None, no_build: false }
    }

    fn package(default_run: Option<&str>) -> Value {
        json!({
            "name": "app",
            "default_run": default_run,
            "targets": [
                { "kind": ["lib"], "name": "app" },
                { "kind": ["bin"], "name": "one" },
                { "kind": ["bin"], "name": "two" },
                { "kind": ["bench"], "name": "speed" },
            ],
        })
    }

    fn problem<T: std::fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn several_binaries_are_listed() {
        let several = problem(program_name(&package(None), &Artifact::Default));
        assert_eq!(several, "package app has several binaries; choose with --bin: one, two");
        assert_eq!(program_name(&package(Some("two")), &Artifact::Default).unwrap(), "two");
        assert_eq!(program_name(&package(None), &Artifact::Bin("one".to_owned())).unwrap(), "one");
        let wrong = problem(program_name(&package(None), &Artifact::Bench("sped".to_owned())));
        assert_eq!(wrong, "package app has no --bench sped; it has: speed");
        let none = problem(program_name(&json!({ "name": "lib", "targets": [] }), &Artifact::Default));
        assert!(none.starts_with("package lib has no binary; choose with --example"), "{none}");
    }

    #[test]
    fn unknown_packages_are_answered_with_the_known_ones() {
        let metadata = json!({ "workspace_root": "/w", "packages": [{ "name": "a" }, { "name": "b" }] });
        assert_eq!(problem(find_package(&metadata, "c")), "no package c in /w; it has: a, b");
        assert_eq!(find_package(&metadata, "b@1.0.0").unwrap()["name"], "b");
    }

    #[test]
    fn command_lines() {
        let shown = |target: &CargoTarget, name| Invocation { target, name }.shown();
        assert_eq!(
            shown(&target(Artifact::Default), "one"),
            "cargo build --bin one --package app --profile release"
        );
        let mut bench = target(Artifact::Bench("speed".to_owned()));
        assert_eq!(
            shown(&bench, "speed"),
            "cargo bench --no-run --bench speed --package app --profile bench"
        );
        bench.profile = Some("profiling".to_owned());
        bench.features = Some("simd,std".to_owned());
        assert_eq!(
            shown(&bench, "speed"),
            "cargo bench --no-run --bench speed --package app --profile profiling --features simd,std"
        );
    }

    /// The whole of it runs in a program of its own, since the working directory belongs to the process.
    #[test]
    fn a_real_project() {
        const INSIDE: &str = "RS_RECORD_TEST_PROJECT";
        if std::env::var_os(INSIDE).is_some() {
            return inside_a_project();
        }
        let temporary = tempfile::tempdir().unwrap();
        let project = temporary.path();
        for directory in ["src", "benches", "tests", ".cargo"] {
            fs::create_dir(project.join(directory)).unwrap();
        }
        for (file, text) in [
            (
                "Cargo.toml",
                "[package]\nname = 'app'\nedition = '2024'\n[[bench]]\nname = 'the-speed'\nharness = false\n[workspace]\n",
            ),
            ("src/main.rs", "fn main() {}"),
            ("benches/the-speed.rs", "fn main() { assert!(std::env::args().any(|a| a == \"--bench\")); }"),
            ("tests/it.rs", "#[test] fn reads() { assert!(std::path::Path::new(\"Cargo.toml\").exists()); }"),
            (".cargo/config.toml", "[build]\ntarget-dir = 'else where'\n"),
        ] {
            fs::write(project.join(file), text).unwrap();
        }
        let this_test = format!("{}::a_real_project", module_path!().split_once("::").unwrap().1);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &this_test, "--nocapture"])
            .current_dir(project)
            .env(INSIDE, "1")
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        assert!(said.contains("set CARGO_PROFILE_RELEASE_DEBUG=1 to have them"), "{said}");
    }

    fn inside_a_project() {
        let run = |executable: &Executable| {
            let mut command = Command::new(&executable.path);
            command
                .args(&executable.arguments)
                .current_dir(executable.directory.as_deref().unwrap_or(Path::new("/")));
            assert!(command.status().unwrap().success(), "{executable:?}");
        };
        let find = |target: &CargoTarget| build(&CargoTarget { no_build: true, ..target.clone() });
        for artifact in
            [Artifact::Default, Artifact::Bench("the-speed".to_owned()), Artifact::Test("it".to_owned())]
        {
            let target = target(artifact);
            let nothing = problem(find(&target));
            assert!(nothing.contains("else where; run `cargo "), "{nothing}");
            let built = build(&target).unwrap();
            run(&built);
            assert!(built.path.to_str().unwrap().contains("else where"), "{built:?}");
            assert_eq!(find(&target).unwrap().path, built.path);
        }
        fs::write("src/main.rs", "fn main() { no }").unwrap();
        let failed = problem(build(&target(Artifact::Default)));
        assert!(failed.starts_with("`cargo build --bin app"), "{failed}");
        fs::remove_file("Cargo.toml").unwrap();
        assert!(problem(build(&target(Artifact::Default))).contains("change to its directory"));
    }
}
