//! Generators of every kind of line, with any values that JSON can carry.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use rs_schema::event::*;
use rs_schema::{Address, Capability, Quantity, Status};

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![4 => "[a-z_:<>]{0,12}", 1 => any::<String>()]
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

/// JSON knows neither infinity nor NaN.
fn finite() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![0.0..8.0, proptest::num::f64::NORMAL, Just(0.0)]
}

fn address() -> impl Strategy<Value = Address> {
    any::<u64>().prop_map(Address)
}

fn quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![any::<u64>().prop_map(Quantity::Integer), finite().prop_map(Quantity::Fraction)]
}

fn status() -> impl Strategy<Value = Status> {
    select(vec![Status::Measured, Status::Estimated, Status::Unavailable])
}

fn capability() -> impl Strategy<Value = Capability> {
    (status(), of(text())).prop_map(|(status, reason)| Capability { status, reason })
}

fn lifecycle() -> impl Strategy<Value = Lifecycle> {
    select(vec![Lifecycle::Start, Lifecycle::Exec, Lifecycle::Name, Lifecycle::Exit])
}

/// Any line.
pub(crate) fn any_line() -> impl Strategy<Value = Line> {
    prop_oneof![
        header().prop_map(|header| Line::Header(Box::new(header))),
        process().prop_map(Line::Process),
        thread().prop_map(Line::Thread),
        mapping().prop_map(Line::Mapping),
        frame().prop_map(|frame| Line::Frame(Box::new(frame))),
        stack().prop_map(Line::Stack),
        sample().prop_map(Line::Sample),
        metrics().prop_map(|metrics| Line::Metrics(Box::new(metrics))),
        heap().prop_map(Line::Heap),
        alloc().prop_map(Line::Alloc),
        free().prop_map(Line::Free),
        event().prop_map(Line::Event),
        span().prop_map(Line::Span),
        latency().prop_map(Line::Latency),
        lost().prop_map(Line::Lost),
        end().prop_map(Line::End),
    ]
}

prop_compose! {
    /// A header that a reader accepts.
    pub(crate) fn header()(
        names in (text(), text(), text(), text(), of(text())),
        clock in (text(), of(text()), of(text())),
        target in (vec(text(), 0..3), of(any::<u32>()), texts(), texts()),
        host in host(),
        build in build(),
        recorder in (of(any::<u32>()), of(any::<u64>())),
        sampler in of(sampler()),
        metrics_interval_ns in of(any::<u64>()),
        spikes in btree_map(text(), quantity(), 0..3),
        capabilities in btree_map(text(), capability(), 0..3),
    ) -> Header {
        let (session_id, tool, tool_version, start_time, name) = names;
        let (command, pid, tags, environment) = target;
        Header {
            schema: SCHEMA.into(),
            schema_version: SCHEMA_VERSION,
            session_id,
            tool,
            tool_version,
            start_time,
            clock: Clock { id: clock.0, boot_id: clock.1, start_ns: clock.2 },
            command,
            pid,
            name,
            tags,
            host,
            build,
            environment,
            recorder: Recorder { pid: recorder.0, pid_namespace: recorder.1 },
            sampler,
            metrics_interval_ns,
            spikes,
            capabilities,
        }
    }
}

prop_compose! {
    fn host()(
        names in (of(text()), of(text()), of(text()), of(text()), of(text())),
        cpu_count in of(any::<u32>()),
        memory_bytes in of(any::<u64>()),
    ) -> Host {
        let (os, kernel, arch, cpu_model, hostname) = names;
        Host { os, kernel, arch, cpu_count, cpu_model, memory_bytes, hostname }
    }
}

prop_compose! {
    fn build()(
        exe in of(text()),
        build_id in of(text()),
        git_commit in of(text()),
        git_commit_source in of(text()),
        rustc in of(text()),
        profile in of(text()),
        debuginfo in of(text()),
    ) -> Build {
        Build { exe, build_id, git_commit, git_commit_source, rustc, profile, debuginfo }
    }
}

prop_compose! {
    fn sampler()(
        backend in text(),
        event in of(text()),
        rate_hz in finite(),
        period_ns in any::<u64>(),
        unwinder in of(text()),
        clock in of(text()),
        kernel_time in select(vec![KernelTime::Folded, KernelTime::Expanded, KernelTime::Excluded]),
    ) -> Sampler {
        Sampler { backend, event, rate_hz, period_ns, unwinder, clock, kernel_time }
    }
}

