//! Several rings, one order: that of time.
//!
//! Each ring is in order by itself. A pass looks at all heads, takes the time, and hands out records up to that
//! time, always the earliest head of all rings; what is later waits in its ring for the next pass. So a mapping,
//! a fork or an exec takes effect exactly between the samples before and after it, on whatever CPU they were,
//! and nothing is copied or kept in a heap.

use super::record;
use super::ring::Ring;

/// Hands the records of all rings that were written before `until` (CLOCK_MONOTONIC) to `handle`, in the order
/// of time, and gives their room back. Returns how many there were.
pub(crate) fn drain(rings: &mut [Ring], until: u64, mut handle: impl FnMut(u32, &[u8])) -> u64 {
    for ring in &mut *rings {
        ring.look();
    }
    let mut heads: Vec<Option<u64>> = rings.iter_mut().map(|ring| ring.peek().map(record::time_of)).collect();
    let mut count = 0;
    loop {
        let earliest = heads.iter().enumerate().filter_map(|(index, time)| Some((((*time)?), index))).min();
        let Some((time, index)) = earliest else { return count };
        if time > until {
            return count;
        }
        let ring = &mut rings[index];
        let cpu = ring.cpu();
        let Some(bytes) = ring.peek() else { return count };
        let size = bytes.len();
        handle(cpu, bytes);
        ring.advance(size);
        heads[index] = ring.peek().map(record::time_of);
        count += 1;
    }
}
