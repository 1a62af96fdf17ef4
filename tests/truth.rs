//! Programs that know their own profile, built every way users build, recorded and folded by the real tools: shares,
//! names, crates, modules and threads must be what the programs say.
//!
//! A share may be four standard deviations of an ideal sampler off. One that is further off is measured once more with
//! twice the samples, and that is printed. `RUSTSCOPE_FULL=1` runs every program in every flavour.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rs_schema::session::{Function, ProfileSession};
use rs_schema::units::Status;
use rs_tests::flavour::{Flavour, turn, turn_alone};
use rs_tests::session::{Recording, backend, finish, recorder, top};
use rs_tests::skip;
use rs_tests::skip::say;
use rs_tests::truth::{Planted, Truth, impurity, sigmas};
use rs_tests::{cmd, session};

/// Sampled time of a program, in seconds.
const SECONDS: f64 = 1.5;
/// The largest deviation that chance is held for.
const SIGMAS: f64 = 4.0;

/// A truth program and its options.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    args: &'static [&'static str],
    /// The least part of complete stacks.
    complete: f64,
    /// The part of the time that the way down to the work may take: it is other functions', though the program
    /// cannot but count it as the work's.
    descent: f64,
    /// Whether other flavours than the default one run it without `RUSTSCOPE_FULL`.
    everywhere: bool,
}