prop_compose! {
    fn process()(
        id in any::<u32>(),
        time_ns in any::<u64>(),
        event in lifecycle(),
        pid in any::<u32>(),
        parent in of(any::<u32>()),
        name in of(text()),
        command in vec(text(), 0..3),
    ) -> Process {
        Process { id, time_ns, event, pid, parent, name, command }
    }
}

prop_compose! {
    fn thread()(
        id in any::<u32>(),
        time_ns in any::<u64>(),
        event in lifecycle(),
        process in any::<u32>(),
        tid in any::<u32>(),
        name in of(text()),
    ) -> Thread {
        Thread { id, time_ns, event, process, tid, name }
    }
}

prop_compose! {
    fn mapping()(
        id in any::<u32>(),
        time_ns in any::<u64>(),
        process in any::<u32>(),
        start in address(),
        end in address(),
        file_offset in any::<u64>(),
        path in text(),
        build_id in of(text()),
    ) -> Mapping {
        Mapping { id, time_ns, process, start, end, file_offset, path, build_id }
    }
}

prop_compose! {
    fn frame()(
        id in any::<u32>(),
        kind in select(vec![FrameKind::User, FrameKind::Kernel, FrameKind::Jit, FrameKind::Unknown]),
        mapping in of(any::<u32>()),
        address in of(address()),
        symbol in symbol(),
        reason in of(text()),
        inlined_by in vec(symbol(), 0..3),
    ) -> Frame {
        Frame { id, kind, mapping, address, symbol, reason, inlined_by }
    }
}

prop_compose! {
    fn symbol()(
        function in of(text()),
        display in of(text()),
        raw_name in of(text()),
        origin in (of(text()), of(text()), of(text()), of(text())),
        language in of(text()),
        file in of(text()),
        line in of(any::<u32>()),
        body in of(select(vec![Body::Closure, Body::Async])),
        attribution in of(status()),
    ) -> Symbol {
        let (crate_name, crate_version, crate_version_source, module) = origin;
        Symbol {
            function,
            display,
            raw_name,
            crate_name,
            crate_version,
            crate_version_source,
            module,
            language,
            file,
            line,
            body,
            attribution,
        }
    }
}

prop_compose! {
    fn stack()(id in any::<u32>(), parent in of(any::<u32>()), frame in any::<u32>()) -> Stack {
        Stack { id, parent, frame }
    }
}

prop_compose! {
    fn sample()(
        time_ns in any::<u64>(),
        thread in any::<u32>(),
        stack in of(any::<u32>()),
        count in of(any::<u64>()),
        cpu_ns in of(any::<u64>()),
        state in select(vec![ThreadState::Running, ThreadState::Waiting, ThreadState::Runnable]),
        waited_ns in of(any::<u64>()),
    ) -> Sample {
        Sample { time_ns, thread, stack, count, cpu_ns, state, waited_ns }
    }
}

prop_compose! {
    fn metrics()(
        when in (any::<u64>(), any::<u64>(), any::<u32>()),
        cpu in (of(any::<u64>()), of(finite())),
        gauges in [of(any::<u64>()), of(any::<u64>()), of(any::<u64>()), of(any::<u64>())],
        calls in [of(any::<u64>()), of(any::<u64>()), of(any::<u64>())],
        changes in prop::array::uniform6(of(any::<u64>())),
        cgroup in of((of(finite()), prop::array::uniform7(of(any::<u64>())))),
    ) -> Metrics {
        Metrics {
            time_ns: when.0,
            interval_ns: when.1,
            process: when.2,
            cpu_ns: cpu.0,
            cpu_ratio: cpu.1,
            rss_bytes: gauges[0],
            heap_bytes: gauges[1],
            thread_count: gauges[2],
            open_fd_count: gauges[3],
            syscall_count: calls[0],
            read_call_count: calls[1],
            write_call_count: calls[2],
            read_bytes: changes[0],
            write_bytes: changes[1],
            minor_fault_count: changes[2],
            major_fault_count: changes[3],
            voluntary_switch_count: changes[4],
            involuntary_switch_count: changes[5],
            cgroup: cgroup.map(|(cpu_quota_ratio, figures)| Cgroup {
                cpu_quota_ratio,
                throttled_ns: figures[0],
                memory_limit_bytes: figures[1],
                memory_bytes: figures[2],
                oom_kill_count: figures[3],
                cpu_pressure_ns: figures[4],
                memory_pressure_ns: figures[5],
                io_pressure_ns: figures[6],
            }),
        }
    }
}

