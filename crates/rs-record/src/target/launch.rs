//! Launching the target, held back until everything that will watch it is in place.
//!
//! The child waits on a pipe before it executes its program; events opened meanwhile start at the exec, so
//! nothing of the program is missed and nothing of us is recorded. Should we die in between, the pipe closes
//! and the child goes away. A failed exec comes back over a second pipe that a successful one closes.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdout, fork, pipe2};
use rs_cli::Exit;

/// A child that has not executed its program yet.
pub(crate) struct HeldChild {
    pid: Pid,
    go: OwnedFd,
    exec_error: File,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildEnd {
    Exited(i32),
    Signalled(i32),
}

impl ChildEnd {
    /// The status that we exit with: the child's own, or 128 and the signal.
    pub(crate) fn exit(self) -> Exit {
        match self {
            ChildEnd::Exited(code) => Exit::Child(code as u8),
            ChildEnd::Signalled(signal) => Exit::Child((128 + signal) as u8),
        }
    }
}

/// The file that executing `program` would run.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let is_executable = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return std::path::absolute(program).ok();
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(is_executable)
}

/// Forks a child that will execute `command` in `directory`, or here. Its standard output becomes our standard error when
/// `divert_stdout` says that ours carries the events. `signals` is the mask to give back to it.
///
/// # Errors
/// When the command cannot be passed on, or the fork fails.
pub(crate) fn hold(
    command: &[String],
    directory: Option<&Path>,
    divert_stdout: bool,
    signals: &SigSet,
) -> anyhow::Result<HeldChild> {
    let arguments: Vec<CString> = command
        .iter()
        .map(|word| CString::new(word.as_bytes()).context("the command holds a NUL byte"))
        .collect::<anyhow::Result<_>>()?;
    let mut pointers: Vec<*const libc::c_char> = arguments.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let directory = directory
        .map(|path| CString::new(path.as_os_str().as_encoded_bytes()))
        .transpose()
        .context("the directory holds a NUL byte")?;
    let (wait, go) = pipe2(OFlag::O_CLOEXEC)?;
    let (exec_error, report) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the process has one thread at this point (record.rs starts the others later), so the child may
    // do as it likes; it allocates nothing all the same.
    match unsafe { fork() }.context("cannot fork (see ulimit -u)")? {
        ForkResult::Parent { child } => Ok(HeldChild { pid: child, go, exec_error: exec_error.into() }),
        ForkResult::Child => {
            drop(go);
            let mut byte = [0];
            if !matches!(nix::unistd::read(&wait, &mut byte), Ok(1)) {
                // We were given up.
                // SAFETY: ends the child without running the parent's exit handlers.
                unsafe { libc::_exit(125) }
            }
            if let Some(directory) = &directory
                && nix::unistd::chdir(directory.as_c_str()).is_err()
            {
                report_errno(&report);
            }
            if divert_stdout {
                let _ = dup2_stdout(std::io::stderr());
            }
            // Rust ignores SIGPIPE, which a program does not expect to inherit.
            // SAFETY: the default action is no handler of ours.
            let _ = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) };
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(signals), None);
            // SAFETY: a null-terminated array of pointers to null-terminated strings, all alive.
            unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
            report_errno(&report)
        }
    }
}

/// In the child: tells the parent what went wrong, and goes.
fn report_errno(report: &OwnedFd) -> ! {
    let errno = nix::errno::Errno::last_raw();
    let _ = nix::unistd::write(report, &errno.to_ne_bytes());
    // SAFETY: ends the child without running the parent's exit handlers.
    unsafe { libc::_exit(127) }
}

impl HeldChild {
    /// The child's pid.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Lets the child execute its program.
    ///
    /// # Errors
    /// With the status that DESIGN gives to a command that is not found (127) or cannot be executed (126).
    pub(crate) fn release(self, program: &str) -> anyhow::Result<Child> {
        let HeldChild { pid, go, mut exec_error } = self;
        // A child that was killed meanwhile shows in its status.
        let _ = nix::unistd::write(&go, &[1]);
        let mut errno = Vec::new();
        exec_error.read_to_end(&mut errno).context("cannot learn whether the command was executed")?;
        if let Ok(errno) = <[u8; 4]>::try_from(errno.as_slice()) {
            let _ = waitpid(pid, None);
            let error = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
            let exit =
                if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
            return Err(exit.error(format!("cannot execute {program}: {error}")));
        }
        Ok(Child { pid })
    }
}

/// A launched child.
pub(crate) struct Child {
    pid: Pid,
}

impl Child {
    /// Passes a signal on.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = nix::sys::signal::kill(self.pid, signal);
    }

    /// Waits for its end, for ever, or just looks (`None`: it runs on).
    pub(crate) fn wait(&self, flags: WaitPidFlag) -> Option<ChildEnd> {
        loop {
            match waitpid(self.pid, Some(flags)) {
                Ok(WaitStatus::Exited(_, code)) => return Some(ChildEnd::Exited(code)),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Some(ChildEnd::Signalled(signal as i32)),
                Ok(WaitStatus::StillAlive) => return None,
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return Some(ChildEnd::Exited(125)),
            }
        }
    }
}
