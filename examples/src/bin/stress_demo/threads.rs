//! Many threads at once, each mostly asleep.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use rustscope_examples::burn;

#[inline(never)]
pub(crate) fn storm(thread_count: u64, time: Duration) {
    let worker = |number| {
        let worker = move || {
            let begin = Instant::now();
            while begin.elapsed() < time {
                black_box(work(400_000));
                thread::sleep(Duration::from_millis(30).min(time));
            }
        };
        // A thread the system refuses is a smaller storm, not a failure.
        thread::Builder::new().name(format!("storm-{number}")).spawn(worker).ok()
    };
    let workers: Vec<_> = (1..=thread_count).filter_map(worker).collect();
    for worker in workers {
        let _ = worker.join();
    }
}

#[inline(never)]
fn work(rounds: u64) -> u64 {
    burn!(rounds, 200, 23, 17, 26)
}
