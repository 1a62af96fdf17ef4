//! The ProfileSession, version 1: one JSON document that says where time and memory went.
//!
//! It is computed by `rs-profile` alone. *Base* columns (`frames`, `stacks`, `windows`, `process_samples`,
//! sums) are what merges; everything else (functions, rollups, snapshots, hot lists, quantiles) is recomputed
//! from them. References are 0-based row numbers of the table that the field is named after; columns are
//! parallel arrays. `null` is unknown; zero is measured zero.
//!
//! Required are `schema`, `schema_version`, `session` and `sampling_diagnostics`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::{Body, Build, Cgroup, EndReason, EventKind, FrameKind, Host, KernelTime, Recorder};
use crate::units::{Address, Capability, Quantity, Status};

/// Name of the format, in every document.
pub const SCHEMA: &str = "rustscope.session";
/// Version of the format that this library writes and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Row of a table.
pub type Row = u32;

/// A folded recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileSession {
    /// Always `rustscope.session`.
    pub schema: String,
    /// Major version of the format.
    pub schema_version: u32,
    /// What was recorded.
    pub session: Session,
    /// What is measured, estimated or unavailable, and why, by field name.
    #[serde(default)]
    pub capabilities: BTreeMap<String, Capability>,
    /// How good the samples are.
    pub sampling_diagnostics: SamplingDiagnostics,
    /// Averages and peaks over all followed processes.
    #[serde(default)]
    pub process_summary: Option<ProcessSummary>,
    /// The processes.
    #[serde(default)]
    pub processes: Vec<Process>,
    /// The metrics over time, all followed processes together.
    #[serde(default)]
    pub process_samples: Vec<ProcessSample>,
    /// The threads; those of one process whose names differ only in digits may share a row.
    #[serde(default)]
    pub thread_rollups: Vec<ThreadRollup>,
    /// The binaries.
    #[serde(default)]
    pub mappings: Vec<Mapping>,
    /// Source files.
    #[serde(default)]
    pub files: Vec<String>,
    /// The functions, by self time, then total time, then name.
    #[serde(default)]
    pub functions: Vec<Function>,
    /// The modules, in the same order.
    #[serde(default)]
    pub module_rollups: Vec<ModuleRollup>,
    /// The crates, in the same order.
    #[serde(default)]
    pub crate_rollups: Vec<CrateRollup>,
    /// Distinct frames.
    #[serde(default)]
    pub frames: Frames,
    /// The prefix tree of stacks.
    #[serde(default)]
    pub stacks: Stacks,
    /// What happened in each window.
    #[serde(default)]
    pub windows: Option<Windows>,
    /// The hottest functions, modules and crates of each second.
    #[serde(default)]
    pub hotspot_snapshots: Vec<HotspotSnapshot>,
    /// Memory spikes.
    #[serde(default)]
    pub memory_events: Vec<Event>,
    /// All other events.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Named intervals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// The heap, when the shim was there.
    #[serde(default)]
    pub heap: Option<Heap>,
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// The recording's id.
    pub id: String,
    /// Name given by the user.
    #[serde(default)]
    pub name: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Wall-clock start, RFC 3339.
    pub start_time: String,
    /// From start to end, or to the last line of a stream that was cut.
    pub duration_ns: u64,
    /// Command line of the target.
    #[serde(default)]
    pub command: Vec<String>,
    /// Pid of the target.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Whether the stream had its end.
    pub complete: bool,
    /// How it ended; `null` when the stream was cut.
    #[serde(default)]
    pub end: Option<SessionEnd>,
    /// Work done.
    #[serde(default)]
    pub work: Option<Work>,
    /// Phases in order.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// Ids of the recordings in this session.
    #[serde(default)]
    pub members: Vec<String>,
    /// Machine.
    #[serde(default)]
    pub host: Host,
    /// Binary.
    #[serde(default)]
    pub build: Build,
    /// Kept environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The recorder.
    #[serde(default)]
    pub recorder: Recorder,
    /// Tool and version that recorded.
    #[serde(default)]
    pub recorded_by: Option<String>,
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnd {
    /// Why.
    pub reason: EndReason,
    /// Exit status of a launched target.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Signal that ended a launched target.
    #[serde(default)]
    pub signal: Option<i32>,
}

/// Work done by the program, as it reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    /// Units.
    pub count: u64,
    /// What they are; `null` when several kinds were reported.
    #[serde(default)]
    pub unit: Option<String>,
}

