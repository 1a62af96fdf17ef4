//! Eight named threads, `worker-1` to `worker-8`, do work in the proportion 1 : 2 : ... : 8.
//!
//! Each divides its time between `grind` and `polish`, three to one; `thread` rows say what each thread had.
//! `--depth N` puts the work under N frames of recursion, `--fat` makes those about 500 bytes each.

use std::thread;

use rustscope_examples::clock::thread_cpu_ns;
use rustscope_examples::{Args, Flag, Plan, Site, Truth};

mod work {
    use rustscope_examples::burn;

    #[inline(never)]
    pub(crate) fn grind(rounds: u64) -> u64 {
        burn!(rounds, 75, 13, 7, 17)
    }

    #[inline(never)]
    pub(crate) fn polish(rounds: u64) -> u64 {
        burn!(rounds, 25, 23, 17, 26)
    }
}

mod deep {
    use std::hint::black_box;

    #[inline(never)]
    pub(crate) fn dive(depth: u64, work: fn(u64) -> u64, rounds: u64) -> u64 {
        let pad = black_box([depth]);
        let below = if depth > 1 { dive(depth - 1, work, rounds) } else { work(rounds) };
        below ^ black_box(pad)[0]
    }

    #[inline(never)]
    pub(crate) fn dive_fat(depth: u64, work: fn(u64) -> u64, rounds: u64) -> u64 {
        let pad = [depth; 56];
        black_box(&pad);
        let below = if depth > 1 { dive_fat(depth - 1, work, rounds) } else { work(rounds) };
        black_box(&pad);
        below ^ 1
    }
}

const GRIND: Site = Site::rust("truth_threads::work::grind", "truth_threads::work");
const POLISH: Site = Site::rust("truth_threads::work::polish", "truth_threads::work");
const DIVE: &[(&str, &str)] = &[("truth_threads::deep::dive", "truth_threads::deep")];
const DIVE_FAT: &[(&str, &str)] = &[("truth_threads::deep::dive_fat", "truth_threads::deep")];

fn main() {
    let args = Args::parse(
        "Named threads with work in the proportion 1 : 2 : 3 ...",
        &[
            Flag::number("seconds", 1.5, "CPU time to spend in all threads together"),
            Flag::number("threads", 8.0, "number of threads"),
            Flag::number("depth", 0.0, "frames of recursion above the work"),
            Flag::switch("fat", "frames of some 500 bytes"),
        ],
    );
    let (depth, fat) = (args.count("depth"), args.switch("fat"));
    let thread_count = args.count("threads").clamp(1, 1000);
    let parts = (thread_count * (thread_count + 1) / 2) as f64;

    let workers: Vec<_> = (1..=thread_count)
        .filter_map(|part| {
            let seconds = args.number("seconds") * part as f64 / parts;
            let name = format!("worker-{part}");
            let worker = thread::Builder::new().name(name.clone()).spawn(move || worker(seconds, depth, fat));
            worker.map(|handle| (name, handle)).ok()
        })
        .collect();

    let mut truth = Truth::default();
    for (name, handle) in workers {
        if let Ok((part, cpu_ns)) = handle.join() {
            truth.merge(part);
            truth.thread(name, cpu_ns);
        }
    }
    truth.print("truth_threads");
}

fn worker(seconds: f64, depth: u64, fat: bool) -> (Truth, u64) {
    let run = move |work: fn(u64) -> u64, rounds| match (depth, fat) {
        (0, _) => work(rounds),
        (_, false) => deep::dive(depth, work, rounds),
        (_, true) => deep::dive_fat(depth, work, rounds),
    };
    let under = match (depth, fat) {
        (0, _) => &[],
        (_, false) => DIVE,
        (_, true) => DIVE_FAT,
    };
    let truth = Plan::new()
        .plant(3.0, GRIND.under(under), move |rounds| run(work::grind, rounds))
        .plant(1.0, POLISH.under(under), move |rounds| run(work::polish, rounds))
        .run(seconds);
    (truth, thread_cpu_ns())
}
