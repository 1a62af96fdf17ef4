//! Being told to stop: signals as a descriptor, so that the recording loop sees them in order with all else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that end a recording, held back from their default action.
pub(crate) struct StopSignals {
    descriptor: SignalFd,
    /// The mask before, for the child.
    original: SigSet,
}

/// Whether a signal is ignored at this time.
fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only fills in the old one; zeroes are a valid value of it.
    unsafe {
        libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) signal: Signal,
    /// Whether the terminal sent it, and so to every process of the foreground group, the child included.
    pub(crate) from_terminal: bool,
}

impl StopSignals {
    /// Holds the signals back in this thread and all that it starts.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn hold() -> io::Result<StopSignals> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
            .into_iter()
            // Whoever started us with a signal ignored (nohup, `&` in a script) means it; a held signal would
            // come through the descriptor all the same.
            .filter(|&signal| !is_ignored(signal))
            .collect();
        let original = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let descriptor = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(StopSignals { descriptor, original })
    }

    /// The mask as it was, for a program that we start.
    pub(crate) fn original(&self) -> &SigSet {
        &self.original
    }

    /// To poll.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// The next signal that came.
    pub(crate) fn next(&self) -> Option<Stop> {
        let info = self.descriptor.read_signal().ok()??;
        let signal = Signal::try_from(info.ssi_signo as i32).ok()?;
        Some(Stop { signal, from_terminal: info.ssi_code == libc::SI_KERNEL })
    }
}
