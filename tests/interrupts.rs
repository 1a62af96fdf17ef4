//! Ctrl-C, and worse, in a pipeline: the session is whole, the target unharmed.
//!
//! "Must show" 5 of the design. The terminals are real ones (`rs_tests::terminal`), where the kernel sends the signals
//! to the whole foreground group; once more with tmux and an interactive shell, as it is on somebody's desk.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rs_schema::ProfileSession;
use rs_schema::event::EndReason;
use rs_tests::cmd::{Running, eventually, run, scratch, shell, tool, which};
use rs_tests::process::{Traits, assert_unharmed, children, state};
use rs_tests::session::{load, validate};
use rs_tests::skip;
use rs_tests::terminal::{On, Terminal};

const LIMIT: Duration = Duration::from_secs(20);
/// Enough for some samples, and for every program of a pipeline to be where it waits.
const A_WHILE: Duration = Duration::from_millis(700);

/// A program that computes for a minute at most. Leads no terminal, so Ctrl-C does not reach it.
fn target() -> Running {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap 'exit 9' INT; echo ready; i=0; while [ $i -lt 20000000 ]; do i=$((i+1)); done"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Its own group, as it has in a terminal of its own.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut running = Running::start(&mut command);
    // Not while it is still becoming what it will be.
    let mut line = String::new();
    let stdout = running.child().stdout.as_mut().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("it can be read");
    running
}

fn in_directory(directory: &Path, script: &str) -> Command {
    let mut command = shell(script);
    command.current_dir(directory).env("TERM", "xterm");
    command
}

#[track_caller]
fn exists(path: &Path, limit: Duration) {
    assert!(eventually(limit, || path.exists().then_some(())).is_some(), "no {} comes", path.display());
}

#[track_caller]
fn whole(path: &Path) -> ProfileSession {
    validate(path);
    let session = load(path);
    assert!(session.session.complete, "the session is complete");
    session
}

fn ended(session: &ProfileSession) -> Option<EndReason> {
    Some(session.session.end.as_ref()?.reason)
}

#[test]
fn ctrl_c_on_an_attached_pipeline_leaves_a_whole_session() {
    for output in ["rs-rollup > s.json", "rs-rollup -o s.json"] {
        let dir = scratch("ctrl-c");
        let mut target = target();
        let before = Traits::of(target.pid());
        let script = format!("rs-record --pid {} | {output}", target.pid());
        let mut terminal = Terminal::start(in_directory(dir.path(), &format!("{script}; wait")), On::ALL);
        std::thread::sleep(A_WHILE);
        assert!(terminal.program().is_alive(), "{}", terminal.text());
        terminal.type_keys("\x03");
        let asked = Instant::now();
        let (_, shown) = terminal.wait(LIMIT);
        assert!(asked.elapsed() < Duration::from_secs(3), "at once, not after {:?}", asked.elapsed());
        exists(&dir.path().join("s.json"), Duration::from_secs(2));
        let session = settled(&dir.path().join("s.json"));
        assert!(ended(&session) == Some(EndReason::Signal), "{:?}", session.session.end);
        let samples = session.sampling_diagnostics.sample_count;
        assert!(samples > 0 || !session.process_samples.is_empty(), "it holds something: {shown}");
        assert!(!shown.contains("warning") && !shown.contains("no end"), "{shown}");
        assert!(target.is_alive(), "the target runs on");
        assert_unharmed(target.pid());
        assert_eq!(Traits::of(target.pid()), before);
    }
}

/// The shell may be gone a moment before the last program of its pipeline.
#[track_caller]
fn settled(path: &Path) -> ProfileSession {
    let parsed = eventually(LIMIT, || ProfileSession::from_json(&fs::read(path).ok()?).ok());
    assert!(parsed.is_some(), "{} is a session", path.display());
    whole(path)
}

