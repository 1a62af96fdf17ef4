//! What a running process allows. Nothing here stops it or stays with it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{Pid, geteuid};
use rs_cli::units::show_count;

use super::machine::Machine;
use super::permission::{Wanted, explain};
use super::report::{Finding, Outlook};
use super::surroundings::proc_field;
use super::trials::{self, errno};
use crate::target::proc::{self, MapsLine, Numbers, ProcFs};

/// What was found out.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) name: String,
    pub(crate) exe: Option<PathBuf>,
    /// Its mappings, unless they may not be read.
    pub(crate) maps: Result<Vec<MapsLine>, Errno>,
    /// Where the names of code that it makes at run time would be.
    pub(crate) perf_map: PathBuf,
    uid: Option<u32>,
    /// Whether it keeps its memory from its own user.
    is_sealed: bool,
    is_kernel_thread: bool,
    is_stopped: bool,
    has_other_files: bool,
    process_count: usize,
    thread_count: u64,
    user_time: Result<(), Errno>,
    kernel_time: Result<(), Errno>,
    memory: Result<(), Errno>,
}

/// The number in /proc of a process that can be recorded, or why there is none.
pub(crate) fn find(proc_fs: &ProcFs, pid: i32) -> Result<i32, Finding> {
    const SUBJECT: &str = "process";
    let proc_pid = proc_fs.proc_pid(pid).map_err(|error| match errno(&error) {
        Errno::ESRCH => Finding::no(SUBJECT, format!("there is no process {pid}")),
        // A pid of a thread that leads no process.
        Errno::EINVAL | Errno::ENOENT => {
            Finding::no(SUBJECT, format!("{pid} is a thread; give the pid of its process"))
        }
        _ => Finding::no(SUBJECT, format!("cannot look up process {pid}: {error}")),
    })?;
    let status = fs::read_to_string(format!("/proc/{proc_pid}/status"))
        .map_err(|_| Finding::no(SUBJECT, format!("there is no process {pid}")))?;
    if let Some(leader) = proc_field(&status, "Tgid:").filter(|leader| *leader != proc_pid.to_string()) {
        return Err(Finding::no(SUBJECT, format!("{pid} is a thread of process {leader}")));
    }
    match proc::state(proc_pid) {
        Some('Z' | 'X') => Err(Finding::no(
            SUBJECT,
            format!("{pid} has ended; it is a zombie that its parent has not collected"),
        )),
        _ => Ok(proc_pid),
    }
}

impl Process {
    /// Looks at a process, and tries on it what a recording would do.
    pub(crate) fn look(proc_fs: &ProcFs, pid: i32, proc_pid: i32) -> Process {
        let status = fs::read_to_string(format!("/proc/{proc_pid}/status")).unwrap_or_default();
        let uid =
            proc_field(&status, "Uid:").and_then(|ids| ids.split_ascii_whitespace().nth(1)?.parse().ok());
        let tree = proc_fs.tree(Numbers { ours: pid, proc: proc_pid });
        let threads = tree.iter().filter_map(|(process, _)| proc_fs.threads(process.proc).ok());
        let maps = proc::maps(proc_pid).map_err(|error| errno(&error));
        let is_kernel_thread = proc_field(&status, "VmSize:").is_none() && proc::command(proc_pid).is_empty();
        let mount_namespace = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
        Process {
            pid,
            name: proc::name(proc_pid, proc_pid).unwrap_or_default(),
            exe: proc::exe(proc_pid),
            perf_map: PathBuf::from(&*proc::perf_map_path(proc_pid)),
            uid,
            // The kernel gives such a process's files to root.
            is_sealed: uid.is_some_and(|uid| uid != 0)
                && fs::metadata(format!("/proc/{proc_pid}/maps")).is_ok_and(|file| file.uid() == 0),
            is_kernel_thread,
            is_stopped: matches!(proc::state(proc_pid), Some('T' | 't')),
            has_other_files: mount_namespace(&proc_pid.to_string())
                .is_some_and(|theirs| mount_namespace("self").is_some_and(|ours| ours != theirs)),
            process_count: tree.len(),
            thread_count: threads.map(|threads| threads.len() as u64).sum(),
            user_time: trials::event(pid, false),
            kernel_time: trials::event(pid, true),
            memory: match maps.as_ref().map(|maps| maps.iter().find(|line| line.executable)) {
                Ok(Some(line)) => trials::memory(Pid::from_raw(pid), line.start as usize),
                Ok(None) => Err(Errno::EFAULT),
                Err(errno) => Err(*errno),
            },
            maps,
        }
    }

