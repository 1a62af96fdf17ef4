//! Whoever records, and whatever the target does: a right result or a clear error, the status as designed, and nobody
//! left stopped.
//!
//! "Must show" 4 of the design. As root each test also runs as an ordinary user and in a user namespace; as an ordinary
//! user only what such a one can do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rs_schema::ProfileSession;
use rs_schema::event::{EndReason, KernelTime};
use rs_tests::cmd::{Finished, Running, bin, run, tool};
use rs_tests::confine::{NOBODY, as_user, deny};
use rs_tests::process::{Traits, assert_unharmed, state};
use rs_tests::skip;
use rs_tests::skip::is_root;

const LIMIT: Duration = Duration::from_secs(30);

/// As whom, and where, the recorder runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As whoever runs the tests.
    Plain,
    /// As a user without rights.
    Nobody,
    /// Root of a user and pid namespace of its own, with the /proc of that one or the outer one.
    Namespace { own_proc: bool },
}

impl Way {
    /// Those that work here.
    fn all() -> Vec<Way> {
        let mut ways = vec![Way::Plain];
        if is_root() {
            ways.push(Way::Nobody);
        } else {
            skip::skip("root", "an ordinary user stays one");
        }
        for own_proc in [true, false] {
            let way = Way::Namespace { own_proc };
            match way.command(Path::new("true")).stderr(Stdio::null()).status() {
                Ok(status) if status.success() => ways.push(way),
                _ => skip::skip("userns", "no user namespaces (unshare -Urpf)"),
            }
        }
        ways
    }

    fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Way::Plain | Way::Nobody => Command::new(program),
            Way::Namespace { own_proc } => {
                let mut command = Command::new("unshare");
                command.arg("-Urpf").args(own_proc.then_some("--mount-proc")).arg(program);
                command
            }
        };
        if self == Way::Nobody {
            as_user(&mut command, NOBODY);
        }
        command.env("NO_COLOR", "1");
        command
    }

    /// Whether the kernel takes it for root.
    fn is_root(self) -> bool {
        self == Way::Plain && is_root()
    }
}

/// A directory where every user may write, with the odd programs compiled.
struct Stage {
    directory: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("privileges/odd.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-g", "-pthread", "-o"]).arg(directory.path().join("odd")).arg(source);
        run(&mut compiler, LIMIT).ok();
        Stage { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn odd(&self) -> PathBuf {
        self.path("odd")
    }

    /// A target of ours that runs until it is dropped or its time is over, and has begun its work.
    fn start(&self, words: &[&str]) -> Running {
        let mut command = Command::new(self.odd());
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        let running = Running::start(&mut command);
        std::thread::sleep(Duration::from_millis(200));
        running
    }

    /// `rs-record WORDS`, with the events in a file, which is checked.
    #[track_caller]
    fn record(&self, way: Way, words: &[&str]) -> (Finished, Option<ProfileSession>) {
        self.record_by(&mut way.command(&bin("rs-record")), words)
    }

    #[track_caller]
    fn record_by(&self, recorder: &mut Command, words: &[&str]) -> (Finished, Option<ProfileSession>) {
        let events = self.path("events");
        let _ = fs::remove_file(&events);
        let ended =
            run(recorder.current_dir(self.directory.path()).args(["-o", "events"]).args(words), LIMIT);
        assert!(no_bug(&ended.stderr), "{words:?}: {}", ended.stderr);
        if !events.exists() {
            let left: Vec<_> = fs::read_dir(self.directory.path()).expect("a directory").flatten().collect();
            let left: Vec<_> =
                left.iter().map(|entry| entry.file_name()).filter(|name| name != "odd").collect();
            assert!(left.is_empty(), "{words:?} leaves {left:?}");
            return (ended, None);
        }
        let valid = run(tool("rs-schema").arg("validate").arg(&events), LIMIT);
        assert!(valid.status.success(), "{words:?}: {}{}", valid.text(), valid.stderr);
        let session = run(tool("rs-rollup").arg(&events), LIMIT).ok();
        let session = ProfileSession::from_json(&session.stdout).expect("a session");
        assert!(session.session.complete, "{words:?}");
        (ended, Some(session))
    }
}

fn no_bug(stderr: &str) -> bool {
    !stderr.contains("internal error") && !stderr.contains("panicked")
}

/// Whether what a user is told names something to do.
fn has_fix(stderr: &str) -> bool {
    ["sudo ", "setcap ", "sysctl ", "seccomp"].iter().any(|fix| stderr.contains(fix))
}

