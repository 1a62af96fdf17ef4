//! Opening perf events: what is asked of the kernel, and what it refused.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use perf_event_open_sys as sys;
use sys::bindings as b;

/// The registers that unwinding needs, in the kernel's order, which is that of their numbers.
#[cfg(target_arch = "x86_64")]
pub(crate) const USER_REGISTERS: u64 = 1 << 6 | 1 << 7 | 1 << 8; // BP, SP, IP
/// The registers that unwinding needs, in the kernel's order, which is that of their numbers.
#[cfg(target_arch = "aarch64")]
pub(crate) const USER_REGISTERS: u64 = 1 << 29 | 1 << 30 | 1 << 31 | 1 << 32; // FP, LR, SP, PC

/// What to sample, and whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventOptions {
    /// Distance between two samples of a thread, in CPU time.
    pub(crate) period_ns: u64,
    /// Whether time in the kernel is sampled too.
    pub(crate) kernel: bool,
    /// Whether kernel functions are recorded for such samples.
    pub(crate) kernel_frames: bool,
    /// Whether children and not only threads are followed.
    pub(crate) follow: bool,
    /// Bytes of user stack to copy with each sample: a multiple of 8 below 64 KiB.
    pub(crate) stack_dump_bytes: u32,
    /// Whether to begin when the process executes its program, rather than at once.
    pub(crate) on_exec: bool,
}

/// Opens the sampling event of one thread (or process to be) on one CPU.
///
/// # Errors
/// The kernel's.
pub(crate) fn open(tid: i32, cpu: u32, options: &EventOptions) -> io::Result<OwnedFd> {
    let mut attr = b::perf_event_attr {
        type_: b::PERF_TYPE_SOFTWARE,
        size: size_of::<b::perf_event_attr>() as u32,
        // cpu-clock and not cycles: its period is time, so weights are time, in virtual machines too.
        config: b::PERF_COUNT_SW_CPU_CLOCK.into(),
        sample_type: (b::PERF_SAMPLE_IP
            | b::PERF_SAMPLE_TID
            | b::PERF_SAMPLE_TIME
            | b::PERF_SAMPLE_REGS_USER
            | b::PERF_SAMPLE_STACK_USER
            | if options.kernel_frames { b::PERF_SAMPLE_CALLCHAIN } else { 0 })
        .into(),
        sample_regs_user: USER_REGISTERS,
        sample_stack_user: options.stack_dump_bytes,
        clockid: libc::CLOCK_MONOTONIC,
        ..Default::default()
    };
    attr.__bindgen_anon_1.sample_period = options.period_ns;
    // Whoever polls a ring wakes at every record; who does not is not disturbed (see `Pace`).
    attr.__bindgen_anon_2.wakeup_watermark = 1;
    attr.set_watermark(1);
    attr.set_disabled(u64::from(options.on_exec));
    attr.set_enable_on_exec(u64::from(options.on_exec));
    attr.set_inherit(1);
    attr.set_inherit_thread(u64::from(!options.follow));
    attr.set_exclude_kernel(u64::from(!options.kernel));
    attr.set_exclude_hv(1);
    attr.set_exclude_callchain_user(1);
    attr.set_use_clockid(1);
    attr.set_sample_id_all(1);
    attr.set_mmap(1);
    attr.set_mmap2(1);
    attr.set_comm(1);
    attr.set_comm_exec(1);
    attr.set_task(1);
    open_attr(&mut attr, tid, cpu as i32)
}

/// Opens a counter of all system calls of one thread (or process to be) and its children on one CPU.
///
/// # Errors
/// The kernel's.
pub(crate) fn open_syscall_counter(tid: i32, cpu: u32, options: &EventOptions) -> io::Result<OwnedFd> {
    let id = std::fs::read_to_string("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")
        .or_else(|_| std::fs::read_to_string("/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::new(
                error.kind(),
                "tracefs is not mounted; sudo mount -t tracefs nodev /sys/kernel/tracing",
            ),
            _ => error,
        })?;
    let id: u64 = id.trim().parse().map_err(|_| io::Error::other("the tracepoint's id is not a number"))?;
    let mut attr = b::perf_event_attr {
        type_: b::PERF_TYPE_TRACEPOINT,
        size: size_of::<b::perf_event_attr>() as u32,
        config: id,
        ..Default::default()
    };
    attr.set_inherit(1);
    attr.set_inherit_thread(u64::from(!options.follow));
    attr.set_disabled(u64::from(options.on_exec));
    attr.set_enable_on_exec(u64::from(options.on_exec));
    open_attr(&mut attr, tid, cpu as i32)
}

/// Opens an event as its attributes say; -1 for any CPU.
pub(crate) fn open_attr(attr: &mut b::perf_event_attr, tid: i32, cpu: i32) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is a valid attribute block whose `size` field holds its size; the call reads no other memory.
    let fd = unsafe { sys::perf_event_open(attr, tid, cpu, -1, b::PERF_FLAG_FD_CLOEXEC.into()) };
    if fd < 0 {
        // The real errno: a sign error here once made a peer mistake "no such event" for "not permitted".
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets an event write into the ring of another one of the same CPU.
///
/// # Errors
/// The kernel's.
pub(crate) fn share_ring(event: &OwnedFd, owner: RawFd) -> io::Result<()> {
    // SAFETY: both are descriptors of open perf events.
    match unsafe { sys::ioctls::SET_OUTPUT(event.as_raw_fd(), owner) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads an event's count: nanoseconds on the CPU for the sampling event, calls for the counter; inherited
/// events of ended children included.
///
/// # Errors
/// The kernel's.
pub(crate) fn read_count(event: &OwnedFd) -> io::Result<u64> {
    let mut value = [0u8; 8];
    nix::unistd::read(event, &mut value)?;
    Ok(u64::from_ne_bytes(value))
}

/// The CPUs that are online.
///
/// # Errors
/// When the kernel's list cannot be read or understood.
pub(crate) fn online_cpus() -> io::Result<Vec<u32>> {
    parse_cpu_list(&std::fs::read_to_string("/sys/devices/system/cpu/online")?)
        .ok_or_else(|| io::Error::other("/sys/devices/system/cpu/online is not a list of CPUs"))
}

/// Parses `0-3,8`.
fn parse_cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list("0-1\n"), Some(vec![0, 1]));
        assert_eq!(parse_cpu_list("0,2-4"), Some(vec![0, 2, 3, 4]));
        assert_eq!(parse_cpu_list(""), None);
    }
}