impl Program {
    const fn new(name: &'static str, args: &'static [&'static str]) -> Program {
        Program { name, args, complete: 0.99, descent: 0.0, everywhere: false }
    }

    const fn everywhere(name: &'static str) -> Program {
        Program { everywhere: true, ..Program::new(name, &[]) }
    }

    /// With stacks larger than a sample can carry.
    const fn fat(name: &'static str, args: &'static [&'static str]) -> Program {
        Program { complete: 0.95, descent: 0.04, ..Program::new(name, args) }
    }

    fn title(&self) -> String {
        [&[self.name], self.args].concat().join(" ")
    }
}

const PROGRAMS: [Program; 10] = [
    Program::everywhere("truth_shares"),
    Program::everywhere("truth_generics"),
    Program::everywhere("truth_inline"),
    Program::new("truth_async", &[]),
    Program::new("truth_recursion", &["--depth", "150"]),
    Program::fat("truth_recursion", &["--depth", "150", "--fat"]),
    Program::new("truth_threads", &["--depth", "20"]),
    Program::fat("truth_threads", &["--depth", "150", "--fat"]),
    Program::new("truth_c", &[]),
    Program::new("truth_dlopen", &[]),
];

fn is_full() -> bool {
    std::env::var_os("RUSTSCOPE_FULL").is_some_and(|value| value == "1")
}

/// Runs the programs of a flavour, and fails with all that was wrong.
fn check(flavour: Flavour) {
    if backend() != Some("perf_event") {
        skip!("perf", "the kernel lets nobody here sample with perf_event: {:?}", backend());
    }
    let binaries = flavour.build();
    let mut report = Report::default();
    for program in PROGRAMS {
        if program.everywhere || flavour == Flavour::Default || is_full() {
            report.program(flavour, &binaries, program);
        }
    }
    report.close(flavour);
}

#[test]
fn release_default() {
    check(Flavour::Default);
}

#[test]
fn line_tables() {
    check(Flavour::LineTables);
}

#[test]
fn debug() {
    check(Flavour::Debug);
}

#[test]
fn debug_v0() {
    check(Flavour::DebugV0);
}

#[test]
fn frame_pointers() {
    check(Flavour::FramePointers);
}

#[test]
fn stripped() {
    check(Flavour::Stripped);
}

#[test]
fn mangling_v0() {
    check(Flavour::V0);
}

#[test]
fn mangling_legacy() {
    check(Flavour::Legacy);
}

/// A program of 60 ms: no time to be late in, and names all the same.
#[test]
fn short() {
    if backend() != Some("perf_event") {
        skip!("perf", "no perf_event");
    }
    for flavour in [Flavour::Default, Flavour::Debug] {
        let binaries = flavour.build();
        let (_, Recording { session, .. }, truth) = run(&binaries, Program::new("truth_short", &[]), None);
        let samples = session.sampling_diagnostics.sample_count;
        let expected = truth.process_cpu_ns as f64 / 1e9 * 997.0;
        say(&format!("{flavour:?} truth_short: {samples} samples of {expected:.1}"));
        assert!((samples as f64 - expected).abs() < 3.0 + 0.03 * expected, "{samples} of {expected}");
        for planted in truth.working() {
            let row = planted.find(&session).unwrap_or_else(|| panic!("no {}", planted.function));
            assert_eq!((&row.crate_name, &row.module), (&planted.crate_name, &planted.module));
            let off = sigmas(row.self_samples, samples, planted.share);
            assert!(off.abs() < SIGMAS, "{off:+.1} sigma: {}", top(&session, 5));
        }
        assert_eq!(session.sampling_diagnostics.symbolised_ratio, Some(1.0));
        assert_eq!(session.sampling_diagnostics.complete_stack_ratio, Some(1.0));
    }
}

/// The measure itself: what may not be in a key is found, and what may is not.
#[test]
fn impure_keys_are_found() {
    for key in [
        "a::b::h0123456789abcdef",
        "a[0123456789abcdef]::b",
        "a::b.llvm.123",
        "a::b.cold",
        "a::b::{closure#0}",
        "a::b::{{closure}}",
        "a::{impl#1}::b",
        "a::b::<u64>",
    ] {
        assert!(impurity(key).is_some(), "{key}");
    }
    for key in [
        "a::b",
        "<[u8] as a::B>::c",
        "[libc.so.6]",
        "[app]+0x1aa90",
        "a::half_of_it",
        "<&dyn a::F as b::G>::h",
    ] {
        assert_eq!(impurity(key), None, "{key}");
    }
    assert!((sigmas(550, 1000, 0.5) - 3.162).abs() < 0.001);
}

/// Records a program. `seconds` is not for those that know their own length.
fn run(binaries: &Path, program: Program, seconds: Option<f64>) -> (tempfile::TempDir, Recording, Truth) {
    let directory = cmd::scratch("truth");
    let mut command = recorder(directory.path());
    command.arg("--").arg(binaries.join(program.name));
    if let Some(seconds) = seconds {
        command.arg("--seconds").arg(seconds.to_string());
    }
    command.args(program.args);
    // What lies beyond a sample is read from the running program, so the recorder must not wait for a core.
    let _turn = if program.descent > 0.0 { turn_alone() } else { turn() };
    cmd::ahead(&mut command);
    let recording = finish(directory.path(), command, Duration::from_secs(60));
    let truth = Truth::parse(&recording.stdout);
    (directory, recording, truth)
}

/// What was seen of a flavour, and what was wrong.
#[derive(Default)]
struct Report {
    faults: String,
    compared: usize,
    worst: f64,
    worst_at: String,
    reruns: usize,
    stacks: u64,
    cut: u64,
}

impl Report {
    fn program(&mut self, flavour: Flavour, binaries: &Path, program: Program) {
        let seconds = if is_full() { 2.0 * SECONDS } else { SECONDS };
        let (_scratch, mut recording, mut truth) = run(binaries, program, Some(seconds));
        let mut shares = Shares::of(&recording.session, &truth, flavour, program.descent);
        let again = match shares.outlier() {
            Some(share) => Some(share.to_string()),
            // What lies beyond a sample is read from the program while it runs on: on a busy machine too late.
            None => (complete(&recording.session) < program.complete).then(|| "stacks are cut".into()),
        };
        if let Some(reason) = again {
            say(&format!("{flavour:?} {}: {reason}; once more with twice the samples", program.title()));
            self.reruns += 1;
            (_, recording, truth) = run(binaries, program, Some(2.0 * seconds));
            shares = Shares::of(&recording.session, &truth, flavour, program.descent);
        }
        self.compared += shares.0.len();
        for share in &shares.0 {
            if share.sigmas.abs() > self.worst.abs() {
                self.worst = share.sigmas;
                self.worst_at = share.name.clone();
            }
        }
        let diagnostics = &recording.session.sampling_diagnostics;
        self.stacks += diagnostics.sample_count;
        if program.complete >= 0.99 {
            self.cut += diagnostics.truncated_count;
        }
        let mut faults = Faults::default();
        faults.extend(shares.outlier());
        names(&recording.session, &truth, flavour, &mut faults);
        quality(&recording.session, &truth, program, flavour, &mut faults);
        if flavour == Flavour::Stripped {
            cost_of_stripping(&recording.session, &truth, &mut faults);
        }
        if !faults.0.is_empty() {
            let top = top(&recording.session, 12);
            let _ = writeln!(self.faults, "{}:\n{}\n{top}", program.title(), faults.0.join("\n"));
        }
    }

    fn close(self, flavour: Flavour) {
        let complete = 1.0 - self.cut as f64 / self.stacks.max(1) as f64;
        say(&format!(
            "{flavour:?}: {} shares, worst {:+.2} sigma ({}), {} reruns, {:.3} % of stacks complete",
            self.compared,
            self.worst,
            self.worst_at,
            self.reruns,
            100.0 * complete
        ));
        assert!(self.faults.is_empty(), "{flavour:?}\n{}", self.faults);
        assert!(complete >= 0.999, "{complete} of stacks are complete");
    }
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, fault: impl Into<String>) {
        self.0.push(format!("  {}", fault.into()));
    }

    fn extend(&mut self, fault: Option<impl ToString>) {
        if let Some(fault) = fault {
            self.add(fault.to_string());
        }
    }

    fn unless(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.add(fault());
        }
    }
}

