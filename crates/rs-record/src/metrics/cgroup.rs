//! Limits and pressure of the control group that a process runs in: version 2, and of version 1 the memory and
//! cpu controllers.
//!
//! The groups are looked up once, when recording begins; a limit that changes is seen, a move to another group
//! is not. A quota or limit may be set on a group further up, such as a slice or a pod, and the kernel counts
//! there what it holds back; so these figures are of the nearest group that has a limit.

use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use rs_schema::event::Cgroup;

use super::reader::read_text;

/// Reads a group's figures again and again.
pub(crate) struct CgroupMeter {
    files: Files,
    last: Totals,
}

/// Counters since the group was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    throttled_ns: Option<u64>,
    oom_kill_count: Option<u64>,
    cpu_pressure_ns: Option<u64>,
    memory_pressure_ns: Option<u64>,
    io_pressure_ns: Option<u64>,
}

impl CgroupMeter {
    /// The group of a process, seen from our own namespaces. `None` in the root group, which has no limits.
    pub(crate) fn of_process(proc_pid: i32) -> Option<CgroupMeter> {
        let memberships = fs::read_to_string(format!("/proc/{proc_pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        CgroupMeter::open(&memberships, &mounts)
    }

    fn open(memberships: &str, mounts: &str) -> Option<CgroupMeter> {
        let files = Files::open(memberships, mounts)?;
        let last = files.totals();
        Some(CgroupMeter { files, last })
    }

    /// The gauges now, and the counters since the last reading.
    pub(crate) fn read(&mut self) -> Cgroup {
        let now = self.files.totals();
        let last = std::mem::replace(&mut self.last, now);
        let since = |now: Option<u64>, last: Option<u64>| Some(now?.saturating_sub(last?));
        Cgroup {
            cpu_quota_ratio: self.files.quota.as_ref().and_then(Quota::ratio),
            throttled_ns: since(now.throttled_ns, last.throttled_ns),
            memory_limit_bytes: limit_of(&self.files.memory_limit),
            memory_bytes: limit_of(&self.files.memory),
            oom_kill_count: since(now.oom_kill_count, last.oom_kill_count),
            cpu_pressure_ns: since(now.cpu_pressure_ns, last.cpu_pressure_ns),
            memory_pressure_ns: since(now.memory_pressure_ns, last.memory_pressure_ns),
            io_pressure_ns: since(now.io_pressure_ns, last.io_pressure_ns),
        }
    }
}

/// Where the figures stand. Those of one resource may be of version 1 and another's of version 2.
#[derive(Default)]
struct Files {
    quota: Option<Quota>,
    throttled: Option<Counter>,
    memory_limit: Option<File>,
    memory: Option<File>,
    oom_kills: Option<Counter>,
    cpu_pressure: Option<File>,
    memory_pressure: Option<File>,
    io_pressure: Option<File>,
}

impl Files {
    fn open(memberships: &str, mounts: &str) -> Option<Files> {
        let mut files = Files::default();
        let version_2 = Groups::of(memberships, mounts, None);
        if let Some(groups) = &version_2 {
            files.add_memory(groups, "memory.max", "memory.current", "memory.events");
            files.add_cpu(groups, "throttled_usec", 1000);
            files.cpu_pressure = open_in(groups.own(), "cpu.pressure");
            files.memory_pressure = open_in(groups.own(), "memory.pressure");
            files.io_pressure = open_in(groups.own(), "io.pressure");
        }
        // A controller belongs to one version at a time.
        let memory_1 = Groups::of(memberships, mounts, Some("memory")).filter(|_| files.memory.is_none());
        if let Some(groups) = &memory_1 {
            let (limit, usage) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
            files.add_memory(groups, limit, usage, "memory.oom_control");
        }
        let cpu_1 = Groups::of(memberships, mounts, Some("cpu")).filter(|_| files.quota.is_none());
        if let Some(groups) = &cpu_1 {
            files.add_cpu(groups, "throttled_time", 1);
        }
        (version_2.is_some() || memory_1.is_some() || cpu_1.is_some()).then_some(files)
    }

    fn add_memory(&mut self, groups: &Groups, limit: &str, usage: &str, events: &str) {
        let group = groups.nearest(|folder| limit_of(&open_in(folder, limit)).is_some());
        self.memory_limit = open_in(group, limit);
        self.memory = open_in(group, usage);
        // Kills are counted in the victim's group, whichever limit it was.
        self.oom_kills = Counter::open(groups.own(), events, "oom_kill", 1);
    }

    fn add_cpu(&mut self, groups: &Groups, throttled_key: &'static str, unit_ns: u64) {
        let group = groups.nearest(|folder| Quota::open(folder).and_then(|quota| quota.ratio()).is_some());
        self.quota = Quota::open(group);
        self.throttled = Counter::open(group, "cpu.stat", throttled_key, unit_ns);
    }

    fn totals(&self) -> Totals {
        let pressure = |file: &Option<File>| pressure_ns(&text_of(file.as_ref()?)?);
        Totals {
            throttled_ns: self.throttled.as_ref().and_then(Counter::read),
            oom_kill_count: self.oom_kills.as_ref().and_then(Counter::read),
            cpu_pressure_ns: pressure(&self.cpu_pressure),
            memory_pressure_ns: pressure(&self.memory_pressure),
            io_pressure_ns: pressure(&self.io_pressure),
        }
    }
}

/// The CPU time that a group may use, over a period.
enum Quota {
    Version2(File),
    Version1 { quota: File, period: File },
}

impl Quota {
    fn open(folder: &Path) -> Option<Quota> {
        if let Some(file) = open_in(folder, "cpu.max") {
            return Some(Quota::Version2(file));
        }
        let quota = open_in(folder, "cpu.cfs_quota_us")?;
        Some(Quota::Version1 { quota, period: open_in(folder, "cpu.cfs_period_us")? })
    }

    /// In cores; `None` without a quota.
    fn ratio(&self) -> Option<f64> {
        match self {
            Quota::Version2(file) => parse_quota(&text_of(file)?),
            // Without a quota it is -1.
            Quota::Version1 { quota, period } => {
                parse_quota(&format!("{} {}", text_of(quota)?.trim(), text_of(period)?.trim()))
            }
        }
    }
}

/// A counter in a file of lines `key value`.
struct Counter {
    file: File,
    key: &'static str,
    unit: u64,
}

impl Counter {
    fn open(folder: &Path, name: &str, key: &'static str, unit: u64) -> Option<Counter> {
        Some(Counter { file: open_in(folder, name)?, key, unit })
    }

    fn read(&self) -> Option<u64> {
        keyed(&text_of(&self.file)?, self.key)?.checked_mul(self.unit)
    }
}

/// The folders of a group and of those it lies in, from inside out, without the root group.
#[derive(Debug, PartialEq)]
struct Groups(Vec<PathBuf>);

impl Groups {
    /// Of the hierarchy of version 2, or of a controller of version 1.
    fn of(memberships: &str, mounts: &str, controller: Option<&str>) -> Option<Groups> {
        let path = membership(memberships, controller)?;
        let (mount_point, inside) = mounts.lines().find_map(|line| mounted_group(line, controller, path))?;
        // `..` leads out of what is mounted here: a group outside our namespace.
        if inside.components().any(|part| !matches!(part, Component::Normal(_) | Component::RootDir)) {
            return None;
        }
        let own = mount_point.join(inside);
        let above_mount = mount_point.parent();
        let folders = own.ancestors().take_while(|folder| Some(*folder) != above_mount);
        // Only the root group lacks the first of these files, or has the second.
        let is_root = |folder: &Path| match controller {
            None => !folder.join("cgroup.events").exists(),
            Some(_) => folder.join("release_agent").exists(),
        };
        let groups: Vec<PathBuf> =
            folders.filter(|folder| folder.is_dir() && !is_root(folder)).map(Path::to_owned).collect();
        (!groups.is_empty()).then_some(Groups(groups))
    }

    fn own(&self) -> &Path {
        &self.0[0]
    }

    /// The nearest that has a limit, else the process's own.
    fn nearest(&self, has_limit: impl Fn(&Path) -> bool) -> &Path {
        self.0.iter().find(|folder| has_limit(folder)).unwrap_or(&self.0[0])
    }
}

fn open_in(folder: &Path, name: &str) -> Option<File> {
    File::open(folder.join(name)).ok()
}

fn text_of(file: &File) -> Option<String> {
    let mut text = Vec::new();
    read_text(file, &mut text).ok()?;
    String::from_utf8(text).ok()
}

fn limit_of(file: &Option<File>) -> Option<u64> {
    parse_limit(&text_of(file.as_ref()?)?)
}

/// The group in a line `id:controllers:path` of /proc/PID/cgroup.
fn membership<'a>(memberships: &'a str, controller: Option<&str>) -> Option<&'a str> {
    memberships.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let fits = match controller {
            None => controllers.is_empty(),
            Some(name) => controllers.split(',').any(|controller| controller == name),
        };
        fits.then_some(path)
    })
}

