//! The texts of /proc/PID, read into numbers. Pure, so that they are tested wherever the tests run.
//!
//! The name of a process is chosen by the process: in `stat` it may hold blanks, parentheses, line ends and bytes
//! that are not UTF-8. So the parsers take bytes, and `stat` is read from its last parenthesis on. In `status`
//! the kernel escapes line ends, so no name can pass for a line.

/// What is used of /proc/PID/stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// State letter, `Z` for a zombie.
    pub(crate) state: u8,
    /// Page faults served from memory, threads that ended included.
    pub(crate) minor_fault_count: u64,
    /// Page faults that read storage, threads that ended included.
    pub(crate) major_fault_count: u64,
    /// Threads that live.
    pub(crate) thread_count: u64,
    /// When it began, in clock ticks since boot.
    pub(crate) start_ticks: u64,
}

impl Stat {
    /// Whether nothing of the process runs any more. The first thread of a process is a zombie also when it
    /// alone has ended.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.thread_count <= 1
    }
}

/// Reads /proc/PID/stat.
pub(crate) fn parse_stat(text: &[u8]) -> Option<Stat> {
    let behind = &text[text.iter().rposition(|&byte| byte == b')')? + 1..];
    // Numbered as in proc(5), where the state is field 3.
    let mut fields = words(behind);
    let state = *fields.next()?.first()?;
    let minor_fault_count = number(fields.nth(10 - 4)?)?;
    let major_fault_count = number(fields.nth(12 - 11)?)?;
    let thread_count = number(fields.nth(20 - 13)?)?;
    let start_ticks = number(fields.nth(22 - 21)?)?;
    Some(Stat { state, minor_fault_count, major_fault_count, thread_count, start_ticks })
}

/// What is used of /proc/PID/status, also of a thread's. A kernel thread and a zombie have no memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcStatus {
    pub(crate) rss_bytes: Option<u64>,
    /// The anonymous part of it.
    pub(crate) anonymous_bytes: Option<u64>,
    pub(crate) thread_count: Option<u64>,
    /// Times this one thread gave up the CPU.
    pub(crate) voluntary_switch_count: Option<u64>,
    /// Times this one thread was taken off the CPU.
    pub(crate) involuntary_switch_count: Option<u64>,
}

/// Reads /proc/PID/status.
pub(crate) fn parse_status(text: &[u8]) -> ProcStatus {
    let mut status = ProcStatus::default();
    for (name, value) in named_values(text) {
        match name {
            b"VmRSS" => status.rss_bytes = kilobytes(value),
            b"RssAnon" => status.anonymous_bytes = kilobytes(value),
            b"Threads" => status.thread_count = number(value),
            b"voluntary_ctxt_switches" => status.voluntary_switch_count = number(value),
            b"nonvoluntary_ctxt_switches" => status.involuntary_switch_count = number(value),
            _ => {}
        }
    }
    status
}

/// What is used of /proc/PID/io: of the whole process, threads that ended included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcIo {
    pub(crate) read_call_count: u64,
    pub(crate) write_call_count: u64,
    /// From storage.
    pub(crate) read_bytes: u64,
    /// To storage.
    pub(crate) write_bytes: u64,
}

/// Reads /proc/PID/io.
pub(crate) fn parse_io(text: &[u8]) -> Option<ProcIo> {
    let (mut read_calls, mut write_calls, mut read_bytes, mut write_bytes) = (None, None, None, None);
    for (name, value) in named_values(text) {
        match name {
            b"syscr" => read_calls = number(value),
            b"syscw" => write_calls = number(value),
            b"read_bytes" => read_bytes = number(value),
            b"write_bytes" => write_bytes = number(value),
            _ => {}
        }
    }
    Some(ProcIo {
        read_call_count: read_calls?,
        write_call_count: write_calls?,
        read_bytes: read_bytes?,
        write_bytes: write_bytes?,
    })
}

