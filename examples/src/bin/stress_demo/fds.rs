//! Descriptors opened in quick succession and kept.

use std::fs::File;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use rustscope_examples::burn;

#[inline(never)]
pub(crate) fn hoard(count: u64, hold: Duration) {
    let mut files = Vec::new();
    for number in 0..count {
        // At the limit of the process it keeps what it has.
        let Ok(file) = File::open("/dev/null") else { break };
        files.push(file);
        black_box(index(number));
    }
    black_box(&files);
    thread::sleep(hold);
}

/// The program's own work on each descriptor, a few hundred times what opening it costs.
#[inline(never)]
fn index(number: u64) -> u64 {
    burn!(80_000, number | 1, 12, 25, 27)
}
