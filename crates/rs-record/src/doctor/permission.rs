//! Why the kernel refuses a perf event, and the smallest thing that would allow it.

use nix::errno::Errno;

use super::machine::Machine;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Time in user code of our own programs.
    UserTime,
    /// Time in the kernel as well.
    KernelTime,
    /// A process that is not ours to look into.
    Foreign,
}

/// A refusal, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// Why, with the kernel's own word.
    pub(crate) reason: String,
    /// What would allow it, if anything would.
    pub(crate) fix: Option<String>,
}

/// Also lets other users' processes be sampled, for everybody who may execute the file.
const SETCAP: &str = "sudo setcap cap_perfmon,cap_sys_ptrace=ep $(command -v rs-record)";

/// Explains `errno`, which opening an event for `wanted` gave.
pub(crate) fn explain(errno: Errno, wanted: Wanted, machine: &Machine) -> Explanation {
    let (reason, fix) = match errno {
        Errno::EPERM | Errno::ENOSYS if machine.seccomp => {
            ("a seccomp filter forbids perf_event_open".to_owned(), Some(past_the_filter(machine)))
        }
        Errno::ENOSYS => ("this kernel has no perf events".to_owned(), None),
        Errno::EACCES | Errno::EPERM => not_permitted(wanted, machine),
        Errno::EMFILE | Errno::ENFILE => {
            ("too many open files".to_owned(), Some("ulimit -n $(ulimit -H -n)".to_owned()))
        }
        _ => ("perf_event_open failed".to_owned(), None),
    };
    Explanation { reason: format!("{reason} ({errno:?})"), fix }
}

fn past_the_filter(machine: &Machine) -> String {
    match machine.container {
        // Runtimes of the last years let the system call pass for who has the capability.
        Some("kubernetes") if !machine.may_perfmon => {
            "in the pod's container: securityContext: {capabilities: {add: [PERFMON]}}".to_owned()
        }
        Some("kubernetes") => {
            "in the pod's container: securityContext: {seccompProfile: {type: Unconfined}}".to_owned()
        }
        Some(_) if !machine.may_perfmon => {
            "start the container with --cap-add PERFMON (before Docker 23 and with podman before 5.7: \
             --security-opt seccomp=unconfined)"
                .to_owned()
        }
        Some(_) => "start the container with --security-opt seccomp=unconfined".to_owned(),
        None => "leave the sandbox, or let it allow perf_event_open (systemd: SystemCallFilter=)".to_owned(),
    }
}

fn not_permitted(wanted: Wanted, machine: &Machine) -> (String, Option<String>) {
    let paranoid = machine.paranoid.unwrap_or(2);
    if machine.may_perfmon && machine.initial_user_namespace {
        return ("a security module forbids it, although CAP_PERFMON is there".to_owned(), None);
    }
    let enough = match wanted {
        Wanted::UserTime => 2,
        Wanted::KernelTime => 1,
        Wanted::Foreign => return foreign(machine),
    };
    if paranoid <= enough {
        return ("a security module forbids it".to_owned(), Some("sudo rs-record ...".to_owned()));
    }
    let sysctl = format!("sudo sysctl kernel.perf_event_paranoid={enough}");
    let fix = match machine.container {
        Some("kubernetes") if machine.initial_user_namespace => {
            "in the pod's container: securityContext: {capabilities: {add: [PERFMON]}}".to_owned()
        }
        Some(_) if machine.initial_user_namespace => "start the container with --cap-add PERFMON".to_owned(),
        Some(_) => format!("on the host: {sysctl}"),
        None => sysctl,
    };
    (format!("kernel.perf_event_paranoid is {paranoid}"), Some(fix))
}

fn foreign(machine: &Machine) -> (String, Option<String>) {
    let reason = "the process is not ours to look into".to_owned();
    let fix = match (machine.container, machine.initial_user_namespace) {
        (_, false) => "run rs-record outside of this user namespace, as root".to_owned(),
        (Some("kubernetes"), true) => {
            "in the pod's container: securityContext: {capabilities: {add: [PERFMON, SYS_PTRACE]}}".to_owned()
        }
        (Some(_), true) => "start the container with --cap-add PERFMON --cap-add SYS_PTRACE".to_owned(),
        (None, true) if machine.no_new_privileges => {
            "sudo rs-record ..., from a shell that may gain rights".to_owned()
        }
        (None, true) => format!("sudo rs-record ...; to allow it for good: {SETCAP}"),
    };
    (reason, Some(fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine { paranoid: Some(4), initial_user_namespace: true, ..Machine::default() }
    }

    fn fix(errno: Errno, wanted: Wanted, machine: &Machine) -> String {
        explain(errno, wanted, machine).fix.unwrap_or_default()
    }

    #[test]
    fn the_sysctl_goes_no_further_than_needed() {
        assert_eq!(
            explain(Errno::EACCES, Wanted::UserTime, &machine()).reason,
            "kernel.perf_event_paranoid is 4 (EACCES)"
        );
        let fix_for = |wanted| fix(Errno::EACCES, wanted, &machine());
        assert_eq!(fix_for(Wanted::UserTime), "sudo sysctl kernel.perf_event_paranoid=2");
        assert_eq!(fix_for(Wanted::KernelTime), "sudo sysctl kernel.perf_event_paranoid=1");
        assert!(fix_for(Wanted::Foreign).contains("setcap cap_perfmon,cap_sys_ptrace=ep"));
    }

    #[test]
    fn containers_are_told_the_capability() {
        let docker = Machine { container: Some("docker"), seccomp: true, ..machine() };
        assert!(
            fix(Errno::EPERM, Wanted::UserTime, &docker)
                .starts_with("start the container with --cap-add PERFMON")
        );
        let explained = explain(Errno::EPERM, Wanted::UserTime, &docker).reason;
        assert_eq!(explained, "a seccomp filter forbids perf_event_open (EPERM)");
        let has_it = Machine { may_perfmon: true, ..docker.clone() };
        assert!(fix(Errno::ENOSYS, Wanted::UserTime, &has_it).contains("seccomp=unconfined"));
        let pod = Machine { container: Some("kubernetes"), ..docker.clone() };
        assert!(fix(Errno::EPERM, Wanted::UserTime, &pod).contains("securityContext"));
        let rootless = Machine { initial_user_namespace: false, ..docker };
        assert_eq!(
            fix(Errno::EACCES, Wanted::UserTime, &rootless),
            "on the host: sudo sysctl kernel.perf_event_paranoid=2"
        );
    }

    #[test]
    fn where_settings_are_not_the_cause() {
        let relaxed = Machine { paranoid: Some(-1), ..machine() };
        assert!(explain(Errno::EACCES, Wanted::UserTime, &relaxed).reason.starts_with("a security module"));
        assert_eq!(explain(Errno::ENOSYS, Wanted::UserTime, &machine()).fix, None);
        assert_eq!(
            explain(Errno::EINVAL, Wanted::UserTime, &machine()).reason,
            "perf_event_open failed (EINVAL)"
        );
    }
}
