//! Settings of the kernel, and the container or sandbox that we are in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rs_cli::units::show_bytes;

use super::report::Finding;
use crate::metrics::cgroup::CgroupMeter;

pub(crate) const CAP_SYS_PTRACE: u32 = 19;
pub(crate) const CAP_SYS_ADMIN: u32 = 21;
pub(crate) const CAP_PERFMON: u32 = 38;

/// The kernel gives the namespaces that it starts with these numbers.
const INITIAL_NAMESPACES: [(&str, u64); 3] =
    [("ipc", 0xefff_ffff), ("uts", 0xefff_fffe), ("pid", 0xefff_fffc)];
const INITIAL_USER_NAMESPACE: u64 = 0xefff_fffd;

/// A number below /proc/sys.
pub(crate) fn sysctl(name: &str) -> Option<i64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// Value of a line of /proc/PID/status.
pub(crate) fn proc_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Whether a capability is effective, by /proc/PID/status.
pub(crate) fn has_capability(status: &str, capability: u32) -> bool {
    let effective = proc_field(status, "CapEff:").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    effective.is_some_and(|set| set >> capability & 1 == 1)
}

/// What kind of container this is, by the traces that its makers leave. Images that run as virtual machines have
/// the traces too, but no namespaces of their own.
pub(crate) fn container() -> Option<&'static str> {
    if INITIAL_NAMESPACES.iter().all(|(name, inode)| namespace(name) == Some(*inode)) {
        return None;
    }
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Some("kubernetes");
    }
    let traces = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    if let Some((_, name)) = traces.iter().find(|(path, _)| Path::new(path).exists()) {
        return Some(name);
    }
    let groups = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    let parts = [("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc")];
    parts.iter().find(|(part, _)| groups.contains(part)).map(|(_, name)| *name)
}

/// Whether capabilities mean something to the kernel here.
pub(crate) fn is_initial_user_namespace() -> bool {
    namespace("user") == Some(INITIAL_USER_NAMESPACE)
}

fn namespace(name: &str) -> Option<u64> {
    fs::metadata(Path::new("/proc/self/ns").join(name)).ok().map(|namespace| namespace.ino())
}

/// Limits of the control group of a process, if it has any.
pub(crate) fn limits(proc_pid: i32) -> Option<Finding> {
    let group = CgroupMeter::of_process(proc_pid)?.read();
    let cpus = group.cpu_quota_ratio.map(|cpus| format!("{cpus:.1} CPUs"));
    let memory = group.memory_limit_bytes.map(|bytes| format!("{} of memory", show_bytes(bytes)));
    let limits: Vec<String> = cpus.into_iter().chain(memory).collect();
    (!limits.is_empty()).then(|| Finding::ok("control group", format!("limited to {}", limits.join(" and "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel() {
        let status = "Seccomp:\t2\nSeccomp_filters:\t1\nCapEff:\t0000004000080000\n";
        assert_eq!(proc_field(status, "Seccomp:"), Some("2"));
        assert!(has_capability(status, CAP_PERFMON) && has_capability(status, CAP_SYS_PTRACE));
        assert!(!has_capability(status, CAP_SYS_ADMIN));
    }
}
