//! A terminal of its own for a program, with somebody who types.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

use crate::cmd::{Running, eventually};

/// Which streams of a program are its terminal.
#[derive(Clone, Copy, Debug)]
pub struct On {
    /// Otherwise as the command has it.
    pub stdin: bool,
    /// Otherwise as the command has it.
    pub stdout: bool,
    /// Otherwise as the command has it.
    pub stderr: bool,
}

impl On {
    /// All three.
    pub const ALL: On = On { stdin: true, stdout: true, stderr: true };
    /// What a filter sees whose input was forgotten.
    pub const INPUT: On = On { stdin: true, stdout: false, stderr: true };
    /// What a producer sees whose output was forgotten.
    pub const OUTPUT: On = On { stdin: false, stdout: true, stderr: true };
}

/// A program on a terminal. The program leads the session and its foreground process group, as an interactive shell's
/// pipeline does, so what is typed reaches all of that.
pub struct Terminal {
    keyboard: File,
    program: Running,
    shown: Arc<Mutex<Vec<u8>>>,
    screen: Option<thread::JoinHandle<()>>,
}

impl Terminal {
    /// Starts a command on a new terminal of 100 columns.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the command does not start.
    #[track_caller]
    pub fn start(mut command: Command, on: On) -> Terminal {
        let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("a pseudo terminal");
        let (keyboard, terminal) = (File::from(close_on_exec(&pty.master)), close_on_exec(&pty.slave));
        drop(pty);
        let stream = || Stdio::from(terminal.try_clone().expect("a copy"));
        if on.stdin {
            command.stdin(stream());
        }
        if on.stdout {
            command.stdout(stream());
        }
        if on.stderr {
            command.stderr(stream());
        }
        let descriptor = terminal.as_raw_fd();
        // SAFETY: setsid and ioctl are async-signal-safe, and the descriptor lives until after the fork.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::setsid()?;
                if libc::ioctl(descriptor, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let program = Running::start(&mut command);
        // Ours, or the terminal would never end.
        drop((command, terminal));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let screen = {
            let (shown, mut screen) = (Arc::clone(&shown), keyboard.try_clone().expect("a copy"));
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                // Linux ends the reading with EIO when the last program has closed the terminal.
                while let Ok(count @ 1..) = screen.read(&mut bytes) {
                    shown.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
                }
            })
        };
        Terminal { keyboard, program, shown, screen: Some(screen) }
    }

    /// Types; `\x03` is Ctrl-C.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// All that was shown so far.
    pub fn text(&self) -> String {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&shown).replace("\r\n", "\n")
    }

    /// The program on it.
    pub fn program(&mut self) -> &mut Running {
        &mut self.program
    }

    /// Waits for the program's end, and gives its status and all that it showed.
    ///
    /// # Panics
    /// When the end does not come in time.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> (ExitStatus, String) {
        let Some(status) = self.program.wait(limit) else {
            panic!("the program on the terminal did not end within {limit:?}; it said:\n{}", self.text())
        };
        // Others may have the terminal open still; then what is there by now has to do.
        let screen = self.screen.take();
        eventually(Duration::from_millis(500), || {
            screen.as_ref().is_none_or(thread::JoinHandle::is_finished).then_some(())
        });
        (status, self.text())
    }
}

/// Runs a command on a terminal to its end, and gives its status and what it showed.
///
/// # Panics
/// When it does not end in ten seconds.
#[track_caller]
pub fn on_terminal(command: Command, on: On) -> (ExitStatus, String) {
    Terminal::start(command, on).wait(Duration::from_secs(10))
}

/// A copy that other programs, started by other tests at the same time, do not inherit.
fn close_on_exec(descriptor: &impl AsFd) -> OwnedFd {
    // SAFETY: F_DUPFD_CLOEXEC makes a new descriptor of an open one.
    let copy = unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    assert!(copy >= 0, "no copy of a descriptor: {}", std::io::Error::last_os_error());
    // SAFETY: it is new, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(copy) }
}
