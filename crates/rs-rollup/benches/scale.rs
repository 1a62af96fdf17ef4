//! Speed and memory of `rs-rollup` over the number of samples: the second must not depend on the first.
//!
//! `cargo bench -p rs-rollup --bench scale -- 1M 10M 100M` streams that many sample lines through a pipe into
//! the program and prints its CPU time, lines a second of it, peak memory and the size of the session. The
//! stream is 64 busy threads at 1 kHz over a tree of 20 000 stacks, where some are much hotter than others: more
//! cells than a session may have from about 10 s on. With `shape=flat` it has one thread and 200 stacks.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Instant;

const HEADER: &str = r#"{"type":"header","schema":"rustscope.events","schema_version":1,"session_id":"bench","tool":"bench","tool_version":"1","start_time":"2026-11-23T11:36:48Z","clock":{"id":"monotonic"},"sampler":{"backend":"perf_event","rate_hz":1000.0,"period_ns":1000000,"kernel_time":"folded"}}
{"type":"process","id":1,"time_ns":0,"event":"start","pid":7,"name":"bench"}
{"type":"mapping","id":1,"time_ns":0,"process":1,"start":"0x1000","end":"0x2000","file_offset":0,"path":"/app/bench"}
"#;

#[derive(Clone, Copy)]
struct Shape {
    threads: u64,
    stacks: u64,
}

fn main() -> io::Result<()> {
    let mut shape = Shape { threads: 64, stacks: 20_000 };
    let mut counts = Vec::new();
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            "shape=flat" => shape = Shape { threads: 1, stacks: 200 },
            arg => counts.extend(count(arg)),
        }
    }
    if counts.is_empty() {
        counts = vec![1_000_000];
    }
    println!(
        "{:>12} {:>9} {:>9} {:>14} {:>10} {:>12}",
        "samples", "wall s", "CPU s", "lines/CPU s", "peak MiB", "session MiB"
    );
    for count in counts {
        one(count, shape)?;
    }
    Ok(())
}

/// `10M`, `500k`, `7`. Nothing for the flags that cargo hands to benches.
fn count(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('M') => (digits, 1_000_000),
        Some(digits) => (digits, 1_000),
        None => (text, 1),
    };
    digits.parse::<u64>().ok().map(|number| number * unit)
}

fn one(count: u64, shape: Shape) -> io::Result<()> {
    let session = tempfile::NamedTempFile::new()?;
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rs-rollup"))
        .arg("-q")
        .stdin(Stdio::piped())
        .stdout(File::create(session.path())?)
        .spawn()?;
    let written = child.stdin.take().map_or(Ok(()), |stdin| stream(stdin, count, shape));
    let mut status = 0;
    // SAFETY: all zeroes is a value of this plain struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the child is ours and not waited for elsewhere; both pointers are to locals.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) };
    if waited < 0 {
        return Err(io::Error::last_os_error());
    }
    written?;
    if status != 0 {
        return Err(io::Error::other(format!("rs-rollup ended with status {status:#x}")));
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    println!(
        "{count:>12} {:>9.2} {cpu:>9.2} {:>14.0} {:>10.1} {:>12.1}",
        begin.elapsed().as_secs_f64(),
        count as f64 / cpu,
        usage.ru_maxrss as f64 / 1024.0,
        session.path().metadata()?.len() as f64 / 1024.0 / 1024.0,
    );
    Ok(())
}

/// Writes a stream of `count` samples.
fn stream(stdin: ChildStdin, count: u64, shape: Shape) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, stdin);
    out.write_all(HEADER.as_bytes())?;
    for thread in 0..shape.threads {
        writeln!(
            out,
            r#"{{"type":"thread","id":{thread},"time_ns":0,"event":"start","process":1,"tid":{thread},"name":"worker-{thread}"}}"#
        )?;
    }
    for id in 0..shape.stacks {
        let (function, line) = (id % 4_000, id % 977);
        writeln!(
            out,
            r#"{{"type":"frame","id":{id},"kind":"user","mapping":1,"address":"{id:#x}","function":"bench::m{}::f{function}","crate":"bench","module":"bench::m{}","language":"rust","file":"src/m{}.rs","line":{line}}}"#,
            function % 90,
            function % 90,
            function % 90
        )?;
        let parent = if id == 0 { "null".into() } else { (id - 1 - id / 12 % id).to_string() };
        writeln!(out, r#"{{"type":"stack","id":{id},"parent":{parent},"frame":{id}}}"#)?;
    }
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for sample in 0..count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // The product of two makes some stacks much hotter than others.
        let (a, b) = ((random >> 32) & 0xffff, random >> 48);
        let stack = (((a * b) >> 16) * shape.stacks) >> 16;
        let time_ns = sample * 1_000_000 / shape.threads;
        let thread = sample % shape.threads;
        writeln!(out, r#"{{"type":"sample","time_ns":{time_ns},"thread":{thread},"stack":{stack}}}"#)?;
    }
    let time_ns = count * 1_000_000 / shape.threads;
    writeln!(
        out,
        r#"{{"type":"end","time_ns":{time_ns},"reason":"exit","exit_code":0,"signal":null,"sample_count":{count},"lost_count":0,"dropped_count":0,"truncated_count":0,"unresolved_frame_count":0}}"#
    )?;
    out.flush()
}