/// A phase: from its mark to the next phase's or the session's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Start.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
    /// CPU time sampled in the windows that begin in it.
    pub cpu_ns: u64,
    /// Work reported in it.
    #[serde(default)]
    pub work_count: Option<u64>,
}

/// How good the samples are, and what it cost to take them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SamplingDiagnostics {
    /// Who took the samples; `null` when there was no sampler.
    #[serde(default)]
    pub backend: Option<String>,
    /// Event sampled.
    #[serde(default)]
    pub event: Option<String>,
    /// Rate asked for.
    #[serde(default)]
    pub rate_hz: Option<f64>,
    /// Weight of a sample.
    #[serde(default)]
    pub period_ns: Option<u64>,
    /// Running samples per second of CPU that the target used; `null` when that is unknown.
    #[serde(default)]
    pub delivered_hz: Option<f64>,
    /// Samples.
    pub sample_count: u64,
    /// CPU time that the samples stand for.
    pub sampled_cpu_ns: u64,
    /// CPU time that the target used by the kernel's count; `null` when unknown.
    #[serde(default)]
    pub process_cpu_ns: Option<u64>,
    /// Samples lost by the kernel.
    pub lost_count: u64,
    /// Samples shed by the recorder.
    pub dropped_count: u64,
    /// Samples with a cut stack.
    pub truncated_count: u64,
    /// Samples whose stack was completed by reading past the dump; `null` when the stream was cut.
    #[serde(default)]
    pub spliced_count: Option<u64>,
    /// Samples without any stack.
    #[serde(default)]
    pub stackless_count: u64,
    /// Complete stacks among the samples that have one; `null` without any.
    #[serde(default)]
    pub complete_stack_ratio: Option<f64>,
    /// Samples whose innermost frame has a name; `null` without any.
    #[serde(default)]
    pub symbolised_ratio: Option<f64>,
    /// Rust samples in user space with crate and module, among those with a name; `null` without any.
    #[serde(default)]
    pub attributed_ratio: Option<f64>,
    /// What became of kernel time.
    #[serde(default)]
    pub kernel_time: Option<KernelTime>,
    /// Binaries without symbols and the samples whose innermost frame lies in them.
    #[serde(default)]
    pub mappings_without_symbols: Vec<MappingWithoutSymbols>,
    /// CPU time of the recorder.
    #[serde(default)]
    pub recorder_cpu_ns: Option<u64>,
    /// Peak resident memory of the recorder.
    #[serde(default)]
    pub recorder_peak_rss_bytes: Option<u64>,
    /// Verdict on all this.
    pub fidelity: Fidelity,
    /// What was wrong with the input that this was folded from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_warnings: Vec<String>,
}

/// What one binary without symbols cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MappingWithoutSymbols {
    /// The binary.
    pub mapping: Row,
    /// Samples whose innermost frame is in it and has no name.
    pub sample_count: u64,
}

/// How far the figures can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fidelity {
    /// In one word.
    pub level: FidelityLevel,
    /// Each reason that lowered it, with its figure.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// How far the figures can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FidelityLevel {
    /// There are no samples.
    None,
    /// Something is badly missing.
    Low,
    /// Something is missing.
    Medium,
    /// Nothing to object.
    High,
}

/// Averages and peaks of the metrics over time. A field is `null` when its metric never had a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSummary {
    /// CPU time over all intervals.
    #[serde(default)]
    pub cpu_ns: Option<u64>,
    /// Cores kept busy.
    #[serde(default)]
    pub cpu_ratio: Option<Distribution>,
    /// Resident memory.
    #[serde(default)]
    pub rss_bytes: Option<Distribution>,
    /// Heap.
    #[serde(default)]
    pub heap_bytes: Option<Distribution>,
    /// Threads.
    #[serde(default)]
    pub thread_count: Option<Distribution>,
    /// Open file descriptors.
    #[serde(default)]
    pub open_fd_count: Option<Distribution>,
    /// System calls a second.
    #[serde(default)]
    pub syscalls_per_s: Option<Distribution>,
    /// Calls of the read and write families a second.
    #[serde(default)]
    pub io_calls_per_s: Option<Distribution>,
    /// Bytes fetched from storage.
    #[serde(default)]
    pub read_bytes: Option<u64>,
    /// Bytes sent to storage.
    #[serde(default)]
    pub write_bytes: Option<u64>,
    /// Page faults.
    #[serde(default)]
    pub minor_fault_count: Option<u64>,
    /// Page faults that read storage.
    #[serde(default)]
    pub major_fault_count: Option<u64>,
    /// Context switches of either kind.
    #[serde(default)]
    pub context_switch_count: Option<u64>,
}

