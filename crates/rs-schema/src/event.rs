//! The event stream, version 1: one flat JSON object a line, `"type"` first.
//!
//! The first line is [`Header`], the last is [`End`]; a stream without an end was cut, and readers say so and
//! still deliver what they got. Ids are small integers scoped to the stream and defined before use; a later
//! line of the same type and id replaces the earlier one, which is how names arrive after samples. Times are
//! nanoseconds since the session's start on one monotonic clock.
//!
//! Readers ignore unknown fields, count unknown types and refuse a newer major version.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Address, Capability, Quantity, Status};

/// Name of the format, in every header.
pub const SCHEMA: &str = "rustscope.events";
/// Version of the format that this library writes and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Number of a process in the stream. A reused pid is a new id; exec keeps the id.
pub type ProcessId = u32;
/// Number of a thread in the stream. A reused tid is a new id.
pub type ThreadId = u32;
/// Number of a mapping: one binary, shared by the processes that have it loaded.
pub type MappingId = u32;
/// Number of a frame: one code address.
pub type FrameId = u32;
/// Number of a stack: one node of the prefix tree.
pub type StackId = u32;

/// One line of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// First line: who recorded what, how, and what can be known.
    Header(Box<Header>),
    /// A process started, changed its program or its name, or ended.
    Process(Process),
    /// A thread started, changed its name, or ended.
    Thread(Thread),
    /// A range of a process's memory that holds a binary.
    Mapping(Mapping),
    /// One code address, and its names once they are known.
    Frame(Box<Frame>),
    /// One node of the prefix tree of stacks.
    Stack(Stack),
    /// One observation of a thread.
    Sample(Sample),
    /// What a process used over an interval.
    Metrics(Box<Metrics>),
    /// What one heap site did over an interval.
    Heap(Heap),
    /// One recorded allocation (raw streams only).
    Alloc(Alloc),
    /// One recorded free (raw streams only).
    Free(Free),
    /// Something happened: a spike, a mark, a phase, a count of work.
    Event(Event),
    /// A named interval of a thread.
    Span(Span),
    /// Latencies of one function over an interval.
    Latency(Latency),
    /// Samples that did not make it.
    Lost(Lost),
    /// Last line: why recording ended, totals and losses.
    End(End),
}

/// The stream's first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Always `rustscope.events`.
    pub schema: String,
    /// Major version of the format.
    pub schema_version: u32,
    /// Random name of the session, hex.
    pub session_id: String,
    /// Program that wrote the stream.
    pub tool: String,
    /// Its version.
    pub tool_version: String,
    /// Wall-clock start, RFC 3339 with nanoseconds, UTC.
    pub start_time: String,
    /// The clock behind every `time_ns`.
    pub clock: Clock,
    /// Command line of the target, where known.
    #[serde(default)]
    pub command: Vec<String>,
    /// Pid of the target in the recorder's namespace.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Name given by the user.
    #[serde(default)]
    pub name: Option<String>,
    /// Tags given by the user or found in the CI environment.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The machine.
    #[serde(default)]
    pub host: Host,
    /// The target's binary.
    #[serde(default)]
    pub build: Build,
    /// Environment variables the user asked to keep; nothing else of the environment is recorded.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The recording process, so that a dashboard can verify whom it would stop.
    #[serde(default)]
    pub recorder: Recorder,
    /// The sampler; absent in a stream without samples.
    #[serde(default)]
    pub sampler: Option<Sampler>,
    /// Distance between `metrics` lines.
    #[serde(default)]
    pub metrics_interval_ns: Option<u64>,
    /// Thresholds of the spike events, by event kind.
    #[serde(default)]
    pub spikes: BTreeMap<String, Quantity>,
    /// What is measured, estimated or unavailable, and why, by field name.
    #[serde(default)]
    pub capabilities: BTreeMap<String, Capability>,
}

/// The clock of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// `monotonic` (CLOCK_MONOTONIC) or `wall`.
    pub id: String,
    /// Boot of the machine: streams of one boot align exactly.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// The clock's value at `time_ns` 0, as a decimal string: it may exceed 2^53.
    #[serde(default)]
    pub start_ns: Option<String>,
}

