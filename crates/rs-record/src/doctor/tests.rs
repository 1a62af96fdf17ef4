//! The doctor as different users meet it: this test program runs itself again with other rights.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;

use super::*;

/// Set in the program that is run again: a pid or a program, or nothing for the machine alone.
const INSIDE: &str = "RS_RECORD_TEST_DOCTOR";
const NOBODY: u32 = 65534;

/// A report, and whether samples can be had.
struct Answer {
    text: String,
    samples: bool,
}

impl Answer {
    fn line(&self, subject: &str) -> &str {
        self.lines(subject).next().unwrap_or_else(|| panic!("no {subject} in\n{}", self.text))
    }

    /// Lines of a subject, behind the level.
    fn lines(&self, subject: &str) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .filter(move |line| line.get(11..).is_some_and(|line| line.starts_with(subject)))
            .map(str::trim)
    }

    fn last_word(&self) -> &str {
        self.text.lines().find(|line| line.starts_with("What you will get:")).unwrap()
    }
}

/// What is run again.
#[test]
fn inside() {
    let Ok(target) = std::env::var(INSIDE) else { return };
    let pid = target.parse().ok();
    let exe = Some(target).filter(|target| pid.is_none() && !target.is_empty()).map(PathBuf::from);
    let mut text = b"REPORT\n".to_vec();
    let exit = run(&DoctorTarget { pid, exe }, &mut text, Style::plain()).unwrap();
    text.extend_from_slice(format!("\nREPORT {exit:?}\n").as_bytes());
    std::io::stdout().write_all(&text).unwrap();
}

/// The command that runs this test program again, behind `wrapper`.
fn again(program: &Path, wrapper: &[&str], target: &str) -> Command {
    let words: Vec<&str> = wrapper
        .iter()
        .copied()
        .chain([program.to_str().unwrap(), "--exact", "doctor::tests::inside", "--nocapture"])
        .collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(INSIDE, target).current_dir("/");
    command
}

fn answer(mut command: Command) -> Answer {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut parts = text.split("REPORT");
    let (Some(_), Some(report), Some(exit)) = (parts.next(), parts.next(), parts.next()) else {
        panic!("{command:?}\n{text}{}", String::from_utf8_lossy(&output.stderr))
    };
    Answer { text: report.to_owned(), samples: exit.trim_start().starts_with("Ok") }
}

fn ask(target: &str) -> Answer {
    answer(again(&std::env::current_exe().unwrap(), &[], target))
}

/// A copy of this test program that everybody may execute.
fn public_copy() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = temporary.path().join("doctor-test");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    (temporary, copy)
}

fn as_nobody(mut command: Command) -> Command {
    command.uid(NOBODY).gid(NOBODY);
    command
}

/// A program that does nothing for a while.
struct Sleeper(Child);