/// A metric over time, each interval weighted by its length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Mean.
    pub mean: Quantity,
    /// Highest.
    pub peak: Quantity,
    /// 95th percentile.
    pub p95: Quantity,
    /// 99th percentile.
    pub p99: Quantity,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Pid in the recorder's namespace.
    pub pid: u32,
    /// The process that started it.
    #[serde(default)]
    pub parent: Option<Row>,
    /// Its last name.
    #[serde(default)]
    pub name: Option<String>,
    /// When it was first seen.
    pub start_ns: u64,
    /// When it ended; `null` when it outlived the recording.
    #[serde(default)]
    pub end_ns: Option<u64>,
}

/// The metrics of all followed processes over one interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSample {
    /// Start.
    pub time_ns: u64,
    /// Length.
    pub duration_ns: u64,
    /// CPU time.
    #[serde(default)]
    pub cpu_ns: Option<u64>,
    /// Cores kept busy.
    #[serde(default)]
    pub cpu_ratio: Option<f64>,
    /// Resident memory, pages shared between processes counted in each.
    #[serde(default)]
    pub rss_bytes: Option<u64>,
    /// Heap.
    #[serde(default)]
    pub heap_bytes: Option<u64>,
    /// Processes that were alive.
    #[serde(default)]
    pub process_count: Option<u64>,
    /// Threads.
    #[serde(default)]
    pub thread_count: Option<u64>,
    /// Open file descriptors.
    #[serde(default)]
    pub open_fd_count: Option<u64>,
    /// System calls a second.
    #[serde(default)]
    pub syscalls_per_s: Option<f64>,
    /// Calls of the read and write families a second.
    #[serde(default)]
    pub io_calls_per_s: Option<f64>,
    /// Bytes fetched from storage.
    #[serde(default)]
    pub read_bytes: Option<u64>,
    /// Bytes sent to storage.
    #[serde(default)]
    pub write_bytes: Option<u64>,
    /// Page faults.
    #[serde(default)]
    pub minor_fault_count: Option<u64>,
    /// Page faults that read storage.
    #[serde(default)]
    pub major_fault_count: Option<u64>,
    /// Times threads gave up the CPU.
    #[serde(default)]
    pub voluntary_switch_count: Option<u64>,
    /// Times threads were taken off the CPU.
    #[serde(default)]
    pub involuntary_switch_count: Option<u64>,
    /// The container's limits and pressure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Cgroup>,
}

/// What a thread used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadRollup {
    /// Its process.
    pub process: Row,
    /// Its tid; `null` when the row stands for several threads.
    #[serde(default)]
    pub tid: Option<u32>,
    /// Its last name.
    #[serde(default)]
    pub name: Option<String>,
    /// Threads in this row.
    pub thread_count: u64,
    /// CPU time sampled.
    pub self_ns: u64,
    /// Samples.
    pub samples: u64,
    /// Time off the CPU.
    #[serde(default)]
    pub waited_ns: u64,
    /// Waits.
    #[serde(default)]
    pub wait_count: u64,
    /// Samples without a stack, credited to the thread alone.
    #[serde(default)]
    pub stackless_samples: u64,
}

/// A binary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Mapping {
    /// The file as the process saw it.
    pub path: String,
    /// GNU build id, hex.
    #[serde(default)]
    pub build_id: Option<String>,
}

