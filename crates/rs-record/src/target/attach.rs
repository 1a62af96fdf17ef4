//! Attaching to a running process: all its threads and children, those to come included, without stopping it.

use std::io;

use anyhow::{Context, bail};

use crate::backend::linux::{PerfSampler, SamplerOptions};
use crate::clock::SessionClock;
use crate::collect::Collector;
use crate::target::proc::{self, Numbers, ProcFs};

/// Finds the process to attach to.
///
/// # Errors
/// When there is none, or it has ended and only waits to be collected.
pub(crate) fn find(proc_fs: &ProcFs, pid: i32) -> anyhow::Result<Numbers> {
    let numbers = match proc_fs.proc_pid(pid) {
        Ok(proc) => Numbers { ours: pid, proc },
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => bail!("there is no process {pid}"),
        Err(error) => return Err(error).with_context(|| format!("cannot look up process {pid}")),
    };
    match proc::state(numbers.proc) {
        None => bail!("there is no process {pid}"),
        // Its first thread may have ended while others run on.
        Some('Z' | 'X') if !proc::has_live_thread(numbers.proc) => {
            bail!("process {pid} has ended already (it is a zombie that its parent has not collected)")
        }
        Some(_) => {}
    }
    if let Some(process) = proc::thread_group(numbers.proc).filter(|&process| process != numbers.proc) {
        bail!("{pid} is a thread of process {process}; give the process");
    }
    Ok(numbers)
}

/// Opens the events of one thread of a process: the first, which may have ended while others run on, or another.
fn open_first(root: Numbers, options: &SamplerOptions, proc_fs: &ProcFs) -> io::Result<(i32, PerfSampler)> {
    let others = proc_fs.threads(root.proc).unwrap_or_default().into_iter().map(|thread| thread.ours);
    let mut gone = io::Error::from_raw_os_error(libc::ESRCH);
    for tid in std::iter::once(root.ours).chain(others.filter(|&tid| tid != root.ours)) {
        match PerfSampler::open(tid, options) {
            Ok(sampler) => return Ok((tid, sampler)),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => gone = error,
            Err(error) => return Err(error),
        }
    }
    Err(gone)
}

/// Opens events for every thread of the tree under `root` and tells the collector what is there.
///
/// A thread that an already watched one starts is watched by inheritance, and its beginning is recorded; one
/// that a not yet watched thread starts is not. So the list is read again until all of it is known from the one
/// or the other, and a new thread is opened only if no record of its beginning turned up.
///
/// # Errors
/// What the kernel said when the process may not be sampled, or has ended.
pub(crate) fn attach(
    root: Numbers,
    options: &SamplerOptions,
    proc_fs: &ProcFs,
    clock: &SessionClock,
    collector: &mut Collector,
) -> io::Result<PerfSampler> {
    let (first, mut sampler) = open_first(root, options, proc_fs)?;
    let processes = if options.follow { proc_fs.tree(root) } else { vec![(root, None)] };
    for &(process, parent) in &processes {
        let parent = processes.iter().find(|(numbers, _)| Some(numbers.proc) == parent);
        collector.add_running(process, parent.map(|(numbers, _)| numbers.ours), clock.now_ns());
        for thread in proc_fs.threads(process.proc).unwrap_or_default() {
            if thread.ours != first {
                sampler.add_thread(thread.ours)?;
            }
        }
    }
    // Bounded: a program that starts threads faster than we look will be caught by inheritance soon.
    for _ in 0..8 {
        let mut found = false;
        for &(process, _) in &processes {
            for thread in proc_fs.threads(process.proc).unwrap_or_default() {
                if collector.knows_thread(thread.ours) {
                    continue;
                }
                // A thread shows in /proc some microseconds before its beginning is recorded.
                std::thread::sleep(std::time::Duration::from_millis(1));
                sampler.drain(u64::MAX, |cpu, record| collector.handle(cpu, record));
                if !collector.knows_thread(thread.ours) {
                    sampler.add_thread(thread.ours)?;
                    collector.add_running_thread(process, thread, clock.now_ns());
                    found = true;
                }
            }
        }
        if !found {
            break;
        }
    }
    Ok(sampler)
}
