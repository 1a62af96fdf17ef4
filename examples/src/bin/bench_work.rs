//! A fixed amount of work, for benchmarks: the CPU time that it takes is what a profiler may change.
//!
//! `bench_work [--threads N] [--depth N] [--millions N]`: each thread dives `depth` frames deep and spins there.
//! Prints one JSON line with the CPU time of the whole process.

use std::hint::black_box;

#[inline(never)]
fn spin(rounds: u64) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state)
}

#[inline(never)]
fn dive(depth: u64, rounds: u64) -> u64 {
    if depth == 0 {
        return spin(rounds);
    }
    // The addition keeps this from becoming a loop.
    black_box(dive(black_box(depth - 1), rounds)).wrapping_add(depth)
}

/// A millisecond or so each, so that the stack is built anew as in a real program.
fn work(depth: u64, millions: u64) {
    for _ in 0..millions {
        black_box(dive(depth, 1_000_000));
    }
}

fn process_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in the structure it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn main() {
    let (mut threads, mut depth, mut millions) = (1, 10, 1000);
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().and_then(|text| text.parse().ok());
        match (flag.as_str(), value) {
            ("--threads", Some(value)) => threads = value,
            ("--depth", Some(value)) => depth = value,
            ("--millions", Some(value)) => millions = value,
            _ => {
                eprintln!("bench_work [--threads N] [--depth N] [--millions N]");
                std::process::exit(2);
            }
        }
    }
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(depth, millions / threads.max(1)));
        }
    });
    println!("{{\"program\":\"bench_work\",\"process_cpu_ns\":{}}}", process_cpu_ns());
}