fn samples(session: &ProfileSession) -> u64 {
    session.sampling_diagnostics.sample_count
}

/// Share of all samples with this function innermost or, for inlined names, anywhere.
fn share(session: &ProfileSession, function: &str) -> f64 {
    let found = session.functions.iter().find(|row| row.function == function);
    found.map_or(0.0, |row| row.total_pct)
}

fn end(session: &ProfileSession) -> Option<(EndReason, Option<i32>, Option<i32>)> {
    session.session.end.as_ref().map(|end| (end.reason, end.exit_code, end.signal))
}

/// Whether this machine samples at all; said once a test.
fn has_perf() -> bool {
    let (_, session) = Stage::new()
        .record(Way::Plain, &["-q", "--", "sh", "-c", "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done"]);
    session.is_some_and(|session| samples(&session) > 0)
}

/// Whether the ordinary user reaches our binaries at all: not if the checkout lies in somebody's private home.
fn reachable(way: Way) -> bool {
    if way != Way::Nobody {
        return true;
    }
    let mut command = way.command(&bin("rs-record"));
    let reached = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let reached = reached.is_ok_and(|status| status.success());
    if !reached {
        skip::skip("root", "another user cannot execute the binaries of this checkout");
    }
    reached
}

#[test]
fn odd_programs_are_recorded_and_keep_their_status() {
    if !has_perf() {
        skip!("perf", "no samples can be taken here");
    }
    let stage = Stage::new();
    for way in Way::all().into_iter().filter(|way| reachable(*way)) {
        // The status, how many samples at least (half a second of CPU time should give 500), processes.
        for (what, status, least, processes) in [
            ("burn", 0, 400, 1),
            ("quick", 12, 0, 1),
            ("thread-exits", 11, 400, 1),
            ("main-leaves", 0, 400, 1),
            ("thread-execs", 0, 600, 1),
            ("forks", 13, 200, 101),
            ("fork-bombs-out", 14, 50, 6),
            ("closes", 15, 400, 1),
            ("undumpable", 16, 400, 1),
            ("renames", 17, 400, 1),
        ] {
            let odd = stage.odd();
            let (ended, session) = stage.record(way, &["--", odd.to_str().expect("UTF-8"), what]);
            let session = session.unwrap_or_else(|| panic!("{way:?} {what}: {}", ended.stderr));
            assert_eq!(ended.status.code(), Some(status), "{way:?} {what}: {}", ended.stderr);
            assert_eq!(end(&session), Some((EndReason::Exit, Some(status), None)), "{way:?} {what}");
            // What a small ring of an unprivileged user loses is counted, and no less right.
            let sampled = samples(&session) + session.sampling_diagnostics.lost_count;
            assert!(sampled >= least, "{way:?} {what}: {sampled} samples");
            if least > 0 {
                let burn = share(&session, "burn");
                assert!(burn > 60.0, "{way:?} {what}: burn has {burn} % of {} samples", samples(&session));
            }
            assert_eq!(session.processes.len(), processes, "{way:?} {what}");
            let told = ended.stderr.contains("time in the kernel is not sampled");
            let excluded = matches!(session.sampling_diagnostics.kernel_time, Some(KernelTime::Excluded));
            assert_eq!(told, excluded, "{way:?} {what}: {}", ended.stderr);
            if way.is_root() {
                assert!(!excluded, "root samples the kernel");
            }
        }
    }
}

#[test]
fn a_command_that_becomes_another_is_followed() {
    if !has_perf() {
        skip!("perf", "no samples can be taken here");
    }
    let stage = Stage::new();
    for way in Way::all().into_iter().filter(|way| reachable(*way)) {
        let script = "exec ./odd burn";
        let (ended, session) = stage.record(way, &["--", "sh", "-c", script]);
        let session = session.expect("a session");
        assert_eq!(ended.status.code(), Some(0), "{way:?}: {}", ended.stderr);
        assert_eq!(session.processes.len(), 1, "{way:?}: it is one process all the time");
        assert!(share(&session, "burn") > 60.0, "{way:?}: {}", share(&session, "burn"));
        // And one that starts others, one in the background.
        let script = "./odd burn 0.2 & ./odd quick; wait; exit 21";
        let (ended, session) = stage.record(way, &["--", "sh", "-c", script]);
        let session = session.expect("a session");
        assert_eq!(ended.status.code(), Some(21), "{way:?}: {}", ended.stderr);
        assert_eq!(session.processes.len(), 3, "{way:?}");
        let (_, session) = stage.record(way, &["--no-follow", "--", "sh", "-c", script]);
        let session = session.expect("a session");
        assert_eq!(session.processes.len(), 1, "{way:?}: left out on request");
        assert!(share(&session, "burn") < 5.0, "{way:?}");
    }
}