/// If a line of /proc/self/mountinfo mounts the hierarchy such that the group at `path` is in it: the mount point,
/// and the group's path below it.
fn mounted_group<'a>(line: &str, controller: Option<&str>, path: &'a str) -> Option<(PathBuf, &'a Path)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, mount_point) = (mount.next()?, mount.next()?);
    let mut file_system = file_system.split(' ');
    let (kind, options) = (file_system.next()?, file_system.nth(1)?);
    let fits = match controller {
        None => kind == "cgroup2",
        Some(name) => kind == "cgroup" && options.split(',').any(|option| option == name),
    };
    let inside = Path::new(path).strip_prefix(unescaped(root).as_ref()).ok()?;
    fits.then(|| (PathBuf::from(unescaped(mount_point).into_owned()), inside))
}

/// Undoes what mountinfo does to blanks and the like.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\").into()
}

/// `150000 100000`, quota and period, in cores; `max` is none.
fn parse_quota(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    let (quota, period) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
    (period > 0).then(|| quota as f64 / period as f64)
}

/// A size; `max`, or of version 1 a number of about 2^63, is none.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&bytes| bytes < 1 << 62)
}

fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Time for which some task stalled, of a pressure file.
fn pressure_ns(text: &str) -> Option<u64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total: u64 =
        some.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()?;
    total.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const MEMBERSHIPS: &str = "9:name=systemd:/\n4:memory:/process_api/65b7\n2:cpuacct,cpu:/\n0::/a/b:c\n";

    #[test]
    fn texts() {
        assert_eq!(membership(MEMBERSHIPS, None), Some("/a/b:c"));
        assert_eq!(membership(MEMBERSHIPS, Some("memory")), Some("/process_api/65b7"));
        assert_eq!(membership(MEMBERSHIPS, Some("cpu")), Some("/"));
        assert_eq!(membership(MEMBERSHIPS, Some("pids")), None);
        assert_eq!(parse_quota("150000 100000\n"), Some(1.5));
        assert_eq!(parse_quota("max 100000\n"), None);
        assert_eq!(parse_quota("-1 100000"), None);
        assert_eq!(parse_limit("134217728\n"), Some(128 << 20));
        assert_eq!((parse_limit("max\n"), parse_limit("9223372036854771712\n")), (None, None));
        let events = "low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 0\n";
        assert_eq!(keyed(events, "oom_kill"), Some(3));
        assert_eq!(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", "oom_kill"), Some(4));
        let pressure = "some avg10=0.18 avg60=1.59 avg300=1.29 total=34693661\n\
            full avg10=0.14 avg60=1.35 avg300=1.11 total=24277790\n";
        assert_eq!(pressure_ns(pressure), Some(34_693_661_000));
    }

    #[test]
    fn mounts() {
        let memory = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory";
        let found = mounted_group(memory, Some("memory"), "/x/y").unwrap();
        assert_eq!((found.0.to_str(), found.1.to_str()), (Some("/sys/fs/cgroup/memory"), Some("x/y")));
        assert_eq!(mounted_group(memory, Some("cpu"), "/x"), None);
        assert_eq!(mounted_group(memory, None, "/x"), None);
        // A container of version 1: only its own part is mounted.
        let part = "35 31 0:32 /docker/1f /sys/fs/a\\040b ro - cgroup cgroup rw,memory";
        let found = mounted_group(part, Some("memory"), "/docker/1f/sub").unwrap();
        assert_eq!((found.0.to_str(), found.1.to_str()), (Some("/sys/fs/a b"), Some("sub")));
        assert_eq!(mounted_group(part, Some("memory"), "/docker/2e"), None);
    }

    /// A hierarchy of version 2 as files in a folder: the root, a slice with limits, and a group without.
    fn version_2() -> (TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, text) in [
            ("cpu.stat", "usage_usec 1\n"),
            ("slice/cgroup.events", "populated 1\n"),
            ("slice/cpu.max", "150000 100000\n"),
            ("slice/cpu.stat", "usage_usec 9\nnr_throttled 1\nthrottled_usec 700\n"),
            ("slice/memory.max", "1048576\n"),
            ("slice/memory.current", "524288\n"),
            ("slice/memory.events", "oom_kill 7\n"),
            ("slice/app/cgroup.events", "populated 1\n"),
            ("slice/app/cpu.max", "max 100000\n"),
            ("slice/app/cpu.stat", "usage_usec 9\nnr_throttled 0\nthrottled_usec 0\n"),
            ("slice/app/memory.max", "max\n"),
            ("slice/app/memory.current", "4096\n"),
            ("slice/app/memory.events", "oom_kill 2\n"),
            ("slice/app/io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mount = format!("41 31 0:38 / {} rw,relatime - cgroup2 cgroup2 rw\n", root.display());
        (folder, mount)
    }

    #[test]
    fn limits_of_the_nearest_group_that_has_one() {
        let (folder, mount) = version_2();
        let mut meter = CgroupMeter::open("0::/slice/app\n", &mount).unwrap();
        let app = folder.path().join("slice/app");
        fs::write(folder.path().join("slice/cpu.stat"), "throttled_usec 705\n").unwrap();
        fs::write(app.join("memory.events"), "oom_kill 3\n").unwrap();
        fs::write(app.join("io.pressure"), "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n").unwrap();
        let expected = Cgroup {
            cpu_quota_ratio: Some(1.5),
            throttled_ns: Some(5_000),
            memory_limit_bytes: Some(1 << 20),
            memory_bytes: Some(512 << 10),
            oom_kill_count: Some(1),
            cpu_pressure_ns: None,
            memory_pressure_ns: None,
            io_pressure_ns: Some(2_000),
        };
        assert_eq!(meter.read(), expected);
        // The kernel's counters stand still.
        let still = meter.read();
        assert_eq!((still.throttled_ns, still.oom_kill_count), (Some(0), Some(0)));
    }

    #[test]
    fn the_root_and_groups_out_of_sight_have_none() {
        let (_folder, mount) = version_2();
        assert!(CgroupMeter::open("0::/\n", &mount).is_none());
        assert!(CgroupMeter::open("0::/../other\n", &mount).is_none());
        assert!(CgroupMeter::open("0::/gone (deleted)\n", &mount).is_none());
        assert!(CgroupMeter::open("", &mount).is_none());
    }

    #[test]
    fn version_1() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for (name, text) in [
            ("cpu/release_agent", ""),
            ("cpu/job/cpu.cfs_quota_us", "50000\n"),
            ("cpu/job/cpu.cfs_period_us", "100000\n"),
            ("cpu/job/cpu.stat", "nr_periods 3\nnr_throttled 1\nthrottled_time 900\n"),
            ("memory/release_agent", ""),
            ("memory/job/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/job/memory.usage_in_bytes", "8192\n"),
            ("memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mounts = format!(
            "32 31 0:29 / {root}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / {root}/memory rw - cgroup cgroup rw,memory\n"
        );
        let mut meter = CgroupMeter::open("4:memory:/job\n2:cpu,cpuacct:/job\n0::/\n", &mounts).unwrap();
        let group = meter.read();
        assert_eq!((group.cpu_quota_ratio, group.throttled_ns), (Some(0.5), Some(0)));
        assert_eq!((group.memory_limit_bytes, group.memory_bytes), (None, Some(8192)));
        assert_eq!(group.oom_kill_count, Some(0));
        assert!(CgroupMeter::open("4:memory:/\n2:cpu:/\n", &mounts).is_none());
    }
}
