//! Processes as /proc shows them.
//!
//! Inside `unshare -p` the mounted /proc may belong to another pid namespace than ours: then process 1 of our
//! namespace, which is what `--pid 1`, kill and perf mean, is not /proc/1. Every path goes through here.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// The mounted /proc in relation to our pid namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcFs {
    /// Position of our namespace in the `NSpid` lists; `None` when /proc is of our namespace.
    level: Option<usize>,
}

/// A process or thread in both numberings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// In our namespace.
    pub(crate) ours: i32,
    /// In the mounted /proc.
    pub(crate) proc: i32,
}

impl ProcFs {
    /// Looks whose /proc is mounted.
    ///
    /// # Errors
    /// When there is no /proc.
    pub(crate) fn mounted() -> io::Result<ProcFs> {
        let link = fs::read_link("/proc/self")
            .map_err(|error| io::Error::new(error.kind(), format!("cannot read /proc: {error}")))?;
        let own = std::process::id().to_string();
        if link.as_os_str() == own.as_str() {
            return Ok(ProcFs { level: None });
        }
        let list = ns_pids(&fs::read_to_string("/proc/self/status")?);
        Ok(ProcFs { level: list.len().checked_sub(1) })
    }

    /// The number in /proc of a process that has `pid` in our namespace.
    pub(crate) fn proc_pid(&self, pid: i32) -> io::Result<i32> {
        if self.level.is_none() {
            return Ok(pid);
        }
        let pidfd = pidfd_open(pid)?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
        field(&info, "Pid:")
            .and_then(|text| text.parse().ok())
            .filter(|&number: &i32| number > 0)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
    }

    /// The threads of a process.
    pub(crate) fn threads(&self, proc_pid: i32) -> io::Result<Vec<Numbers>> {
        let mut threads = Vec::new();
        for entry in fs::read_dir(format!("/proc/{proc_pid}/task"))? {
            let Some(proc) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let ours = match self.level {
                None => Some(proc),
                Some(level) => fs::read_to_string(format!("/proc/{proc_pid}/task/{proc}/status"))
                    .ok()
                    .and_then(|status| ns_pids(&status).get(level).copied()),
            };
            if let Some(ours) = ours {
                threads.push(Numbers { ours, proc });
            }
        }
        threads.sort_by_key(|thread| thread.ours);
        Ok(threads)
    }

    /// A process and all that descend from it, parents first, each with the number of its parent in /proc.
    pub(crate) fn tree(&self, root: Numbers) -> Vec<(Numbers, Option<i32>)> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(proc) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let Some(parent) = stat_fields(proc).and_then(|stat| stat.get(1)?.parse::<i32>().ok()) else {
                continue;
            };
            all.push((proc, parent));
        }
        let mut tree = vec![(root, None)];
        let mut next = 0;
        while next < tree.len() {
            let parent = tree[next].0.proc;
            for &(proc, _) in all.iter().filter(|&&(_, of)| of == parent) {
                let ours = match self.level {
                    None => Some(proc),
                    Some(level) => fs::read_to_string(format!("/proc/{proc}/status"))
                        .ok()
                        .and_then(|status| ns_pids(&status).get(level).copied()),
                };
                if let Some(ours) = ours {
                    tree.push((Numbers { ours, proc }, Some(parent)));
                }
            }
            next += 1;
        }
        tree
    }
}

/// Opens a process such that its end can be polled for.
///
/// # Errors
/// ESRCH when there is no such process.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// State letter of a process (`Z` for a zombie).
pub(crate) fn state(proc_pid: i32) -> Option<char> {
    stat_fields(proc_pid)?.first()?.chars().next()
}

/// Whether any thread of a process still runs.
pub(crate) fn has_live_thread(proc_pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{proc_pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| thread.file_name().to_str()?.parse().ok())
        .any(|tid: i32| state(tid).is_some_and(|state| !matches!(state, 'Z' | 'X')))
}

/// The process that a thread belongs to, as /proc numbers them.
pub(crate) fn thread_group(proc_tid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{proc_tid}/status")).ok()?;
    field(&status, "Tgid:")?.parse().ok()
}

/// Name of a process or thread.
pub(crate) fn name(proc_pid: i32, proc_tid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{proc_pid}/task/{proc_tid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned())
}