/// A share that was measured.
struct Share {
    name: String,
    hits: u64,
    trials: u64,
    expected: f64,
    sigmas: f64,
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Share { name, hits, trials, expected, sigmas } = self;
        write!(f, "{name} has {hits} of {trials} samples, which is {sigmas:+.1} sigma off {expected:.4}")
    }
}

struct Shares(Vec<Share>);

impl Shares {
    fn of(session: &ProfileSession, truth: &Truth, flavour: Flavour, descent: f64) -> Shares {
        let mut shares = Shares(Vec::new());
        if flavour == Flavour::Stripped {
            shares.of_boundaries(session, truth);
        } else if truth.working().all(|planted| !planted.inlined) || flavour.has_inlines() {
            shares.of_functions(session, truth, |planted| {
                planted.find(session).map_or(0, |row| row.self_samples)
            });
        } else if flavour == Flavour::LineTables {
            // Of an inlined function line tables keep the last segment of its name.
            shares.of_functions(session, truth, |planted| {
                let last = planted.function.rsplit("::").next();
                let rows = session.functions.iter();
                let same = rows.filter(|row| row.function.rsplit("::").next() == last);
                same.map(|row| row.self_samples).sum()
            });
        }
        for share in &mut shares.0 {
            let off = share.hits as f64 / share.trials as f64 - share.expected;
            share.sigmas *= ((off.abs() - descent) / off.abs()).clamp(0.0, 1.0);
        }
        shares.of_threads(session, truth);
        shares
    }

    fn add(&mut self, name: &str, hits: u64, trials: u64, expected: f64) {
        let sigmas = sigmas(hits, trials, expected);
        self.0.push(Share { name: name.to_owned(), hits, trials, expected, sigmas });
    }