/// The machine that the target ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// `linux`, `macos`.
    #[serde(default)]
    pub os: Option<String>,
    /// Kernel release.
    #[serde(default)]
    pub kernel: Option<String>,
    /// `x86_64`, `aarch64`.
    #[serde(default)]
    pub arch: Option<String>,
    /// Online logical CPUs.
    #[serde(default)]
    pub cpu_count: Option<u32>,
    /// Model as the CPU calls itself.
    #[serde(default)]
    pub cpu_model: Option<String>,
    /// Installed memory.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// The host's name.
    #[serde(default)]
    pub hostname: Option<String>,
}

/// What is known of the target's binary. Unknown is `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Path of the executable.
    #[serde(default)]
    pub exe: Option<String>,
    /// GNU build id, hex.
    #[serde(default)]
    pub build_id: Option<String>,
    /// Commit of the sources.
    #[serde(default)]
    pub git_commit: Option<String>,
    /// Where `git_commit` is from: `tag`, `ci`, `working_directory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit_source: Option<String>,
    /// Version of rustc that built it, from the binary's comment section.
    #[serde(default)]
    pub rustc: Option<String>,
    /// Cargo profile.
    #[serde(default)]
    pub profile: Option<String>,
    /// `none`, `line-tables-only`, `limited`, `full`; `symbols` when there is only a symbol table, `stripped` without.
    #[serde(default)]
    pub debuginfo: Option<String>,
}

/// The recording process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recorder {
    /// Its pid.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Inode of its pid namespace.
    #[serde(default)]
    pub pid_namespace: Option<u64>,
}

/// How samples were taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sampler {
    /// `perf_event`, `ptrace`, `sample`, `proc`, or the tool an import came from.
    pub backend: String,
    /// `cpu-clock`, `cycles`.
    #[serde(default)]
    pub event: Option<String>,
    /// Rate asked for.
    pub rate_hz: f64,
    /// Weight of a sample that does not say otherwise.
    pub period_ns: u64,
    /// `framehop`, `frame-pointers`, or the unwinder of an import.
    #[serde(default)]
    pub unwinder: Option<String>,
    /// Clock of the samples.
    #[serde(default)]
    pub clock: Option<String>,
    /// What became of time in the kernel.
    pub kernel_time: KernelTime,
}

/// What became of time that was spent in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KernelTime {
    /// Sampled, and shown as one `[kernel]` leaf.
    Folded,
    /// Sampled, with the kernel's functions named.
    Expanded,
    /// Not sampled: the recorder was not allowed to.
    Excluded,
}

/// What happened to a process or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// It began, or was there when recording began.
    Start,
    /// It runs another program now; its mappings are gone.
    Exec,
    /// It has another name now.
    Name,
    /// It ended.
    Exit,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// The process.
    pub id: ProcessId,
    /// When.
    pub time_ns: u64,
    /// What happened.
    pub event: Lifecycle,
    /// Pid in the recorder's namespace.
    pub pid: u32,
    /// The process that started it, if it is in the stream.
    #[serde(default)]
    pub parent: Option<ProcessId>,
    /// Its name (`comm`).
    #[serde(default)]
    pub name: Option<String>,
    /// Its command line, where it could still be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Thread {
    /// The thread.
    pub id: ThreadId,
    /// When.
    pub time_ns: u64,
    /// What happened.
    pub event: Lifecycle,
    /// The process it belongs to.
    pub process: ProcessId,
    /// Tid in the recorder's namespace.
    pub tid: u32,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A range of a process's memory that holds a binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mapping {
    /// The binary; one line for each process and range that has it.
    pub id: MappingId,
    /// When it was mapped.
    pub time_ns: u64,
    /// The process.
    pub process: ProcessId,
    /// First address.
    pub start: Address,
    /// First address behind.
    pub end: Address,
    /// Offset of `start` in the file.
    pub file_offset: u64,
    /// The file as the process sees it, or a name in brackets.
    pub path: String,
    /// GNU build id, hex.
    #[serde(default)]
    pub build_id: Option<String>,
}

