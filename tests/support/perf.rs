//! `perf report` of a run that both recorded, to compare with.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rs_schema::session::ProfileSession;

use crate::cmd::run;

/// Samples by function, under names that both sides spell alike.
#[derive(Debug, Default)]
pub struct SelfSamples {
    /// The function and its samples.
    pub functions: HashMap<String, u64>,
    /// All samples.
    pub total: u64,
    /// Those whose stack was cut.
    pub cut: u64,
}

/// Options of `perf record` that sample as `rs-record` does.
pub const RECORD: [&str; 6] = ["record", "-q", "-e", "cpu-clock", "-F", "997"];

/// What `perf report` says of a `perf.data`.
///
/// # Panics
/// When perf fails.
#[track_caller]
pub fn report(data: &Path) -> SelfSamples {
    let mut perf = Command::new("perf");
    perf.args(["report", "--no-children", "--stdio", "-q", "-t", "\t", "-F", "sample,dso,sym", "-i"]);
    let text = run(perf.arg(data), Duration::from_secs(120)).ok().text();
    let mut found = SelfSamples::default();
    for line in text.lines() {
        let mut columns = line.split('\t').map(str::trim);
        let (Some(count), Some(dso), Some(symbol)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        let (Ok(count), Some((kind, name))) = (count.parse(), symbol.split_once(' ')) else { continue };
        found.add(&alike(kind == "[k]", file_name(dso), name.trim()), count);
    }
    found
}

/// The same of a session: inlined functions count as the function that has their code. `perf` itself is left out.
pub fn of_session(session: &ProfileSession) -> SelfSamples {
    let mut found = SelfSamples::default();
    let Some(windows) = &session.windows else { return found };
    let cells = &windows.cpu;
    for (cell, &samples) in cells.sample_count.iter().enumerate() {
        let process = session.thread_rollups[cells.thread[cell] as usize].process as usize;
        if session.processes[process].name.as_deref() == Some("perf") {
            continue;
        }
        let Ok(mut stack) = usize::try_from(cells.stack[cell]) else { continue };
        let frame = |stack: usize| session.stacks.frame[stack] as usize;
        let mut root = stack;
        while let Ok(parent) = usize::try_from(session.stacks.parent[root]) {
            root = parent;
        }
        if session.functions[session.frames.function[frame(root)] as usize].function == "[truncated]" {
            found.cut += samples;
        }
        while session.frames.inlined[frame(stack)] == 1 {
            stack = usize::try_from(session.stacks.parent[stack]).expect("an inlined function has a caller");
        }
        let function = &session.functions[session.frames.function[frame(stack)] as usize];
        let mapping = session.frames.mapping[frame(stack)];
        let dso = mapping.map_or("", |row| file_name(&session.mappings[row as usize].path));
        found.add(&alike(function.function == "[kernel]", dso, &function.function), samples);
    }
    found
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// One spelling of a function's name, whoever demangled it.
pub fn alike(is_kernel: bool, dso: &str, name: &str) -> String {
    if is_kernel {
        return "[kernel]".into();
    }
    if dso == "[vdso]" {
        return dso.into();
    }
    // Addresses without names.
    if name.starts_with("0x") || name.starts_with('[') && name.contains(']') {
        return format!("[{dso}]");
    }
    // `JS:*fib /path/w.js:1:13` of a perf map.
    if let Some(script) = name.strip_prefix("JS:") {
        let function = script.split(' ').next().unwrap_or(script).trim_start_matches(['*', '~', '^', '+']);
        return if function.is_empty() { "(anonymous)".into() } else { function.into() };
    }
    let name = name.split("@@").next().unwrap_or(name);
    let name = name.replace("(anonymous namespace)", "{anonymous}");
    let mut kept = String::new();
    let mut depth = 0;
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            '(' if depth == 0 => break,
            _ if depth > 0 => {}
            _ => kept.push(c),
        }
    }
    // A Rust hash, and what compilers append.
    let kept =
        kept.split("::h").next().filter(|head| kept.len() == head.len() + 19).unwrap_or(&kept).to_owned();
    if name.starts_with("RegExp:") {
        return name;
    }
    let plain = kept.split('.').next().unwrap_or(&kept);
    // The same code under two names.
    let plain = plain.replace("__memcpy_", "__memmove_");
    if plain.is_empty() { name } else { plain.trim_matches(':').into() }
}

impl SelfSamples {
    fn add(&mut self, name: &str, samples: u64) {
        self.total += samples;
        *self.functions.entry(name.into()).or_default() += samples;
    }

    fn share(&self, name: &str) -> f64 {
        self.functions.get(name).copied().unwrap_or(0) as f64 / self.total.max(1) as f64
    }

    /// The functions that both or one of the two call hot (above 2 %), with their distance in standard deviations.
    pub fn against(&self, other: &SelfSamples) -> Vec<Distance> {
        let names = self
            .functions
            .keys()
            .chain(other.functions.keys().filter(|name| !self.functions.contains_key(*name)));
        let mut hot: Vec<Distance> = (names.map(|name| (name, self.share(name), other.share(name))))
            .filter(|(_, ours, theirs)| ours.max(*theirs) > 0.02)
            .map(|(name, ours, theirs)| {
                let share = (ours * self.total as f64 + theirs * other.total as f64)
                    / (self.total + other.total) as f64;
                let per_sample = 1.0 / self.total as f64 + 1.0 / other.total as f64;
                let sigma = (share * (1.0 - share) * per_sample).sqrt();
                Distance { name: name.clone(), ours, theirs, sigmas: (ours - theirs) / sigma }
            })
            .collect();
        hot.sort_by(|a, b| b.ours.max(b.theirs).total_cmp(&a.ours.max(a.theirs)));
        hot.truncate(10);
        hot
    }
}

/// How far two shares of a function are apart.
#[derive(Debug)]
pub struct Distance {
    /// The function.
    pub name: String,
    /// One share.
    pub ours: f64,
    /// The other.
    pub theirs: f64,
    /// Their distance over its standard deviation.
    pub sigmas: f64,
}