#[test]
fn a_launched_child_that_is_killed_or_stopped_by_somebody_else() {
    let stage = Stage::new();
    for way in Way::all().into_iter().filter(|way| reachable(*way)) {
        for (signal, status) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
            let script = format!("(sleep 0.3; kill -{signal} $$) & exec ./odd burn 5");
            let (ended, session) = stage.record(way, &["--", "sh", "-c", &script]);
            assert_eq!(ended.status.code(), Some(status), "{way:?} {signal}: {}", ended.stderr);
            let expected = Some((EndReason::Exit, None, Some(status - 128)));
            assert_eq!(end(&session.expect("a session")), expected, "{way:?} {signal}");
        }
        // Stopped, it is waited for; whoever stopped it lets it go on.
        let script = "(sleep 0.2; kill -STOP $$; sleep 0.6; kill -CONT $$) & exec ./odd burn 1";
        let (ended, session) = stage.record(way, &["--", "sh", "-c", script]);
        assert_eq!(ended.status.code(), Some(0), "{way:?}: {}", ended.stderr);
        let session = session.expect("a session");
        assert!(session.session.duration_ns >= 800_000_000, "{way:?}: {}", session.session.duration_ns);
    }
}

#[test]
fn attached_to_what_cannot_be_recorded() {
    let stage = Stage::new();
    let mut parent = Command::new(stage.odd());
    let mut parent = Running::start(parent.arg("zombie").stdout(Stdio::piped()));
    let mut line = String::new();
    let stdout = parent.child().stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a pid");
    let zombie = line.trim().to_owned();
    let threads = stage.start(&["thread-exits", "20"]);
    let second = rs_tests::process::names(threads.pid(), "task")
        .into_iter()
        .find(|tid| *tid != threads.pid().to_string());
    let mut gone = stage.start(&["quick"]);
    gone.wait(LIMIT).expect("it is quick");
    for way in
        [Way::Plain, Way::Nobody].into_iter().filter(|way| *way == Way::Plain || is_root() && reachable(*way))
    {
        for (pid, part) in [
            (zombie.clone(), "ended"),
            (gone.pid().to_string(), "no process"),
            ("4194303".to_owned(), "no process"),
            (second.clone().expect("a second thread"), "thread"),
        ] {
            let (ended, session) = stage.record(way, &["--pid", &pid]);
            assert_eq!(ended.status.code(), Some(125), "{way:?} {pid}: {}", ended.stderr);
            assert!(session.is_none());
            assert!(
                ended.stderr.contains(part) && ended.stderr.contains(&pid),
                "{way:?} {pid}: {}",
                ended.stderr
            );
            assert_eq!(ended.stderr.lines().count(), 1, "{way:?} {pid}: {}", ended.stderr);
        }
    }
    assert_eq!(state(zombie.parse().expect("a pid")), Some('Z'), "still its parent's");
}

#[test]
fn attached_to_odd_programs() {
    if !has_perf() {
        skip!("perf", "no samples can be taken here");
    }
    let stage = Stage::new();
    for (words, least, processes) in [
        (&["burn", "2"][..], 50, 1),
        (&["main-leaves", "3"], 50, 1),
        (&["thread-execs"], 50, 1),
        (&["brood"], 50, 4),
        (&["renames", "3"], 50, 1),
    ] {
        let target = stage.start(words);
        let pid = target.pid().to_string();
        let (ended, session) = stage.record(Way::Plain, &["--pid", &pid, "--duration", "1500ms"]);
        assert_eq!(ended.status.code(), Some(0), "{words:?}: {}", ended.stderr);
        let session = session.expect("a session");
        assert!(samples(&session) >= least, "{words:?}: {} samples", samples(&session));
        assert!(share(&session, "burn") > 60.0, "{words:?}: {}", share(&session, "burn"));
        assert_eq!(session.processes.len(), processes, "{words:?}");
    }
    // Killed while it is recorded: the end of a target is the end of a recording, not a failure.
    let target = stage.start(&["burn", "20"]);
    let pid = Pid::from_raw(target.pid() as i32);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        kill(pid, Signal::SIGKILL).expect("it runs");
    });
    let (ended, session) = stage.record(Way::Plain, &["--pid", &pid.to_string()]);
    killer.join().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(matches!(end(&session.expect("a session")), Some((EndReason::Exit, _, _))));
}