    /// Self times, of the samples in planted functions: what is beside them is the program's clock.
    fn of_functions(&mut self, session: &ProfileSession, truth: &Truth, samples: impl Fn(&Planted) -> u64) {
        let trials = truth.working().map(&samples).sum::<u64>().max(1);
        for planted in truth.working() {
            self.add(&planted.function, samples(planted), trials, planted.share);
        }
        // The work of recursion below the planted function counts as the planted function's, so it is apart.
        let all = session.sampling_diagnostics.sample_count;
        let part = trials as f64 / all.max(1) as f64;
        if part < 0.93 {
            self.0.push(Share {
                name: "all planted functions".into(),
                hits: trials,
                trials: all,
                expected: 1.0 - truth.aside_ratio(),
                sigmas: f64::NEG_INFINITY,
            });
        }
    }

    /// Functions without names, told apart by where they begin: their shares in order.
    fn of_boundaries(&mut self, session: &ProfileSession, truth: &Truth) {
        // Several planted functions of one key have a boundary each; only their sum is known then.
        if !matches!(&*truth.program, "truth_shares" | "truth_c" | "truth_threads") {
            return;
        }
        let boundary = format!("[{}]+0x", truth.program);
        let rows = session.functions.iter().filter(|row| row.function.starts_with(&boundary));
        let mut samples: Vec<u64> = rows.map(|row| row.self_samples).collect();
        let mut planted: Vec<f64> = truth.working().map(|planted| planted.share).collect();
        samples.sort_unstable_by(|a, b| b.cmp(a));
        samples.resize(planted.len(), 0);
        planted.sort_unstable_by(|a, b| b.total_cmp(a));
        let trials = samples.iter().sum::<u64>().max(1);
        for (rank, (&hits, &share)) in samples.iter().zip(&planted).enumerate() {
            self.add(&format!("boundary {}", rank + 1), hits, trials, share);
        }
    }

    fn of_threads(&mut self, session: &ProfileSession, truth: &Truth) {
        let samples = |name: &str| {
            let rows = session.thread_rollups.iter().filter(|row| row.name.as_deref() == Some(name));
            rows.map(|row| row.samples).sum::<u64>()
        };
        let trials = truth.threads.iter().map(|thread| samples(&thread.name)).sum::<u64>().max(1);
        for thread in &truth.threads {
            self.add(&thread.name, samples(&thread.name), trials, thread.share);
        }
    }

    fn outlier(&self) -> Option<&Share> {
        let far = self.0.iter().filter(|share| share.sigmas.abs() > SIGMAS);
        far.max_by(|a, b| a.sigmas.abs().total_cmp(&b.sigmas.abs()))
    }
}

/// Keys, crates, modules, languages, and times below callers.
fn names(session: &ProfileSession, truth: &Truth, flavour: Flavour, faults: &mut Faults) {
    let keys = session.functions.iter().map(|row| &row.function);
    let modules = session.module_rollups.iter().map(|row| &row.module);
    let crates = session.crate_rollups.iter().map(|row| &row.crate_name);
    for key in keys.chain(modules).chain(crates) {
        let key = match flavour {
            // A closure whose function the line tables do not name counts under its module.
            Flavour::LineTables => key.strip_suffix("::{closure}").unwrap_or(key),
            _ => key,
        };
        faults.extend(impurity(key).map(|what| format!("{what} in {key}")));
    }
    for planted in &truth.truth {
        let here = planted.mapping.as_ref().is_none_or(|mapping| *mapping == truth.program);
        if flavour == Flavour::Stripped && here {
            continue;
        }
        if planted.inlined && !flavour.has_inlines() {
            inlined_without_names(session, planted, flavour, faults);
            continue;
        }
        // `blend` has no samples of its own and no code either: it is known with `mix`.
        let is_only_inlined = truth.truth.iter().any(|inner| {
            inner.inlined_into.split_last().is_some_and(|(_, through)| through.contains(&planted.function))
        });
        if is_only_inlined && !flavour.has_inlines() {
            continue;
        }
        let Some(row) = planted.find(session) else {
            faults.add(format!("no {}", planted.function));
            continue;
        };
        attribution(row, planted, flavour, faults);
        total(session, truth, row, planted, faults);
    }
}

