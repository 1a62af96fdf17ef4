//! The perf events of a session: one ring per CPU, and as many events in it as there are threads to follow.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;

use super::perf_event::{self, EventOptions};
use super::ring::{Ring, page_bytes};
use super::{merge, record};
use crate::watch::SyscallCount;

/// Bytes of user stack to copy, in order of preference. Most stacks are far smaller; what lies deeper is read
/// from the running program (see `stack_memory`), with more luck the deeper it lies. But the kernel takes this
/// much room in the ring for every sample, whatever it copies, so where rings are small a large dump means
/// losses.
const STACK_DUMPS: [u32; 3] = [65_528, 32 << 10, 16 << 10];
/// How long the reader should be able to stay away without losing samples.
const PATIENCE: Duration = Duration::from_millis(250);
/// With less than this, rather a smaller dump.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
/// Least room in a ring that is worth sampling into.
const MIN_RING_BYTES: usize = 128 << 10;
/// Most room that all rings take together, unless there are so many CPUs that each would get too little.
const RING_BUDGET_BYTES: usize = 64 << 20;
/// A CPU's share may go up to this, whatever the budget says.
const RING_SHARE_BYTES: usize = 4 << 20;
/// What a sample takes beside its stack, generously.
const SAMPLE_OVERHEAD_BYTES: u64 = 256;

/// What to sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SamplerOptions {
    /// Distance between two samples of a thread, in CPU time.
    pub(crate) period_ns: u64,
    /// Whether kernel functions are recorded.
    pub(crate) kernel_frames: bool,
    /// Whether children are followed.
    pub(crate) follow: bool,
    /// Whether to begin at the target's exec.
    pub(crate) on_exec: bool,
    /// Whether to count system calls.
    pub(crate) syscalls: bool,
}

/// Open events, and the rings that they write to.
pub(crate) struct PerfSampler {
    rings: Vec<Ring>,
    /// Events of further threads, which write into the rings too.
    events: Vec<OwnedFd>,
    syscall_counters: Vec<OwnedFd>,
    syscall_refusal: Option<io::Error>,
    options: EventOptions,
    kernel_refusal: Option<io::Error>,
}

impl PerfSampler {
    /// Opens the events of one thread, which is a whole process when it has just been forked, and the rings.
    ///
    /// # Errors
    /// What the kernel said when not even user time may be sampled.
    pub(crate) fn open(tid: i32, wanted: &SamplerOptions) -> io::Result<PerfSampler> {
        let cpus = perf_event::online_cpus()?;
        raise_descriptor_limit();
        let mut options = EventOptions {
            period_ns: wanted.period_ns,
            kernel: true,
            kernel_frames: wanted.kernel_frames,
            follow: wanted.follow,
            stack_dump_bytes: STACK_DUMPS[0],
            on_exec: wanted.on_exec,
        };
        let mut kernel_refusal = None;
        if let Err(error) = perf_event::open(tid, cpus[0], &options) {
            if !is_permission(&error) {
                return Err(error);
            }
            options.kernel = false;
            options.kernel_frames = false;
            perf_event::open(tid, cpus[0], &options)?;
            kernel_refusal = Some(error);
        }
        let mut sampler = PerfSampler {
            rings: Vec::new(),
            events: Vec::new(),
            syscall_counters: Vec::new(),
            syscall_refusal: None,
            options,
            kernel_refusal,
        };
        for dump in STACK_DUMPS {
            sampler.options.stack_dump_bytes = dump;
            sampler.rings.clear();
            sampler.rings = open_rings(tid, &cpus, &sampler.options)?;
            if sampler.patience() >= LEAST_PATIENCE {
                break;
            }
        }
        if wanted.syscalls {
            sampler.count_syscalls(tid);
        }
        Ok(sampler)
    }

