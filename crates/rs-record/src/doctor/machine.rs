//! What the machine allows, to anybody and to us.

use std::fs;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use rs_cli::units::{show_bytes, show_count, show_duration};
use rs_symbol::{KernelSymbols, KernelUnavailable};

use super::permission::{Wanted, explain};
use super::report::{Finding, Outlook};
use super::surroundings::{
    self, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE, has_capability, proc_field, sysctl,
};
use super::trials::{self, Rings, USUAL_RATE_HZ};
use crate::host;

/// A ring that is full sooner loses samples when the reader has to wait for a CPU.
const COMFORTABLE_PATIENCE: Duration = Duration::from_millis(100);
/// Threads that any program may have.
const USUAL_THREADS: u64 = 256;

/// What was found out.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) title: String,
    pub(crate) cpu_count: u64,
    /// Effective capabilities that count for perf; those of a user namespace do not.
    pub(crate) may_perfmon: bool,
    pub(crate) may_ptrace: bool,
    pub(crate) may_mount: bool,
    pub(crate) seccomp: bool,
    pub(crate) no_new_privileges: bool,
    pub(crate) initial_user_namespace: bool,
    /// Whether /proc shows the processes of our pid namespace.
    pub(crate) proc_is_ours: bool,
    pub(crate) container: Option<&'static str>,
    pub(crate) paranoid: Option<i64>,
    pub(crate) mlock_kb: Option<i64>,
    pub(crate) max_sample_rate: Option<i64>,
    pub(crate) ptrace_scope: Option<i64>,
    /// Most descriptors that one of our processes can have.
    pub(crate) descriptors: u64,
    pub(crate) user_time: Result<(), Errno>,
    pub(crate) kernel_time: Result<(), Errno>,
    pub(crate) cycles: Result<(), Errno>,
    pub(crate) rings: Result<Rings, String>,
    pub(crate) syscalls: Result<(), Errno>,
    pub(crate) kernel_names: Result<(), KernelUnavailable>,
    /// Whether the memory of a program that we started can be read.
    pub(crate) child_memory: Result<(), Errno>,
}