/// What kind of code an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Code of a mapped binary.
    User,
    /// The kernel.
    Kernel,
    /// Code made at run time.
    Jit,
    /// An address in no mapping, or a mark such as `[truncated]`.
    Unknown,
}

/// One code address. The flat fields name the innermost function there; `inlined_by` lists the functions it
/// is inlined into, outward.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Frame {
    /// The frame.
    pub id: FrameId,
    /// What kind of code it is.
    pub kind: FrameKind,
    /// The binary it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<MappingId>,
    /// ELF virtual address in the mapping (run-time address for JIT code): the one to look up, which is the
    /// instruction pointer at the leaf and the return address less one in callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The innermost function.
    #[serde(flatten)]
    pub symbol: Symbol,
    /// Why `function` is null: `pending`, `no_symbols`, `unmapped`, `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Callers inlined at this address, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlined_by: Vec<Symbol>,
}

/// Names of one function at one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Symbol {
    /// The function's key: generic arguments, hashes, disambiguators and compiler suffixes dropped, closures
    /// and async bodies folded into the function that wrote them. `null` until or unless known.
    #[serde(default)]
    pub function: Option<String>,
    /// The full demangled name where it differs from the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The name in the symbol table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_name: Option<String>,
    /// Rust crate, or for other languages the mapping's name.
    #[serde(rename = "crate", default, skip_serializing_if = "Option::is_none")]
    pub crate_name: Option<String>,
    /// Version of the crate, where the binary tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crate_version: Option<String>,
    /// Where the version is from: `path`, `dep_v0`, `cargo_lock`, `panic_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crate_version_source: Option<String>,
    /// Module path with the crate in front; a namespace in C++.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `rust`, `c`, `c++`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Source file as the debug information names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Set when the code is a closure or an async body of `function`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Absent when `crate` and `module` were read from the name; `estimated` when they were inferred, such as
    /// the module of the type for a legacy-mangled trait impl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Status>,
}

/// A part of a function that the compiler made a function of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A closure.
    Closure,
    /// The body of an async function or block.
    Async,
}

/// One node of the prefix tree of stacks: a frame called from a parent stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stack {
    /// The stack.
    pub id: StackId,
    /// The caller's stack; `null` at the root.
    #[serde(default)]
    pub parent: Option<StackId>,
    /// Its innermost frame.
    pub frame: FrameId,
}

/// What a thread was doing when it was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// On a CPU.
    #[default]
    Running,
    /// Off the CPU by its own will: sleep, lock, I/O.
    Waiting,
    /// Off the CPU because another ran.
    Runnable,
}

impl ThreadState {
    /// Whether this is the state that lines leave out.
    pub fn is_running(&self) -> bool {
        *self == ThreadState::Running
    }
}

/// One observation of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// When; for a wait, its end.
    pub time_ns: u64,
    /// The thread.
    pub thread: ThreadId,
    /// Its stack; `null` when none could be taken, and then the sample counts for the thread alone.
    #[serde(default)]
    pub stack: Option<StackId>,
    /// How many observations this line stands for. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// CPU time this line stands for. Absent: `count` times the header's `period_ns` when running, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// Absent: running.
    #[serde(default, skip_serializing_if = "ThreadState::is_running")]
    pub state: ThreadState,
    /// How long the thread had been off the CPU at `time_ns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ns: Option<u64>,
}