    pub(crate) fn title(&self) -> String {
        format!("process {} ({})", self.pid, self.name)
    }

    /// Takes away what the process does not allow.
    pub(crate) fn adjust(&self, outlook: &mut Outlook) {
        outlook.user_time &= self.user_time.is_ok() && !self.is_kernel_thread;
        outlook.kernel_time &= self.kernel_time.is_ok();
        outlook.deep_stacks = self.memory.is_ok() || self.is_kernel_thread;
        if self.maps.is_err() {
            outlook.unwindable = false;
            outlook.names = Some("no names");
        }
    }

    pub(crate) fn findings(&self, machine: &Machine) -> Vec<Finding> {
        let mut findings = vec![self.who(machine)];
        if self.is_kernel_thread {
            findings
                .push(Finding::limited("program", "a thread of the kernel: there is no user code to sample"));
        }
        if self.is_stopped {
            findings.push(
                Finding::limited("state", "stopped: no samples until it goes on")
                    .fix(format!("kill -CONT {}", self.pid)),
            );
        }
        // What the machine refuses to everybody has been said.
        if machine.user_time.is_ok() {
            findings.extend(self.time(machine));
        }
        if !self.is_kernel_thread {
            findings.extend(self.mappings(machine));
        }
        findings
    }

    fn who(&self, machine: &Machine) -> Finding {
        let needed = self.thread_count * machine.cpu_count;
        let children = match self.process_count - 1 {
            0 => String::new(),
            1 => ", with 1 process below it".to_owned(),
            count => format!(", with {count} processes below it"),
        };
        let threads = match self.thread_count {
            1 => "1 thread".to_owned(),
            count => format!("{} threads", show_count(count)),
        };
        let owner = match self.uid {
            Some(uid) if uid == geteuid().as_raw() => String::new(),
            Some(uid) => format!(", of user {uid}"),
            None => String::new(),
        };
        let text = format!("running{owner}{children}: {threads}");
        // A few are open for other things.
        if needed + 32 <= machine.descriptors {
            return Finding::ok("process", text);
        }
        let text = format!(
            "{text}, which take {} open files on {} CPUs; {} is the limit",
            show_count(needed),
            machine.cpu_count,
            show_count(machine.descriptors)
        );
        Finding::no("process", text).fix(machine.more_descriptors(needed + 1024))
    }

    fn time(&self, machine: &Machine) -> Vec<Finding> {
        if let Err(errno) = self.user_time {
            let why = self.refused(errno, machine);
            return vec![Finding::no("user time", format!("not sampled: {}", why.0)).maybe_fix(why.1)];
        }
        let mut findings = vec![Finding::ok("user time", "sampled")];
        match self.kernel_time {
            Ok(()) => findings.push(Finding::ok("kernel time", "sampled")),
            Err(errno) if machine.kernel_time.is_ok() => {
                let why = self.refused(errno, machine);
                findings.push(
                    Finding::limited("kernel time", format!("not sampled: {}", why.0)).maybe_fix(why.1),
                );
            }
            Err(_) => {}
        }
        findings
    }