impl Machine {
    /// Looks, and tries everything on this process or a child that does nothing.
    pub(crate) fn look() -> Machine {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let initial_user_namespace = surroundings::is_initial_user_namespace();
        let has = |capability| initial_user_namespace && has_capability(&status, capability);
        let host = host::host();
        let own = std::process::id() as i32;
        let perf = |name: &str| sysctl(&format!("kernel/perf_event_{name}"));
        Machine {
            title: format!(
                "machine: {} {} {}, {} CPUs, user {}",
                host.os.unwrap_or_default(),
                host.kernel.unwrap_or_default(),
                host.arch.unwrap_or_default(),
                host.cpu_count.unwrap_or_default(),
                geteuid(),
            ),
            cpu_count: host.cpu_count.unwrap_or(1).into(),
            may_perfmon: has(CAP_PERFMON) || has(CAP_SYS_ADMIN),
            may_ptrace: has(CAP_SYS_PTRACE),
            may_mount: has(CAP_SYS_ADMIN),
            seccomp: proc_field(&status, "Seccomp:") == Some("2"),
            no_new_privileges: proc_field(&status, "NoNewPrivs:") == Some("1"),
            initial_user_namespace,
            proc_is_ours: fs::read_link("/proc/self")
                .is_ok_and(|link| link.as_os_str() == own.to_string().as_str()),
            container: surroundings::container(),
            paranoid: perf("paranoid"),
            mlock_kb: perf("mlock_kb"),
            max_sample_rate: perf("max_sample_rate"),
            ptrace_scope: sysctl("kernel/yama/ptrace_scope"),
            descriptors: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard),
            user_time: trials::event(own, false),
            kernel_time: trials::event(own, true),
            cycles: trials::cycles(own),
            rings: trials::rings(own),
            syscalls: trials::syscalls(own),
            kernel_names: KernelSymbols::new().lookup(u64::MAX).map(drop),
            child_memory: trials::child_memory(),
        }
    }

    pub(crate) fn title(&self) -> String {
        self.title.clone()
    }

    /// What recording a program that we launch would give.
    pub(crate) fn outlook(&self) -> Outlook {
        Outlook::of_machine(
            self.user_time.is_ok() && self.rings.is_ok(),
            self.kernel_time.is_ok() && self.rings.is_ok(),
            self.child_memory.is_ok(),
            self.dump(),
        )
    }

    /// How much of a stack a sample holds, for a person.
    pub(crate) fn dump(&self) -> String {
        self.rings
            .as_ref()
            .map_or_else(|_| "a part".to_owned(), |rings| show_bytes(rings.stack_dump_bytes.into()))
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.user_time_finding(), self.kernel_time_finding()];
        // Without samples the rest of sampling is no question.
        if self.user_time.is_ok() {
            if self.kernel_time.is_ok() {
                findings.push(self.kernel_names_finding());
            }
            findings.push(self.rings_finding());
            findings.extend(self.rate_finding());
            findings.push(self.descriptors_finding());
            findings.push(self.deep_stacks_finding());
            findings.push(self.syscalls_finding());
            findings.push(self.cycles_finding());
        }
        findings.push(self.others_finding());
        findings.extend(self.surroundings());
        findings
    }

    fn user_time_finding(&self) -> Finding {
        match self.user_time {
            Ok(()) => Finding::ok("user time", "sampled with perf_event_open (cpu-clock)"),
            Err(errno) => {
                let why = explain(errno, Wanted::UserTime, self);
                Finding::no("user time", format!("not sampled: {}", why.reason)).maybe_fix(why.fix)
            }
        }
    }

    fn kernel_time_finding(&self) -> Finding {
        match self.kernel_time {
            Ok(()) => Finding::ok("kernel time", "sampled"),
            Err(errno) => {
                let why = explain(errno, Wanted::KernelTime, self);
                Finding::limited("kernel time", format!("not sampled: {}", why.reason)).maybe_fix(why.fix)
            }
        }
    }

    fn kernel_names_finding(&self) -> Finding {
        const SUBJECT: &str = "kernel names";
        match self.kernel_names {
            Ok(()) => Finding::ok(SUBJECT, "known, for --kernel"),
            Err(KernelUnavailable::KptrRestrict) => {
                Finding::limited(SUBJECT, "hidden: --kernel shows addresses (kernel.kptr_restrict)")
                    .fix("sudo sysctl kernel.kptr_restrict=0")
            }
            Err(KernelUnavailable::Unreadable) => {
                Finding::limited(SUBJECT, "/proc/kallsyms cannot be read: --kernel shows addresses")
            }
        }
    }

    fn rings_finding(&self) -> Finding {
        const SUBJECT: &str = "ring buffers";
        // Two MiB hold enough samples with the smallest part of the stack, and one page is bookkeeping.
        const FIX: &str = "sudo sysctl kernel.perf_event_mlock_kb=2052";
        match &self.rings {
            Ok(rings) => {
                let text = format!(
                    "room for {} of samples at {USUAL_RATE_HZ} Hz, with {} of stack each",
                    show_duration(rings.patience),
                    self.dump()
                );
                if rings.patience >= COMFORTABLE_PATIENCE {
                    return Finding::ok(SUBJECT, text);
                }
                let kb = self.mlock_kb.map_or("unknown".to_owned(), |kb| kb.to_string());
                let text = format!("{text}; some may be lost (kernel.perf_event_mlock_kb is {kb})");
                Finding::limited(SUBJECT, text).fix(FIX)
            }
            Err(error) => Finding::no(SUBJECT, error).fix(FIX),
        }
    }

    /// Nothing to say where the limit is far away.
    fn rate_finding(&self) -> Option<Finding> {
        let most = u64::try_from(self.max_sample_rate?).ok().filter(|&most| most < 2 * USUAL_RATE_HZ)?;
        let text =
            format!("the kernel throttles above {} Hz (kernel.perf_event_max_sample_rate)", show_count(most));
        Some(Finding::limited("rate", text).fix("sudo sysctl kernel.perf_event_max_sample_rate=100000"))
    }

    fn descriptors_finding(&self) -> Finding {
        let threads = self.descriptors / self.cpu_count.max(1);
        if threads >= USUAL_THREADS {
            return Finding::ok("open files", format!("enough to attach to {} threads", show_count(threads)));
        }
        let text = format!(
            "enough to attach to only {threads} threads: each takes one on each of {} CPUs, and {} is the limit",
            self.cpu_count,
            show_count(self.descriptors)
        );
        Finding::limited("open files", text).fix(self.more_descriptors(USUAL_THREADS * self.cpu_count))
    }

    /// How to be allowed so many open files.
    pub(crate) fn more_descriptors(&self, count: u64) -> String {
        match self.container {
            Some("kubernetes") => format!("raise the container runtime's LimitNOFILE to {count}"),
            Some(_) => format!("start the container with --ulimit nofile={count}"),
            None => format!("sudo prlimit --pid $$ --nofile={count}, then run rs-record from this shell"),
        }
    }

    fn deep_stacks_finding(&self) -> Finding {
        const SUBJECT: &str = "deep stacks";
        let dump = self.dump();
        match (self.child_memory, self.ptrace_scope) {
            (Err(errno), scope) => {
                let finding = Finding::limited(
                    SUBJECT,
                    format!("cut at {dump}: the memory of programs cannot be read ({errno:?})"),
                );
                match scope {
                    Some(2 | 3) => finding.fix("sudo sysctl kernel.yama.ptrace_scope=1"),
                    _ => finding,
                }
            }
            (Ok(()), Some(1)) if !self.may_ptrace => Finding::limited(
                SUBJECT,
                format!(
                    "complete for programs that rs-record starts; of others cut at {dump} \
                     (kernel.yama.ptrace_scope is 1)"
                ),
            )
            .fix("sudo sysctl kernel.yama.ptrace_scope=0"),
            (Ok(()), _) => Finding::ok(SUBJECT, format!("followed beyond {dump}")),
        }
    }

    fn syscalls_finding(&self) -> Finding {
        const SUBJECT: &str = "system calls";
        match self.syscalls {
            Ok(()) => Finding::ok(SUBJECT, "can be counted, with --syscalls"),
            Err(Errno::ENOENT) => Finding::limited(SUBJECT, "cannot be counted: tracefs is not mounted").fix(
                match self.container {
                    Some("kubernetes") if !self.may_mount => {
                        "mount the host's /sys/kernel/tracing into the container"
                    }
                    Some(_) if !self.may_mount => {
                        "start the container with -v /sys/kernel/tracing:/sys/kernel/tracing"
                    }
                    _ => "sudo mount -t tracefs tracefs /sys/kernel/tracing",
                },
            ),
            Err(errno) => {
                Finding::limited(SUBJECT, format!("cannot be counted: that needs root ({errno:?})"))
            }
        }
    }

    fn cycles_finding(&self) -> Finding {
        const SUBJECT: &str = "CPU counters";
        match self.cycles {
            Ok(()) => Finding::ok(SUBJECT, "there, but not needed: samples follow the clock"),
            Err(Errno::ENOENT) => Finding::ok(
                SUBJECT,
                "none, as usual in virtual machines (ENOENT); not needed: samples follow the clock",
            ),
            Err(errno) => {
                Finding::ok(SUBJECT, format!("closed ({errno:?}); not needed: samples follow the clock"))
            }
        }
    }

    fn others_finding(&self) -> Finding {
        const SUBJECT: &str = "other users";
        if self.may_perfmon && self.may_ptrace {
            return Finding::ok(SUBJECT, "their processes can be sampled and named");
        }
        if self.may_perfmon {
            let why =
                explain(Errno::EACCES, Wanted::Foreign, &Machine { may_perfmon: false, ..self.clone() });
            return Finding::limited(
                SUBJECT,
                "their processes can be sampled, but not named (no CAP_SYS_PTRACE)",
            )
            .maybe_fix(why.fix);
        }
        let why = explain(Errno::EACCES, Wanted::Foreign, self);
        Finding::limited(SUBJECT, "their processes cannot be sampled (no CAP_PERFMON)").maybe_fix(why.fix)
    }

    fn surroundings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(container) = self.container {
            findings.push(Finding::ok("container", container));
        }
        if !self.initial_user_namespace {
            let text = "in a user namespace: its capabilities do not count for perf";
            findings.push(Finding::limited("user namespace", text));
        }
        if !self.proc_is_ours {
            let text = "/proc belongs to another pid namespace; numbers are translated";
            findings.push(Finding::ok("pid namespace", text));
        }
        findings
    }
}