/// What a process used over the interval that ends at `time_ns`: changes over `interval_ns`, and gauges.
/// `null` is unknown; the header's capabilities say why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// End of the interval.
    pub time_ns: u64,
    /// Its length.
    pub interval_ns: u64,
    /// The process.
    pub process: ProcessId,
    /// CPU time, user and system.
    #[serde(default)]
    pub cpu_ns: Option<u64>,
    /// Cores kept busy; the one ratio that may pass 1.
    #[serde(default)]
    pub cpu_ratio: Option<f64>,
    /// Resident memory.
    #[serde(default)]
    pub rss_bytes: Option<u64>,
    /// Heap: measured by the shim, else anonymous resident memory (estimated).
    #[serde(default)]
    pub heap_bytes: Option<u64>,
    /// Threads.
    #[serde(default)]
    pub thread_count: Option<u64>,
    /// Open file descriptors.
    #[serde(default)]
    pub open_fd_count: Option<u64>,
    /// System calls, all kinds.
    #[serde(default)]
    pub syscall_count: Option<u64>,
    /// Calls of the read family.
    #[serde(default)]
    pub read_call_count: Option<u64>,
    /// Calls of the write family.
    #[serde(default)]
    pub write_call_count: Option<u64>,
    /// Bytes fetched from storage.
    #[serde(default)]
    pub read_bytes: Option<u64>,
    /// Bytes sent to storage.
    #[serde(default)]
    pub write_bytes: Option<u64>,
    /// Page faults served from memory.
    #[serde(default)]
    pub minor_fault_count: Option<u64>,
    /// Page faults that read storage.
    #[serde(default)]
    pub major_fault_count: Option<u64>,
    /// Times its threads gave up the CPU.
    #[serde(default)]
    pub voluntary_switch_count: Option<u64>,
    /// Times its threads were taken off the CPU.
    #[serde(default)]
    pub involuntary_switch_count: Option<u64>,
    /// The container's limits and pressure, on the line of the target itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Cgroup>,
}

/// Limits and pressure of the control group that the target runs in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cgroup {
    /// CPU quota in cores; `null` without a quota.
    #[serde(default)]
    pub cpu_quota_ratio: Option<f64>,
    /// Time the group was held back by its quota in the interval.
    #[serde(default)]
    pub throttled_ns: Option<u64>,
    /// Memory limit; `null` without one.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// Memory charged to the group.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Processes that the kernel killed for want of memory in the interval.
    #[serde(default)]
    pub oom_kill_count: Option<u64>,
    /// Time some task of the group stalled for CPU in the interval.
    #[serde(default)]
    pub cpu_pressure_ns: Option<u64>,
    /// Time some task of the group stalled for memory in the interval.
    #[serde(default)]
    pub memory_pressure_ns: Option<u64>,
    /// Time some task of the group stalled for I/O in the interval.
    #[serde(default)]
    pub io_pressure_ns: Option<u64>,
}

/// What one heap site did over the interval that ends at `time_ns`. Counts and bytes of a sampled stream are
/// weighted: they estimate all allocations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heap {
    /// End of the interval.
    pub time_ns: u64,
    /// Its length.
    pub interval_ns: u64,
    /// The process.
    pub process: ProcessId,
    /// The site.
    pub stack: StackId,
    /// Records behind the weighted figures; absent when every call is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_count: Option<u64>,
    /// Allocations.
    pub alloc_count: u64,
    /// Bytes allocated.
    pub alloc_bytes: u64,
    /// Frees of what this site allocated.
    pub free_count: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Allocations freed soon after.
    #[serde(default)]
    pub temporary_count: u64,
    /// Live at the end of the interval.
    pub live_count: u64,
    /// Bytes live at the end of the interval.
    pub live_bytes: u64,
}

/// One recorded allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alloc {
    /// When.
    pub time_ns: u64,
    /// By whom.
    pub thread: ThreadId,
    /// Where it is.
    pub address: Address,
    /// Bytes asked for.
    pub size_bytes: u64,
    /// Bytes of allocation this record stands for, when sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_bytes: Option<u64>,
    /// The site.
    #[serde(default)]
    pub stack: Option<StackId>,
}

/// One recorded free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Free {
    /// When.
    pub time_ns: u64,
    /// By whom.
    pub thread: ThreadId,
    /// What.
    pub address: Address,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Resident memory rose.
    MemorySpike,
    /// CPU use rose.
    CpuSpike,
    /// Many threads appeared.
    ThreadBurst,
    /// Many file descriptors were opened.
    FdGrowth,
    /// System calls, or read and write calls, came at a high rate.
    SyscallBurst,
    /// The program or a script set a mark.
    Marker,
    /// A phase began.
    Phase,
    /// Work was done.
    Work,
    /// A limit was passed.
    Budget,
}

