//! The end of a fold: base columns first, then everything that is derived from them.

use std::collections::BTreeMap;

use rs_schema::event::{self, Build, Clock, Header, Host, Recorder};
use rs_schema::session::{
    self, Fidelity, FidelityLevel, ProfileSession, Row, SamplingDiagnostics, Session, SessionEnd,
};

use crate::expand::expand;
use crate::fold::{Fold, Span};
use crate::names::Names;
use crate::summary::summary;
use crate::tables;

impl Fold {
    /// The session. A stream without an end makes an incomplete one, of what there was.
    pub fn finish(mut self) -> ProfileSession {
        self.settle();
        let duration_ns = self.end.as_ref().map_or(self.last_ns, |end| end.time_ns);
        let sampling_diagnostics = self.diagnostics();
        let coarsened = self.coarsened();
        let (thread_rollups, thread_row) = self.tasks.threads(&self.names);
        let traced = self.latencies.frames();
        let mut code = expand(self.tree, &traced, &self.mappings, &mut self.names);
        self.latencies.attach(&mut code.functions, &code.function_row);
        let mut windows =
            self.windows.into_columns(duration_ns, self.period_ns, &code.stack_row, &thread_row);
        windows.coarsened = coarsened;
        let happened = self.events.into_happened(duration_ns, &self.names);
        let process_samples = self.metrics.into_samples();
        let header = self.header.map_or_else(no_header, |header| *header);
        let mut session = ProfileSession {
            schema: session::SCHEMA.into(),
            schema_version: session::SCHEMA_VERSION,
            session: Session {
                members: vec![header.session_id.clone()],
                id: header.session_id,
                name: header.name,
                tags: header.tags,
                start_time: header.start_time,
                duration_ns,
                command: header.command,
                pid: header.pid,
                complete: self.end.is_some(),
                end: self.end.as_ref().map(session_end),
                work: happened.work,
                phases: happened.phases,
                host: header.host,
                build: header.build,
                environment: header.environment,
                recorder: header.recorder,
                recorded_by: Some(format!("{} {}", header.tool, header.tool_version)),
            },
            capabilities: header.capabilities,
            sampling_diagnostics,
            process_summary: summary(&process_samples),
            processes: self.tasks.processes(&self.names),
            process_samples,
            thread_rollups,
            mappings: code.mappings,
            files: code.files,
            functions: code.functions,
            module_rollups: Vec::new(),
            crate_rollups: Vec::new(),
            frames: code.frames,
            stacks: code.stacks,
            windows: Some(windows),
            hotspot_snapshots: Vec::new(),
            memory_events: happened.memory_events,
            events: happened.events,
            spans: spans(&self.spans, &thread_row, &self.names),
            heap: self.heap.into_heap(&code.stack_row),
        };
        tables::derive(&mut session);
        session
    }

    /// What the header, the losses and the end say; the rest is derived.
    fn diagnostics(&self) -> SamplingDiagnostics {
        let sampler = self.header.as_ref().and_then(|header| header.sampler.as_ref());
        let end = self.end.as_ref();
        SamplingDiagnostics {
            backend: sampler.map(|sampler| sampler.backend.clone()),
            event: sampler.and_then(|sampler| sampler.event.clone()),
            rate_hz: sampler.map(|sampler| sampler.rate_hz),
            period_ns: self.period_ns,
            delivered_hz: None,
            sample_count: 0,
            sampled_cpu_ns: 0,
            process_cpu_ns: end.and_then(|end| end.process_cpu_ns).or(self.metrics.cpu_ns()),
            // The end counts all losses; lines tell of them as they are noticed.
            lost_count: self.lost_count.max(end.map_or(0, |end| end.lost_count)),
            dropped_count: self.dropped_count.max(end.map_or(0, |end| end.dropped_count)),
            truncated_count: end.map_or(0, |end| end.truncated_count),
            spliced_count: end.map(|end| end.spliced_count),
            stackless_count: 0,
            complete_stack_ratio: None,
            symbolised_ratio: None,
            attributed_ratio: None,
            kernel_time: sampler.map(|sampler| sampler.kernel_time),
            mappings_without_symbols: Vec::new(),
            recorder_cpu_ns: end.and_then(|end| end.recorder_cpu_ns),
            recorder_peak_rss_bytes: end.and_then(|end| end.recorder_peak_rss_bytes),
            fidelity: Fidelity { level: FidelityLevel::None, reasons: Vec::new() },
            input_warnings: self.tally.sentences(),
        }
    }
}

fn session_end(end: &event::End) -> SessionEnd {
    SessionEnd { reason: end.reason, exit_code: end.exit_code, signal: end.signal }
}

fn spans(spans: &[Span], thread_row: &[u32], names: &Names) -> Vec<session::Span> {
    let row = |thread: Row| thread_row.get(thread as usize).copied();
    let mut spans: Vec<session::Span> = (spans.iter())
        .map(|span| session::Span {
            start_ns: span.start_ns,
            duration_ns: span.duration_ns,
            thread: span.thread.and_then(row),
            name: names.text(span.name).to_string(),
            source: names.text(span.source).to_string(),
        })
        .collect();
    spans.sort_by_key(|span| span.start_ns);
    spans
}

/// What is known of a recording whose header was not seen.
fn no_header() -> Header {
    Header {
        schema: event::SCHEMA.into(),
        schema_version: event::SCHEMA_VERSION,
        session_id: String::new(),
        tool: "unknown".into(),
        tool_version: String::new(),
        start_time: String::new(),
        clock: Clock::default(),
        command: Vec::new(),
        pid: None,
        name: None,
        tags: BTreeMap::new(),
        host: Host::default(),
        build: Build::default(),
        environment: BTreeMap::new(),
        recorder: Recorder::default(),
        sampler: None,
        metrics_interval_ns: None,
        spikes: BTreeMap::new(),
        capabilities: BTreeMap::new(),
    }
}
