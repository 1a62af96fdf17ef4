//! Streams whose profile is known.

mod common;

use common::*;
use rs_profile::FoldOptions;
use rs_schema::event::FrameKind;
use rs_schema::session::FidelityLevel;

#[test]
fn recursion_counts_once_a_sample() {
    let session = fold(&[
        frame(1, "app::walk::down"),
        frame(2, "app::walk::visit"),
        stack(1, None, 1),
        stack(2, Some(1), 2),
        stack(3, Some(2), 1),
        sample(1, 1, 3),
        sample(2, 1, 3),
        sample(3, 1, 2),
        end(10, 3),
    ]);
    let down = function(&session, "app::walk::down");
    assert_eq!((down.self_ns, down.total_ns, down.total_samples), (2 * PERIOD, 3 * PERIOD, 3));
    let visit = function(&session, "app::walk::visit");
    assert_eq!((visit.self_ns, visit.total_ns, visit.total_pct), (PERIOD, 3 * PERIOD, 100.0));
    let module = module_row(&session, "app::walk");
    assert_eq!((module.self_ns, module.total_ns, module.function_count), (3 * PERIOD, 3 * PERIOD, 2));
    assert_eq!(crate_row(&session, "app").origin.as_deref(), Some("workspace"));
}

#[test]
fn inlined_functions_become_frames() {
    let inlined = format!(
        r#"{{"type":"frame","id":1,"kind":"user","mapping":1,"address":"0x10",{},"inlined_by":[{{{}}},{{{}}}]}}"#,
        symbol("core::iter::next", 9),
        symbol("app::list::sum", 20),
        symbol("app::main", 30),
    );
    let session = fold(&[inlined, stack(1, None, 1), sample(1, 1, 1), sample(2, 1, 1), end(10, 2)]);
    let names: Vec<&str> = (session.stacks.frame.iter())
        .map(|&frame| session.functions[session.frames.function[frame as usize] as usize].function.as_str())
        .collect();
    assert_eq!(names, ["app::main", "app::list::sum", "core::iter::next"]);
    assert_eq!(session.stacks.parent, [-1, 0, 1]);
    assert_eq!(session.frames.inlined, [0, 1, 1]);
    assert_eq!(session.frames.line, [Some(30), Some(20), Some(9)]);
    assert_eq!(session.frames.address, [None; 3]);
    assert_eq!(function(&session, "core::iter::next").self_ns, 2 * PERIOD);
    // Time in core is blamed on the caller outside.
    assert_eq!(function(&session, "core::iter::next").blame_ns, 0);
    assert_eq!(function(&session, "app::list::sum").blame_ns, 2 * PERIOD);
    assert_eq!(crate_row(&session, "core").origin.as_deref(), Some("std"));
    assert_eq!(crate_row(&session, "app").blame_ns, 2 * PERIOD);
}

#[test]
fn names_may_come_late_and_the_last_counts() {
    let pending = r#"{"type":"frame","id":1,"kind":"user","mapping":1,"address":"0x10","function":null,"reason":"pending"}"#;
    let session = fold(&[
        pending.into(),
        stack(1, None, 1),
        sample(1, 1, 1),
        frame(1, "app::wrong"),
        frame(1, "app::right"),
        end(10, 1),
    ]);
    assert_eq!(session.functions.len(), 1);
    assert_eq!(session.functions[0].function, "app::right");
}

#[test]
fn addresses_of_one_line_meet() {
    let session = fold(&[
        frame(1, "app::hot"),
        frame(2, "app::hot"),
        stack(1, None, 1),
        stack(2, None, 2),
        sample(1, 1, 1),
        sample(2, 1, 2),
        end(10, 2),
    ]);
    assert_eq!(session.stacks.frame.len(), 1);
    let windows = session.windows.unwrap();
    assert_eq!((windows.cpu.sample_count, windows.cpu.cpu_ns), (vec![2], None));
}