impl EventKind {
    /// The kind as it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::MemorySpike => "memory_spike",
            EventKind::CpuSpike => "cpu_spike",
            EventKind::ThreadBurst => "thread_burst",
            EventKind::FdGrowth => "fd_growth",
            EventKind::SyscallBurst => "syscall_burst",
            EventKind::Marker => "marker",
            EventKind::Phase => "phase",
            EventKind::Work => "work",
            EventKind::Budget => "budget",
        }
    }
}

/// Something happened. A spike is written when it is seen, with `end_ns` null, and again under its id when the
/// rise has stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The event.
    pub id: u32,
    /// When it was seen.
    pub time_ns: u64,
    /// What kind.
    pub kind: EventKind,
    /// The process, for a spike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    /// The metric that rose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The last observation before the rise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ns: Option<u64>,
    /// Where the rise stopped; `null` while it goes on.
    #[serde(default)]
    pub end_ns: Option<u64>,
    /// The metric before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Quantity>,
    /// The metric's highest value in the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
    /// The rule that made it an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Quantity>,
    /// Name of a mark or phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the mark said after its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Units of work done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What the units are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A named interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Its end.
    pub time_ns: u64,
    /// Its length.
    pub duration_ns: u64,
    /// The thread, where known.
    #[serde(default)]
    pub thread: Option<ThreadId>,
    /// Its name.
    pub name: String,
    /// `marks`, `uprobe` or `tracing`.
    pub source: String,
}

/// Latencies of the calls of one function that ended in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// End of the interval.
    pub time_ns: u64,
    /// Its length.
    pub interval_ns: u64,
    /// The function.
    pub frame: FrameId,
    /// Calls.
    pub count: u64,
    /// Sum of their durations.
    pub sum_ns: u64,
    /// Shortest.
    pub min_ns: u64,
    /// Longest.
    pub max_ns: u64,
    /// Sparse log-linear histogram: pairs of bucket number and count.
    pub buckets: Vec<(u32, u64)>,
}

/// Why samples are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LostCause {
    /// The kernel found no room in the ring.
    RingFull,
    /// The kernel throttled the sampler.
    Throttled,
    /// The reader of the stream was too slow; the recorder shed samples.
    Backpressure,
    /// The sampler could not follow, such as a thread that could not be opened.
    Unreadable,
}

/// Samples that did not make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// When it was noticed.
    pub time_ns: u64,
    /// Start of the span in which they were lost.
    #[serde(default)]
    pub since_ns: Option<u64>,
    /// How many.
    pub count: u64,
    /// Why.
    pub cause: LostCause,
    /// On which CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
}

/// Why recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The target exited.
    Exit,
    /// The recorder was told to stop.
    Signal,
    /// The time asked for was over.
    Duration,
    /// The recorder let go of a target that runs on.
    Detached,
    /// A reader of the stream ended it.
    StoppedDownstream,
}

/// The stream's last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// When.
    pub time_ns: u64,
    /// Why.
    pub reason: EndReason,
    /// Exit status of a launched target that exited.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Signal that ended a launched target.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Samples written, counted with their `count`.
    pub sample_count: u64,
    /// Samples the kernel lost.
    pub lost_count: u64,
    /// Samples the recorder shed.
    pub dropped_count: u64,
    /// Samples whose stack was cut.
    pub truncated_count: u64,
    /// Samples whose stack was completed by reading past the dump.
    #[serde(default)]
    pub spliced_count: u64,
    /// Frames that never got a name.
    pub unresolved_frame_count: u64,
    /// CPU time of everything that was followed, as the kernel counted it; independent of lost samples.
    #[serde(default)]
    pub process_cpu_ns: Option<u64>,
    /// CPU time of the recorder.
    #[serde(default)]
    pub recorder_cpu_ns: Option<u64>,
    /// Peak resident memory of the recorder.
    #[serde(default)]
    pub recorder_peak_rss_bytes: Option<u64>,
}