/// What a function used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Function {
    /// Its key.
    pub function: String,
    /// Its full name where that differs and all its bodies share one; else `null`.
    #[serde(default)]
    pub display: Option<String>,
    /// Its crate.
    #[serde(rename = "crate", default)]
    pub crate_name: Option<String>,
    /// The crate's version.
    #[serde(default)]
    pub crate_version: Option<String>,
    /// Where the version is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crate_version_source: Option<String>,
    /// Its module.
    #[serde(default)]
    pub module: Option<String>,
    /// Its language.
    #[serde(default)]
    pub language: Option<String>,
    /// What kind of code it is.
    pub kind: FrameKind,
    /// Absent when crate and module were read from the name; `estimated` when inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Status>,
    /// Whether samples were taken in closures or async bodies of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<Body>,
    /// Source file.
    #[serde(default)]
    pub file: Option<Row>,
    /// Lowest line seen.
    #[serde(default)]
    pub line: Option<u32>,
    /// CPU time with this function innermost.
    pub self_ns: u64,
    /// CPU time with this function anywhere on the stack, counted once a sample.
    pub total_ns: u64,
    /// Samples behind `self_ns`.
    pub self_samples: u64,
    /// Samples behind `total_ns`.
    pub total_samples: u64,
    /// `self_ns` in percent of the sampled time.
    pub self_pct: f64,
    /// `total_ns` in percent of the sampled time.
    pub total_pct: f64,
    /// Its own self time and that of std, core, alloc, the C and C++ runtime libraries and the kernel, where it
    /// is their nearest caller outside them.
    pub blame_ns: u64,
    /// Time off the CPU with this function innermost.
    #[serde(default)]
    pub self_waited_ns: u64,
    /// Time off the CPU with this function anywhere on the stack.
    #[serde(default)]
    pub total_waited_ns: u64,
    /// Allocations with this function anywhere on the stack; `null` without heap records.
    #[serde(default)]
    pub alloc_count: Option<u64>,
    /// Bytes of them.
    #[serde(default)]
    pub alloc_bytes: Option<u64>,
    /// Latency, where it was measured.
    #[serde(default)]
    pub latency: Option<Latency>,
}

/// Measured latency of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Calls.
    pub count: u64,
    /// Mean.
    pub mean_ns: u64,
    /// Median.
    #[serde(default)]
    pub p50_ns: Option<u64>,
    /// 95th percentile.
    #[serde(default)]
    pub p95_ns: Option<u64>,
    /// 99th percentile.
    #[serde(default)]
    pub p99_ns: Option<u64>,
    /// Why a percentile is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a module used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleRollup {
    /// The module.
    pub module: String,
    /// Its crate.
    #[serde(rename = "crate", default)]
    pub crate_name: Option<String>,
    /// Functions seen in it.
    pub function_count: u64,
    /// CPU time with the module innermost.
    pub self_ns: u64,
    /// CPU time with the module anywhere on the stack.
    pub total_ns: u64,
    /// Samples behind `self_ns`.
    pub self_samples: u64,
    /// Samples behind `total_ns`.
    pub total_samples: u64,
    /// `self_ns` in percent of the sampled time.
    pub self_pct: f64,
    /// `total_ns` in percent of the sampled time.
    pub total_pct: f64,
    /// CPU time charged to it with std, core, alloc, the C and C++ runtime libraries and the kernel given to
    /// their callers.
    pub blame_ns: u64,
    /// Time off the CPU with the module innermost.
    #[serde(default)]
    pub self_waited_ns: u64,
}

/// What a crate used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CrateRollup {
    /// The crate, or a mapping's or the kernel's name in brackets.
    #[serde(rename = "crate")]
    pub crate_name: String,
    /// Its version, when all its functions agree.
    #[serde(default)]
    pub crate_version: Option<String>,
    /// Where the version is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crate_version_source: Option<String>,
    /// `workspace`, `dependency`, `std`, `system` (C and C++ libraries), `kernel`, `jit`; `null` when unknown.
    #[serde(default)]
    pub origin: Option<String>,
    /// Functions seen in it.
    pub function_count: u64,
    /// CPU time with the crate innermost.
    pub self_ns: u64,
    /// CPU time with the crate anywhere on the stack.
    pub total_ns: u64,
    /// Samples behind `self_ns`.
    pub self_samples: u64,
    /// Samples behind `total_ns`.
    pub total_samples: u64,
    /// `self_ns` in percent of the sampled time.
    pub self_pct: f64,
    /// `total_ns` in percent of the sampled time.
    pub total_pct: f64,
    /// CPU time charged to it with std, core, alloc, the C and C++ runtime libraries and the kernel given to
    /// their callers.
    pub blame_ns: u64,
    /// Time off the CPU with the crate innermost.
    #[serde(default)]
    pub self_waited_ns: u64,
}

/// Distinct frames, in columns. A frame is (function, mapping, file, line, inlined): free of load addresses,
/// so that sessions merge. Where there is no name it is (mapping, address).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frames {
    /// The function.
    pub function: Vec<Row>,
    /// The binary.
    pub mapping: Vec<Option<Row>>,
    /// Source file.
    pub file: Vec<Option<Row>>,
    /// Line.
    pub line: Vec<Option<u32>>,
    /// Address, only where there is no name.
    pub address: Vec<Option<Address>>,
    /// 1 for a function inlined into its caller.
    pub inlined: Vec<u8>,
}

