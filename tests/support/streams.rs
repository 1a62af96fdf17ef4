//! Event streams made by hand: the same bytes on every machine.

use std::fmt::Write;

/// The first line of a stream.
pub const HEADER: &str = r#"{"type":"header","schema":"rustscope.events","schema_version":1,"session_id":"s1","tool":"rs-record","tool_version":"1","start_time":"2026-11-23T11:36:48Z","clock":{"id":"monotonic"},"command":["./demo"],"pid":7,"sampler":{"backend":"perf_event","rate_hz":1000.0,"period_ns":1000000,"kernel_time":"folded"}}"#;

/// A valid stream: one thread that calls `functions` functions in turn, each from `demo::main`.
///
/// With three thousand, session and text are longer than a pipe holds.
pub fn stream(functions: u64) -> String {
    let mut text = format!("{HEADER}\n");
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes it");
    line(format_args!(r#"{{"type":"process","id":1,"time_ns":0,"event":"start","pid":7,"name":"demo"}}"#));
    line(format_args!(
        r#"{{"type":"thread","id":1,"time_ns":0,"event":"start","process":1,"tid":7,"name":"demo"}}"#
    ));
    line(format_args!(
        r#"{{"type":"mapping","id":1,"time_ns":0,"process":1,"start":"0x1000","end":"0x900000","file_offset":0,"path":"/app/demo"}}"#
    ));
    line(format_args!(
        r#"{{"type":"frame","id":1,"kind":"user","mapping":1,"address":"0x10","function":"demo::main","crate":"demo","module":"demo","language":"rust"}}"#
    ));
    line(format_args!(r#"{{"type":"stack","id":1,"parent":null,"frame":1}}"#));
    for number in 0..functions {
        let (id, address, time) = (number + 2, 0x1000 + number * 16, (number + 1) * 1_000_000);
        line(format_args!(
            r#"{{"type":"frame","id":{id},"kind":"user","mapping":1,"address":"{address:#x}","function":"demo::work::step_{number}","crate":"demo","module":"demo::work","language":"rust"}}"#
        ));
        line(format_args!(r#"{{"type":"stack","id":{id},"parent":1,"frame":{id}}}"#));
        line(format_args!(r#"{{"type":"sample","time_ns":{time},"thread":1,"stack":{id}}}"#));
    }
    let end = (functions + 1) * 1_000_000;
    line(format_args!(
        r#"{{"type":"end","time_ns":{end},"reason":"exit","exit_code":0,"signal":null,"sample_count":{functions},"lost_count":0,"dropped_count":0,"truncated_count":0,"unresolved_frame_count":0}}"#
    ));
    text
}