prop_compose! {
    fn heap()(
        process in any::<u32>(),
        stack in any::<u32>(),
        sample_count in of(any::<u64>()),
        figures in prop::array::uniform9(any::<u64>()),
    ) -> Heap {
        let [time_ns, interval_ns, alloc_count, alloc_bytes, free_count, freed_bytes, temporary_count, live_count, live_bytes] =
            figures;
        Heap {
            time_ns,
            interval_ns,
            process,
            stack,
            sample_count,
            alloc_count,
            alloc_bytes,
            free_count,
            freed_bytes,
            temporary_count,
            live_count,
            live_bytes,
        }
    }
}

prop_compose! {
    fn alloc()(
        time_ns in any::<u64>(),
        thread in any::<u32>(),
        address in address(),
        size_bytes in any::<u64>(),
        weight_bytes in of(any::<u64>()),
        stack in of(any::<u32>()),
    ) -> Alloc {
        Alloc { time_ns, thread, address, size_bytes, weight_bytes, stack }
    }
}

prop_compose! {
    fn free()(time_ns in any::<u64>(), thread in any::<u32>(), address in address()) -> Free {
        Free { time_ns, thread, address }
    }
}

prop_compose! {
    fn event()(
        id in any::<u32>(),
        kind in select(vec![
            EventKind::MemorySpike,
            EventKind::CpuSpike,
            EventKind::ThreadBurst,
            EventKind::FdGrowth,
            EventKind::SyscallBurst,
            EventKind::Marker,
            EventKind::Phase,
            EventKind::Work,
            EventKind::Budget,
        ]),
        when in (any::<u64>(), of(any::<u64>()), of(any::<u64>())),
        process in of(any::<u32>()),
        rise in (of(text()), of(quantity()), of(quantity()), of(quantity())),
        mark in (of(text()), of(text()), of(any::<u64>()), of(text())),
    ) -> Event {
        let (time_ns, start_ns, end_ns) = when;
        let (metric, before, value, threshold) = rise;
        let (name, text, count, unit) = mark;
        Event { id, time_ns, kind, process, metric, start_ns, end_ns, before, value, threshold, name, text, count, unit }
    }
}

prop_compose! {
    fn span()(
        time_ns in any::<u64>(),
        duration_ns in any::<u64>(),
        thread in of(any::<u32>()),
        name in text(),
        source in text(),
    ) -> Span {
        Span { time_ns, duration_ns, thread, name, source }
    }
}

prop_compose! {
    fn latency()(
        frame in any::<u32>(),
        figures in prop::array::uniform6(any::<u64>()),
        buckets in vec((any::<u32>(), any::<u64>()), 0..4),
    ) -> Latency {
        let [time_ns, interval_ns, count, sum_ns, min_ns, max_ns] = figures;
        Latency { time_ns, interval_ns, frame, count, sum_ns, min_ns, max_ns, buckets }
    }
}

prop_compose! {
    fn lost()(
        time_ns in any::<u64>(),
        since_ns in of(any::<u64>()),
        count in any::<u64>(),
        cause in select(vec![
            LostCause::RingFull,
            LostCause::Throttled,
            LostCause::Backpressure,
            LostCause::Unreadable,
        ]),
        cpu in of(any::<u32>()),
    ) -> Lost {
        Lost { time_ns, since_ns, count, cause, cpu }
    }
}

prop_compose! {
    fn end()(
        time_ns in any::<u64>(),
        reason in select(vec![
            EndReason::Exit,
            EndReason::Signal,
            EndReason::Duration,
            EndReason::Detached,
            EndReason::StoppedDownstream,
        ]),
        status in (of(any::<i32>()), of(any::<i32>())),
        totals in prop::array::uniform6(any::<u64>()),
        known in prop::array::uniform3(of(any::<u64>())),
    ) -> End {
        let [sample_count, lost_count, dropped_count, truncated_count, spliced_count, unresolved_frame_count] = totals;
        let [process_cpu_ns, recorder_cpu_ns, recorder_peak_rss_bytes] = known;
        End {
            time_ns,
            reason,
            exit_code: status.0,
            signal: status.1,
            sample_count,
            lost_count,
            dropped_count,
            truncated_count,
            spliced_count,
            unresolved_frame_count,
            process_cpu_ns,
            recorder_cpu_ns,
            recorder_peak_rss_bytes,
        }
    }
}