/// The lines of the form `name: value`.
fn named_values(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn kilobytes(text: &[u8]) -> Option<u64> {
    number(text.strip_suffix(b" kB")?)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of `cat`, Linux 6.18; the name is put in by the tests.
    const BEHIND_NAME: &[u8] =
        b" R 8669 8669 3737 0 -1 4194304 99 1 7 2 3 4 5 6 20 0 11 0 482144 3133440 350 \
        18446744073709551615 94305987436544 94305987456425 140726064800624 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 \
        94305987472432 94305987474048 94306647191552 140726064806607 140726064806644 140726064806644 \
        140726064807915 0\n";

    fn stat_of(name: &[u8]) -> Option<Stat> {
        parse_stat(&[b"8671 (", name, b")", BEHIND_NAME].concat())
    }

    #[test]
    fn stat_whatever_the_name() {
        let expected = Stat {
            state: b'R',
            minor_fault_count: 99,
            major_fault_count: 7,
            thread_count: 11,
            start_ticks: 482_144,
        };
        for name in
            [&b"cat"[..], b"", b") Z 1 1 1", b"a b (c)", b"((", b"))", b"x\n1 (y) Z", b"\xff\xfe", b"R"]
        {
            assert_eq!(stat_of(name), Some(expected), "{name:?}");
        }
    }

    #[test]
    fn stat_of_zombies() {
        let zombie = b"41 (sh <defunct>) Z 40 40 40 0 -1 4227084 120 0 0 0 0 0 0 0 20 0 1 0 9 0 0 18446744073709551615 \
            0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 256\n";
        let stat = parse_stat(zombie).unwrap();
        assert_eq!((stat.state, stat.minor_fault_count, stat.has_ended()), (b'Z', 120, true));
        // The first thread has ended, others run.
        assert!(!Stat { thread_count: 3, ..stat }.has_ended());
    }

    #[test]
    fn status_of_a_program() {
        let text =
            b"Name:\tVmRSS: 9 kB\\nThreads:\nUmask:\t0022\nState:\tR (running)\nTgid:\t8673\nGroups:\t \n\
            VmPeak:\t    3060 kB\nVmHWM:\t    1624 kB\nVmRSS:\t    1624 kB\nRssAnon:\t     112 kB\n\
            RssFile:\t    1512 kB\nThreads:\t3\nSigQ:\t0/96364\nCpus_allowed:\t3\n\
            voluntary_ctxt_switches:\t393\nnonvoluntary_ctxt_switches:\t25\n";
        assert_eq!(
            parse_status(text),
            ProcStatus {
                rss_bytes: Some(1624 << 10),
                anonymous_bytes: Some(112 << 10),
                thread_count: Some(3),
                voluntary_switch_count: Some(393),
                involuntary_switch_count: Some(25),
            }
        );
    }

    #[test]
    fn status_of_a_kernel_thread_has_no_memory() {
        let text =
            b"Name:\tkthreadd\nState:\tS (sleeping)\nTgid:\t2\nFDSize:\t64\nKthread:\t1\nThreads:\t1\n\
            voluntary_ctxt_switches:\t77\nnonvoluntary_ctxt_switches:\t0\n";
        let status = parse_status(text);
        assert_eq!((status.rss_bytes, status.anonymous_bytes, status.thread_count), (None, None, Some(1)));
    }

    #[test]
    fn io() {
        let text = b"rchar: 6976\nwchar: 12\nsyscr: 10\nsyscw: 2\nread_bytes: 4096\nwrite_bytes: 8192\n\
            cancelled_write_bytes: 0\n";
        let expected =
            ProcIo { read_call_count: 10, write_call_count: 2, read_bytes: 4096, write_bytes: 8192 };
        assert_eq!(parse_io(text), Some(expected));
        assert_eq!(parse_io(b"rchar: 6976\nsyscr: 10\n"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (parse_stat(&text), parse_status(&text), parse_io(&text));
        }

        #[test]
        fn no_name_hides_the_numbers(name in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(stat_of(&name).map(|stat| stat.thread_count), Some(11));
        }
    }
}
