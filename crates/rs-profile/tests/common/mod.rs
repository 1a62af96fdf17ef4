//! Streams written by hand, a line at a time.

#![allow(dead_code, reason = "each test uses its part")]

use rs_profile::{FoldOptions, fold_stream};
use rs_schema::session::{CrateRollup, Function, ModuleRollup};
use rs_schema::{ProfileSession, validate};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const PERIOD: u64 = MS;

pub(crate) const HEADER: &str = r#"{"type":"header","schema":"rustscope.events","schema_version":1,"session_id":"s","tool":"t","tool_version":"1","start_time":"2026-11-23T11:36:48Z","clock":{"id":"monotonic"},"pid":7,"build":{"exe":"/app/demo"},"sampler":{"backend":"perf_event","rate_hz":1000.0,"period_ns":1000000,"kernel_time":"folded"},"metrics_interval_ns":100000000}"#;
pub(crate) const TASKS: &str = r#"{"type":"process","id":1,"time_ns":0,"event":"start","pid":7,"name":"demo"}
{"type":"thread","id":1,"time_ns":0,"event":"start","process":1,"tid":7,"name":"demo"}
{"type":"mapping","id":1,"time_ns":0,"process":1,"start":"0x1000","end":"0x2000","file_offset":0,"path":"/app/demo"}
{"type":"mapping","id":2,"time_ns":0,"process":1,"start":"0x3000","end":"0x4000","file_offset":0,"path":"/usr/lib/libz.so.1"}"#;

pub(crate) fn end(time_ms: u64, cpu_ms: u64) -> String {
    format!(
        r#"{{"type":"end","time_ns":{},"reason":"exit","exit_code":0,"sample_count":0,"lost_count":0,"dropped_count":0,"truncated_count":0,"unresolved_frame_count":0,"process_cpu_ns":{}}}"#,
        time_ms * MS,
        cpu_ms * MS
    )
}

/// A frame of Rust code in the target: `app::…` is of the crate app.
pub(crate) fn frame(id: u32, function: &str) -> String {
    format!(
        r#"{{"type":"frame","id":{id},"kind":"user","mapping":1,"address":"{id:#x}",{}}}"#,
        symbol(function, 1)
    )
}

pub(crate) fn symbol(function: &str, line: u32) -> String {
    let (krate, _) = function.split_once("::").expect("a path");
    let (module, _) = function.rsplit_once("::").expect("a path");
    format!(
        r#""function":"{function}","crate":"{krate}","module":"{module}","language":"rust","file":"src/{krate}.rs","line":{line}"#
    )
}

pub(crate) fn stack(id: u32, parent: Option<u32>, frame: u32) -> String {
    let parent = parent.map_or("null".into(), |parent| parent.to_string());
    format!(r#"{{"type":"stack","id":{id},"parent":{parent},"frame":{frame}}}"#)
}

pub(crate) fn sample(time_ms: u64, thread: u32, stack: u32) -> String {
    format!(r#"{{"type":"sample","time_ns":{},"thread":{thread},"stack":{stack}}}"#, time_ms * MS)
}

pub(crate) fn text(lines: &[String]) -> String {
    let samples: u64 = lines
        .iter()
        .filter(|line| line.starts_with(r#"{"type":"sample""#))
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a sample line");
            line["count"].as_u64().unwrap_or(1)
        })
        .sum();
    let mut text = format!("{HEADER}\n{TASKS}\n");
    for line in lines {
        text.push_str(
            &line.replace(r#""sample_count":0,"lost"#, &format!(r#""sample_count":{samples},"lost"#)),
        );
        text.push('\n');
    }
    text
}

pub(crate) fn fold(lines: &[String]) -> ProfileSession {
    let (session, warnings) = fold_warned(&text(lines), FoldOptions::default());
    assert_eq!(warnings, Vec::<String>::new());
    assert_valid(&session);
    session
}

pub(crate) fn fold_warned(text: &str, options: FoldOptions) -> (ProfileSession, Vec<String>) {
    let mut warnings = Vec::new();
    let session =
        fold_stream(text.as_bytes(), options, &mut |text| warnings.push(text.to_string())).expect("a stream");
    (session, warnings)
}

/// The validator recounts everything on its own.
pub(crate) fn assert_valid(session: &ProfileSession) {
    let mut faults = Vec::new();
    validate::session(session, &mut |fault| {
        if fault.severity == validate::Severity::Error {
            faults.push(fault.to_string());
        }
    });
    assert_eq!(faults, Vec::<String>::new());
}

pub(crate) fn function<'a>(session: &'a ProfileSession, name: &str) -> &'a Function {
    let row = session.functions.iter().find(|function| function.function == name);
    row.unwrap_or_else(|| panic!("no function {name}"))
}

pub(crate) fn crate_row<'a>(session: &'a ProfileSession, name: &str) -> &'a CrateRollup {
    session
        .crate_rollups
        .iter()
        .find(|row| row.crate_name == name)
        .unwrap_or_else(|| panic!("no crate {name}"))
}

pub(crate) fn module_row<'a>(session: &'a ProfileSession, name: &str) -> &'a ModuleRollup {
    session.module_rollups.iter().find(|row| row.module == name).unwrap_or_else(|| panic!("no module {name}"))
}
