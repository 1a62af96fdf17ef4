//! The golden files of version 1: valid ones are without fault, and each kind of damage is found where it is.
//!
//! These files stay readable for ever: a change of the format adds files, and never edits these.

mod support;

use std::collections::BTreeSet;

use rs_schema::ProfileSession;
use serde_json::{Value, json};
use support::{faults, golden, read};

#[test]
fn whole_files_have_no_fault() {
    for name in ["events.ndjson", "every-type.ndjson", "session.json"] {
        assert_eq!(faults(&read(name)), [""; 0], "{name}");
    }
}

/// Each damaged file and all its faults: place, severity and message up to where it stops to matter.
const DAMAGED: &[(&str, &[&str])] = &[
    ("after-end.ndjson", &["8: error: a line after the end line"]),
    (
        "bad-address.ndjson",
        &["6: error: invalid value: string \"1a2f0\", expected an address as a hex string"],
    ),
    ("bad-start-time.ndjson", &["1: error: start_time is not an RFC 3339 time"]),
    ("binary.ndjson", &["1: error: this is not a RustScope event stream or session: it is binary data"]),
    ("blank.ndjson", &["1: error: the input is empty"]),
    ("crlf.ndjson", &[]),
    ("cut-mid-line.ndjson", &["7: warning: the stream was cut in the middle of this line"]),
    ("cut.session.json", &["1:200: error: EOF while parsing a string"]),
    ("cyclic-stack.ndjson", &["7: error: stack 1 was defined before with another parent"]),
    (
        "deep-json.ndjson",
        &[
            "6: error: invalid type: sequence, expected u64",
            "7: error: expected a JSON object with a \"type\"",
        ],
    ),
    ("deep.session.json", &["3:5010: error: EOF while parsing a list"]),
    ("duplicate-field.ndjson", &["6: error: duplicate field `time_ns`"]),
    ("empty.ndjson", &["1: error: the input is empty"]),
    ("fractional-time.ndjson", &["6: error: invalid type: floating point `1.5`, expected u64"]),
    ("gzip.ndjson", &["1: error: this is not a RustScope event stream or session: it is gzip data"]),
    (
        "header-incomplete.ndjson",
        &["1: error: this is not a RustScope event stream: its header cannot be read: missing field `tool`"],
    ),
    ("huge-id.ndjson", &["6: error: invalid value: integer `4294967296`, expected u32"]),
    ("huge-number.ndjson", &["6: error: invalid type: floating point `1e+23`, expected u64"]),
    ("infinite.ndjson", &["6: error: number out of range"]),
    (
        "interval-overlap.ndjson",
        &[
            "7: error: interval_ns reaches back to 2000000, into the interval before it, which ended at 3000000",
            "8: error: interval_ns is longer than the session was at its end",
        ],
    ),
    ("latency-buckets.ndjson", &["6: error: buckets add up to 1, but count is 3"]),
    ("missing-field.ndjson", &["6: error: missing field `thread`"]),
    ("missing-session.session.json", &["1:49: error: missing field `session`"]),
    ("nameless-frame.ndjson", &["4: error: function is null and no reason says why"]),
    ("nan.ndjson", &["6: error: expected value at column 83"]),
    ("negative-ratio.ndjson", &["6: error: cpu_ratio is not a number from 0 up"]),
    ("negative-time.ndjson", &["6: error: invalid value: integer `-1`, expected u64"]),
    ("negative.session.json", &["1:3562: error: invalid value: integer `-2006018`, expected u64"]),
    (
        "newer-version.ndjson",
        &["1: error: the input is rustscope.events version 2, this tool reads up to version 1"],
    ),
    (
        "newer-version.session.json",
        &["1: error: the input is rustscope.session version 3, this tool reads up to version 1"],
    ),
    ("no-end.ndjson", &["6: warning: the stream has no end line"]),
    (
        "no-header.ndjson",
        &["1: error: this is not a RustScope event stream: the first line has no \"schema\""],
    ),
    ("no-reason.ndjson", &["1: error: capabilities gives no reason for cpu_ns"]),
    ("no-sampler.ndjson", &["6: error: cpu_ns is absent and the header has no sampler"]),
    ("no-schema.session.json", &["1: error: this is not a RustScope session: it has no \"schema\""]),
    (
        "no-type.ndjson",
        &[
            "6: error: expected a JSON object with a \"type\"",
            "7: error: expected a JSON object with a \"type\"",
            "8: error: expected a JSON object with a \"type\"",
        ],
    ),
    ("not-utf8.ndjson", &["6: error: invalid unicode code point at column 53"]),
    (
        "other-schema.session.json",
        &["1: error: this is not a RustScope session: its schema is \"rustscope.diff\""],
    ),
    ("pending-frame.ndjson", &["7: warning: frames still \"pending\" at the end: 1"]),
    (
        "perf-data.ndjson",
        &["1: error: this is not a RustScope event stream or session: it is a perf.data file"],
    ),
    ("reused-frame.ndjson", &["5: error: frame 1 was defined before with another address"]),
    ("reused-process.ndjson", &["8: error: process 1 was defined before with another life"]),
    ("reused-thread.ndjson", &["5: error: thread 1 was defined before with another process"]),
    ("second-header.ndjson", &["8: error: a second header"]),
    ("self-parent.ndjson", &["6: error: parent is the stack itself"]),
    (
        "text.ndjson",
        &["1: error: this is not a RustScope event stream or session: it begins with \"hello world\""],
    ),
    (
        "time-backwards.ndjson",
        &["7: error: time_ns 1000000 lies before 2000000, the sample line before it of thread 1"],
    ),
    ("time-disorder.ndjson", &["8: error: time_ns 1999999999 lies more than 1 s behind 3000000000"]),
    ("undefined-frame.ndjson", &["5: error: frame 9 is used before it is defined"]),
    ("undefined-mapping.ndjson", &["4: error: mapping 4 is used before it is defined"]),
    ("undefined-parent.ndjson", &["6: error: stack 3 is used before it is defined"]),
    ("undefined-process.ndjson", &["2: error: process 1 is used before it is defined"]),
    ("undefined-stack.ndjson", &["6: error: stack 7 is used before it is defined"]),
    ("undefined-thread.ndjson", &["5: error: thread 1 is used before it is defined"]),
    ("unknown-field.ndjson", &[]),
    ("unknown-state.ndjson", &["6: error: unknown variant `dreaming`"]),
    ("unknown-type.ndjson", &["10: note: lines of the unknown type \"hologram\", skipped: 2"]),
    (
        "wrong-totals.ndjson",
        &[
            "9: error: sample_count is 3, but the lines add up to 1",
            "9: error: lost_count is 7, but the lines add up to 2",
            "9: error: dropped_count is 0, but the lines add up to 5",
            "9: error: truncated_count is 1, but the lines add up to 0",
            "9: error: unresolved_frame_count is 1, but the lines add up to 0",
        ],
    ),
    ("wrong-truncated.ndjson", &["9: error: truncated_count is 0, but the lines add up to 1"]),
    ("wrong-type.ndjson", &["6: error: invalid type: string \"1000000\", expected u64"]),
    ("zero-count.ndjson", &["6: error: count is 0"]),
];

