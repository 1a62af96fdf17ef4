//! What a recording would do, tried on something for a moment.

use std::io::{self, IoSliceMut};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use perf_event_open_sys::bindings as b;

use crate::backend::linux::perf_event::{self, EventOptions};
use crate::backend::linux::{PerfSampler, SamplerOptions};

/// What a recording asks for unless told otherwise.
pub(crate) const USUAL_RATE_HZ: u64 = 997;

/// What a recording gets to hold its samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rings {
    /// How long the reader may stay away.
    pub(crate) patience: Duration,
    /// How much of a stack a sample holds.
    pub(crate) stack_dump_bytes: u32,
}

/// Opens the event that samples `tid`, and closes it again; it counts nothing meanwhile.
pub(crate) fn event(tid: i32, kernel: bool) -> Result<(), Errno> {
    perf_event::open(tid, first_cpu(), &idle_event(kernel)).map(drop).map_err(|error| errno(&error))
}

/// Begins with the next exec, which will not come before it is closed.
fn idle_event(kernel: bool) -> EventOptions {
    EventOptions {
        period_ns: 1_000_000_000 / USUAL_RATE_HZ,
        kernel,
        kernel_frames: kernel,
        follow: true,
        stack_dump_bytes: 1 << 10,
        on_exec: true,
    }
}

/// Opens the counter of system calls.
pub(crate) fn syscalls(tid: i32) -> Result<(), Errno> {
    perf_event::open_syscall_counter(tid, first_cpu(), &idle_event(true))
        .map(drop)
        .map_err(|error| errno(&error))
}

fn first_cpu() -> u32 {
    perf_event::online_cpus().ok().and_then(|cpus| cpus.first().copied()).unwrap_or(0)
}

/// Opens a counter of the CPU's own.
pub(crate) fn cycles(tid: i32) -> Result<(), Errno> {
    let mut attr = b::perf_event_attr {
        type_: b::PERF_TYPE_HARDWARE,
        size: size_of::<b::perf_event_attr>() as u32,
        config: b::PERF_COUNT_HW_CPU_CYCLES.into(),
        ..Default::default()
    };
    attr.set_disabled(1);
    attr.set_exclude_kernel(1);
    attr.set_exclude_hv(1);
    perf_event::open_attr(&mut attr, tid, -1).map(drop).map_err(|error| errno(&error))
}

/// Sets a sampler up as a recording does.
pub(crate) fn rings(tid: i32) -> Result<Rings, String> {
    let options = SamplerOptions {
        period_ns: 1_000_000_000 / USUAL_RATE_HZ,
        kernel_frames: false,
        follow: true,
        on_exec: true,
        syscalls: false,
    };
    let sampler = PerfSampler::open(tid, &options).map_err(|error| error.to_string())?;
    Ok(Rings { patience: sampler.patience(), stack_dump_bytes: sampler.options().stack_dump_bytes })
}

/// Reads from a child, which may be more than from other processes.
pub(crate) fn child_memory() -> Result<(), Errno> {
    // SAFETY: the child only sleeps and ends, which is allowed after a fork whatever threads there are.
    match unsafe { fork() }? {
        ForkResult::Child => {
            std::thread::sleep(Duration::from_secs(1));
            // SAFETY: ends the child, without what the parent would do at its end.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            // The same address as here.
            let probe = 0_u64;
            let result = memory(child, &raw const probe as usize);
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
            result
        }
    }
}

/// Reads one byte of a process.
pub(crate) fn memory(pid: Pid, address: usize) -> Result<(), Errno> {
    let mut byte = [0];
    let remote = [RemoteIoVec { base: address, len: 1 }];
    process_vm_readv(pid, &mut [IoSliceMut::new(&mut byte)], &remote).map(drop)
}

/// The kernel's word behind an error.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}
