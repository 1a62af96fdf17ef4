//! The recorder: whose status, whose streams, who gets which signal.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rs_schema::ProfileSession;
use rs_tests::cmd::{Running, eventually, run, scratch, shell, tool};
use rs_tests::process::{Traits, assert_unharmed, state};

use super::{LIMIT, files, read, script};

/// Reads a stream to its end line.
#[track_caller]
fn end_line(path: &Path) -> serde_json::Value {
    let text = read(path.to_owned());
    let last = text.lines().last().expect("a line");
    let line: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(line["type"], "end", "{last}");
    line
}

/// Waits until a recording has begun to write.
#[track_caller]
fn wait_until_recording(stream: &Path) {
    let begun = || fs::read_to_string(stream).is_ok_and(|text| text.contains("\"thread\"")).then_some(());
    assert!(eventually(LIMIT, begun).is_some(), "no stream comes in {}", stream.display());
}

#[test]
fn the_status_is_the_childs() {
    let dir = scratch("status");
    for (command, status) in [
        ("true", 0),
        ("sh -c 'exit 3'", 3),
        ("sh -c 'exit 255'", 255),
        ("sh -c 'kill -TERM $$'", 143),
        ("sh -c 'kill -KILL $$'", 137),
        ("sh -c 'kill -SEGV $$'", 139),
        ("no-such-command", 127),
        ("./no/such/file", 127),
        ("/etc/passwd", 126),
        ("/", 126),
    ] {
        for place in ["> out", "-o out", "| cat > out"] {
            let line = match place.strip_prefix("-o") {
                Some(_) => format!("rs-record -o out -- {command}"),
                None => format!("bash -c 'set -o pipefail; \"$@\" {place}' bash rs-record -- {command}"),
            };
            let ended = script(dir.path(), &line);
            assert_eq!(ended.status.code(), Some(status), "{line}: {}", ended.stderr);
            if !(126..=127).contains(&status) {
                let end = end_line(&dir.path().join("out"));
                assert_eq!(end["reason"], "exit");
                let (code, signal) = (end["exit_code"].as_i64(), end["signal"].as_i64());
                assert_eq!(
                    code.or(signal.map(|signal| 128 + signal)),
                    Some(i64::from(status)),
                    "{line}: {end}"
                );
            } else {
                assert!(
                    ended.stderr.starts_with("rs-record: ") && ended.stderr.contains(command),
                    "{}",
                    ended.stderr
                );
                // A redirection makes the file whatever comes of it; -o does not.
                let left: &[&str] = if place.starts_with("-o") { &[] } else { &["out"] };
                assert_eq!(files(dir.path()), left, "{line}");
            }
            let _ = fs::remove_file(dir.path().join("out"));
        }
    }
}

#[test]
fn its_own_failures_are_125_and_launch_nothing() {
    let dir = scratch("failures");
    for (line, part) in [
        ("rs-record", "--help"),
        ("rs-record --no-such-flag -- touch was-here", "--no-such-flag"),
        ("rs-record -o no/such/dir -- touch was-here", "no/such"),
        ("rs-record -o . -- touch was-here", "directory"),
        ("rs-record --pid 999999999", "999999999"),
        ("rs-record --marks . -- touch was-here", "FIFO"),
    ] {
        let ended = script(dir.path(), &format!("{line} > /dev/null"));
        assert_eq!(ended.status.code(), Some(125), "{line}: {}", ended.stderr);
        assert!(
            ended.stderr.starts_with("rs-record: ") && ended.stderr.contains(part),
            "{line}: {}",
            ended.stderr
        );
        assert!(files(dir.path()).is_empty(), "{line}: {:?}", files(dir.path()));
    }
    let full = script(dir.path(), "rs-record -- true > /dev/full");
    assert_eq!(full.status.code(), Some(125), "{}", full.stderr);
    assert!(full.stderr.contains("No space left"), "{}", full.stderr);
}

