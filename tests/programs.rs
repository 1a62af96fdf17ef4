//! Programs that nobody here wrote: servers, interpreters, compilers, and process 1.
//!
//! Where perf is installed it records the same run, and the hot functions must have the same shares within four
//! standard deviations of two ideal samplers.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rs_schema::event::FrameKind;
use rs_schema::session::ProfileSession;
use rs_tests::cmd::{self, Running, bin, eventually, run, shell, which};
use rs_tests::flavour::turn;
use rs_tests::perf::{self, SelfSamples};
use rs_tests::session::{self, backend, finish, recorder, top};
use rs_tests::skip;
use rs_tests::skip::{is_root, say};
use rs_tests::truth::impurity;

const MINUTE: Duration = Duration::from_secs(60);
const SIGMAS: f64 = 4.0;

/// Skips without perf events, and without a program.
macro_rules! needs {
    ($($program:expr),*) => {
        if backend() != Some("perf_event") {
            skip!("perf", "the kernel lets nobody here sample with perf_event");
        }
        $(if which($program).is_none() {
            skip!($program, "{} is not installed", $program);
        })*
    };
}

/// Records a command, with `perf record` between where there is perf.
fn record(directory: &Path, configure: impl FnOnce(&mut Command)) -> ProfileSession {
    let mut command = recorder(directory);
    command.current_dir(directory).arg("--");
    if which("perf").is_some() {
        command.arg("perf").args(perf::RECORD).arg("-o").arg(directory.join("perf.data")).arg("--");
    }
    configure(&mut command);
    let _turn = turn();
    finish(directory, command, MINUTE).session
}

/// Whole stacks, and what `perf report` says of the same run.
fn check(title: &str, session: &ProfileSession, directory: &Path) {
    let diagnostics = &session.sampling_diagnostics;
    let ours = perf::of_session(session);
    let complete = 1.0 - ours.cut as f64 / ours.total.max(1) as f64;
    say(&format!(
        "{title}: {} samples, {:.2} % of stacks complete ({:?} spliced), {:.1} % named, {} lost",
        diagnostics.sample_count,
        100.0 * complete,
        diagnostics.spliced_count,
        100.0 * diagnostics.symbolised_ratio.unwrap_or(0.0),
        diagnostics.lost_count + diagnostics.dropped_count,
    ));
    let data = directory.join("perf.data");
    if data.exists() {
        agree(title, session, &ours, &data);
    } else {
        skip::skip("perf-tool", "perf is not installed; the shares are not compared");
    }
    assert!(complete > 0.99, "{complete} of stacks are complete");
    let missing = diagnostics.lost_count + diagnostics.dropped_count;
    assert!(missing * 1000 <= diagnostics.sample_count, "{missing} samples lost");
}

fn agree(title: &str, session: &ProfileSession, ours: &SelfSamples, data: &Path) {
    let theirs = perf::report(data);
    let hot = ours.against(&theirs);
    let worst = hot.iter().map(|distance| distance.sigmas.abs()).fold(0.0, f64::max);
    say(&format!(
        "{title}: {} functions above 2 % agree with perf ({} against {} samples) within {worst:.1} sigma",
        hot.len(),
        ours.total,
        theirs.total
    ));
    let table: String = (hot.iter())
        .map(|d| {
            format!("  {:6.2} % {:6.2} % {:+5.1} {}\n", 100.0 * d.ours, 100.0 * d.theirs, d.sigmas, d.name)
        })
        .collect();
    assert!(!hot.is_empty(), "nothing is hot: {}", top(session, 10));
    assert!(worst < SIGMAS, "{title}: rs-record and perf disagree:\n{table}");
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).expect("a scratch file");
    path
}

