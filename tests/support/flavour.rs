//! The example programs, built the ways users build theirs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::cmd::{bin, run, target_dir, workspace};

/// A way to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `cargo build --release` as cargo has it: symbols, no debug information.
    Default,
    /// The release profile of this workspace: `debug = "line-tables-only"`.
    LineTables,
    /// `debug = 1`: line tables and inlined functions with their full names.
    Debug,
    /// `debug = 1` and the v0 mangling.
    DebugV0,
    /// `force-frame-pointers`.
    FramePointers,
    /// `strip = "symbols"`.
    Stripped,
    /// The v0 mangling, without debug information.
    V0,
    /// The legacy mangling, without debug information.
    Legacy,
}

impl Flavour {
    /// Its directory below `target/flavours`.
    fn name(self) -> &'static str {
        match self {
            Flavour::Default => "default",
            Flavour::LineTables => "line-tables",
            Flavour::Debug => "debug1",
            Flavour::DebugV0 => "debug1-v0",
            Flavour::FramePointers => "frame-pointers",
            Flavour::Stripped => "stripped",
            Flavour::V0 => "v0",
            Flavour::Legacy => "legacy",
        }
    }

    /// What the header of a recording says of its binaries.
    pub fn debuginfo(self) -> &'static str {
        match self {
            Flavour::LineTables => "line-tables-only",
            Flavour::Debug | Flavour::DebugV0 => "limited",
            Flavour::Stripped => "stripped",
            Flavour::Default | Flavour::FramePointers | Flavour::V0 | Flavour::Legacy => "symbols",
        }
    }

    /// Whether inlined functions have their full names.
    pub fn has_inlines(self) -> bool {
        matches!(self, Flavour::Debug | Flavour::DebugV0)
    }

    /// Whether all there is to name a function is a legacy symbol and, at best, a source file.
    pub fn has_only_legacy_symbols(self) -> bool {
        // The default of the stable compiler is legacy still; when it is v0, names can only be better.
        matches!(self, Flavour::Default | Flavour::LineTables | Flavour::FramePointers | Flavour::Legacy)
    }

    fn cargo(self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(workspace())
            .args(["build", "--release", "--quiet", "--bins", "--package", "rustscope-examples"])
            .arg("--target-dir")
            .arg(self.target_dir())
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_PROFILE_RELEASE_DEBUG", if self.has_inlines() { "1" } else { "0" });
        match self {
            Flavour::FramePointers => cargo.env("RUSTFLAGS", "-Cforce-frame-pointers=yes"),
            Flavour::Stripped => cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
            Flavour::V0 | Flavour::DebugV0 => cargo.env("RUSTFLAGS", "-Csymbol-mangling-version=v0"),
            // Stable compilers only take it with this key since v0 is to become the default.
            Flavour::Legacy => cargo
                .env("RUSTFLAGS", "-Zunstable-options -Csymbol-mangling-version=legacy")
                .env("RUSTC_BOOTSTRAP", "1"),
            Flavour::Default | Flavour::LineTables | Flavour::Debug => &mut cargo,
        };
        cargo
    }

    fn target_dir(self) -> PathBuf {
        target_dir().join("flavours").join(self.name())
    }

    /// Builds the examples, unless they are fresh, and returns the directory of the binaries.
    ///
    /// # Panics
    /// When cargo fails.
    pub fn build(self) -> PathBuf {
        if self == Flavour::LineTables {
            // The workspace's own build.
            return bin("truth_shares").parent().expect("a directory").to_owned();
        }
        // Each build uses both cores; two at once would only be slower.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        run(&mut self.cargo(), Duration::from_secs(300)).ok();
        self.target_dir().join("release")
    }
}

/// Lets two recordings run at a time: more would share the cores of a small machine.
pub fn turn() -> Turn {
    Turn::take(1)
}

/// Lets nothing else be recorded, where the recorder needs a core besides the target's.
pub fn turn_alone() -> Turn {
    Turn::take(2)
}

static FREE: Mutex<u32> = Mutex::new(2);
static GIVEN_BACK: Condvar = Condvar::new();

/// A permission of `turn`, given back when dropped.
pub struct Turn(u32);

impl Turn {
    fn take(cores: u32) -> Turn {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = GIVEN_BACK.wait_while(free, |free| *free < cores);
        *enough.unwrap_or_else(PoisonError::into_inner) -= cores;
        Turn(cores)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        GIVEN_BACK.notify_all();
    }
}