/// Command line of a process; empty when it cannot be read.
pub(crate) fn command(proc_pid: i32) -> Vec<String> {
    let text = fs::read(format!("/proc/{proc_pid}/cmdline")).unwrap_or_default();
    // A program that writes a title over its arguments leaves the rest of the room empty.
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    text[..end].split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The executable that a process runs.
pub(crate) fn exe(proc_pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{proc_pid}/exe")).ok()
}

/// Where a process writes the names of code that it makes at run time: under its own root, with the number that
/// it has in its own namespace.
pub(crate) fn perf_map_path(proc_pid: i32) -> Arc<str> {
    let status = fs::read_to_string(format!("/proc/{proc_pid}/status")).unwrap_or_default();
    let own = ns_pids(&status).last().copied().unwrap_or(proc_pid);
    let same = |link| {
        fs::read_link(format!("/proc/{proc_pid}/{link}")).ok()
            == fs::read_link(format!("/proc/self/{link}")).ok()
    };
    let same_root = same("ns/mnt") && same("root");
    // Through our own root the file stays readable after the process has ended.
    let root = if same_root { String::new() } else { format!("/proc/{proc_pid}/root") };
    format!("{root}/tmp/perf-{own}.map").into()
}

/// One line of /proc/PID/maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MapsLine {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) executable: bool,
    pub(crate) file_offset: u64,
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    pub(crate) path: String,
}

/// The mappings of a process.
///
/// # Errors
/// When they may not be read.
pub(crate) fn maps(proc_pid: i32) -> io::Result<Vec<MapsLine>> {
    let mut text = fs::read(format!("/proc/{proc_pid}/maps"))?;
    if text.is_empty() {
        // The first thread has ended and shows no memory any more; the others do.
        let threads = fs::read_dir(format!("/proc/{proc_pid}/task"))?.flatten();
        let of_threads = threads.filter_map(|thread| fs::read(thread.path().join("maps")).ok());
        text = of_threads.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    }
    Ok(String::from_utf8_lossy(&text).lines().filter_map(parse_maps_line).collect())
}

fn parse_maps_line(line: &str) -> Option<MapsLine> {
    let mut rest = line;
    let mut word = || {
        let trimmed = rest.trim_start();
        let end = trimmed.find(' ').unwrap_or(trimmed.len());
        let (word, behind) = trimmed.split_at(end);
        rest = behind;
        word
    };
    let (range, flags, offset, device, inode) = (word(), word(), word(), word(), word());
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = range.split_once('-')?;
    let (major, minor) = device.split_once(':')?;
    Some(MapsLine {
        start: hex(start)?,
        end: hex(end)?,
        executable: flags.as_bytes().get(2) == Some(&b'x'),
        file_offset: hex(offset)?,
        device: (hex(major)? as u32, hex(minor)? as u32),
        inode: inode.parse().ok()?,
        path: rest.trim_start().to_string(),
    })
}

/// The fields of /proc/PID/stat behind the name, which may itself hold blanks and parentheses.
fn stat_fields(proc_pid: i32) -> Option<Vec<String>> {
    let stat = fs::read(format!("/proc/{proc_pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let behind = &stat[stat.rfind(')')? + 1..];
    Some(behind.split_ascii_whitespace().map(str::to_string).collect())
}

/// The pids of a process from /proc's namespace down to its own.
fn ns_pids(status: &str) -> Vec<i32> {
    let Some(list) = status.lines().find_map(|line| line.strip_prefix("NSpid:")) else { return Vec::new() };
    list.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lines() {
        let line =
            "7f0c1a000000-7f0c1a021000 r-xp 00001000 fe:00 1234                       /opt/a b/lib (x).so";
        let parsed = parse_maps_line(line).unwrap();
        assert_eq!((parsed.start, parsed.end, parsed.executable), (0x7f0c1a000000, 0x7f0c1a021000, true));
        assert_eq!((parsed.device, parsed.inode), ((0xfe, 0), 1234));
        assert_eq!(parsed.path, "/opt/a b/lib (x).so");
        assert_eq!(parse_maps_line("7ffd1000-7ffd2000 rw-p 00000000 00:00 0 ").unwrap().path, "");
        assert_eq!(parse_maps_line("nonsense"), None);
    }

    #[test]
    fn namespaces() {
        assert_eq!(ns_pids("Name:\tx\nNSpid:\t4711\t12\t1\n"), vec![4711, 12, 1]);
        assert_eq!(ns_pids("Name:\tx\n"), Vec::<i32>::new());
    }

    #[test]
    fn own_process() {
        let proc = ProcFs::mounted().unwrap();
        let own = std::process::id() as i32;
        let numbers = proc.proc_pid(own).unwrap();
        assert!(proc.threads(numbers).unwrap().iter().any(|thread| thread.ours == own));
        assert!(maps(numbers).unwrap().iter().any(|line| line.executable && line.path.starts_with('/')));
        assert_eq!(state(numbers).map(|state| "RSD".contains(state)), Some(true));
    }
}