#[test]
fn ctrl_c_on_a_launched_pipeline_reaches_the_child_too() {
    let dir = scratch("launched");
    // One that dies of it, and one that takes its time to clean up: recorded to its own end.
    for (child, status, reason) in [
        ("sleep 20", 130, "killed by signal 2"),
        ("sh -c \"trap 'sleep 0.5; exit 5' INT; while :; do sleep 0.05; done\"", 5, "its own exit"),
    ] {
        let script = format!(
            "trap : INT; rs-record -- {child} | rs-rollup -q -o s.json; echo ${{PIPESTATUS[0]}} > status"
        );
        fs::write(dir.path().join("script"), script).expect("a script");
        let mut terminal = Terminal::start(in_directory(dir.path(), "exec bash script"), On::ALL);
        std::thread::sleep(A_WHILE);
        terminal.type_keys("\x03");
        let (_, shown) = terminal.wait(LIMIT);
        let session = settled(&dir.path().join("s.json"));
        assert!(ended(&session) == Some(EndReason::Exit), "{reason}: {shown}");
        let recorded = fs::read_to_string(dir.path().join("status")).expect("a status");
        assert_eq!(recorded.trim(), status.to_string(), "{reason}: {shown}");
        for file in ["s.json", "status", "script"] {
            fs::remove_file(dir.path().join(file)).expect("it can go");
        }
    }
}

