//! The two formats once more, written down by hand from docs/FORMAT.md and without a look at rs-schema's types.
//!
//! Whoever renames a field, drops one or adds one without saying so here breaks a test: every field that is
//! written must stand here under its name and with its type, since unknown ones are denied. Other packages'
//! tests include this file by path and read with it what the binaries write.

#![allow(clippy::large_enum_variant, reason = "a test may waste memory")]
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by path; field names are the documentation"
)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Reads a stream. A line that is not as documented is an error with its number.
pub fn read_events(text: &str) -> Result<Vec<Line>, String> {
    let parse =
        |(at, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}: {line}", at + 1));
    text.lines().enumerate().map(parse).collect()
}

/// Reads a session.
pub fn read_session(text: &str) -> Result<ProfileSession, String> {
    from_str(text)
}

fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

// ---- The event stream ----

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Line {
    #[serde(rename = "header")]
    Header {
        schema: String,
        schema_version: u64,
        session_id: String,
        tool: String,
        tool_version: String,
        start_time: String,
        clock: Clock,
        command: Vec<String>,
        pid: Option<u32>,
        name: Option<String>,
        tags: BTreeMap<String, String>,
        host: Host,
        build: Build,
        environment: BTreeMap<String, String>,
        recorder: Recorder,
        sampler: Option<Sampler>,
        metrics_interval_ns: Option<u64>,
        spikes: BTreeMap<String, f64>,
        capabilities: BTreeMap<String, Capability>,
    },
    #[serde(rename = "process")]
    Process {
        id: u32,
        time_ns: u64,
        event: String,
        pid: u32,
        parent: Option<u32>,
        name: Option<String>,
        #[serde(default)]
        command: Vec<String>,
    },
    #[serde(rename = "thread")]
    Thread { id: u32, time_ns: u64, event: String, process: u32, tid: u32, name: Option<String> },
    #[serde(rename = "mapping")]
    Mapping {
        id: u32,
        time_ns: u64,
        process: u32,
        start: String,
        end: String,
        file_offset: u64,
        path: String,
        build_id: Option<String>,
    },
    #[serde(rename = "frame")]
    Frame {
        id: u32,
        kind: String,
        mapping: Option<u32>,
        address: Option<String>,
        function: Option<String>,
        reason: Option<String>,
        display: Option<String>,
        raw_name: Option<String>,
        #[serde(rename = "crate")]
        crate_name: Option<String>,
        crate_version: Option<String>,
        crate_version_source: Option<String>,
        module: Option<String>,
        language: Option<String>,
        file: Option<String>,
        line: Option<u32>,
        body: Option<String>,
        attribution: Option<String>,
        #[serde(default)]
        inlined_by: Vec<Symbol>,
    },
    #[serde(rename = "stack")]
    Stack { id: u32, parent: Option<u32>, frame: u32 },
    #[serde(rename = "sample")]
    Sample {
        time_ns: u64,
        thread: u32,
        stack: Option<u32>,
        count: Option<u64>,
        cpu_ns: Option<u64>,
        state: Option<String>,
        waited_ns: Option<u64>,
    },
    #[serde(rename = "metrics")]
    Metrics {
        time_ns: u64,
        interval_ns: u64,
        process: u32,
        cpu_ns: Option<u64>,
        cpu_ratio: Option<f64>,
        rss_bytes: Option<u64>,
        heap_bytes: Option<u64>,
        thread_count: Option<u64>,
        open_fd_count: Option<u64>,
        syscall_count: Option<u64>,
        read_call_count: Option<u64>,
        write_call_count: Option<u64>,
        read_bytes: Option<u64>,
        write_bytes: Option<u64>,
        minor_fault_count: Option<u64>,
        major_fault_count: Option<u64>,
        voluntary_switch_count: Option<u64>,
        involuntary_switch_count: Option<u64>,
        cgroup: Option<Cgroup>,
    },
    #[serde(rename = "heap")]
    Heap {
        time_ns: u64,
        interval_ns: u64,
        process: u32,
        stack: u32,
        sample_count: Option<u64>,
        alloc_count: u64,
        alloc_bytes: u64,
        free_count: u64,
        freed_bytes: u64,
        temporary_count: u64,
        live_count: u64,
        live_bytes: u64,
    },
    #[serde(rename = "alloc")]
    Alloc {
        time_ns: u64,
        thread: u32,
        address: String,
        size_bytes: u64,
        weight_bytes: Option<u64>,
        stack: Option<u32>,
    },
    #[serde(rename = "free")]
    Free { time_ns: u64, thread: u32, address: String },
    #[serde(rename = "event")]
    Event {
        id: u32,
        time_ns: u64,
        kind: String,
        process: Option<u32>,
        metric: Option<String>,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        before: Option<f64>,
        value: Option<f64>,
        threshold: Option<f64>,
        name: Option<String>,
        text: Option<String>,
        count: Option<u64>,
        unit: Option<String>,
    },
    #[serde(rename = "span")]
    Span { time_ns: u64, duration_ns: u64, thread: Option<u32>, name: String, source: String },
    #[serde(rename = "latency")]
    Latency {
        time_ns: u64,
        interval_ns: u64,
        frame: u32,
        count: u64,
        sum_ns: u64,
        min_ns: u64,
        max_ns: u64,
        buckets: Vec<(u32, u64)>,
    },
    #[serde(rename = "lost")]
    Lost { time_ns: u64, since_ns: Option<u64>, count: u64, cause: String, cpu: Option<u32> },
    #[serde(rename = "end")]
    End {
        time_ns: u64,
        reason: String,
        exit_code: Option<i32>,
        signal: Option<i32>,
        sample_count: u64,
        lost_count: u64,
        dropped_count: u64,
        truncated_count: u64,
        spliced_count: u64,
        unresolved_frame_count: u64,
        process_cpu_ns: Option<u64>,
        recorder_cpu_ns: Option<u64>,
        recorder_peak_rss_bytes: Option<u64>,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    pub id: String,
    pub boot_id: Option<String>,
    pub start_ns: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub os: Option<String>,
    pub kernel: Option<String>,
    pub arch: Option<String>,
    pub cpu_count: Option<u32>,
    pub cpu_model: Option<String>,
    pub memory_bytes: Option<u64>,
    pub hostname: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub exe: Option<String>,
    pub build_id: Option<String>,
    pub git_commit: Option<String>,
    pub git_commit_source: Option<String>,
    pub rustc: Option<String>,
    pub profile: Option<String>,
    pub debuginfo: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorder {
    pub pid: Option<u32>,
    pub pid_namespace: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampler {
    pub backend: String,
    pub event: Option<String>,
    pub rate_hz: f64,
    pub period_ns: u64,
    pub unwinder: Option<String>,
    pub clock: Option<String>,
    pub kernel_time: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    pub status: String,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symbol {
    pub function: Option<String>,
    pub display: Option<String>,
    pub raw_name: Option<String>,
    #[serde(rename = "crate")]
    pub crate_name: Option<String>,
    pub crate_version: Option<String>,
    pub crate_version_source: Option<String>,
    pub module: Option<String>,
    pub language: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub body: Option<String>,
    pub attribution: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cgroup {
    pub cpu_quota_ratio: Option<f64>,
    pub throttled_ns: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub oom_kill_count: Option<u64>,
    pub cpu_pressure_ns: Option<u64>,
    pub memory_pressure_ns: Option<u64>,
    pub io_pressure_ns: Option<u64>,
}

// ---- The session ----

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSession {
    pub schema: String,
    pub schema_version: u64,
    pub session: Session,
    pub capabilities: BTreeMap<String, Capability>,
    pub sampling_diagnostics: SamplingDiagnostics,
    pub process_summary: Option<ProcessSummary>,
    pub processes: Vec<Process>,
    pub process_samples: Vec<ProcessSample>,
    pub thread_rollups: Vec<ThreadRollup>,
    pub mappings: Vec<Mapping>,
    pub files: Vec<String>,
    pub functions: Vec<Function>,
    pub module_rollups: Vec<ModuleRollup>,
    pub crate_rollups: Vec<CrateRollup>,
    pub frames: Frames,
    pub stacks: Stacks,
    pub windows: Option<Windows>,
    pub hotspot_snapshots: Vec<HotspotSnapshot>,
    pub memory_events: Vec<Event>,
    pub events: Vec<Event>,
    #[serde(default)]
    pub spans: Vec<Span>,
    pub heap: Option<Heap>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub id: String,
    pub name: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub start_time: String,
    pub duration_ns: u64,
    pub command: Vec<String>,
    pub pid: Option<u32>,
    pub complete: bool,
    pub end: Option<End>,
    pub work: Option<Work>,
    pub phases: Vec<Phase>,
    pub members: Vec<String>,
    pub host: Host,
    pub build: Build,
    pub environment: BTreeMap<String, String>,
    pub recorder: Recorder,
    pub recorded_by: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    pub reason: String,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    pub count: u64,
    pub unit: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    pub start_ns: u64,
    pub end_ns: u64,
    pub cpu_ns: u64,
    pub work_count: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingDiagnostics {
    pub backend: Option<String>,
    pub event: Option<String>,
    pub rate_hz: Option<f64>,
    pub period_ns: Option<u64>,
    pub delivered_hz: Option<f64>,
    pub sample_count: u64,
    pub sampled_cpu_ns: u64,
    pub process_cpu_ns: Option<u64>,
    pub lost_count: u64,
    pub dropped_count: u64,
    pub truncated_count: u64,
    pub spliced_count: Option<u64>,
    pub stackless_count: u64,
    pub complete_stack_ratio: Option<f64>,
    pub symbolised_ratio: Option<f64>,
    pub attributed_ratio: Option<f64>,
    pub kernel_time: Option<String>,
    pub mappings_without_symbols: Vec<MappingWithoutSymbols>,
    pub recorder_cpu_ns: Option<u64>,
    pub recorder_peak_rss_bytes: Option<u64>,
    pub fidelity: Fidelity,
    #[serde(default)]
    pub input_warnings: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingWithoutSymbols {
    pub mapping: usize,
    pub sample_count: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    pub level: String,
    pub reasons: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSummary {
    pub cpu_ns: Option<u64>,
    pub cpu_ratio: Option<Distribution>,
    pub rss_bytes: Option<Distribution>,
    pub heap_bytes: Option<Distribution>,
    pub thread_count: Option<Distribution>,
    pub open_fd_count: Option<Distribution>,
    pub syscalls_per_s: Option<Distribution>,
    pub io_calls_per_s: Option<Distribution>,
    pub read_bytes: Option<u64>,
    pub write_bytes: Option<u64>,
    pub minor_fault_count: Option<u64>,
    pub major_fault_count: Option<u64>,
    pub context_switch_count: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    pub mean: f64,
    pub peak: f64,
    pub p95: f64,
    pub p99: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    pub pid: u32,
    pub parent: Option<usize>,
    pub name: Option<String>,
    pub start_ns: u64,
    pub end_ns: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSample {
    pub time_ns: u64,
    pub duration_ns: u64,
    pub cpu_ns: Option<u64>,
    pub cpu_ratio: Option<f64>,
    pub rss_bytes: Option<u64>,
    pub heap_bytes: Option<u64>,
    pub process_count: Option<u64>,
    pub thread_count: Option<u64>,
    pub open_fd_count: Option<u64>,
    pub syscalls_per_s: Option<f64>,
    pub io_calls_per_s: Option<f64>,
    pub read_bytes: Option<u64>,
    pub write_bytes: Option<u64>,
    pub minor_fault_count: Option<u64>,
    pub major_fault_count: Option<u64>,
    pub voluntary_switch_count: Option<u64>,
    pub involuntary_switch_count: Option<u64>,
    pub cgroup: Option<Cgroup>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreadRollup {
    pub process: usize,
    pub tid: Option<u32>,
    pub name: Option<String>,
    pub thread_count: u64,
    pub self_ns: u64,
    pub samples: u64,
    pub waited_ns: u64,
    pub wait_count: u64,
    pub stackless_samples: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    pub path: String,
    pub build_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub function: String,
    pub display: Option<String>,
    #[serde(rename = "crate")]
    pub crate_name: Option<String>,
    pub crate_version: Option<String>,
    pub crate_version_source: Option<String>,
    pub module: Option<String>,
    pub language: Option<String>,
    pub kind: String,
    pub attribution: Option<String>,
    #[serde(default)]
    pub bodies: Vec<String>,
    pub file: Option<usize>,
    pub line: Option<u32>,
    pub self_ns: u64,
    pub total_ns: u64,
    pub self_samples: u64,
    pub total_samples: u64,
    pub self_pct: f64,
    pub total_pct: f64,
    pub blame_ns: u64,
    pub self_waited_ns: u64,
    pub total_waited_ns: u64,
    pub alloc_count: Option<u64>,
    pub alloc_bytes: Option<u64>,
    pub latency: Option<Latency>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub count: u64,
    pub mean_ns: u64,
    pub p50_ns: Option<u64>,
    pub p95_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleRollup {
    pub module: String,
    #[serde(rename = "crate")]
    pub crate_name: Option<String>,
    pub function_count: u64,
    pub self_ns: u64,
    pub total_ns: u64,
    pub self_samples: u64,
    pub total_samples: u64,
    pub self_pct: f64,
    pub total_pct: f64,
    pub blame_ns: u64,
    pub self_waited_ns: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrateRollup {
    #[serde(rename = "crate")]
    pub crate_name: String,
    pub crate_version: Option<String>,
    pub crate_version_source: Option<String>,
    pub origin: Option<String>,
    pub function_count: u64,
    pub self_ns: u64,
    pub total_ns: u64,
    pub self_samples: u64,
    pub total_samples: u64,
    pub self_pct: f64,
    pub total_pct: f64,
    pub blame_ns: u64,
    pub self_waited_ns: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frames {
    pub function: Vec<usize>,
    pub mapping: Vec<Option<usize>>,
    pub file: Vec<Option<usize>>,
    pub line: Vec<Option<u32>>,
    pub address: Vec<Option<String>>,
    pub inlined: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stacks {
    pub parent: Vec<i64>,
    pub frame: Vec<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    pub interval_ns: u64,
    pub count: u64,
    pub coarsened: Option<String>,
    pub lost_count: Vec<u64>,
    pub cpu: CpuCells,
    pub wait: WaitCells,
    pub alloc: AllocCells,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuCells {
    pub offset: Vec<usize>,
    pub stack: Vec<i64>,
    pub thread: Vec<usize>,
    pub sample_count: Vec<u64>,
    pub cpu_ns: Option<Vec<u64>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitCells {
    pub offset: Vec<usize>,
    pub stack: Vec<i64>,
    pub thread: Vec<usize>,
    pub wait_count: Vec<u64>,
    pub waited_ns: Vec<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllocCells {
    pub offset: Vec<usize>,
    pub stack: Vec<i64>,
    pub alloc_count: Vec<u64>,
    pub alloc_bytes: Vec<u64>,
    pub freed_bytes: Vec<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotspotSnapshot {
    pub time_ns: u64,
    pub duration_ns: u64,
    pub functions: Vec<HotFunction>,
    pub modules: Vec<HotModule>,
    pub crates: Vec<HotCrate>,
}

/// `ratio` is there in events, not in snapshots.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotFunction {
    pub function: usize,
    pub self_ns: u64,
    pub ratio: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotModule {
    pub module: String,
    pub self_ns: u64,
    pub ratio: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotCrate {
    #[serde(rename = "crate")]
    pub crate_name: String,
    pub self_ns: u64,
    pub ratio: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub id: u32,
    pub kind: String,
    pub time_ns: u64,
    pub start_ns: u64,
    pub end_ns: u64,
    pub process: Option<usize>,
    pub metric: Option<String>,
    pub before: Option<f64>,
    pub value: Option<f64>,
    pub threshold: Option<f64>,
    pub name: Option<String>,
    pub text: Option<String>,
    pub count: Option<u64>,
    pub unit: Option<String>,
    pub hot: Hot,
    pub allocated: Option<Vec<Allocated>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hot {
    pub from_ns: u64,
    pub to_ns: u64,
    pub sample_count: u64,
    pub cpu_ns: u64,
    pub lost_count: u64,
    pub functions: Vec<HotFunction>,
    pub modules: Vec<HotModule>,
    pub crates: Vec<HotCrate>,
    pub blamed: Option<HotFunction>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocated {
    pub stack: usize,
    pub alloc_bytes: u64,
    pub ratio: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub start_ns: u64,
    pub duration_ns: u64,
    pub thread: Option<usize>,
    pub name: String,
    pub source: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heap {
    pub mode: String,
    pub alloc_count: u64,
    pub alloc_bytes: u64,
    pub free_count: u64,
    pub freed_bytes: u64,
    pub peak_bytes: u64,
    pub peak_time_ns: u64,
    pub live_at_end_bytes: u64,
    pub live_at_end_count: u64,
    pub dropped_count: u64,
    pub sites: Vec<HeapSite>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeapSite {
    pub stack: usize,
    pub sample_count: Option<u64>,
    pub alloc_count: u64,
    pub alloc_bytes: u64,
    pub free_count: u64,
    pub temporary_count: u64,
    pub peak_bytes: u64,
    pub live_at_end_count: u64,
    pub live_at_end_bytes: u64,
    pub oldest_ns: Option<u64>,
}
