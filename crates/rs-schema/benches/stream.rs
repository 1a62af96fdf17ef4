//! How many lines a second one core reads and writes: `cargo bench -p rs-schema`.

use std::hint::black_box;
use std::io::{BufReader, BufWriter, Read, Write};
use std::time::Instant;

use rs_schema::event::{Line, Sample, ThreadState};
use rs_schema::stream::{StreamReader, StreamWriter};

const HEADER: &str = r#"{"type":"header","schema":"rustscope.events","schema_version":1,"session_id":"a","tool":"t","tool_version":"1","start_time":"2026-11-23T11:36:48Z","clock":{"id":"monotonic"},"sampler":{"backend":"perf_event","rate_hz":997,"period_ns":1003009,"kernel_time":"folded"}}"#;
const LINES: u64 = 4_000_000;
const FRAMES: u64 = 200_000;
const THREADS: u64 = 64;
const STACKS: u64 = 20_000;

fn sample(i: u64) -> Sample {
    Sample {
        time_ns: 3_600_000_000_000 + i * 15_650,
        thread: (i % THREADS) as u32,
        stack: Some((i * 2_654_435_761 % STACKS) as u32),
        count: None,
        cpu_ns: None,
        state: ThreadState::Running,
        waited_ns: None,
    }
}

/// Best of five, as lines a second.
fn rate(name: &str, mut run: impl FnMut() -> u64) {
    let mut best = f64::INFINITY;
    let mut lines = 0;
    for _ in 0..5 {
        let start = Instant::now();
        lines = black_box(run());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{name:<44} {:>7.2} M lines/s   {:>6.1} ns a line",
        lines as f64 / best / 1e6,
        best * 1e9 / lines as f64
    );
}

fn read(input: impl Read) -> u64 {
    let mut reader = StreamReader::new(BufReader::with_capacity(64 << 10, input));
    let mut count = 0;
    while let Some(line) = reader.next_line().expect("the bench's stream is valid") {
        if let Line::Sample(sample) = line {
            count += u64::from(black_box(sample).thread > 0);
        }
    }
    count
}

/// What the samples refer to: threads, and stacks of eight frames on average.
fn definitions() -> Vec<u8> {
    let mut text = format!("{HEADER}\n").into_bytes();
    let mut put = |line: String| text.extend_from_slice((line + "\n").as_bytes());
    put(r#"{"type":"process","id":1,"time_ns":0,"event":"start","pid":1}"#.into());
    for id in 0..THREADS {
        put(format!(r#"{{"type":"thread","id":{id},"time_ns":0,"event":"start","process":1,"tid":{id}}}"#));
    }
    for id in 0..STACKS {
        put(format!(r#"{{"type":"frame","id":{id},"kind":"user","function":"f{id}"}}"#));
        let parent = if id % 8 == 0 { "null".into() } else { (id - 1).to_string() };
        put(format!(r#"{{"type":"stack","id":{id},"parent":{parent},"frame":{id}}}"#));
    }
    text
}

fn main() {
    let mut canonical = definitions();
    let mut spaced = canonical.clone();
    for i in 0..LINES {
        let s = sample(i);
        rs_schema::stream::write_line(&mut canonical, &Line::Sample(s)).expect("a vector takes everything");
        writeln!(
            spaced,
            r#"{{"type":"sample", "time_ns": {}, "thread": {}, "stack": {}}}"#,
            s.time_ns,
            s.thread,
            s.stack.unwrap_or_default()
        )
        .expect("a vector takes everything");
    }
    println!("{LINES} sample lines, {} bytes each", canonical.len() as u64 / LINES);
    rate("read, from memory, 64 KiB buffer", || read(&canonical[..]));
    rate("read, other spacing (serde)", || read(&spaced[..]));

    let frame = r#"{"type":"frame","id":1,"kind":"user","mapping":1,"address":"0x1a2f0","function":"stress_demo::memory::fill","raw_name":"_RINvNtCs1a_11stress_demo6memory4fillyE","crate":"stress_demo","module":"stress_demo::memory","language":"rust","file":"src/memory.rs","line":31,"inlined_by":[{"function":"stress_demo::memory::spike","crate":"stress_demo","module":"stress_demo::memory","language":"rust","file":"src/memory.rs","line":18}]}"#;
    let frames = format!("{HEADER}\n{}", format!("{frame}\n").repeat(FRAMES as usize)).into_bytes();
    rate("read frame lines with names", || {
        read(&frames[..]);
        FRAMES
    });

    let path = std::env::temp_dir().join(format!("rs-schema-bench-{}.ndjson", std::process::id()));
    std::fs::write(&path, &canonical).expect("the temporary folder takes a file");
    rate("read, from a file in the page cache", || {
        read(std::fs::File::open(&path).expect("the file was just written"))
    });
    rate("validate, from memory", || {
        let mut faults = 0u64;
        rs_schema::validate::stream(&canonical[..], &mut |_| faults += 1).expect("memory can be read");
        LINES
    });
    std::fs::remove_file(&path).expect("the file is ours");

    rate("write", || {
        let mut writer = StreamWriter::new(BufWriter::with_capacity(64 << 10, std::io::sink()));
        for i in 0..LINES {
            writer.write(black_box(&Line::Sample(sample(i)))).expect("a sink takes everything");
        }
        LINES
    });
    rate("write, by serde", || {
        let mut output = BufWriter::with_capacity(64 << 10, std::io::sink());
        for i in 0..LINES {
            serde_json::to_writer(&mut output, black_box(&Line::Sample(sample(i)))).expect("a sink");
            output.write_all(b"\n").expect("a sink takes everything");
        }
        LINES
    });
}
