//! The stream's first line: who records what, how, and what can be known.

use std::collections::BTreeMap;

use rs_schema::event::{self, Build, Clock, Header, KernelTime, Line, Sampler};
use rs_schema::units::{Capability, Quantity};

use crate::backend::linux::PerfSampler;
use crate::clock::SessionClock;
use crate::host;

/// What of the header others have found out.
pub(crate) struct HeaderParts {
    pub(crate) command: Vec<String>,
    pub(crate) pid: i32,
    pub(crate) name: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) build: Build,
    pub(crate) rate_hz: u32,
    pub(crate) metrics_interval_ns: u64,
    pub(crate) spikes: BTreeMap<String, Quantity>,
    pub(crate) capabilities: BTreeMap<String, Capability>,
}

/// Makes the header; `sampler` says why there is none where there is none.
pub(crate) fn header(parts: HeaderParts, clock: &SessionClock, sampler: Result<&PerfSampler, &str>) -> Line {
    let mut capabilities = parts.capabilities;
    capabilities.insert("cpu_ns".into(), cpu_capability(sampler));
    capabilities.insert(
        "waited_ns".into(),
        Capability::unavailable("waits are not recorded; only time on the CPU is sampled"),
    );
    for heap in ["alloc_bytes", "alloc_count"] {
        capabilities.insert(heap.into(), Capability::unavailable("no allocation shim in the target"));
    }
    if let Ok(sampler) = sampler {
        if let Some(error) = sampler.kernel_refusal() {
            capabilities
                .insert("kernel_time".into(), Capability::unavailable(format!("not sampled: {error}")));
        }
        if let Some(error) = sampler.syscall_refusal() {
            capabilities.insert(
                "syscall_count".into(),
                Capability::unavailable(format!("not counted: {error} (needs root or CAP_PERFMON)")),
            );
        } else if sampler.counts_syscalls() {
            capabilities.insert("syscall_count".into(), Capability::measured());
        }
    }
    Line::Header(Box::new(Header {
        schema: event::SCHEMA.into(),
        schema_version: event::SCHEMA_VERSION,
        session_id: session_id(),
        tool: crate::TOOL.into(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        start_time: clock.start_time(),
        clock: Clock {
            id: "monotonic".into(),
            boot_id: host::boot_id(),
            start_ns: Some(clock.start_ns().to_string()),
        },
        command: parts.command,
        pid: u32::try_from(parts.pid).ok(),
        name: parts.name,
        tags: parts.tags,
        host: host::host(),
        build: parts.build,
        environment: parts.environment,
        recorder: host::recorder(),
        sampler: sampler.ok().map(|sampler| {
            let options = sampler.options();
            Sampler {
                backend: "perf_event".into(),
                event: Some("cpu-clock".into()),
                rate_hz: f64::from(parts.rate_hz),
                period_ns: options.period_ns,
                unwinder: Some("framehop".into()),
                clock: Some("monotonic".into()),
                kernel_time: match (options.kernel, options.kernel_frames) {
                    (false, _) => KernelTime::Excluded,
                    (true, false) => KernelTime::Folded,
                    (true, true) => KernelTime::Expanded,
                },
            }
        }),
        metrics_interval_ns: Some(parts.metrics_interval_ns),
        spikes: parts.spikes,
        capabilities,
    }))
}

fn cpu_capability(sampler: Result<&PerfSampler, &str>) -> Capability {
    match sampler {
        Ok(_) => Capability::estimated("one period per sample"),
        Err(reason) => Capability::unavailable(reason),
    }
}

/// A random name: 16 hex digits of the kernel's uuid.
fn session_id() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let id: String = uuid.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    if id.is_empty() { format!("{:016x}", crate::clock::monotonic_ns()) } else { id }
}