/// A server under load, attached to by pid.
#[test]
fn redis_by_pid() {
    needs!("redis-server", "redis-benchmark");
    let scratch = cmd::scratch("redis");
    let directory = scratch.path();
    let port = free_port();
    let quiet = |command: &mut Command| {
        command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    };
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port]);
    quiet(&mut command);
    let server = Running::start(&mut command);
    let up = eventually(Duration::from_secs(10), || TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    assert!(up.is_some(), "redis-server does not listen");

    let _turn = turn();
    let mut command = Command::new("redis-benchmark");
    command.args(["-h", "127.0.0.1", "-p", &port, "-P", "16", "-n", "1000000000", "-r", "20000", "-q"]);
    command.args(["zadd", "set", "__rand_int__", "member:__rand_int__"]);
    quiet(&mut command);
    let mut load = Running::start(&mut command);
    // Until the set has its final size, what is hot changes.
    std::thread::sleep(Duration::from_secs(1));

    let pid = server.pid().to_string();
    let data = directory.join("perf.data");
    let beside = which("perf").map(|_| {
        let mut perf = Command::new("perf");
        perf.args(perf::RECORD).arg("-o").arg(&data).args(["-p", &pid, "--", "sleep", "3"]);
        quiet(&mut perf);
        Running::start(&mut perf)
    });
    let mut command = recorder(directory);
    command.args(["--pid", &pid, "--duration", "3s"]);
    let session = finish(directory, command, MINUTE).session;
    if let Some(mut perf) = beside {
        assert!(perf.wait(MINUTE).is_some_and(|status| status.success()), "perf fails");
    }
    assert!(load.is_alive() && TcpStream::connect(format!("127.0.0.1:{port}")).is_ok(), "the server lives");
    check("redis-server", &session, directory);
    assert_eq!(session.session.pid, Some(server.pid()));
    assert!(session.session.command.iter().all(|word| !word.is_empty()), "{:?}", session.session.command);
    // It has names of its own by its dynamic symbols.
    assert!(session::function(&session, "readQueryFromClient").is_some(), "{}", top(&session, 10));
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
    listener.local_addr().expect("its address").port().to_string()
}

const PYTHON: &str = r#"
import json
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
counts = {}
for turn in range(12):
    fib(22)
    rows = json.loads(json.dumps([{"a": i, "b": str(i)} for i in range(20000)]))
    for i in range(200000):
        counts[i % 5000] = counts.get(i % 5000, 0) + i
    rows.sort(key=lambda row: row["b"])
"#;

#[test]
fn python() {
    needs!("python3");
    let scratch = cmd::scratch("python");
    // Not a shim that starts a shell that starts it.
    let which = run(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]), MINUTE).ok();
    let script = write(scratch.path(), "work.py", PYTHON);
    let session = record(scratch.path(), |command| {
        command.arg(which.text().trim()).arg(script);
    });
    check("python3", &session, scratch.path());
    assert!(session::function(&session, "_PyEval_EvalFrameDefault").is_some(), "{}", top(&session, 10));
}

const NODE: &str = r#"
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
function sortNumbers(k) {
    const a = []
    for (let i = 0; i < 20000; i++) a.push((i * 7919 + k) % 10007)
    return a.sort((x, y) => x - y)[5]
}
const begin = Date.now()
let sum = 0
while (Date.now() - begin < 2000) sum += fib(29) + sortNumbers(sum)
console.log(sum)
"#;

/// Code made at run time, named by the map that the program writes.
#[test]
fn node() {
    needs!("node");
    let scratch = cmd::scratch("node");
    let script = write(scratch.path(), "work.js", NODE);
    let session = record(scratch.path(), |command| {
        command.args(["node", "--perf-basic-prof"]).arg(script);
    });
    let nowhere = session.functions.iter().filter(|row| row.kind == FrameKind::Unknown);
    let nowhere: u64 = nowhere.filter(|row| row.function != "[truncated]").map(|row| row.total_samples).sum();
    let _maps = Maps(session.processes.iter().map(|process| process.pid).collect());
    check("node", &session, scratch.path());
    let fib = session::function(&session, "fib").unwrap_or_else(|| panic!("no fib: {}", top(&session, 10)));
    assert_eq!(fib.kind, FrameKind::Jit);
    // What the unwinder takes for a caller is code. (V8's builtins are code without unwind tables.)
    let samples = session.sampling_diagnostics.sample_count;
    assert!(nowhere * 100 < samples, "{nowhere} of {samples} samples have frames in no mapping");
    assert!(fib.self_pct > 5.0, "{}", top(&session, 10));
}

/// Maps of node, removed when dropped.
struct Maps(Vec<u32>);