#[test]
fn nameless_code_counts_under_its_binary() {
    let nameless = |id, mapping: &str| {
        format!(
            r#"{{"type":"frame","id":{id},"kind":"user",{mapping}"address":"0x99","reason":"no_symbols"}}"#
        )
    };
    let kernel = r#"{"type":"frame","id":3,"kind":"kernel","function":"[kernel]"}"#;
    let jit = r#"{"type":"frame","id":4,"kind":"jit","address":"0x7","function":"LazyCompile:~f"}"#;
    let c = r#"{"type":"frame","id":5,"kind":"user","mapping":2,"address":"0x8","function":"inflate","language":"c"}"#;
    let session = fold(&[
        nameless(1, r#""mapping":2,"#),
        nameless(2, ""),
        kernel.into(),
        jit.into(),
        c.into(),
        stack(1, None, 1),
        stack(2, None, 2),
        stack(3, None, 3),
        stack(4, None, 4),
        stack(5, None, 5),
        sample(1, 1, 1),
        sample(2, 1, 2),
        sample(3, 1, 3),
        sample(4, 1, 4),
        sample(5, 1, 5),
        end(10, 5),
    ]);
    for (name, krate, kind) in [
        ("[libz.so.1]", "[libz.so.1]", FrameKind::User),
        ("[unknown]", "[unknown]", FrameKind::User),
        ("[kernel]", "[kernel]", FrameKind::Kernel),
        ("LazyCompile:~f", "[jit]", FrameKind::Jit),
        ("inflate", "[libz.so.1]", FrameKind::User),
    ] {
        let row = function(&session, name);
        assert_eq!(
            (row.crate_name.as_deref(), row.module.as_deref(), row.kind),
            (Some(krate), Some(krate), kind)
        );
        assert_eq!(row.self_samples, 1);
    }
    assert_eq!(crate_row(&session, "[libz.so.1]").origin.as_deref(), Some("system"));
    assert_eq!(crate_row(&session, "[unknown]").origin, None);
    let diagnostics = &session.sampling_diagnostics;
    assert_eq!(diagnostics.symbolised_ratio, Some(0.6));
    assert_eq!(diagnostics.mappings_without_symbols.len(), 1);
    let mapping = diagnostics.mappings_without_symbols[0].mapping as usize;
    assert_eq!(session.mappings[mapping].path, "/usr/lib/libz.so.1");
    assert!(
        diagnostics.fidelity.reasons.contains(&"20 % of samples in libz.so.1 without symbols".to_string())
    );
    let addresses: Vec<bool> = session.frames.address.iter().map(Option::is_some).collect();
    assert_eq!(addresses, [true, true, false, false, false]);
}

#[test]
fn cut_stacks_are_counted_and_nobody_is_blamed_for_the_cut() {
    let mark = r#"{"type":"frame","id":1,"kind":"unknown","function":"[truncated]"}"#;
    let session = fold(&[
        mark.into(),
        frame(2, "core::fmt::write"),
        frame(3, "app::main"),
        stack(1, None, 1),
        stack(2, Some(1), 2),
        stack(3, None, 3),
        sample(1, 1, 2),
        sample(2, 1, 3),
        sample(3, 1, 3),
        sample(4, 1, 3),
        end(10, 4),
    ]);
    let diagnostics = &session.sampling_diagnostics;
    assert_eq!((diagnostics.truncated_count, diagnostics.complete_stack_ratio), (1, Some(0.75)));
    let mark = function(&session, "[truncated]");
    assert_eq!((mark.self_ns, mark.blame_ns, mark.crate_name.as_deref()), (0, 0, None));
    assert_eq!(function(&session, "core::fmt::write").blame_ns, PERIOD);
    assert!(session.crate_rollups.iter().all(|row| row.crate_name != "[truncated]"));
}

#[test]
fn waits_are_apart_and_spread_over_their_windows() {
    let wait = |time_ms: u64, waited_ms: u64, stack: &str| {
        format!(
            r#"{{"type":"sample","time_ns":{},"thread":1,"stack":{stack},"state":"waiting","waited_ns":{}}}"#,
            time_ms * MS,
            waited_ms * MS
        )
    };
    let session = fold(&[
        frame(1, "app::sleep"),
        stack(1, None, 1),
        wait(250, 200, "1"),
        wait(260, 10, "null"),
        sample(270, 1, 1),
        end(300, 1),
    ]);
    let windows = session.windows.as_ref().unwrap();
    assert_eq!(windows.wait.offset, [0, 1, 2, 4]);
    assert_eq!(windows.wait.stack, [0, 0, -1, 0]);
    assert_eq!(windows.wait.waited_ns, [50 * MS, 100 * MS, 10 * MS, 50 * MS]);
    assert_eq!(windows.wait.wait_count, [0, 0, 1, 1]);
    let sleep = function(&session, "app::sleep");
    assert_eq!((sleep.self_ns, sleep.self_waited_ns, sleep.total_waited_ns), (PERIOD, 200 * MS, 200 * MS));
    let thread = &session.thread_rollups[0];
    assert_eq!((thread.waited_ns, thread.wait_count, thread.self_ns), (210 * MS, 2, PERIOD));
}

#[test]
fn nothing_is_lost_to_bad_references() {
    let lines = [
        frame(1, "app::f"),
        stack(1, None, 1),
        sample(1, 1, 77),
        sample(2, 9, 1),
        sample(3, 1, 1),
        stack(2, Some(55), 1),
        stack(3, None, 44),
        sample(4, 1, 2),
        sample(5, 1, 3),
        end(10, 5),
    ];
    let (session, warnings) = fold_warned(&text(&lines), FoldOptions::default());
    assert_valid(&session);
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings[0].starts_with("line 8: stack 77 was not defined"), "{warnings:?}");
    let diagnostics = &session.sampling_diagnostics;
    assert_eq!((diagnostics.sample_count, diagnostics.stackless_count), (5, 1));
    assert_eq!(diagnostics.input_warnings.len(), 4);
    assert_eq!(session.thread_rollups[1].samples, 1);
    assert_eq!((session.thread_rollups[1].tid, session.thread_rollups[1].process), (None, 0));
    assert_eq!(function(&session, "[unknown]").self_samples, 1);
    assert_eq!(function(&session, "app::f").self_samples, 3);
}

