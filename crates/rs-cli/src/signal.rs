//! Ctrl-C in a pipeline.
//!
//! The terminal sends SIGINT to every program of a pipeline. If a filter died of it, the session it was about
//! to write would be lost; so it lets the first one pass, reads on to the end its producer now makes, and
//! finishes. A second one kills: the user has asked twice. SIGTERM and SIGHUP do the same, since a supervisor
//! or a closing terminal also stops the whole pipeline.

use std::{
    ffi::{CString, c_char, c_int},
    mem,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
    sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering::SeqCst},
};

use crate::Input;

const SIGNALS: [c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Whether the first signal is to be let pass.
static DRAINING: AtomicBool = AtomicBool::new(false);
/// That first one, of whichever kind; 0 until it has come.
static ARRIVED: AtomicI32 = AtomicI32::new(0);
/// Unfinished outputs, as C strings. More than one is rare (`-o` and `--json`); one beyond the table is
/// merely not cleaned up when a signal kills.
static TEMPORARIES: [AtomicPtr<c_char>; 8] = [const { AtomicPtr::new(ptr::null_mut()) }; 8];

/// If `input` is a pipe, lets the first SIGINT, SIGTERM or SIGHUP pass; the second of any of them kills as
/// ever, but for a SIGHUP after a SIGHUP, which is the same terminal closing.
///
/// A file ends by itself and soon, so reading one stays interruptible. Signals the process was started with
/// as ignored (`nohup`) stay ignored, and ones the program already handles stay with its handler. May be
/// called for each of several inputs.
pub fn drain_on_interrupt(input: &Input) {
    if input.is_pipe() {
        DRAINING.store(true, SeqCst);
        install();
    }
}

/// Has the file removed if a signal kills the process while the guard lives.
///
/// Only works for signals with the default action when called; a program that handles a signal itself ends in
/// an orderly way and drops its outputs.
pub(crate) fn remove_on_death(path: &Path) -> Doomed {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return Doomed(None) };
    // Never freed: a handler on another thread could be reading it. It is one path per output.
    let path = path.into_raw();
    let take =
        |slot: &&AtomicPtr<c_char>| slot.compare_exchange(ptr::null_mut(), path, SeqCst, SeqCst).is_ok();
    install();
    Doomed(TEMPORARIES.iter().find(take))
}

/// Guards a file's name: once dropped, a signal removes it no more, for it may then be someone else's.
#[derive(Debug)]
pub(crate) struct Doomed(Option<&'static AtomicPtr<c_char>>);

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.store(ptr::null_mut(), SeqCst);
        }
    }
}

/// Installs the handler for each signal that still has the default action.
fn install() {
    for signal in SIGNALS {
        // SAFETY: an all-zero sigaction is a value of that plain C struct: default action, empty mask.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: a null new action only asks; the old one is written to a valid pointer.
        let asked = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
        if asked == 0 && action.sa_sigaction == libc::SIG_DFL {
            action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
            // A read in progress goes on as if nothing had happened.
            action.sa_flags = libc::SA_RESTART;
            // SAFETY: on_signal has the signature of a handler without SA_SIGINFO and does only what a handler
            // may (see there); the mask is the one the kernel just gave.
            unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        }
    }
}

/// Does only what POSIX allows in a handler: lock-free atomics, `unlink`, `signal` and `raise`.
extern "C" fn on_signal(signal: c_int) {
    if DRAINING.load(SeqCst) {
        match ARRIVED.compare_exchange(0, signal, SeqCst, SeqCst) {
            Ok(_) => return,
            // A closing terminal hangs up twice: the shell tells its jobs, and then the kernel the foreground.
            Err(libc::SIGHUP) if signal == libc::SIGHUP => return,
            Err(_) => {}
        }
    }
    for slot in &TEMPORARIES {
        let path = slot.load(SeqCst);
        if !path.is_null() {
            // SAFETY: a slot holds either null or a C string that is never freed; unlink is async-signal-safe.
            unsafe { libc::unlink(path) };
        }
    }
    // To die of the signal, not to exit: the shell must see why (128+N), and stop its loop on Ctrl-C.
    // SAFETY: both are async-signal-safe. The signal is blocked in its own handler, so it acts on return.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
