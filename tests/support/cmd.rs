//! Running programs: where they are, and how long they may take.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

/// The directory of the binaries built with the running test: `target/release` or `target/debug`.
///
/// `RUSTSCOPE_BIN_DIR` names another.
pub fn bin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("RUSTSCOPE_BIN_DIR") {
        return dir.into();
    }
    let test = std::env::current_exe().expect("the test knows its own path");
    let deps = test.parent().expect("a test lies in a directory");
    deps.parent().expect("a test lies in deps/").to_owned()
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the workspace").to_owned()
}

/// The target directory of the workspace: scratch that cargo ignores.
pub fn target_dir() -> PathBuf {
    bin_dir().parent().expect("binaries lie in target/PROFILE").to_owned()
}

/// A binary of the kit or of the examples.
///
/// # Panics
/// When it was not built, saying how to.
pub fn bin(name: &str) -> PathBuf {
    let path = bin_dir().join(name);
    let package = if name.starts_with("rs-") { name } else { "rustscope-examples" };
    let release = if bin_dir().ends_with("debug") { "" } else { " --release" };
    assert!(path.exists(), "no {}; build it: cargo build{release} -p {package}", path.display());
    path
}

/// A binary of the kit as a command, talking without colour.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(bin(name));
    command.env("NO_COLOR", "1");
    command
}

/// Where the search path has a program.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// What a program that ended left.
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
    /// How long it took.
    pub wall: Duration,
}

impl Finished {
    /// Its stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Itself, if it succeeded.
    ///
    /// # Panics
    /// When it did not, with what it said.
    #[track_caller]
    pub fn ok(self) -> Finished {
        assert!(self.status.success(), "{}\n{}", self.status, self.stderr);
        self
    }
}

/// Runs a command to its end; kills it, and fails, when that does not come in time.
///
/// stdin is empty unless the command says otherwise before.
///
/// # Panics
/// When it does not start or does not end in time.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    let scratch = || tempfile::tempfile().expect("a temporary file");
    let (mut stdout, mut stderr) = (scratch(), scratch());
    let share = |file: &File| Stdio::from(file.try_clone().expect("a second handle"));
    command.stdout(share(&stdout)).stderr(share(&stderr)).stdin(Stdio::null());
    let begin = Instant::now();
    let mut running = Running::start(command);
    let status = running.wait(limit);
    let wall = begin.elapsed();
    let stderr = String::from_utf8_lossy(&read(&mut stderr)).into_owned();
    let Some(status) = status else { panic!("{command:?} did not end within {limit:?}; it said:\n{stderr}") };
    Finished { status, stdout: read(&mut stdout), stderr, wall }
}

fn read(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    read.expect("the output can be read back");
    bytes
}

/// A program that runs, and is killed when this is dropped.
pub struct Running {
    child: Child,
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts a command as it is.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(command: &mut Command) -> Running {
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Running { child, status: None }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end; `None` when that does not come in time.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = eventually(limit, || self.child.try_wait().ok().flatten());
        }
        self.status
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.wait(Duration::ZERO).is_none()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `kill` does nothing to a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a command run ahead of whatever else is on the machine, where this user may: in a session, and so a
/// scheduling group, of its own, for the niceness of a process counts within its group only.
pub fn ahead(command: &mut Command) -> &mut Command {
    let setup = || {
        nix::unistd::setsid()?;
        // Without the right or the feature it runs as it would.
        if let Ok(file) = nix::fcntl::open("/proc/self/autogroup", OFlag::O_WRONLY, Mode::empty()) {
            let _ = nix::unistd::write(&file, b"-15");
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only, on constants: no lock, no allocation.
    unsafe { command.pre_exec(setup) }
}

/// Asks until there is an answer or the time is over.
pub fn eventually<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begin.elapsed() >= limit {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A directory of its own below the target directory, removed when dropped.
///
/// # Panics
/// When it cannot be made.
pub fn scratch(name: &str) -> tempfile::TempDir {
    let parent = target_dir().join("tmp");
    let made = std::fs::create_dir_all(&parent);
    let dir = made.and_then(|()| tempfile::Builder::new().prefix(&format!("{name}.")).tempdir_in(parent));
    dir.unwrap_or_else(|error: io::Error| panic!("no scratch directory: {error}"))
}

/// A command line through `sh -c`, for the pipes that the documentation shows. The kit's binaries are in its path.
pub fn shell(script: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(bin_dir()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(dirs).expect("directories without colons");
    command.arg("-c").arg(script).env("PATH", path).env("NO_COLOR", "1");
    command
}