impl Sleeper {
    fn start(mut command: Command) -> Sleeper {
        Sleeper(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleep() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000");
    command
}

fn paranoid() -> i32 {
    fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap().trim().parse().unwrap()
}

/// Whether a test that needs root can run; says so if not.
fn is_root() -> bool {
    may_skip("root", geteuid().is_root())
}

/// Says, in the words of the tests of the whole kit, that a machine cannot run a test.
fn may_skip(need: &str, is_met: bool) -> bool {
    if is_met {
        return true;
    }
    let required = std::env::var("RUSTSCOPE_REQUIRE").unwrap_or_default();
    assert!(required.split(',').all(|word| word != need && word != "all"), "RUSTSCOPE_REQUIRE wants {need}");
    let thread = std::thread::current();
    let line = format!("SKIP {}: {need}: missing\n", thread.name().unwrap_or("test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("RUSTSCOPE_SKIP_LOG") {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        log.write_all(line.as_bytes()).unwrap();
    }
    false
}

#[test]
fn the_machine() {
    let here = ask("");
    let allowed = !here.line("user time").starts_with("no");
    assert_eq!(here.samples, allowed, "{}", here.text);
    if geteuid().is_root() && Machine::look().may_perfmon {
        assert!(here.line("kernel time").starts_with("ok"), "{}", here.text);
        assert!(here.last_word().contains("user and kernel time"), "{}", here.text);
    }
}

#[test]
fn nobodys_own_process() {
    if !is_root() || paranoid() > 2 {
        return;
    }
    let (_temporary, program) = public_copy();
    let sleeper = Sleeper::start(as_nobody(sleep()));
    let own = answer(as_nobody(again(&program, &[], &sleeper.pid())));
    assert!(own.samples, "{}", own.text);
    assert!(own.lines("user time").all(|line| line.starts_with("ok")), "{}", own.text);
    let kernel_time = own.line("kernel time");
    assert_eq!(kernel_time.starts_with("limited"), paranoid() > 1, "{}", own.text);
    if paranoid() > 1 {
        assert!(kernel_time.contains("(EACCES)"), "{kernel_time}");
        assert!(own.last_word().contains("user time without the kernel's"), "{}", own.text);
        assert!(
            own.text.contains("fix: ") && own.text.contains("kernel.perf_event_paranoid=1"),
            "{}",
            own.text
        );
    }
    assert!(own.line("mappings").starts_with("ok"), "{}", own.text);

    let machine = answer(as_nobody(again(&program, &[], "")));
    assert!(machine.line("other users").starts_with("limited"), "{}", machine.text);
}

#[test]
fn somebody_elses_process() {
    if !is_root() {
        return;
    }
    let (_temporary, program) = public_copy();
    let sleeper = Sleeper::start(sleep());
    let other = answer(as_nobody(again(&program, &[], &sleeper.pid())));
    assert!(!other.samples, "{}", other.text);
    assert!(
        other.text.contains("not sampled: it belongs to user 0 (EACCES)") || paranoid() > 2,
        "{}",
        other.text
    );
    assert!(other.last_word().ends_with("no samples, only metrics."), "{}", other.text);
    let as_root = ask(&sleeper.pid());
    assert!(as_root.line("mappings").starts_with("ok"), "{}", as_root.text);
}

#[test]
fn a_user_namespace() {
    let wrapper = ["unshare", "-Urpf"];
    let works = Command::new("unshare").args(["-Urpf", "true"]).status().is_ok_and(|status| status.success());
    if !is_root() || !may_skip("unshare", works) || paranoid() > 2 {
        return;
    }
    let (_temporary, program) = public_copy();
    // Process 1 there is the doctor itself, which the mounted /proc knows by another number.
    let inside = answer(as_nobody(again(&program, &wrapper, "1")));
    assert!(inside.samples, "{}", inside.text);
    assert!(inside.line("user namespace").starts_with("limited"), "{}", inside.text);
    assert!(inside.line("pid namespace").contains("translated"), "{}", inside.text);
    assert!(inside.text.contains("process 1 ("), "{}", inside.text);
}

/// What containers without further flags do.
#[test]
fn a_filter_of_system_calls() {
    let mut command = again(&std::env::current_exe().unwrap(), &[], "");
    // SAFETY: two system calls between fork and exec, on memory of this function's own.
    unsafe { command.pre_exec(forbid_perf) };
    let filtered = answer(command);
    assert!(!filtered.samples, "{}", filtered.text);
    assert!(
        filtered.line("user time").ends_with("a seccomp filter forbids perf_event_open (EPERM)"),
        "{}",
        filtered.text
    );
    assert!(filtered.last_word().ends_with("no samples, only metrics."), "{}", filtered.text);
}

fn forbid_perf() -> std::io::Result<()> {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // Load the number of the call; EPERM for that one, else go on.
    let mut program = [
        step((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0),
        step((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, libc::SYS_perf_event_open as u32),
        step((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter lives until the second call has copied it.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
fn processes_that_are_none() {
    let mut child = Command::new("true").spawn().unwrap();
    while crate::target::proc::state(child.id() as i32) != Some('Z') {
        std::thread::yield_now();
    }
    let zombie = ask(&child.id().to_string());
    child.wait().unwrap();
    assert!(zombie.text.contains("it is a zombie") && !zombie.samples, "{}", zombie.text);

    let gone = ask(&child.id().to_string());
    assert!(gone.text.contains("there is no process") && !gone.samples, "{}", gone.text);

    let thread = std::thread::spawn(|| ask(&nix::unistd::gettid().to_string())).join().unwrap();
    assert!(thread.text.contains("is a thread of process") && !thread.samples, "{}", thread.text);
}

#[test]
fn programs() {
    let temporary = tempfile::tempdir().unwrap();
    let script = temporary.path().join("script");
    fs::write(&script, "#!/usr/bin/env sh\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let answer = ask(script.to_str().unwrap());
    assert!(answer.line("format").contains("a script: samples show sh"), "{}", answer.text);
    assert!(answer.line("unwinding").starts_with("ok"), "the shell's: {}", answer.text);

    let own = ask(std::env::current_exe().unwrap().to_str().unwrap());
    assert!(own.line("language").contains("Rust, by rustc"), "{}", own.text);
    let nowhere = ask("no-such-program");
    assert!(nowhere.text.contains("there is no program no-such-program in PATH"), "{}", nowhere.text);
    assert!(!nowhere.samples);
}

#[test]
fn programs_that_gain_rights() {
    if !is_root() {
        return;
    }
    let (temporary, program) = public_copy();
    let setuid = temporary.path().join("setuid");
    fs::copy("/bin/true", &setuid).unwrap();
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).unwrap();
    let nobody = answer(as_nobody(again(&program, &[], setuid.to_str().unwrap())));
    assert!(nobody.line("file").contains("the kernel ends sampling when it starts"), "{}", nobody.text);
    assert!(nobody.text.contains("fix: sudo rs-record -- /") && !nobody.samples, "{}", nobody.text);
    let root = ask(setuid.to_str().unwrap());
    assert!(root.lines("file").next().is_none(), "root stays root: {}", root.text);
}