#[test]
fn warnings_of_a_kind_are_counted_after_a_few() {
    let mut lines: Vec<String> = (0..50).map(|time| sample(time, 1, 7)).collect();
    lines.push("{\"type\":\"sample\",\"time_ns\":\"x\"}".into());
    lines.push("{\"type\":\"hologram\"}".into());
    let (session, warnings) = fold_warned(&text(&lines), FoldOptions::default());
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    assert!(warnings[3].starts_with("line 56: invalid type"), "{warnings:?}");
    assert!(warnings[4].contains("unknown type \"hologram\""), "{warnings:?}");
    assert_eq!(warnings[5], "and 47 more lines with an undefined stack");
    assert_eq!(session.sampling_diagnostics.stackless_count, 50);
    assert!(
        session.sampling_diagnostics.input_warnings[0]
            .starts_with("50 lines with an undefined stack; the first")
    );
}

#[test]
fn a_cut_stream_gives_what_there_was() {
    let mut text = text(&[frame(1, "app::f"), stack(1, None, 1), sample(5, 1, 1), sample(150, 1, 1)]);
    text.push_str("{\"type\":\"sample\",\"time_ns\":16000");
    let (session, warnings) = fold_warned(&text, FoldOptions::default());
    assert_valid(&session);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("cut in the middle"), "{warnings:?}");
    assert!(!session.session.complete);
    assert_eq!(session.session.end, None);
    assert_eq!(session.session.duration_ns, 150 * MS);
    assert_eq!(session.sampling_diagnostics.sample_count, 2);
    assert_eq!(session.sampling_diagnostics.spliced_count, None);
    let fidelity = &session.sampling_diagnostics.fidelity;
    assert_eq!(fidelity.level, FidelityLevel::Low);
    assert!(fidelity.reasons.contains(&"only 2 samples".to_string()));
    assert!(fidelity.reasons.contains(&"stream cut: no end".to_string()));
}