#[test]
fn a_second_ctrl_c_leaves_the_child() {
    let dir = scratch("twice");
    let child = "sh -c \"trap '' INT; echo \\$\\$ > pid; sleep 4; echo done > mark\"";
    let script = format!("trap : INT; rs-record -o events -- {child}; echo $? > status; cat");
    let mut terminal = Terminal::start(in_directory(dir.path(), &script), On::ALL);
    exists(&dir.path().join("pid"), LIMIT);
    std::thread::sleep(A_WHILE);
    terminal.type_keys("\x03");
    std::thread::sleep(Duration::from_millis(400));
    assert!(!dir.path().join("status").exists(), "the first leaves it to the child: {}", terminal.text());
    terminal.type_keys("\x03");
    let asked = Instant::now();
    exists(&dir.path().join("status"), Duration::from_secs(3));
    assert!(asked.elapsed() < Duration::from_secs(2), "the second ends the recording at once");
    let pid: u32 = fs::read_to_string(dir.path().join("pid")).expect("a pid").trim().parse().expect("a pid");
    assert_unharmed(pid);
    // The end of the shell would hang up on the child.
    exists(&dir.path().join("mark"), LIMIT);
    terminal.type_keys("\x04");
    let (_, shown) = terminal.wait(LIMIT);
    assert!(shown.contains("left"), "it says that the program runs on: {shown}");
    validate(&dir.path().join("events"));
    let end = fs::read_to_string(dir.path().join("events")).expect("a stream");
    assert!(end.trim_end().lines().last().is_some_and(|line| line.contains(r#""reason":"signal""#)));
}

#[test]
fn kill_9_of_the_recorder_leaves_a_stream_that_folds() {
    let dir = scratch("kill-9");
    let (stream, document) = (dir.path().join("events"), dir.path().join("s.json"));
    // Attached, into a file and through a pipe; then a launched one.
    let mut target = target();
    let before = Traits::of(target.pid());
    for into_pipe in [false, true] {
        let mut command = tool("rs-record");
        command.args(["--pid", &target.pid().to_string()]).stdin(Stdio::null()).stderr(Stdio::null());
        // What it makes there, nobody will remove.
        command.env("TMPDIR", dir.path());
        let mut rollup = None;
        if into_pipe {
            command.stdout(Stdio::piped());
        } else {
            command.stdout(fs::File::create(&stream).expect("a stream"));
        }
        let mut recorder = Running::start(&mut command);
        if into_pipe {
            let pipe = recorder.child().stdout.take().expect("piped");
            let mut fold = tool("rs-rollup");
            fold.arg("-o").arg(&document).stdin(pipe).stderr(Stdio::piped());
            rollup = Some(Running::start(&mut fold));
        }
        std::thread::sleep(Duration::from_millis(1200));
        recorder.signal(Signal::SIGKILL);
        recorder.wait(LIMIT).expect("it is gone");
        let said = match rollup {
            Some(mut rollup) => {
                let status = rollup.wait(LIMIT).expect("the filter ends");
                assert_eq!(status.code(), Some(0));
                let mut said = String::new();
                let stderr = rollup.child().stderr.as_mut().expect("piped");
                stderr.read_to_string(&mut said).expect("readable");
                said
            }
            None => {
                let folded = run(tool("rs-rollup").arg("-o").arg(&document).arg(&stream), LIMIT);
                assert_eq!(folded.status.code(), Some(0), "{}", folded.stderr);
                folded.stderr
            }
        };
        assert!(said.contains("no end"), "a warning: {said}");
        validate(&document);
        let session = load(&document);
        assert!(!session.session.complete, "marked incomplete");
        assert!(
            session.sampling_diagnostics.sample_count > 0 || !session.process_samples.is_empty(),
            "what there was"
        );
        assert!(session.session.duration_ns > 300_000_000, "up to the end: {}", session.session.duration_ns);
        assert!(target.is_alive());
        assert_unharmed(target.pid());
        assert_eq!(Traits::of(target.pid()), before);
        // Readers further down say it too.
        let text = run(tool("rs-export").arg("--text").arg(&document), LIMIT).ok().text();
        assert!(text.contains("incomplete") || text.contains("cut"), "{text}");
    }
}

#[test]
fn kill_9_of_the_recorder_leaves_a_launched_child_running() {
    let dir = scratch("orphan");
    let stream = dir.path().join("events");
    let mut command = tool("rs-record");
    command.env("TMPDIR", dir.path());
    command.current_dir(dir.path()).args(["--", "sh", "-c", "echo $$ > pid; sleep 2; echo done > mark"]);
    command.stdin(Stdio::null()).stdout(fs::File::create(&stream).expect("a stream")).stderr(Stdio::null());
    let mut recorder = Running::start(&mut command);
    exists(&dir.path().join("pid"), LIMIT);
    std::thread::sleep(Duration::from_millis(400));
    recorder.signal(Signal::SIGKILL);
    recorder.wait(LIMIT).expect("it is gone");
    let pid: u32 = fs::read_to_string(dir.path().join("pid")).expect("a pid").trim().parse().expect("a pid");
    assert_unharmed(pid);
    exists(&dir.path().join("mark"), LIMIT);
    let folded = run(tool("rs-rollup").arg(&stream), LIMIT);
    assert_eq!(folded.status.code(), Some(0), "{}", folded.stderr);
    assert!(folded.stderr.contains("no end"), "{}", folded.stderr);
}

/// A recorder that is killed before it let its child go takes the child along: nothing waits for ever.
#[test]
fn a_child_that_was_not_let_go_does_not_stay() {
    let dir = scratch("held");
    for delay_ms in [0, 1, 2, 4, 8] {
        let mut command = tool("rs-record");
        command.env("TMPDIR", dir.path());
        command.current_dir(dir.path()).args(["-o", "/dev/null", "--", "sleep", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut recorder = Running::start(&mut command);
        std::thread::sleep(Duration::from_millis(delay_ms));
        let born = children(recorder.pid());
        recorder.signal(Signal::SIGKILL);
        recorder.wait(LIMIT).expect("it is gone");
        for child in born {
            let gone =
                eventually(Duration::from_secs(5), || matches!(state(child), None | Some('Z')).then_some(()));
            assert!(gone.is_some(), "the child {child} is in state {:?}", state(child));
        }
    }
}

/// tmux with a server of its own, ended when dropped.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start(directory: &Path) -> Tmux {
        let tmux = Tmux { socket: format!("rustscope-test-{}", std::process::id()) };
        let mut path = std::ffi::OsString::from(rs_tests::cmd::bin_dir());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = tmux.command(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40"]);
        // An interactive bash sets its own prompt before it reads this.
        fs::write(directory.join("rc"), "PS1='ready> '").expect("a start-up file");
        command.arg("bash --noprofile --rcfile rc -i").current_dir(directory).env("PATH", path);
        run(&mut command, LIMIT).ok();
        tmux
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket]).args(words);
        command
    }

    fn keys(&self, keys: &[&str]) {
        run(self.command(&["send-keys"]).args(keys), LIMIT).ok();
    }

    fn screen(&self) -> String {
        run(&mut self.command(&["capture-pane", "-p"]), LIMIT).ok().text()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).stderr(Stdio::null()).status();
    }
}

#[test]
fn ctrl_c_in_an_interactive_shell_under_tmux() {
    if which("tmux").is_none() || which("bash").is_none() {
        skip!("tmux", "tmux or bash is not installed");
    }
    let dir = scratch("tmux");
    let mut target = target();
    let tmux = Tmux::start(dir.path());
    let prompt = |count: usize| {
        let shown = || (tmux.screen().matches("ready>").count() >= count).then_some(());
        assert!(eventually(LIMIT, shown).is_some(), "no prompt comes:\n{}", tmux.screen());
    };
    prompt(1);
    let line = format!("rs-record --pid {} | rs-rollup > s.json", target.pid());
    tmux.keys(&[&line, "Enter"]);
    std::thread::sleep(Duration::from_millis(1500));
    tmux.keys(&["C-c"]);
    prompt(2);
    // bash says 130 for a pipeline that died of it; ours ended by itself.
    tmux.keys(&["echo ${PIPESTATUS[*]} > statuses", "Enter"]);
    exists(&dir.path().join("statuses"), LIMIT);
    prompt(3);
    assert_eq!(
        fs::read_to_string(dir.path().join("statuses")).expect("statuses").trim(),
        "0 0",
        "{}",
        tmux.screen()
    );
    let session = settled(&dir.path().join("s.json"));
    assert!(ended(&session) == Some(EndReason::Signal));
    assert!(session.session.duration_ns > 800_000_000, "{}", session.session.duration_ns);
    assert!(target.is_alive());
    assert_unharmed(target.pid());
    // A terminal that closes hangs up on the whole pipeline: recorded up to there, and whole.
    let line = format!("rs-record --pid {} | rs-rollup -o hup.json", target.pid());
    tmux.keys(&[&line, "Enter"]);
    std::thread::sleep(Duration::from_millis(1500));
    drop(tmux);
    exists(&dir.path().join("hup.json"), LIMIT);
    let session = settled(&dir.path().join("hup.json"));
    assert!(ended(&session) == Some(EndReason::Signal));
    assert_unharmed(target.pid());
}

/// Ctrl-Z stops recorder and readers; the target runs on, and `fg` continues what can be continued.
#[test]
fn stopped_and_continued_it_goes_on() {
    let dir = scratch("ctrl-z");
    let stream = dir.path().join("events");
    let mut target = target();
    let mut command = tool("rs-record");
    command.args(["-q", "--pid", &target.pid().to_string()]).stdin(Stdio::null());
    command.stdout(fs::File::create(&stream).expect("a stream"));
    let mut recorder = Running::start(&mut command);
    std::thread::sleep(A_WHILE);
    recorder.signal(Signal::SIGSTOP);
    std::thread::sleep(A_WHILE);
    assert_unharmed(target.pid());
    kill(Pid::from_raw(recorder.pid() as i32), Signal::SIGCONT).expect("it is there");
    std::thread::sleep(A_WHILE);
    recorder.signal(Signal::SIGINT);
    assert_eq!(recorder.wait(LIMIT).expect("it ends").code(), Some(0));
    validate(&stream);
    assert!(target.is_alive());
    assert_unharmed(target.pid());
}