#[test]
fn a_stopped_target_stays_stopped() {
    let stage = Stage::new();
    let mut target = stage.start(&["burn", "20"]);
    target.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(state(target.pid()), Some('T'));
    let (ended, session) =
        stage.record(Way::Plain, &["--pid", &target.pid().to_string(), "--duration", "400ms"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(samples(&session.expect("a session")), 0, "it did nothing");
    assert_eq!(state(target.pid()), Some('T'), "as somebody else left it");
    target.signal(Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(50));
    assert_unharmed(target.pid());
    // Stopped and continued while it is recorded.
    let pid = Pid::from_raw(target.pid() as i32);
    let other = std::thread::spawn(move || {
        for signal in [Signal::SIGSTOP, Signal::SIGCONT, Signal::SIGSTOP] {
            std::thread::sleep(Duration::from_millis(200));
            kill(pid, signal).expect("it runs");
        }
    });
    let (ended, _) = stage.record(Way::Plain, &["--pid", &pid.to_string(), "--duration", "1s"]);
    other.join().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(state(target.pid()), Some('T'), "as somebody else left it");
    target.signal(Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(50));
    assert_unharmed(target.pid());
}

/// Nothing but metrics, and the reason and the remedy in words.
#[track_caller]
fn assert_metrics_only(ended: &Finished, session: &ProfileSession, what: &str) {
    assert!(
        ended.stderr.contains("no stack samples") && ended.stderr.contains("only metrics"),
        "{what}: {}",
        ended.stderr
    );
    assert!(has_fix(&ended.stderr), "{what}: names what would help: {}", ended.stderr);
    assert_eq!(samples(session), 0, "{what}");
    assert!(session.functions.is_empty(), "{what}: no invented row");
    assert!(session.sampling_diagnostics.backend.is_none(), "{what}");
    assert!(!session.process_samples.is_empty(), "{what}: metrics all the same");
    let mut text = tool("rs-export");
    let document = serde_json::to_vec(session).expect("a session");
    let file = rs_tests::cmd::scratch("metrics");
    fs::write(file.path().join("s.json"), document).expect("it can be kept");
    let text = run(text.arg("--text").arg(file.path().join("s.json")), LIMIT).ok().text();
    assert!(
        text.contains("no stack samples") || text.contains("no samples"),
        "{what}: the report says why:\n{text}"
    );
}

#[test]
fn another_users_process_gives_metrics_and_the_fix() {
    if !is_root() {
        skip!("root", "only root can be two users");
    }
    if !reachable(Way::Nobody) {
        return;
    }
    let stage = Stage::new();
    let mut target = stage.start(&["burn", "20"]);
    let before = Traits::of(target.pid());
    let (ended, session) =
        stage.record(Way::Nobody, &["--pid", &target.pid().to_string(), "--duration", "600ms"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let session = session.expect("a session");
    assert_metrics_only(&ended, &session, "another user's");
    let summary = session.process_summary.as_ref().expect("a summary");
    assert!(format!("{summary:?}").contains("cpu"), "{summary:?}");
    assert!(target.is_alive());
    assert_unharmed(target.pid());
    assert_eq!(Traits::of(target.pid()), before);
    let doctor = run(
        Way::Nobody.command(&bin("rs-record")).args(["doctor", "--pid", &target.pid().to_string()]),
        LIMIT,
    );
    assert!(doctor.text().contains("sudo"), "{}", doctor.text());
}

#[test]
fn a_seccomp_filter_leaves_metrics() {
    let stage = Stage::new();
    let odd = stage.odd();
    for errno in [libc::EPERM, libc::ENOSYS] {
        for way in [Way::Plain, Way::Nobody]
            .into_iter()
            .filter(|way| *way == Way::Plain || is_root() && reachable(*way))
        {
            let mut recorder = way.command(&bin("rs-record"));
            deny(&mut recorder, libc::SYS_perf_event_open, errno);
            let (ended, session) =
                stage.record_by(&mut recorder, &["--", odd.to_str().expect("UTF-8"), "closes"]);
            let what = format!("{way:?}, errno {errno}");
            assert_eq!(ended.status.code(), Some(15), "{what}: {}", ended.stderr);
            assert_metrics_only(&ended, &session.expect("a session"), &what);
            assert!(
                ended.stderr.contains("seccomp"),
                "{what}: it is the filter, not the sysctl: {}",
                ended.stderr
            );
        }
    }
}

/// Less of what a recorder needs: the result is right or the error clear, and the child keeps its status.
#[test]
fn short_of_resources() {
    let stage = Stage::new();
    for way in
        [Way::Plain, Way::Nobody].into_iter().filter(|way| *way == Way::Plain || is_root() && reachable(*way))
    {
        for limit in ["-n 16", "-n 40", "-l 0", "-v 300000"] {
            let mut shell = way.command(Path::new("sh"));
            shell.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]).arg(bin("rs-record"));
            let (ended, session) = stage.record_by(&mut shell, &["--", "./odd", "closes"]);
            match ended.status.code() {
                Some(15) => assert!(session.is_some(), "{way:?} {limit}"),
                // Nothing was launched then, and it says why.
                Some(125) => assert!(ended.stderr.len() > 30, "{way:?} {limit}: {}", ended.stderr),
                other => panic!("{way:?} {limit}: {other:?}: {}", ended.stderr),
            }
        }
    }
    // Nowhere to put temporary files, as in a container with a read-only root.
    let mut recorder = Way::Plain.command(&bin("rs-record"));
    recorder.env("TMPDIR", "/no/such/directory");
    let (ended, session) = stage.record_by(&mut recorder, &["--", "./odd", "closes"]);
    assert_eq!(ended.status.code(), Some(15), "{}", ended.stderr);
    assert!(session.is_some());
}

/// A sysctl, put back when dropped.
struct Sysctl {
    path: &'static str,
    before: String,
}

impl Sysctl {
    fn set(path: &'static str, value: &str) -> Option<Sysctl> {
        let before = fs::read_to_string(path).ok()?;
        let sysctl = Sysctl { path, before };
        fs::write(path, value).ok()?;
        Some(sysctl)
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        let _ = fs::write(self.path, &self.before);
    }
}

#[test]
fn perf_event_paranoid_decides_about_the_kernel() {
    const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";
    if !is_root() {
        skip!("root", "only root can set {PARANOID}");
    }
    if !has_perf() || !reachable(Way::Nobody) {
        skip!("perf", "no samples can be taken here");
    }
    let stage = Stage::new();
    for (level, allowed) in [("-1", true), ("0", true), ("1", true), ("2", false)] {
        let Some(_put_back) = Sysctl::set(PARANOID, level) else {
            skip!("root", "{PARANOID} cannot be set");
        };
        let (ended, session) = stage.record(Way::Nobody, &["--", "./odd", "burn"]);
        let session = session.expect("a session");
        assert!(samples(&session) > 400, "paranoid {level}: {}", ended.stderr);
        let kernel = session.sampling_diagnostics.kernel_time;
        let excluded = matches!(kernel, Some(KernelTime::Excluded));
        assert_eq!(!excluded, allowed, "paranoid {level}: {kernel:?}: {}", ended.stderr);
    }
}

/// A recorder in the target's own tree: it watches itself and ends all the same.
#[test]
fn a_target_that_holds_the_recorder() {
    let stage = Stage::new();
    let script = "\"$0\" -q -o events --pid $$ --duration 400ms; echo $? > status";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(bin("rs-record")).current_dir(stage.directory.path());
    run(&mut shell, LIMIT).ok();
    assert_eq!(fs::read_to_string(stage.path("status")).expect("a status").trim(), "0");
    run(tool("rs-schema").arg("validate").arg(stage.path("events")), LIMIT).ok();
}

/// `rs-record doctor` looks without touching.
#[test]
fn the_doctor_says_what_there_is() {
    let stage = Stage::new();
    let mut target = stage.start(&["burn", "20"]);
    let before = Traits::of(target.pid());
    for way in Way::all().into_iter().filter(|way| reachable(*way)) {
        let doctor = run(way.command(&bin("rs-record")).arg("doctor"), LIMIT);
        assert!(no_bug(&doctor.stderr), "{way:?}: {}", doctor.stderr);
        assert!(doctor.text().contains("What you will get"), "{way:?}: {}{}", doctor.text(), doctor.stderr);
    }
    let pid = target.pid().to_string();
    let doctor = run(tool("rs-record").args(["doctor", "--pid", &pid]), LIMIT);
    assert!(doctor.text().contains(&pid), "{}", doctor.text());
    let doctor = run(tool("rs-record").args(["doctor", "--pid", "4194303"]), LIMIT);
    assert!(doctor.text().contains("4194303") || doctor.stderr.contains("4194303"), "{}", doctor.stderr);
    assert!(!doctor.status.success());
    assert!(target.is_alive());
    assert_eq!(Traits::of(target.pid()), before);
}