#[test]
fn streams_of_the_child() {
    let dir = scratch("streams");
    let child = "sh -c 'cat; echo to-stdout; echo to-stderr >&2'";
    for (options, to_stdout) in [("", false), ("-o -", false), ("-o /dev/stdout", false), ("-o events", true)]
    {
        let ended = script(dir.path(), &format!("echo from-stdin | rs-record {options} -- {child}")).ok();
        let (stdout, stderr) = (ended.text(), ended.stderr);
        assert!(stderr.contains("to-stderr\n"), "{options}: {stderr}");
        let place = if to_stdout { &stdout } else { &stderr };
        assert!(place.contains("from-stdin\nto-stdout\n"), "{options}: stdout {stdout:?}, stderr {stderr:?}");
        if to_stdout {
            assert_eq!(stdout, "from-stdin\nto-stdout\n");
        } else {
            assert!(stdout.lines().all(|line| line.starts_with("{\"type\":")), "{options}: {stdout}");
        }
        let told =
            stderr.lines().filter(|line| line.starts_with("rs-record: ") && line.contains("stderr")).count();
        assert_eq!(told, usize::from(!to_stdout), "{options}: says once where stdout went:\n{stderr}");
        let quiet = script(dir.path(), &format!("echo from-stdin | rs-record -q {options} -- {child}")).ok();
        assert!(!quiet.stderr.contains("rs-record"), "{options}: {}", quiet.stderr);
    }
}