impl Drop for Maps {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = fs::remove_file(format!("/tmp/perf-{pid}.map"));
        }
    }
}

const CRATE: &str = r#"
use std::collections::{BTreeMap, HashMap};
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Row { number: u32, text: String, bytes: Vec<u8> }
fn main() {
    let mut map: HashMap<Row, BTreeMap<String, Vec<Row>>> = HashMap::new();
    for number in 0..100u32 {
        let row = Row { number, text: format!("{number}"), bytes: vec![1; 3] };
        map.entry(row.clone()).or_default().entry(row.text.clone()).or_default().push(row);
    }
    let mut rows: Vec<_> = map.iter().collect();
    rows.sort();
    println!("{rows:?}");
}
"#;

/// A build is a tree of processes, of which the compiler is a large Rust program with C++ in it.
#[test]
fn cargo_build_with_its_children() {
    needs!("cargo", "cc");
    let scratch = cmd::scratch("cargo");
    let package = scratch.path().join("tiny");
    fs::create_dir_all(package.join("src")).expect("a directory");
    write(&package, "Cargo.toml", "[package]\nname = \"tiny\"\nedition = \"2021\"\n[workspace]\n");
    write(&package, "src/main.rs", CRATE);
    let session = record(scratch.path(), |command| {
        command.current_dir(&package).env("CARGO_TARGET_DIR", package.join("target"));
        command.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_JOBS");
        command.args(["cargo", "build", "--release", "--offline", "--quiet"]);
    });
    assert!(package.join("target/release/tiny").exists(), "the build worked");
    let names: Vec<&str> = session.processes.iter().filter_map(|process| process.name.as_deref()).collect();
    for name in ["cargo", "rustc"] {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    for process in &session.processes {
        let parent = process.parent.map(|row| session.processes[row as usize].name.as_deref());
        match process.name.as_deref() {
            Some("cargo") => {}
            Some("rustc") => assert_eq!(parent, Some(Some("cargo")), "{names:?}"),
            _ => {}
        }
    }
    check("cargo build", &session, scratch.path());
    attributed("cargo build", &session);
    assert!(session.crate_rollups.iter().any(|row| row.crate_name.starts_with("rustc_")), "no rustc crates");
}

/// Our own filter over a long stream: the profiler is a Rust program too.
#[test]
fn rollup_itself() {
    needs!();
    let scratch = cmd::scratch("rollup");
    let directory = scratch.path();
    let small = directory.join("small.ndjson");
    let mut command = cmd::tool("rs-record");
    command.arg("-qo").arg(&small).arg("--").arg(bin("truth_generics")).args(["--seconds", "0.5"]);
    run(&mut command, MINUTE).ok();
    let text = fs::read_to_string(&small).expect("a stream");
    let large = directory.join("large.ndjson");
    let mut file = std::io::BufWriter::new(fs::File::create(&large).expect("a file"));
    for line in text.lines().filter(|line| !line.starts_with(r#"{"type":"end""#)) {
        let count = if line.starts_with(r#"{"type":"sample""#) { 6000 } else { 1 };
        for _ in 0..count {
            writeln!(file, "{line}").expect("written");
        }
    }
    drop(file);

    let session = record(directory, |command| {
        command.arg(bin("rs-rollup")).args(["-q", "-o"]).arg(directory.join("large.json")).arg(&large);
    });
    check("rs-rollup", &session, directory);
    attributed("rs-rollup", &session);
    // Time in libc and the kernel is charged to who called them; what is left is the start of the process.
    let of_perf =
        session.crate_rollups.iter().find(|row| row.crate_name == "[perf]").map_or(0, |row| row.total_ns);
    let all = session.sampling_diagnostics.sampled_cpu_ns - of_perf;
    let ours: u64 = session
        .crate_rollups
        .iter()
        .filter(|row| !row.crate_name.starts_with('['))
        .map(|row| row.blame_ns)
        .sum();
    let part = ours as f64 / all as f64;
    say(&format!("rs-rollup: {:.1} % of the time is charged to crates", 100.0 * part));
    assert!(part >= 0.9, "the rest should be the start of the process: {}", top(&session, 20));
    for name in ["rs_schema", "rs_profile"] {
        assert!(session.crate_rollups.iter().any(|row| row.crate_name == name), "no {name}");
    }
}

/// Of an unstripped Rust program at least 95 % of the samples carry crate and module.
fn attributed(title: &str, session: &ProfileSession) {
    let ratio = session.sampling_diagnostics.attributed_ratio.unwrap_or(0.0);
    say(&format!("{title}: {:.2} % of Rust samples carry crate and module", 100.0 * ratio));
    assert!(ratio >= 0.95, "{ratio}: {}", top(session, 20));
    let keys = session.functions.iter().map(|row| &row.function);
    // A closure whose function the line tables do not name counts under its module.
    let keys = keys.map(|key| key.strip_suffix("::{closure}").unwrap_or(key));
    let impure: Vec<_> = keys.filter_map(|key| impurity(key).map(|what| (what, key))).collect();
    assert!(impure.is_empty(), "{impure:#?}");
}

/// `rs-record --pid 1 | rs-rollup > s.json` in a container, where process 1 is a shell that is busy.
fn process_one(proc: &str) {
    if !is_root() || which("unshare").is_none() {
        skip!("root", "a pid namespace needs root and unshare");
    }
    if backend() != Some("perf_event") {
        skip!("perf", "no perf_event");
    }
    let _turn = turn();
    let scratch = cmd::scratch("one");
    let directory = scratch.path();
    // `exec` so that unshare's child, process 1, is the shell itself; it must not end before the pipeline.
    let inside = "(rs-record --pid 1 --duration 1500ms | rs-rollup > s.json; : > done) 2> talk &
        while [ ! -e done ]; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done";
    let inner = write(directory, "inside.sh", inside);
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).expect("permissions");
    let mut outer = shell(format!("exec unshare -pf {proc} sh ./inside.sh"));
    let done = run(outer.current_dir(directory), Duration::from_secs(20));
    let talk = fs::read_to_string(directory.join("talk")).unwrap_or_default();
    assert!(done.status.success(), "{} {talk}", done.stderr);
    let path = directory.join("s.json");
    session::validate(&path);
    let session = session::load(&path);
    let diagnostics = &session.sampling_diagnostics;
    say(&format!("process 1 {proc}: {} samples of {:?}", diagnostics.sample_count, session.session.command));
    assert_eq!(session.session.pid, Some(1), "{talk}");
    assert!(session.session.command.iter().any(|word| word.contains("inside.sh")), "{talk} {session:?}");
    assert!(session.session.complete);
    assert!(diagnostics.sample_count > 300, "{talk}");
    assert!(diagnostics.complete_stack_ratio > Some(0.99), "{diagnostics:?}");
    let shell = session.mappings.iter().any(|mapping| mapping.path.ends_with("sh"));
    assert!(shell, "{:?}", session.mappings);
    let sampled = diagnostics.sampled_cpu_ns as f64 / diagnostics.process_cpu_ns.expect("counted") as f64;
    assert!((sampled - 1.0).abs() < 0.1, "{sampled} of the CPU time that is counted; {diagnostics:?}");
    assert!(!session.process_samples.is_empty(), "metrics of process 1: {talk}");
}

#[test]
fn process_one_of_a_container() {
    process_one("--mount-proc");
}

/// The same without a /proc of its own: what is 1 there is another process.
#[test]
fn process_one_of_a_namespace_without_its_proc() {
    process_one("");
}

/// The comparison itself: names that perf and we spell differently must meet.
#[test]
fn names_of_both_sides_meet() {
    for (name, expected) in [
        ("encoder_listencode_obj.isra.0", "encoder_listencode_obj"),
        ("pthread_rwlock_unlock@@GLIBC_2.34", "pthread_rwlock_unlock"),
        ("v8::internal::Map<int>::Find(int, char const*)", "v8::internal::Map::Find"),
        ("(anonymous namespace)::Opt::run(llvm::Function&)", "{anonymous}::Opt::run"),
        ("a::b::h0123456789abcdef", "a::b"),
        ("JS:*fib /tmp/w.js:1:13", "fib"),
        ("0x1234", "[libx.so]"),
        ("[libx.so]+0x10", "[libx.so]"),
    ] {
        assert_eq!(perf::alike(false, "libx.so", name), expected);
    }
}
