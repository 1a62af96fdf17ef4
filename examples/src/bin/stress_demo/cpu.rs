//! One core, fully busy.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustscope_examples::burn;

use crate::marks::Marks;

/// Rounds in one block of work: about a millisecond in a release build.
const BLOCK: u64 = 400_000;

#[inline(never)]
pub(crate) fn burst(time: Duration, marks: &mut Marks) {
    let begin = Instant::now();
    let mut blocks = 0;
    while begin.elapsed() < time {
        black_box(burn(BLOCK));
        blocks += 1;
    }
    marks.work(blocks, "block");
}

#[inline(never)]
fn burn(rounds: u64) -> u64 {
    burn!(rounds, 100, 13, 7, 17)
}
