//! The kernel's records, parsed. Pure: bytes in, structures out.
//!
//! Layouts as in perf_event_open(2), for the sample type that [`perf_event::open`](super::perf_event::open)
//! asks for. With `sample_id_all` every record but a sample ends in `pid, tid, time`.

use perf_event_open_sys::bindings as b;

use super::perf_event::USER_REGISTERS;

/// One record.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    /// A thread was observed.
    Sample(Sample<'a>),
    /// A process mapped code.
    Mmap(Mmap<'a>),
    /// A thread has another name, or its process another program.
    Comm { pid: i32, tid: i32, name: &'a [u8], exec: bool, time: u64 },
    /// A thread began; it is in a new process when `pid` is not `parent_pid`.
    Fork { pid: i32, parent_pid: i32, tid: i32, time: u64 },
    /// A thread ended.
    Exit { pid: i32, tid: i32, time: u64 },
    /// There was no room for this many records.
    Lost { count: u64, time: u64 },
    /// Sampling was stopped because it took too much time, or goes on.
    Throttle { on: bool, time: u64 },
    /// Something else, or nothing we understand.
    Other,
}

/// An observation.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) time: u64,
    /// Whether the thread was in the kernel.
    pub(crate) in_kernel: bool,
    /// Kernel functions, innermost first, where they were asked for.
    pub(crate) kernel_chain: KernelChain<'a>,
    /// User registers and stack; `None` for a thread without user memory.
    pub(crate) user: Option<UserState<'a>>,
}

/// Instruction pointers as the kernel wrote them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KernelChain<'a>(&'a [u8]);

impl KernelChain<'_> {
    /// The addresses, innermost first, without the marks between contexts.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        /// Values from here on mark a context (PERF_CONTEXT_MAX).
        const FIRST_MARK: u64 = -4095_i64 as u64;
        self.0.chunks_exact(8).map(|word| u64_at(word, 0)).filter(|&address| address < FIRST_MARK)
    }
}

/// What unwinding starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserState<'a> {
    pub(crate) registers: rs_symbol::Registers,
    /// The stack from `registers.sp` upward.
    pub(crate) stack: &'a [u8],
    /// Whether the copy is as long as was asked for: then the stack may go on behind it.
    pub(crate) is_full: bool,
}

/// A new mapping of code.
#[derive(Debug)]
pub(crate) struct Mmap<'a> {
    pub(crate) pid: i32,
    pub(crate) start: u64,
    pub(crate) length: u64,
    pub(crate) file_offset: u64,
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    pub(crate) path: &'a [u8],
    pub(crate) time: u64,
}

/// When a record was written, without parsing the rest.
pub(crate) fn time_of(record: &[u8]) -> u64 {
    if kind_of(record) == b::PERF_RECORD_SAMPLE {
        // header, ip, pid and tid, time
        return word(record, 24).unwrap_or(0);
    }
    record.len().checked_sub(8).and_then(|at| word(record, at)).unwrap_or(0)
}

fn kind_of(record: &[u8]) -> u32 {
    half(record, 0).unwrap_or(0)
}

/// Parses one record; `kernel_frames` as in the options of the event that wrote it. What is too short for its
/// kind is [`Record::Other`].
pub(crate) fn parse(record: &[u8], kernel_frames: bool) -> Record<'_> {
    parse_known(record, kernel_frames).unwrap_or(Record::Other)
}

fn parse_known(record: &[u8], kernel_frames: bool) -> Option<Record<'_>> {
    let misc = u16::from_ne_bytes(record.get(4..6)?.try_into().ok()?);
    let time = time_of(record);
    let id = |at| half(record, at).map(|value| value as i32);
    Some(match kind_of(record) {
        b::PERF_RECORD_SAMPLE => Record::Sample(parse_sample(record, misc, kernel_frames)?),
        b::PERF_RECORD_MMAP2 => Record::Mmap(Mmap {
            pid: id(8)?,
            start: word(record, 16)?,
            length: word(record, 24)?,
            file_offset: word(record, 32)?,
            device: (half(record, 40)?, half(record, 44)?),
            inode: word(record, 48)?,
            path: text(record.get(72..)?),
            time,
        }),
        b::PERF_RECORD_COMM => Record::Comm {
            pid: id(8)?,
            tid: id(12)?,
            name: text(record.get(16..)?),
            exec: u32::from(misc) & b::PERF_RECORD_MISC_COMM_EXEC != 0,
            time,
        },
        b::PERF_RECORD_FORK => Record::Fork { pid: id(8)?, parent_pid: id(12)?, tid: id(16)?, time },
        b::PERF_RECORD_EXIT => Record::Exit { pid: id(8)?, tid: id(16)?, time },
        b::PERF_RECORD_LOST => Record::Lost { count: word(record, 16)?, time },
        b::PERF_RECORD_THROTTLE => Record::Throttle { on: true, time },
        b::PERF_RECORD_UNTHROTTLE => Record::Throttle { on: false, time },
        _ => Record::Other,
    })
}

fn parse_sample(record: &[u8], misc: u16, kernel_frames: bool) -> Option<Sample<'_>> {
    let mode = u32::from(misc) & b::PERF_RECORD_MISC_CPUMODE_MASK;
    let mut at = 32;
    let mut next = |bytes: usize| {
        let start = at;
        at += bytes;
        start
    };
    let registers = USER_REGISTERS.count_ones() as usize;
    let kernel_chain = if kernel_frames {
        let count = usize::try_from(word(record, next(8))?).ok()?;
        let bytes = count.checked_mul(8)?;
        let start = next(bytes);
        KernelChain(record.get(start..start.checked_add(bytes)?)?)
    } else {
        KernelChain::default()
    };
    let abi = word(record, next(8))?;
    let user = if abi == 0 {
        None
    } else {
        let start = next(registers * 8);
        let register = |number: usize| word(record, start + number * 8);
        #[cfg(target_arch = "x86_64")]
        let registers = rs_symbol::Registers { bp: register(0)?, sp: register(1)?, ip: register(2)?, lr: 0 };
        #[cfg(target_arch = "aarch64")]
        let registers =
            rs_symbol::Registers { bp: register(0)?, lr: register(1)?, sp: register(2)?, ip: register(3)? };
        let size = usize::try_from(word(record, next(8))?).ok()?;
        let (stack, is_full): (&[u8], bool) = if size == 0 {
            (&[], false)
        } else {
            let start = next(size);
            let copied = usize::try_from(word(record, next(8))?).ok()?.min(size);
            (record.get(start..start + copied)?, copied == size)
        };
        Some(UserState { registers, stack, is_full })
    };
    Some(Sample {
        pid: half(record, 16)? as i32,
        tid: half(record, 20)? as i32,
        time: word(record, 24)?,
        in_kernel: mode == b::PERF_RECORD_MISC_KERNEL,
        kernel_chain,
        user,
    })
}

fn word(record: &[u8], at: usize) -> Option<u64> {
    record.get(at..at.checked_add(8)?).map(|bytes| u64_at(bytes, 0))
}

fn half(record: &[u8], at: usize) -> Option<u32> {
    let bytes = record.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}

/// Text up to its NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}