/// The child sees what it would see without us, but for one variable.
#[test]
fn the_child_inherits_what_it_would_without_us() {
    let dir = scratch("inherits");
    let look = "umask; pwd; ls /proc/self/fd | wc -l; grep -E '^(Sig(Ign|Blk|Cgt)|Nice|Groups)' /proc/self/status; \
                ulimit -a; env | grep -v '^_=' | sort";
    fs::write(dir.path().join("look"), look).expect("a script");
    let bare = script(dir.path(), "sh look > bare").ok();
    let recorded = script(dir.path(), "rs-record -o events -- sh look > recorded").ok();
    let lines = |name: &str| {
        let text = read(dir.path().join(name));
        text.lines()
            .filter(|line| !line.starts_with("RUSTSCOPE_MARKS="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines("bare"), lines("recorded"), "{}{}", bare.stderr, recorded.stderr);
}

#[test]
fn a_broken_pipe_leaves_the_child_and_passes_its_status() {
    let dir = scratch("broken");
    for pipefail in ["set -o pipefail", "set +o pipefail"] {
        for reader in ["true", "head -1 > /dev/null", "head -c 1 > /dev/null"] {
            let line = format!(
                "bash -c '{pipefail}; {{ rs-record -q -- sh -c \"sleep 1; echo done > mark; exit 4\"; echo $? >&2; }} \
                 | {reader}'"
            );
            let begin = Instant::now();
            let ended = script(dir.path(), &line);
            assert_eq!(ended.stderr.trim(), "4", "{line}: quiet, and the child's status");
            assert!(begin.elapsed() >= Duration::from_millis(950), "{line}: the child was waited for");
            assert_eq!(read(dir.path().join("mark")), "done\n", "{line}");
            fs::remove_file(dir.path().join("mark")).expect("it can go");
        }
    }
}

/// A process that computes, to be attached to; in two threads where there is a python for it.
fn target() -> Running {
    let busy = "import threading\n\
                def work():\n    while True: pass\n\
                threading.Thread(target=work, daemon=True).start()\n\
                print('ready', flush=True)\n\
                work()";
    let mut command = if rs_tests::cmd::which("python3").is_some() {
        let mut command = shell("exec python3 -c \"$BUSY\"");
        command.env("BUSY", busy);
        command
    } else {
        shell("echo ready; while :; do :; done")
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    // Not while it is still becoming what it will be.
    let mut line = String::new();
    let stdout = running.child().stdout.as_mut().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("it can be read");
    assert_eq!(line, "ready\n");
    running
}

#[test]
fn a_broken_pipe_leaves_an_attached_target_running() {
    let dir = scratch("attached");
    let mut target = target();
    let before = Traits::of(target.pid());
    let line =
        format!("bash -c '{{ rs-record -q --pid {}; echo $? >&2; }} | head -1 > /dev/null'", target.pid());
    let ended = script(dir.path(), &line);
    assert_eq!(ended.stderr.trim(), "0", "{line}");
    assert!(target.is_alive());
    assert_unharmed(target.pid());
    assert_eq!(Traits::of(target.pid()), before);
}

#[test]
fn a_signal_ends_an_attached_recording_and_leaves_the_target_as_it_was() {
    let dir = scratch("detach");
    let stream = dir.path().join("events");
    let mut target = target();
    let before = Traits::of(target.pid());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let file = fs::File::create(&stream).expect("a stream");
        let mut command = tool("rs-record");
        command.args(["-q", "--pid", &target.pid().to_string()]).stdin(Stdio::null()).stdout(file);
        let mut recorder = Running::start(&mut command);
        wait_until_recording(&stream);
        std::thread::sleep(Duration::from_millis(200));
        assert_unharmed(target.pid());
        let asked = Instant::now();
        recorder.signal(signal);
        let status = recorder.wait(LIMIT).expect("it ends");
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{signal}: at once, not after {:?}",
            asked.elapsed()
        );
        let end = end_line(&stream);
        assert_eq!(end["reason"], "signal", "{signal}");
        assert!(target.is_alive(), "{signal}");
        assert_unharmed(target.pid());
        assert_eq!(Traits::of(target.pid()), before, "{signal}");
    }
    let session = run(tool("rs-rollup").arg(&stream), LIMIT).ok();
    let session = ProfileSession::from_json(&session.stdout).expect("a session");
    assert!(session.session.complete);
}

#[test]
fn a_duration_ends_an_attached_recording() {
    let dir = scratch("duration");
    let mut target = target();
    let line = format!("rs-record --pid {} --duration 400ms -o events", target.pid());
    let begin = Instant::now();
    let ended = script(dir.path(), &line);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!((400..3000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    let end = end_line(&dir.path().join("events"));
    assert_eq!(end["reason"], "duration");
    assert!(target.is_alive());
    assert_unharmed(target.pid());
    // A launched one is waited for, recording or not.
    let ended = script(dir.path(), "rs-record --duration 100ms -o events -- sh -c 'sleep 0.6; exit 6'");
    assert_eq!(ended.status.code(), Some(6), "{}", ended.stderr);
    assert_eq!(end_line(&dir.path().join("events"))["reason"], "duration");
}

#[test]
fn signals_are_forwarded_to_a_launched_child_once() {
    let dir = scratch("forward");
    let stream = dir.path().join("events");
    // `kill -INT` of the recorder alone is no Ctrl-C: the child did not get it, so it is passed on as well.
    for (signal, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGHUP, "HUP"), (Signal::SIGINT, "INT")] {
        let child = format!(
            "trap 'echo got {name} >> signals' {name}; echo ready > ready; i=0; \
             while [ $i -lt 12 ]; do sleep 0.05; [ -e signals ] && i=$((i+1)); done; exit 7"
        );
        let mut command = tool("rs-record");
        command.current_dir(dir.path()).args(["-q", "--", "sh", "-c", &child]);
        command.stdin(Stdio::null()).stdout(fs::File::create(&stream).expect("a stream"));
        let mut recorder = Running::start(&mut command);
        let ready = eventually(LIMIT, || dir.path().join("ready").exists().then_some(()));
        assert!(ready.is_some(), "the child runs");
        recorder.signal(signal);
        let status = recorder.wait(LIMIT).expect("it ends");
        assert_eq!(status.code(), Some(7), "{signal}: recorded on until the child ended");
        assert_eq!(read(dir.path().join("signals")), format!("got {name}\n"), "once");
        let end = end_line(&stream);
        assert_eq!((&end["reason"], end["exit_code"].as_i64()), (&"exit".into(), Some(7)), "{signal}");
        for file in ["ready", "signals"] {
            fs::remove_file(dir.path().join(file)).expect("it can go");
        }
    }
}

#[test]
fn a_second_signal_leaves_the_child() {
    let dir = scratch("leave");
    let stream = dir.path().join("events");
    let child = "trap '' TERM; echo $$ > pid; sleep 3; echo done > mark";
    let mut command = tool("rs-record");
    command.current_dir(dir.path()).args(["--", "sh", "-c", child]);
    command.stdin(Stdio::null()).stdout(fs::File::create(&stream).expect("a stream"));
    let stderr = fs::File::create(dir.path().join("stderr")).expect("a file");
    command.stderr(stderr);
    let mut recorder = Running::start(&mut command);
    let ready = || fs::read_to_string(dir.path().join("pid")).ok()?.trim().parse::<u32>().ok();
    let pid = eventually(LIMIT, ready).expect("the child runs");
    recorder.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(150));
    assert!(recorder.is_alive(), "the first waits for the child");
    let asked = Instant::now();
    recorder.signal(Signal::SIGTERM);
    let status = recorder.wait(LIMIT).expect("it ends");
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(status.code(), Some(0));
    assert_eq!(end_line(&stream)["reason"], "signal");
    assert!(read(dir.path().join("stderr")).contains("left"), "it says that the program runs on");
    assert_unharmed(pid);
    let done = eventually(LIMIT, || dir.path().join("mark").exists().then_some(()));
    assert!(done.is_some(), "the child came to its own end; state {:?}", state(pid));
}

#[test]
fn a_second_hang_up_is_the_same_terminal_closing() {
    let dir = scratch("hang-up");
    let child = "trap 'echo got >> signals' HUP; echo ready > ready; \
                 for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.1; done; exit 8";
    let mut command = tool("rs-record");
    command
        .current_dir(dir.path())
        .args(["-q", "-o", "events", "--", "sh", "-c", child])
        .stdin(Stdio::null());
    let mut recorder = Running::start(&mut command);
    let ready = eventually(LIMIT, || dir.path().join("ready").exists().then_some(()));
    assert!(ready.is_some(), "the child runs");
    for _ in 0..3 {
        recorder.signal(Signal::SIGHUP);
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(recorder.wait(LIMIT).expect("it ends").code(), Some(8), "recorded to the child's end");
    assert_eq!(end_line(&dir.path().join("events"))["reason"], "exit");
    assert!(read(dir.path().join("signals")).starts_with("got\n"));
}

#[test]
fn what_the_recorder_was_started_to_ignore_it_ignores() {
    let dir = scratch("ignored");
    let target = target();
    // As `nohup` does, and a shell without job control for `&`.
    for name in ["HUP", "INT"] {
        let line = format!(
            "trap '' {name}; rs-record -q --pid {} > events & sleep 0.5; kill -{name} $!; sleep 0.3; \
             kill -TERM $! || echo gone; wait $!",
            target.pid()
        );
        let ended = script(dir.path(), &line).ok();
        assert_eq!(ended.text(), "", "{name}: {}", ended.stderr);
        let end = end_line(&dir.path().join("events"));
        assert!(end["time_ns"].as_u64() > Some(600_000_000), "{name}: {end}");
    }
}

#[test]
fn leaves_nothing_behind() {
    let dir = scratch("behind");
    let temp = dir.path().join("temp");
    fs::create_dir(&temp).expect("a directory");
    let around = format!("TMPDIR={0} XDG_RUNTIME_DIR={0}", temp.display());
    for (line, status) in [
        ("rs-record -o events -- true", 0),
        ("rs-record -o events -- no-such-command", 127),
        ("rs-record -- true | true", 0),
        ("rs-record --duration 50ms -- sleep 0.2 > /dev/null", 0),
    ] {
        let ended = script(dir.path(), &format!("{around} {line}"));
        assert_eq!(ended.status.code(), Some(status), "{line}: {}", ended.stderr);
        assert_eq!(files(&temp), Vec::<String>::new(), "{line}: temporary files are gone");
        let _ = fs::remove_file(dir.path().join("events"));
        assert_eq!(files(dir.path()), ["temp"], "{line}");
    }
}