#[test]
fn every_kind_of_damage_is_found_where_it_is() {
    for (name, expected) in DAMAGED {
        let found = faults(&read(&format!("damaged/{name}")));
        let fits = found.len() == expected.len()
            && found.iter().zip(*expected).all(|(found, expected)| found.starts_with(expected));
        assert!(fits, "{name}:\nfound {found:#?}\nexpected {expected:#?}");
    }
}

#[test]
fn every_damaged_file_has_its_row() {
    let files: BTreeSet<String> = std::fs::read_dir(golden("damaged"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let rows = DAMAGED.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(files, rows);
}

/// Damage to the golden session: what is set where, and the first fault that follows.
#[test]
fn every_law_of_a_session_is_checked() {
    let f = "/functions/0";
    let mut unexpected = Vec::new();
    for (pointer, value, expected) in [
        // What was recorded.
        ("/session/id", json!(""), "session.id: error: is empty"),
        (
            "/session/start_time",
            json!("2026-11-23 11:36:48"),
            "session.start_time: error: is not an RFC 3339",
        ),
        ("/session/end", json!(null), "session.end: error: is null, but the session is complete"),
        ("/session/complete", json!(false), "session.complete: error: is false, but the session has an end"),
        (
            "/session/phases",
            json!([{"name":"a","start_ns":2,"end_ns":1,"cpu_ns":0}]),
            "session.phases[0].end_ns: error: lies before start_ns",
        ),
        (
            "/session/phases",
            json!([{"name":"a","start_ns":0,"end_ns":9,"cpu_ns":0},{"name":"b","start_ns":8,"end_ns":9,"cpu_ns":0}]),
            "session.phases[1].start_ns: error: lies before the end of the phase before",
        ),
        ("/capabilities/cpu_ns/reason", json!(null), "capabilities: error: gives no reason for cpu_ns"),
        // Diagnostics.
        (
            "/sampling_diagnostics/symbolised_ratio",
            json!(1.5),
            "sampling_diagnostics.symbolised_ratio: error: is not a number from 0 to 1",
        ),
        (
            "/sampling_diagnostics/rate_hz",
            json!(-1.0),
            "sampling_diagnostics.rate_hz: error: is not a number",
        ),
        (
            "/sampling_diagnostics/truncated_count",
            json!(5),
            "sampling_diagnostics.truncated_count: error: is 5, above sample_count, which is 4",
        ),
        (
            "/sampling_diagnostics/mappings_without_symbols/0/mapping",
            json!(2),
            "sampling_diagnostics.mappings_without_symbols[0].mapping: error: refers to row 2 of mappings, which has 2 rows",
        ),
        (
            "/sampling_diagnostics/sample_count",
            json!(5),
            "sampling_diagnostics.sample_count: error: is 5, but the sum over all windows is 4",
        ),
        (
            "/sampling_diagnostics/sampled_cpu_ns",
            json!(4_012_037),
            "sampling_diagnostics.sampled_cpu_ns: error: is 4012037, but the sum over all windows is 4012036",
        ),
        (
            "/sampling_diagnostics/lost_count",
            json!(4),
            "windows.lost_count: warning: adds up to 3, but lost_count and dropped_count are 4 together",
        ),
        (
            "/sampling_diagnostics/period_ns",
            json!(null),
            "windows.cpu.cpu_ns: error: is null, but there is no period_ns",
        ),
        // Metrics over time.
        (
            "/process_summary/rss_bytes/p99",
            json!(52_428_801),
            "process_summary.rss_bytes: error: is not ordered",
        ),
        ("/process_samples/1/time_ns", json!(99), "process_samples[1].time_ns: error: lies before the end"),
        ("/process_samples/1/cpu_ratio", json!(-0.1), "process_samples[1].cpu_ratio: error: is not a number"),
        // References.
        ("/processes/0/parent", json!(0), "processes[0].parent: error: is the process itself"),
        ("/processes/0/start_ns", json!(1), ""),
        (
            "/thread_rollups/0/process",
            json!(1),
            "thread_rollups[0].process: error: refers to row 1 of processes",
        ),
        ("/thread_rollups/0/thread_count", json!(2), "thread_rollups[0].tid: error: is given, but"),
        (
            "/functions/0/file",
            json!(1),
            "functions[0].file: error: refers to row 1 of files, which has 1 rows",
        ),
        (
            "/frames/function/0",
            json!(4),
            "frames.function[0]: error: refers to row 4 of functions, which has 4 rows",
        ),
        ("/frames/mapping/0", json!(2), "frames.mapping[0]: error: refers to row 2 of mappings"),
        ("/frames/file/0", json!(1), "frames.file[0]: error: refers to row 1 of files"),
        ("/frames/inlined/1", json!(2), "frames.inlined[1]: error: is neither 0 nor 1"),
        ("/frames/line", json!([1, 2]), "frames.line: error: has 2 entries, expected 5"),
        ("/stacks/frame/0", json!(5), "stacks.frame[0]: error: refers to row 5 of frames, which has 5 rows"),
        ("/stacks/parent/1", json!(1), "stacks.parent[1]: error: is neither -1 nor a row above"),
        ("/stacks/parent/1", json!(-2), "stacks.parent[1]: error: is neither -1 nor a row above"),
        ("/windows/interval_ns", json!(0), "windows.interval_ns: error: is 0"),
        ("/windows/lost_count", json!([0]), "windows.lost_count: error: has 1 entries, expected 2"),
        ("/windows/cpu/stack/0", json!(5), "windows.cpu.stack[0]: error: refers to row 5 of stacks"),
        (
            "/windows/cpu/thread/0",
            json!(1),
            "windows.cpu.thread[0]: error: refers to row 1 of thread_rollups",
        ),
        (
            "/windows/cpu/sample_count",
            json!([2, 1]),
            "windows.cpu.sample_count: error: has 2 entries, expected 3",
        ),
        ("/windows/cpu/offset", json!([0, 3]), "windows.cpu.offset: error: has 2 entries, expected 3"),
        ("/windows/cpu/offset", json!([0, 2, 4]), "windows.cpu.offset: error: does not go from 0 to"),
        ("/windows/cpu/offset", json!([0, 4, 3]), "windows.cpu.offset: error: goes back"),
        ("/windows/cpu/stack", json!([2, 1, 4]), "windows.cpu.stack[1]: error: is out of order"),
        ("/windows/wait/stack/0", json!(-3), "windows.wait.stack[0]: error: refers to row -3 of stacks"),
        (
            "/windows/alloc/alloc_bytes",
            json!([]),
            "windows.alloc.alloc_bytes: error: has 0 entries, expected 1",
        ),
        (
            "/hotspot_snapshots/0/functions/0/function",
            json!(4),
            "hotspot_snapshots[0].functions[0].function: error: refers",
        ),
        (
            "/memory_events/0/process",
            json!(1),
            "memory_events[0].process: error: refers to row 1 of processes",
        ),
        (
            "/memory_events/0/hot/functions/0/function",
            json!(9),
            "memory_events[0].hot.functions[0].function: error: refers",
        ),
        (
            "/memory_events/0/hot/blamed/function",
            json!(9),
            "memory_events[0].hot.blamed.function: error: refers",
        ),
        (
            "/memory_events/0/allocated/0/stack",
            json!(9),
            "memory_events[0].allocated[0].stack: error: refers",
        ),
        (
            "/heap/sites/0/stack",
            json!(5),
            "heap.sites[0].stack: error: refers to row 5 of stacks, which has 5 rows",
        ),
        (
            "/spans",
            json!([{"start_ns":0,"duration_ns":1,"thread":1,"name":"n","source":"marks"}]),
            "spans[0].thread: error: refers",
        ),
        // Sums.
        (
            "/thread_rollups/0/self_ns",
            json!(1),
            "thread_rollups[0].self_ns: error: is 1, but the sum over its windows is 4012036",
        ),
        ("/thread_rollups/0/samples", json!(3), "thread_rollups[0].samples: error: is 3, but"),
        ("/thread_rollups/0/waited_ns", json!(3), "thread_rollups[0].waited_ns: error: is 3, but"),
        (
            &format!("{f}/self_ns"),
            json!(2_006_019),
            "functions[0].self_ns: error: is 2006019, but the sum over windows and stacks is 2006018",
        ),
        (
            &format!("{f}/total_ns"),
            json!(2_006_017),
            "functions[0].self_ns: error: is 2006018, above total_ns",
        ),
        (
            &format!("{f}/total_ns"),
            json!(4_012_037),
            "functions[0].total_ns: error: is 4012037, above sampled_cpu_ns",
        ),
        (&format!("{f}/self_pct"), json!(50.02), "functions[0].self_pct: error: is 50.02, expected 50"),
        (&format!("{f}/self_pct"), json!(50.001), ""),
        (
            &format!("{f}/total_samples"),
            json!(4),
            "functions[0].total_samples: error: is 4, but the sum over windows and stacks is 3",
        ),
        (&format!("{f}/total_waited_ns"), json!(0), "functions[0].total_waited_ns: error: is 0, but"),
        (
            &format!("{f}/blame_ns"),
            json!(0),
            "sum of functions[].blame_ns: error: is 1003009, but the sum of their self_ns is 4012036",
        ),
        (
            &format!("{f}/alloc_count"),
            json!(null),
            "functions[0].alloc_bytes: error: and alloc_count are not both known",
        ),
        (
            &format!("{f}/latency"),
            json!({"count":1,"mean_ns":5,"p50_ns":6,"p95_ns":5,"p99_ns":7}),
            "functions[0].latency: error: has percentiles out of order",
        ),
        (
            &format!("{f}/latency"),
            json!({"count":20,"mean_ns":5,"p50_ns":5,"p95_ns":5,"p99_ns":null}),
            "functions[0].latency.reason: error: is absent, but a percentile is null",
        ),
        (&format!("{f}/crate"), json!("other"), "functions[0].crate: error: has no row in crate_rollups"),
        (&format!("{f}/module"), json!("other"), "functions[0].module: error: has no row in module_rollups"),
        (&format!("{f}/function"), json!("a"), ""),
        ("/functions/2/function", json!("[a]"), "functions[2]: error: is out of order"),
        (
            "/module_rollups/0/total_ns",
            json!(4_012_035),
            "module_rollups[0].total_ns: error: is 4012035, but",
        ),
        (
            "/module_rollups/0/blame_ns",
            json!(1),
            "sum of module_rollups[].blame_ns: error: is 1003010, but that of their functions is 4012036",
        ),
        ("/module_rollups/0/function_count", json!(1), "module_rollups[0].function_count: error: is 1, but"),
        (
            "/module_rollups/1/module",
            json!("[libz.so.1]"),
            "functions[1].module: error: has no row in module_rollups",
        ),
        ("/crate_rollups/0/self_samples", json!(1), "crate_rollups[0].self_samples: error: is 1, but"),
        ("/crate_rollups/1/crate", json!("[libz.so.1]"), "crate_rollups[2].crate: error: has a row already"),
        // What was hot.
        (
            "/hotspot_snapshots/0/functions/1/self_ns",
            json!(2_006_019),
            "hotspot_snapshots[0].functions: error: is not sorted",
        ),
        (
            "/hotspot_snapshots/0/functions/0/self_ns",
            json!(2_006_019),
            "hotspot_snapshots[].functions of function 0: error: is 2006019, above its self_ns",
        ),
        ("/memory_events/0/kind", json!("cpu_spike"), "memory_events[0].kind: error: is in the wrong list"),
        ("/memory_events/0/end_ns", json!(0), ""),
        (
            "/memory_events/0/start_ns",
            json!(100_000_001),
            "memory_events[0].end_ns: error: lies before start_ns",
        ),
        (
            "/memory_events/0/hot/from_ns",
            json!(100_000_001),
            "memory_events[0].hot.to_ns: error: lies before from_ns",
        ),
        (
            "/memory_events/0/hot/sample_count",
            json!(4),
            "memory_events[0].hot.sample_count: error: is 4, but the sum over the windows of the span is 3",
        ),
        (
            "/memory_events/0/hot/cpu_ns",
            json!(3_009_028),
            "memory_events[0].hot.cpu_ns: error: is 3009028, but",
        ),
        (
            "/memory_events/0/hot/functions/0/ratio",
            json!(0.7),
            "memory_events[0].hot.functions[0].ratio: error: is 0.7, expected 0.6666",
        ),
        (
            "/memory_events/0/hot/crates/1/self_ns",
            json!(3_006_018),
            "memory_events[0].hot.crates: error: is not sorted",
        ),
        (
            "/memory_events/0/allocated/0/ratio",
            json!(1.1),
            "memory_events[0].allocated[0].ratio: error: is not a number from 0 to 1",
        ),
        // The heap.
        ("/heap/alloc_count", json!(49), "heap.alloc_count: warning: is 49, but the sites add up to 48"),
        ("/heap/live_at_end_bytes", json!(50_331_649), "heap.live_at_end_bytes: warning: is 50331649, but"),
    ] {
        let mut document: Value = serde_json::from_slice(&read("session.json")).unwrap();
        match document.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => document[pointer.trim_start_matches('/')] = value.clone(),
        }
        let found = faults(document.to_string().as_bytes());
        let first = found.first().map_or("", String::as_str);
        let fits = if expected.is_empty() { found.is_empty() } else { first.starts_with(expected) };
        if !fits {
            unexpected.push(format!("{pointer} = {value}:\nfound {found:#?}\nexpected {expected:?}"));
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}

#[test]
fn sections_that_are_optional_may_be_missing() {
    let document: Value = serde_json::from_slice(&read("session.json")).unwrap();
    let mut bare = json!({});
    for required in ["schema", "schema_version", "session", "sampling_diagnostics"] {
        bare[required] = document[required].clone();
    }
    bare["sampling_diagnostics"]["mappings_without_symbols"] = json!([]);
    assert_eq!(faults(bare.to_string().as_bytes()), [""; 0]);

    // A merge may drop windows: sums over threads are all there is to go by then.
    let mut merged = document.clone();
    merged["windows"] = json!(null);
    merged["session"]["members"] = json!(["6f1c0c3e", "7a2d1d4f"]);
    merged["session"]["end"] = json!(null);
    assert_eq!(faults(merged.to_string().as_bytes()), [""; 0]);
    merged["thread_rollups"][0]["samples"] = json!(5);
    let expected = ["sampling_diagnostics.sample_count: error: is 4, but the sum over all threads is 5"];
    assert_eq!(faults(merged.to_string().as_bytes()), expected);
}

#[test]
fn a_pretty_printed_session_is_told_from_a_stream() {
    let session = ProfileSession::from_json(&read("session.json")).unwrap();
    let text = "\n".to_owned() + &serde_json::to_string_pretty(&session).unwrap();
    assert_eq!(faults(text.as_bytes()), [""; 0]);
    let mut stream = b"\n\n".to_vec();
    stream.extend(read("events.ndjson"));
    assert_eq!(faults(&stream), [""; 0]);
}
