//! The machine and the recorder, for the header. What cannot be read is `None`.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rs_schema::event::{Host, Recorder};

/// The machine that this program runs on.
pub(crate) fn host() -> Host {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    Host {
        os: Some(std::env::consts::OS.to_owned()),
        kernel: line_of("/proc/sys/kernel/osrelease"),
        arch: Some(std::env::consts::ARCH.to_owned()),
        cpu_count: online_cpu_count(&cpuinfo),
        cpu_model: cpu_model(&cpuinfo),
        memory_bytes: fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(total_memory),
        hostname: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()),
    }
}

/// This process.
pub(crate) fn recorder() -> Recorder {
    Recorder {
        pid: Some(std::process::id()),
        pid_namespace: fs::metadata("/proc/self/ns/pid").ok().map(|namespace| namespace.ino()),
    }
}

/// Which boot of the machine this is; monotonic times of one boot compare.
pub(crate) fn boot_id() -> Option<String> {
    line_of("/proc/sys/kernel/random/boot_id")
}

fn line_of(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// /proc/cpuinfo lists the CPUs that are online.
fn online_cpu_count(cpuinfo: &str) -> Option<u32> {
    u32::try_from(values(cpuinfo, "processor").count()).ok().filter(|&count| count > 0)
}

/// x86 names itself; Arm gives numbers, of which a machine may have several (big and little cores).
fn cpu_model(cpuinfo: &str) -> Option<String> {
    if let Some(name) = values(cpuinfo, "model name").next() {
        return Some(name.to_owned());
    }
    let mut models = Vec::new();
    for (implementer, part) in values(cpuinfo, "CPU implementer").zip(values(cpuinfo, "CPU part")) {
        let model = arm_model(implementer, part);
        if !models.contains(&model) {
            models.push(model);
        }
    }
    if models.is_empty() {
        return values(cpuinfo, "Model").next().map(str::to_owned);
    }
    Some(models.join(" + "))
}

/// The cores of servers and boards that are about; others keep their numbers, which can be looked up.
fn arm_model(implementer: &str, part: &str) -> String {
    let name = match (implementer, part) {
        ("0x41", "0xd03") => "Arm Cortex-A53",
        ("0x41", "0xd08") => "Arm Cortex-A72",
        ("0x41", "0xd0b") => "Arm Cortex-A76",
        ("0x41", "0xd0c") => "Arm Neoverse-N1",
        ("0x41", "0xd40") => "Arm Neoverse-V1",
        ("0x41", "0xd49") => "Arm Neoverse-N2",
        ("0x41", "0xd4f") => "Arm Neoverse-V2",
        ("0x41", "0xd84") => "Arm Neoverse-V3",
        ("0x41", "0xd8e") => "Arm Neoverse-N3",
        ("0xc0", "0xac3") => "Ampere-1",
        ("0xc0", "0xac4") => "Ampere-1A",
        ("0x61", _) => return format!("Apple {part}"),
        _ => return format!("implementer {implementer} part {part}"),
    };
    name.to_owned()
}

/// Values of a `name : value` line, one for each CPU.
fn values<'a>(cpuinfo: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    cpuinfo.lines().filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name && !value.trim().is_empty()).then(|| value.trim())
    })
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_cpus_name_themselves() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 2\nmodel name\t: AMD EPYC 9R14\n\n\
                       processor\t: 3\nmodel name\t: AMD EPYC 9R14\n";
        assert_eq!(online_cpu_count(cpuinfo), Some(2));
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("AMD EPYC 9R14"));
    }

    #[test]
    fn arm_cpus_are_numbers() {
        let core = |n, part| {
            format!("processor\t: {n}\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n")
        };
        let one_kind = core(0, "0xd0c") + &core(1, "0xd0c");
        assert_eq!(cpu_model(&one_kind).as_deref(), Some("Arm Neoverse-N1"));
        let two_kinds = core(0, "0xd03") + &core(1, "0xfff");
        assert_eq!(cpu_model(&two_kinds).as_deref(), Some("Arm Cortex-A53 + implementer 0x41 part 0xfff"));
        assert_eq!(online_cpu_count(&two_kinds), Some(2));
        assert_eq!(cpu_model("Model\t\t: Some Board\n").as_deref(), Some("Some Board"));
    }

    #[test]
    fn nothing_is_invented() {
        assert_eq!((online_cpu_count(""), cpu_model(""), total_memory("")), (None, None, None));
        assert_eq!(total_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(total_memory("MemTotal: 99999999999999999999 kB\n"), None);
    }

    #[test]
    fn this_machine() {
        let host = host();
        assert_eq!(host.os.as_deref(), Some("linux"));
        assert!(host.kernel.is_some() && host.cpu_count.is_some() && host.memory_bytes.is_some(), "{host:?}");
        assert!(recorder().pid_namespace.is_some_and(|inode| inode > 0));
        assert_eq!(boot_id().map(|id| id.len()), Some(36));
    }
}