/// Crate and module are those the program says; what a legacy symbol cannot tell may be a marked guess.
fn attribution(row: &Function, planted: &Planted, flavour: Flavour, faults: &mut Faults) {
    let is_c = planted.module.is_none();
    if is_c {
        let binary = planted.mapping.as_ref().map(|mapping| format!("[{mapping}]"));
        faults.unless(row.crate_name == binary && row.module == binary, || {
            format!("{} is in {:?}, {:?}, not {binary:?}", row.function, row.crate_name, row.module)
        });
        // A symbol alone tells no C from C++ or assembly; it is enough not to call it Rust.
        faults.unless(row.language.as_deref() != Some("rust"), || format!("{} is Rust", row.function));
        return;
    }
    let guess = flavour.has_only_legacy_symbols().then_some(planted.legacy_module.as_ref()).flatten();
    let is_guess = guess.is_some() && row.module.as_ref() == guess;
    let is_right = row.module == planted.module && row.crate_name == planted.crate_name;
    faults.unless(is_right || is_guess && row.crate_name == planted.crate_name, || {
        let found = (&row.crate_name, &row.module, row.attribution);
        format!("{} is in {found:?}, not {:?}", row.function, planted.module)
    });
    // That a path of plain names ends in a function inside a function is more than a legacy symbol can say, so only
    // impls can be marked.
    let is_impl = row.function.starts_with('<');
    faults.unless(!(is_guess && is_impl) || is_right || row.attribution == Some(Status::Estimated), || {
        format!("{}: the module {:?} is a guess, and not marked so", row.function, row.module)
    });
    faults.unless(row.language.as_deref() == Some("rust"), || {
        format!("{} is in the language {:?}", row.function, row.language)
    });
}

/// Without the names of inlined functions their time is the physical function's, or under half a name and marked so.
fn inlined_without_names(session: &ProfileSession, planted: &Planted, flavour: Flavour, faults: &mut Faults) {
    let physical = planted.inlined_into.last().expect("an inlined function has a caller");
    if flavour == Flavour::LineTables {
        let last = planted.function.rsplit("::").next();
        let rows = session.functions.iter();
        let mut rows = rows.filter(|row| row.function.rsplit("::").next() == last && row.self_samples > 0);
        let row = rows.next();
        faults.unless(row.is_some_and(|row| row.crate_name == planted.crate_name), || {
            format!("{} has not even its last name: {row:?}", planted.function)
        });
        faults.unless(row.is_none_or(|row| row.attribution == Some(Status::Estimated)), || {
            format!("{} is a guess, and not marked so", planted.function)
        });
        return;
    }
    faults.unless(session::function(session, &planted.function).is_none(), || {
        format!("{} can only be invented", planted.function)
    });
    let row = session::function(session, physical);
    faults.unless(row.is_some_and(|row| row.self_pct > 93.0), || {
        format!("{physical} does not have the time of {}", planted.function)
    });
}

/// The total counts a function once a sample, however often it is on the stack.
fn total(session: &ProfileSession, truth: &Truth, row: &Function, planted: &Planted, faults: &mut Faults) {
    let diagnostics = &session.sampling_diagnostics;
    let samples = diagnostics.sample_count.max(1) as f64;
    let (total, share) = (row.total_samples as f64 / samples, planted.total_share);
    let sigma = (share * (1.0 - share) / samples).sqrt();
    // Samples beside the work count in the whole, such as those on the way back from the clock, which the program
    // takes for work; stacks that were cut miss their callers.
    let cut = diagnostics.truncated_count as f64 / samples;
    let below = SIGMAS * 1.25 * sigma + truth.aside_ratio().max(0.0) + cut + 0.03;
    let above = SIGMAS * 1.25 * sigma + 0.005;
    faults.unless((share - below..=share + above).contains(&total), || {
        format!("{} totals {total:.4}, not {share:.4}", row.function)
    });
}

fn complete(session: &ProfileSession) -> f64 {
    session.sampling_diagnostics.complete_stack_ratio.unwrap_or(0.0)
}

