//! What a truth program knows about its own profile, and how far a session is from it.

use rs_schema::session::{Function, ProfileSession};
use serde::Deserialize;

/// The line that a truth program ends with.
#[derive(Debug, Deserialize)]
pub struct Truth {
    /// The program.
    pub program: String,
    /// CPU time in the planted functions.
    pub total_ns: u64,
    /// CPU time of the whole process.
    pub process_cpu_ns: u64,
    /// The planted functions, and the callers above them.
    pub truth: Vec<Planted>,
    /// The named threads.
    #[serde(default)]
    pub threads: Vec<PlantedThread>,
}

/// A function that a program planted.
#[derive(Debug, Deserialize)]
pub struct Planted {
    /// Its key.
    pub function: String,
    /// Its crate; none for C.
    #[serde(rename = "crate")]
    pub crate_name: Option<String>,
    /// The module its code is written in; none for C.
    pub module: Option<String>,
    /// The module that may be named where all there is is a legacy symbol.
    pub legacy_module: Option<String>,
    /// Another spelling of the key that is as good.
    pub also: Option<String>,
    /// File name of the binary that has it, for C.
    pub mapping: Option<String>,
    /// Part of the time in the planted functions that it had itself.
    pub share: f64,
    /// Part with it on the stack.
    pub total_share: f64,
    /// Whether it has no code of its own.
    pub inlined: bool,
    /// The callers it is inlined through, outwards.
    #[serde(default)]
    pub inlined_into: Vec<String>,
}

/// A thread that a program planted.
#[derive(Debug, Deserialize)]
pub struct PlantedThread {
    /// Its name.
    pub name: String,
    /// Its part of the time in the planted functions.
    pub share: f64,
}

impl Truth {
    /// Finds the line in what a program printed.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn parse(stdout: &str) -> Truth {
        let line = stdout.lines().find(|line| line.starts_with('{'));
        let line = line.unwrap_or_else(|| panic!("no truth in {stdout:?}"));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// The functions with time of their own.
    pub fn working(&self) -> impl Iterator<Item = &Planted> {
        self.truth.iter().filter(|planted| planted.share > 0.0)
    }

    /// CPU time beside the planted functions: what the program needs to start and to look at its clock.
    pub fn aside_ratio(&self) -> f64 {
        1.0 - self.total_ns as f64 / self.process_cpu_ns as f64
    }
}

impl Planted {
    /// Its row in a session, under either spelling.
    pub fn find<'a>(&self, session: &'a ProfileSession) -> Option<&'a Function> {
        let names = [Some(&self.function), self.also.as_ref()];
        session.functions.iter().find(|row| names.contains(&Some(&row.function)))
    }
}

/// How far `hits` of `trials` is from a share, in standard deviations of an ideal sampler.
pub fn sigmas(hits: u64, trials: u64, share: f64) -> f64 {
    let sigma = (share * (1.0 - share) / trials as f64).sqrt();
    let off = hits as f64 / trials as f64 - share;
    if off == 0.0 { 0.0 } else { off / sigma }
}

/// What must never be in a key, as a sentence; `None` when the key is fine.
pub fn impurity(key: &str) -> Option<&'static str> {
    let bytes = key.as_bytes();
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let hash = (bytes.windows(17)).enumerate().any(|(at, word)| {
        let starts = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let ends = bytes.get(at + 17).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        starts && ends && word[0] == b'h' && word[1..].iter().all(is_hex)
    });
    let disambiguator = key.split('[').skip(1).any(|rest| {
        let word = rest.split(']').next().unwrap_or_default();
        word.len() >= 8 && word.bytes().all(|byte| is_hex(&byte))
    });
    let suffixes = [".llvm.", ".cold", ".part.", ".constprop.", ".isra."];
    if hash {
        Some("a legacy hash")
    } else if disambiguator {
        Some("a v0 disambiguator")
    } else if suffixes.iter().any(|suffix| key.contains(suffix)) {
        Some("a compiler's suffix")
    } else if key.contains("{closure") || key.contains("{{closure") {
        Some("a closure")
    } else if key.contains("{impl#") || key.contains("$LT$") {
        Some("an undigested path")
    } else if key.contains("::<") {
        Some("generic arguments")
    } else {
        None
    }
}