    /// Opens the events of one more thread. A thread that has ended is no error.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn add_thread(&mut self, tid: i32) -> io::Result<()> {
        for ring in &self.rings {
            match perf_event::open(tid, ring.cpu(), &self.options) {
                Ok(event) => {
                    perf_event::share_ring(&event, ring.raw_fd())?;
                    self.events.push(event);
                }
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if !self.syscall_counters.is_empty() {
            self.count_syscalls(tid);
        }
        Ok(())
    }

    fn count_syscalls(&mut self, tid: i32) {
        for ring in &self.rings {
            match perf_event::open_syscall_counter(tid, ring.cpu(), &self.options) {
                Ok(counter) => self.syscall_counters.push(counter),
                Err(error) => self.syscall_refusal = Some(error),
            }
        }
    }

    /// What is really sampled.
    pub(crate) fn options(&self) -> &EventOptions {
        &self.options
    }

    /// Why kernel time is not sampled, if it is not.
    pub(crate) fn kernel_refusal(&self) -> Option<&io::Error> {
        self.kernel_refusal.as_ref()
    }

    /// Why system calls are not counted although that was asked for.
    pub(crate) fn syscall_refusal(&self) -> Option<&io::Error> {
        self.syscall_refusal.as_ref()
    }

    /// How long it takes at least until a ring is full, if nobody empties it.
    pub(crate) fn patience(&self) -> Duration {
        let smallest = self.rings.iter().map(Ring::data_bytes).min().unwrap_or(0);
        let samples = smallest / (u64::from(self.options.stack_dump_bytes) + SAMPLE_OVERHEAD_BYTES);
        Duration::from_nanos(samples.saturating_mul(self.options.period_ns))
    }

    /// The events that become readable when there is a record.
    pub(crate) fn ring_events(&self) -> impl Iterator<Item = &OwnedFd> {
        self.rings.iter().map(Ring::event)
    }

    /// Hands out the records that were written before `until`, in the order of time.
    pub(crate) fn drain(&mut self, until: u64, mut handle: impl FnMut(u32, record::Record<'_>)) {
        let kernel_frames = self.options.kernel_frames;
        merge::drain(&mut self.rings, until, |cpu, bytes| handle(cpu, record::parse(bytes, kernel_frames)));
    }

    /// CPU time of everything that was followed, by the kernel's count, whatever became of the samples.
    pub(crate) fn cpu_ns(&self) -> Option<u64> {
        let rings = self.rings.iter().map(Ring::event);
        rings.chain(&self.events).map(|event| perf_event::read_count(event).ok()).sum()
    }

    /// Whether system calls are counted.
    pub(crate) fn counts_syscalls(&self) -> bool {
        self.syscall_refusal.is_none() && !self.syscall_counters.is_empty()
    }

    /// The counter of the system calls of everything that is followed; `None` where they are not counted. Threads
    /// added later are not in it, their children by inheritance are.
    pub(crate) fn take_syscall_counter(&mut self) -> Option<SyscallCount> {
        if !self.counts_syscalls() {
            return None;
        }
        let counters = std::mem::take(&mut self.syscall_counters);
        Some(Box::new(move || counters.iter().map(|counter| perf_event::read_count(counter).ok()).sum()))
    }
}

/// Whether the kernel means that this user may not.
fn is_permission(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

/// Room for as many samples of one CPU as come while the reader is away: a power of two.
fn wanted_ring_bytes(cpus: usize, options: &EventOptions) -> usize {
    let samples = PATIENCE.as_nanos() as u64 / options.period_ns.max(1);
    let wanted = samples.saturating_mul(u64::from(options.stack_dump_bytes) + SAMPLE_OVERHEAD_BYTES);
    let most = (RING_BUDGET_BYTES / cpus.max(1)).max(RING_SHARE_BYTES);
    usize::try_from(wanted).unwrap_or(most).clamp(MIN_RING_BYTES, most).next_power_of_two()
}

/// Opens an event on each CPU, with a ring each: all of one size, halved as often as the limit on locked memory
/// asks for it.
fn open_rings(tid: i32, cpus: &[u32], options: &EventOptions) -> io::Result<Vec<Ring>> {
    let mut bytes = wanted_ring_bytes(cpus.len(), options);
    loop {
        let rings = cpus.iter().map(|&cpu| {
            let event = perf_event::open(tid, cpu, options)?;
            Ring::map(event, cpu, bytes / page_bytes()).map_err(RingError::Map)
        });
        match rings.collect::<Result<Vec<Ring>, RingError>>() {
            Ok(rings) => return Ok(rings),
            Err(RingError::Open(error)) => return Err(error),
            Err(RingError::Map(error)) => {
                let too_much = matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOMEM));
                if !too_much || bytes / 2 < MIN_RING_BYTES {
                    return Err(io::Error::new(
                        error.kind(),
                        format!(
                            "cannot map a ring of {} KiB for each CPU ({error}): \
                             sudo sysctl kernel.perf_event_mlock_kb=2048",
                            bytes >> 10
                        ),
                    ));
                }
                bytes /= 2;
            }
        }
    }
}

enum RingError {
    Open(io::Error),
    Map(io::Error),
}

impl From<io::Error> for RingError {
    fn from(error: io::Error) -> Self {
        RingError::Open(error)
    }
}

/// Many threads on many CPUs need many descriptors; take what the hard limit allows.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|_: Errno| ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(period_ns: u64, stack_dump_bytes: u32) -> EventOptions {
        EventOptions {
            period_ns,
            stack_dump_bytes,
            kernel: true,
            kernel_frames: false,
            follow: true,
            on_exec: false,
        }
    }

    #[test]
    fn rings_hold_a_quarter_second_within_the_budget() {
        assert_eq!(wanted_ring_bytes(2, &options(1_003_009, 65_528)), 16 << 20);
        assert_eq!(wanted_ring_bytes(2, &options(100_000, 65_528)), 32 << 20);
        assert_eq!(wanted_ring_bytes(128, &options(100_000, 16 << 10)), 4 << 20);
        assert_eq!(wanted_ring_bytes(2, &options(u64::MAX, 16 << 10)), MIN_RING_BYTES);
    }
}