/// The prefix tree of stacks, in columns. A parent stands before its children.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stacks {
    /// The caller's stack; -1 at the root.
    pub parent: Vec<i64>,
    /// The innermost frame.
    pub frame: Vec<Row>,
}

/// What happened in each window `[k * interval_ns, (k + 1) * interval_ns)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Windows {
    /// Length of a window.
    pub interval_ns: u64,
    /// Windows.
    pub count: u64,
    /// Why the interval is not the one asked for, or threads were folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarsened: Option<String>,
    /// Samples lost in each window, all causes.
    pub lost_count: Vec<u64>,
    /// On the CPU.
    pub cpu: CpuCells,
    /// Off the CPU.
    #[serde(default)]
    pub wait: WaitCells,
    /// Allocated.
    #[serde(default)]
    pub alloc: AllocCells,
}

/// Cells of CPU time. Window `k` has the cells `offset[k]..offset[k + 1]`, ordered by stack, then thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpuCells {
    /// Where each window's cells begin, and the number of cells.
    pub offset: Vec<u64>,
    /// The stack; -1 for samples without one.
    pub stack: Vec<i64>,
    /// The thread.
    pub thread: Vec<Row>,
    /// Samples.
    pub sample_count: Vec<u64>,
    /// CPU time; `null` when every cell is `sample_count` times `period_ns`.
    pub cpu_ns: Option<Vec<u64>>,
}

/// Cells of time off the CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitCells {
    /// Where each window's cells begin, and the number of cells.
    pub offset: Vec<u64>,
    /// The stack; -1 for waits without one.
    pub stack: Vec<i64>,
    /// The thread.
    pub thread: Vec<Row>,
    /// Waits that ended in the window.
    pub wait_count: Vec<u64>,
    /// Time off the CPU in the window.
    pub waited_ns: Vec<u64>,
}

/// Cells of allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllocCells {
    /// Where each window's cells begin, and the number of cells.
    pub offset: Vec<u64>,
    /// The site.
    pub stack: Vec<i64>,
    /// Allocations.
    pub alloc_count: Vec<u64>,
    /// Bytes allocated.
    pub alloc_bytes: Vec<u64>,
    /// Bytes of the site freed.
    pub freed_bytes: Vec<u64>,
}

/// The hottest of about a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HotspotSnapshot {
    /// Start.
    pub time_ns: u64,
    /// Length.
    pub duration_ns: u64,
    /// Functions.
    pub functions: Vec<HotFunction>,
    /// Modules.
    pub modules: Vec<HotModule>,
    /// Crates.
    pub crates: Vec<HotCrate>,
}

/// A function that was hot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HotFunction {
    /// The function.
    pub function: Row,
    /// Its self time in the span.
    pub self_ns: u64,
}

/// A module that was hot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HotModule {
    /// The module.
    pub module: String,
    /// Its self time in the span.
    pub self_ns: u64,
}

/// A crate that was hot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HotCrate {
    /// The crate.
    #[serde(rename = "crate")]
    pub crate_name: String,
    /// Its self time in the span.
    pub self_ns: u64,
}

/// Something that happened, with what was hot and what allocated in its windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The event.
    pub id: u32,
    /// What kind.
    pub kind: EventKind,
    /// When it was seen.
    pub time_ns: u64,
    /// Start of its span.
    pub start_ns: u64,
    /// End of its span.
    pub end_ns: u64,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Row>,
    /// The metric that rose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The metric before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Quantity>,
    /// Its highest value in the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
    /// The rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Quantity>,
    /// Name of a mark or phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the mark said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Units of work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What the units are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What was on the CPU in the windows that the span touches, of the event's process where it has one.
    pub hot: Hot,
    /// The sites that allocated most in those windows; `null` without heap records.
    #[serde(default)]
    pub allocated: Option<Vec<Allocated>>,
}

/// What was on the CPU in a range of windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hot {
    /// Start of the range.
    pub from_ns: u64,
    /// End of the range.
    pub to_ns: u64,
    /// Samples in it.
    pub sample_count: u64,
    /// CPU time in it.
    pub cpu_ns: u64,
    /// Samples lost in it.
    pub lost_count: u64,
    /// Functions by self time.
    pub functions: Vec<HotFunctionShare>,
    /// Modules by self time.
    pub modules: Vec<HotModuleShare>,
    /// Crates by self time.
    pub crates: Vec<HotCrateShare>,
    /// The function outside std and the kernel that most of the time is charged to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blamed: Option<HotFunctionShare>,
}

