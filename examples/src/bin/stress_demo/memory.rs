//! Memory that grows in one jump, is held, and given back.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

/// Words of a chunk: 4 MiB.
const CHUNK: usize = 4 << 17;

#[inline(never)]
pub(crate) fn spike(mib: u64, hold: Duration) {
    let mut chunks = Vec::new();
    for seed in 1..=mib.div_ceil(4) {
        let mut chunk = vec![0u64; CHUNK];
        fill(&mut chunk, seed);
        chunks.push(chunk);
    }
    black_box(&chunks);
    thread::sleep(hold);
}

/// Touches every word, with enough arithmetic that it is the program, not the kernel's page faults, that is hot.
#[inline(never)]
fn fill(chunk: &mut [u64], seed: u64) {
    let mut x = seed;
    for word in chunk {
        let mut i = 0;
        while i < 8 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            i += 1;
        }
        *word = x;
    }
}