#[cfg(test)]
impl Default for Machine {
    /// One that allows everything.
    fn default() -> Machine {
        Machine {
            title: String::new(),
            cpu_count: 2,
            may_perfmon: false,
            may_ptrace: false,
            may_mount: false,
            seccomp: false,
            no_new_privileges: false,
            initial_user_namespace: true,
            proc_is_ours: true,
            container: None,
            paranoid: Some(-1),
            mlock_kb: Some(516),
            max_sample_rate: Some(100_000),
            ptrace_scope: None,
            descriptors: 1 << 20,
            user_time: Ok(()),
            kernel_time: Ok(()),
            cycles: Ok(()),
            rings: Ok(Rings { patience: Duration::from_millis(250), stack_dump_bytes: 65_528 }),
            syscalls: Ok(()),
            kernel_names: Ok(()),
            child_memory: Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    fn finding(machine: &Machine, subject: &str) -> Finding {
        machine.findings().into_iter().find(|finding| finding.subject == subject).unwrap()
    }

    #[test]
    fn yama_is_told_apart_by_its_scope() {
        let scope = |scope, child_memory| {
            finding(&Machine { ptrace_scope: Some(scope), child_memory, ..Machine::default() }, "deep stacks")
        };
        assert_eq!(scope(0, Ok(())).level, Level::Ok);
        assert_eq!(scope(1, Ok(())).fix.as_deref(), Some("sudo sysctl kernel.yama.ptrace_scope=0"));
        assert_eq!(
            scope(2, Err(Errno::EPERM)).fix.as_deref(),
            Some("sudo sysctl kernel.yama.ptrace_scope=1")
        );
    }

    #[test]
    fn small_rings_and_few_descriptors() {
        let rings = Ok(Rings { patience: Duration::from_millis(15), stack_dump_bytes: 16 << 10 });
        let small = Machine { rings, descriptors: 1024, cpu_count: 64, ..Machine::default() };
        let rings = finding(&small, "ring buffers");
        assert_eq!(rings.level, Level::Limited);
        let text = "room for 15.0 ms of samples at 997 Hz, with 16.0 KiB of stack each; some may be lost";
        assert!(rings.text.starts_with(text), "{rings:?}");
        assert_eq!(rings.fix.as_deref(), Some("sudo sysctl kernel.perf_event_mlock_kb=2052"));
        let files = finding(&small, "open files");
        assert!(files.text.starts_with("enough to attach to only 16 threads"), "{files:?}");
    }

    #[test]
    fn without_samples_nothing_more_is_asked() {
        let closed = Machine {
            paranoid: Some(3),
            user_time: Err(Errno::EACCES),
            kernel_time: Err(Errno::EACCES),
            ..Machine::default()
        };
        let subjects: Vec<&str> = closed.findings().iter().map(|finding| finding.subject).collect();
        assert_eq!(subjects, ["user time", "kernel time", "other users"]);
        assert!(!closed.outlook().samples());
    }
}