/// What the session says of itself.
fn quality(session: &ProfileSession, truth: &Truth, program: Program, flavour: Flavour, faults: &mut Faults) {
    let diagnostics = &session.sampling_diagnostics;
    let complete = complete(session);
    if program.complete < 0.99 {
        say(&format!("{flavour:?} {}: {:.2} % complete", program.title(), complete * 100.0));
    }
    faults.unless(complete >= program.complete, || format!("{complete} of stacks are complete"));

    let missing = diagnostics.lost_count + diagnostics.dropped_count;
    faults.unless(missing * 1000 <= diagnostics.sample_count, || format!("{missing} samples lost"));

    let sampled = diagnostics.sampled_cpu_ns as f64 / truth.process_cpu_ns as f64;
    faults.unless((sampled - 1.0).abs() < 0.05, || format!("{sampled} of the CPU time is sampled"));
    let counted = diagnostics.process_cpu_ns.unwrap_or(0) as f64 / truth.process_cpu_ns as f64;
    faults.unless((counted - 1.0).abs() < 0.05, || format!("process_cpu_ns is {counted} of the program's"));

    let debuginfo = session.session.build.debuginfo.as_deref();
    faults.unless(debuginfo == Some(flavour.debuginfo()), || {
        format!("debuginfo is {debuginfo:?}, not {:?}", flavour.debuginfo())
    });
    if flavour != Flavour::Stripped {
        let symbolised = diagnostics.symbolised_ratio.unwrap_or(0.0);
        faults.unless(symbolised >= 0.99, || format!("{symbolised} of samples have a name"));
        let attributed = diagnostics.attributed_ratio.unwrap_or(0.0);
        faults.unless(attributed >= 0.99, || format!("{attributed} of Rust samples have crate and module"));
    }
    faults.unless(session.session.complete, || "the session is not complete".into());
}

/// A stripped program counts under its binary, and the session says what that cost.
fn cost_of_stripping(session: &ProfileSession, truth: &Truth, faults: &mut Faults) {
    let (name, boundary) = (format!("[{}]", truth.program), format!("[{}]+0x", truth.program));
    let diagnostics = &session.sampling_diagnostics;
    let rows = session.functions.iter();
    let nameless = rows.filter(|row| row.function == name || row.function.starts_with(&boundary));
    let mut samples = 0;
    for row in nameless {
        samples += row.self_samples;
        faults.unless(row.crate_name.as_ref() == Some(&name), || {
            format!("{} is in {:?}", row.function, row.crate_name)
        });
    }
    let in_program =
        |planted: &&Planted| planted.mapping.as_ref().is_none_or(|mapping| *mapping == truth.program);
    let share: f64 = truth.working().filter(in_program).map(|planted| planted.share).sum();
    let part = samples as f64 / diagnostics.sample_count.max(1) as f64;
    faults.unless((part - share).abs() < 0.07, || format!("{part} of samples in {name}, not {share}"));

    let bare = diagnostics.mappings_without_symbols.iter();
    let of_program = bare.filter(|bare| {
        let path = &session.mappings[bare.mapping as usize].path;
        path.ends_with(&format!("/{}", truth.program))
    });
    let cost: u64 = of_program.map(|bare| bare.sample_count).sum();
    faults.unless(cost == samples, || {
        format!("mappings_without_symbols says {cost} samples in {name}, but {samples} are")
    });
    let symbolised = diagnostics.symbolised_ratio.unwrap_or(1.0);
    faults.unless(symbolised <= 1.0 - part + 1e-6, || format!("{symbolised} of samples have a name?"));
    let fidelity = &diagnostics.fidelity;
    let says_so = |reason: &String| reason.contains(&truth.program) && reason.contains("without symbols");
    faults.unless(fidelity.reasons.iter().any(says_so), || {
        format!("fidelity does not say what missing symbols cost: {fidelity:?}")
    });
}