#[test]
fn losses_stand_beside_what_was_kept() {
    let mut lines = vec![frame(1, "app::f"), stack(1, None, 1)];
    lines.extend((0..969).map(|time| sample(time / 10, 1, 1)));
    lines.push(
        r#"{"type":"lost","time_ns":150000000,"since_ns":50000000,"count":30,"cause":"ring_full"}"#.into(),
    );
    lines.push(r#"{"type":"lost","time_ns":150000000,"count":1,"cause":"backpressure"}"#.into());
    lines.push(end(200, 2000));
    let session = fold(&lines);
    let diagnostics = &session.sampling_diagnostics;
    assert_eq!((diagnostics.lost_count, diagnostics.dropped_count), (30, 1));
    assert_eq!(session.windows.as_ref().unwrap().lost_count, [15, 16]);
    assert_eq!(diagnostics.delivered_hz, Some(484.5));
    assert_eq!(diagnostics.fidelity.level, FidelityLevel::Low);
    assert_eq!(
        diagnostics.fidelity.reasons,
        ["losses 3.1 %", "sampled CPU is 52 % below the kernel's count"]
    );
}

#[test]
fn too_many_cells_fold_threads_and_then_raise_the_interval() {
    let mut lines = vec![frame(1, "app::f"), stack(1, None, 1)];
    for thread in 2..=9 {
        lines.push(format!(
            r#"{{"type":"thread","id":{thread},"time_ns":0,"event":"start","process":1,"tid":{thread},"name":"worker-{thread}"}}"#
        ));
    }
    for time in 0..1000 {
        lines.push(sample(time, 2 + (time % 8) as u32, 1));
    }
    lines.push(end(1000, 1000));
    let run = |max_cells| {
        let options = FoldOptions { max_cells, ..FoldOptions::default() };
        let (session, warnings) = fold_warned(&text(&lines), options);
        assert!(warnings.is_empty());
        assert_valid(&session);
        assert_eq!(session.sampling_diagnostics.sample_count, 1000);
        session
    };
    let all = run(80);
    assert_eq!(all.windows.unwrap().coarsened, None);
    assert_eq!(all.thread_rollups.len(), 9);
    let folded = run(79);
    assert_eq!(folded.windows.as_ref().unwrap().interval_ns, 100 * MS);
    assert!(
        folded.windows.as_ref().unwrap().coarsened.as_ref().unwrap().starts_with("threads of one process")
    );
    let workers = &folded.thread_rollups[1];
    assert_eq!((workers.name.as_deref(), workers.thread_count, workers.samples), (Some("worker-*"), 8, 1000));
    let raised = run(4);
    let windows = raised.windows.unwrap();
    assert_eq!((windows.interval_ns, windows.count), (400 * MS, 3));
    assert!(windows.coarsened.unwrap().contains("raised from 100 ms to 400 ms"));
}

#[test]
fn events_say_what_was_hot_and_what_allocated() {
    let two = r#"{"type":"process","id":2,"time_ns":0,"event":"start","pid":8,"parent":1,"name":"child"}
{"type":"thread","id":2,"time_ns":0,"event":"start","process":2,"tid":8,"name":"child"}"#;
    let heap = |time_ms: u64, stack: u32, bytes: u64| {
        format!(
            r#"{{"type":"heap","time_ns":{},"interval_ns":{},"process":1,"stack":{stack},"alloc_count":1,"alloc_bytes":{bytes},"free_count":0,"freed_bytes":0,"live_count":1,"live_bytes":{bytes}}}"#,
            time_ms * MS,
            100 * MS
        )
    };
    let spike = |end: &str| {
        format!(
            r#"{{"type":"event","id":1,"time_ns":300000000,"kind":"memory_spike","process":1,"start_ns":200000000,"end_ns":{end},"before":1,"value":9}}"#
        )
    };
    let marks = r#"{"type":"event","id":2,"time_ns":50000000,"kind":"marker","name":"deploy"}
{"type":"event","id":3,"time_ns":100000000,"kind":"phase","name":"steady"}
{"type":"event","id":4,"time_ns":150000000,"kind":"work","count":40,"unit":"request"}"#;
    let session = fold(&[
        two.into(),
        frame(1, "app::fill"),
        frame(2, "std::vec::push"),
        frame(3, "child::spin"),
        stack(1, None, 1),
        stack(2, Some(1), 2),
        stack(3, None, 3),
        sample(90, 1, 1),
        marks.into(),
        heap(100, 1, 5),
        sample(210, 1, 2),
        sample(220, 1, 2),
        sample(230, 1, 1),
        sample(231, 2, 3),
        spike("null"),
        heap(300, 2, 300),
        heap(300, 1, 100),
        sample(350, 1, 1),
        spike("390000000"),
        end(500, 7),
    ]);
    assert_eq!(session.memory_events.len(), 1);
    let spike = &session.memory_events[0];
    assert_eq!((spike.start_ns, spike.end_ns), (200 * MS, 390 * MS));
    let hot = &spike.hot;
    assert_eq!((hot.from_ns, hot.to_ns, hot.sample_count, hot.cpu_ns), (200 * MS, 400 * MS, 4, 4 * PERIOD));
    assert_eq!(hot.functions.len(), 2);
    assert!(hot.functions.iter().all(|row| row.self_ns == 2 * PERIOD && row.ratio == 0.5));
    let blamed = hot.blamed.as_ref().unwrap();
    assert_eq!(session.functions[blamed.function as usize].function, "app::fill");
    assert_eq!((blamed.self_ns, blamed.ratio), (4 * PERIOD, 1.0));
    let allocated = spike.allocated.as_ref().unwrap();
    assert_eq!((allocated[0].alloc_bytes, allocated[0].ratio), (300, 0.75));
    let kinds: Vec<&str> = session.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["marker", "phase"]);
    assert_eq!(session.events[0].hot.sample_count, 6);
    assert_eq!(session.events[1].end_ns, 500 * MS);
    let phase = &session.session.phases[0];
    assert_eq!(
        (phase.start_ns, phase.end_ns, phase.cpu_ns, phase.work_count),
        (100 * MS, 500 * MS, 5 * PERIOD, Some(40))
    );
    assert_eq!(session.session.work.as_ref().unwrap().count, 40);
    let heap = session.heap.as_ref().unwrap();
    assert_eq!((heap.peak_bytes, heap.alloc_bytes, heap.sites.len()), (400, 405, 2));
    let fill = function(&session, "app::fill");
    assert_eq!((fill.alloc_count, fill.alloc_bytes), (Some(3), Some(405)));
    assert_eq!(function(&session, "std::vec::push").alloc_bytes, Some(300));
    assert_eq!(session.processes[1].parent, Some(0));
}