/// A function and its share of a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HotFunctionShare {
    /// The function.
    pub function: Row,
    /// Its self time in the range.
    pub self_ns: u64,
    /// Of the range's CPU time.
    pub ratio: f64,
}

/// A module and its share of a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HotModuleShare {
    /// The module.
    pub module: String,
    /// Its self time in the range.
    pub self_ns: u64,
    /// Of the range's CPU time.
    pub ratio: f64,
}

/// A crate and its share of a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HotCrateShare {
    /// The crate.
    #[serde(rename = "crate")]
    pub crate_name: String,
    /// Its self time in the range.
    pub self_ns: u64,
    /// Of the range's CPU time.
    pub ratio: f64,
}

/// A heap site and its share of a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Allocated {
    /// The site.
    pub stack: Row,
    /// Bytes it allocated in the range.
    pub alloc_bytes: u64,
    /// Of the bytes allocated in the range.
    pub ratio: f64,
}

/// A named interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Start.
    pub start_ns: u64,
    /// Length.
    pub duration_ns: u64,
    /// The thread.
    #[serde(default)]
    pub thread: Option<Row>,
    /// Its name.
    pub name: String,
    /// Where it is from.
    pub source: String,
}

/// The heap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heap {
    /// `sampled` or `all`.
    pub mode: String,
    /// Allocations.
    pub alloc_count: u64,
    /// Bytes allocated.
    pub alloc_bytes: u64,
    /// Frees.
    pub free_count: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Highest live bytes.
    pub peak_bytes: u64,
    /// When.
    pub peak_time_ns: u64,
    /// Bytes live at the end.
    pub live_at_end_bytes: u64,
    /// Allocations live at the end.
    pub live_at_end_count: u64,
    /// Records that did not make it.
    pub dropped_count: u64,
    /// The sites.
    pub sites: Vec<HeapSite>,
}

/// What one heap site did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeapSite {
    /// The site.
    pub stack: Row,
    /// Records behind weighted figures.
    #[serde(default)]
    pub sample_count: Option<u64>,
    /// Allocations.
    pub alloc_count: u64,
    /// Bytes.
    pub alloc_bytes: u64,
    /// Frees.
    pub free_count: u64,
    /// Allocations freed soon after.
    pub temporary_count: u64,
    /// Bytes live at the session's peak.
    pub peak_bytes: u64,
    /// Live at the end.
    pub live_at_end_count: u64,
    /// Bytes live at the end.
    pub live_at_end_bytes: u64,
    /// Age of the oldest at the end.
    #[serde(default)]
    pub oldest_ns: Option<u64>,
}

impl ProfileSession {
    /// Reads a session from the text of a document.
    ///
    /// # Errors
    /// When the text is not a session, is from a newer version, or is malformed: then with line and column.
    pub fn from_json(text: &[u8]) -> Result<ProfileSession, Error> {
        #[derive(Deserialize)]
        struct Peek {
            schema: Option<String>,
            schema_version: Option<u64>,
        }
        const EXPECTED: &str = "a RustScope session";
        if text.trim_ascii().is_empty() {
            return Err(Error::Empty { expected: EXPECTED });
        }
        let not_this = |found: String| Error::NotThis { expected: EXPECTED, found };
        let peek: Peek = match serde_json::from_slice(text) {
            Ok(peek) => peek,
            Err(_) if text.trim_ascii().first() != Some(&b'{') => {
                return Err(not_this(crate::stream::describe(text)));
            }
            Err(error) => return Err(error.into()),
        };
        match peek.schema.as_deref() {
            Some(SCHEMA) => {}
            Some(other) => return Err(not_this(format!("its schema is {other:?}"))),
            None => return Err(not_this("it has no \"schema\"".into())),
        }
        match peek.schema_version {
            Some(found) if found > u64::from(SCHEMA_VERSION) => {
                return Err(Error::NewerVersion { schema: SCHEMA, found, supported: SCHEMA_VERSION });
            }
            Some(_) => {}
            None => return Err(not_this("it has no \"schema_version\"".into())),
        }
        Ok(serde_json::from_slice(text)?)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        if let Some(kind) = error.io_error_kind() {
            return Error::Io(kind.into());
        }
        let text = error.to_string();
        Error::Document {
            line: error.line(),
            column: error.column(),
            message: text.split(" at line ").next().unwrap_or(&text).to_string(),
        }
    }
}