    fn mappings(&self, machine: &Machine) -> Vec<Finding> {
        let mut findings = Vec::new();
        match &self.maps {
            Ok(_) if self.has_other_files => {
                findings.push(Finding::ok(
                    "mappings",
                    "read; its files are in another mount namespace, reached through /proc",
                ));
            }
            Ok(_) => findings.push(Finding::ok("mappings", "read")),
            Err(errno) => {
                let mut why = self.refused(*errno, machine);
                if machine.may_ptrace {
                    why = (format!("the kernel closes it even to CAP_SYS_PTRACE ({errno:?})"), None);
                }
                let text = format!("cannot be read, so nothing has a name: {}", why.0);
                findings.push(Finding::no("mappings", text).maybe_fix(why.1));
            }
        }
        match (&self.maps, self.memory) {
            (Ok(_), Ok(())) => findings.push(Finding::ok("deep stacks", "followed in its memory")),
            (Ok(_), Err(errno)) => {
                let text = format!("cut at {}: its memory cannot be read ({errno:?})", machine.dump());
                let finding = Finding::limited("deep stacks", text);
                findings.push(match machine.ptrace_scope {
                    Some(1..) if !machine.may_ptrace => finding.fix("sudo sysctl kernel.yama.ptrace_scope=0"),
                    _ => finding.maybe_fix(explain(errno, Wanted::Foreign, machine).fix),
                });
            }
            (Err(_), _) => {}
        }
        findings
    }

    /// Why this process in particular is closed to us, and what would open it.
    fn refused(&self, errno: Errno, machine: &Machine) -> (String, Option<String>) {
        if errno == Errno::ESRCH {
            return ("it has just ended".to_owned(), None);
        }
        let why = explain(errno, Wanted::Foreign, machine);
        if self.is_sealed && self.uid == Some(geteuid().as_raw()) {
            let reason =
                format!("it made itself undumpable, or came from a setuid or unreadable file ({errno:?})");
            return (reason, why.fix);
        }
        match self.uid {
            Some(uid) if uid != geteuid().as_raw() => {
                (format!("it belongs to user {uid} ({errno:?})"), why.fix)
            }
            _ => (why.reason, why.fix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    fn process() -> Process {
        Process {
            pid: 42,
            name: "app".to_owned(),
            exe: None,
            maps: Ok(Vec::new()),
            perf_map: PathBuf::new(),
            uid: Some(geteuid().as_raw()),
            is_sealed: false,
            is_kernel_thread: false,
            is_stopped: false,
            has_other_files: false,
            process_count: 1,
            thread_count: 4,
            user_time: Ok(()),
            kernel_time: Ok(()),
            memory: Ok(()),
        }
    }

    #[test]
    fn many_threads_on_many_cpus_need_many_files() {
        let machine = Machine { cpu_count: 64, descriptors: 4096, ..Machine::default() };
        assert_eq!(process().who(&machine).level, Level::Ok);
        let busy = Process { thread_count: 100, process_count: 3, ..process() }.who(&machine);
        assert_eq!(busy.level, Level::No);
        assert_eq!(
            busy.text,
            "running, with 2 processes below it: 100 threads, which take 6,400 open files on 64 CPUs; 4,096 is the limit"
        );
    }

    #[test]
    fn a_sealed_process_is_told_apart_from_somebody_elses() {
        let closed = |uid, is_sealed| {
            let process = Process { uid: Some(uid), is_sealed, user_time: Err(Errno::EACCES), ..process() };
            process.time(&Machine::default()).remove(0)
        };
        let own = geteuid().as_raw();
        assert!(closed(own, true).text.contains("undumpable"));
        assert!(closed(own + 1, false).text.contains(&format!("belongs to user {} (EACCES)", own + 1)));
        assert!(closed(own + 1, false).fix.unwrap().starts_with("sudo rs-record"));
    }

    #[test]
    fn yama_keeps_the_memory_of_others() {
        let machine = Machine { ptrace_scope: Some(1), ..Machine::default() };
        let process = Process { memory: Err(Errno::EPERM), ..process() };
        let findings = process.mappings(&machine);
        assert_eq!(findings[1].fix.as_deref(), Some("sudo sysctl kernel.yama.ptrace_scope=0"));
        let mut outlook = Outlook::of_machine(true, true, true, machine.dump());
        process.adjust(&mut outlook);
        assert!(outlook.samples() && !outlook.deep_stacks);
    }
}