#[test]
fn without_heap_lines_allocations_are_unknown() {
    let session = fold(&[frame(1, "app::f"), stack(1, None, 1), sample(1, 1, 1), end(10, 1)]);
    assert_eq!(session.heap, None);
    assert_eq!(session.functions[0].alloc_bytes, None);
}

#[test]
fn a_traced_function_has_its_latency_though_it_was_never_sampled() {
    let latency = r#"{"type":"latency","time_ns":5000000,"interval_ns":5000000,"frame":1,"count":4,"sum_ns":400,"min_ns":1,"max_ns":300,"buckets":[]}"#;
    let session = fold(&[frame(1, "app::handle"), latency.into(), latency.into(), end(10, 0)]);
    let latency = session.functions[0].latency.as_ref().unwrap();
    assert_eq!((latency.count, latency.mean_ns, latency.p50_ns), (8, 100, None));
    assert!(latency.reason.is_some());
}

#[test]
fn snapshots_are_of_whole_seconds() {
    let mut lines = vec![frame(1, "app::a"), frame(2, "app::b"), stack(1, None, 1), stack(2, None, 2)];
    lines.extend([sample(100, 1, 1), sample(999, 1, 2), sample(998, 1, 2), sample(1000, 1, 1)]);
    lines.push(end(2300, 4));
    let session = fold(&lines);
    let spans: Vec<_> =
        session.hotspot_snapshots.iter().map(|s| (s.time_ns / MS, s.duration_ns / MS)).collect();
    assert_eq!(spans, [(0, 1000), (1000, 1000), (2000, 300)]);
    let first = &session.hotspot_snapshots[0];
    assert_eq!(session.functions[first.functions[0].function as usize].function, "app::b");
    assert_eq!((first.functions[0].self_ns, first.crates[0].self_ns), (2 * PERIOD, 3 * PERIOD));
    assert!(session.hotspot_snapshots[2].functions.is_empty());
}
