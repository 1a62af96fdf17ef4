//! Mutual recursion of a chosen depth: 70 % in a leaf below it, 20 % in `ping` itself, 10 % in `pong` itself.
//!
//! Every sample has `--depth` frames of alternating `ping` and `pong`, so each of the two totals 100 % when it is
//! counted once a sample. `--fat` takes a twin whose frames hold some 500 bytes each: 157 of them make 78 kB, more
//! stack than a perf sample can carry.

use rustscope_examples::{Args, Flag, Plan, Site};

/// What the bottom frame does.
#[derive(Clone, Copy)]
enum Bottom {
    Leaf,
    Own,
}

/// Goes down `depth` frames and does `rounds` of work at the bottom.
type Descend = fn(u64, Bottom, u64) -> u64;

mod leaf {
    use rustscope_examples::burn;

    #[inline(never)]
    pub(crate) fn grind(rounds: u64) -> u64 {
        burn!(rounds, 70, 13, 7, 17)
    }
}

/// Two functions that call each other until `depth` is 1; the frame there does the work.
///
/// The callee's result is used after the call, so there is no tail call to turn into a jump.
macro_rules! mutual_recursion {
    ($pad:expr) => {
        use std::hint::black_box;

        use super::{Bottom, leaf};
        use rustscope_examples::burn;

        #[inline(never)]
        pub(crate) fn ping(depth: u64, bottom: Bottom, rounds: u64) -> u64 {
            let pad = [depth; $pad];
            black_box(&pad);
            let below = match bottom {
                _ if depth > 1 => pong(depth - 1, bottom, rounds),
                Bottom::Leaf => leaf::grind(rounds),
                Bottom::Own => burn!(rounds, 20, 23, 17, 26),
            };
            black_box(&pad);
            below ^ 1
        }

        #[inline(never)]
        pub(crate) fn pong(depth: u64, bottom: Bottom, rounds: u64) -> u64 {
            let pad = [depth; $pad];
            black_box(&pad);
            let below = match bottom {
                _ if depth > 1 => ping(depth - 1, bottom, rounds),
                Bottom::Leaf => leaf::grind(rounds),
                Bottom::Own => burn!(rounds, 10, 12, 25, 27),
            };
            black_box(&pad);
            below ^ 2
        }
    };
}

mod slim {
    mutual_recursion!(1);
}

mod fat {
    mutual_recursion!(56);
}

const SLIM: &[(&str, &str)] = &[
    ("truth_recursion::slim::ping", "truth_recursion::slim"),
    ("truth_recursion::slim::pong", "truth_recursion::slim"),
];
const FAT: &[(&str, &str)] = &[
    ("truth_recursion::fat::ping", "truth_recursion::fat"),
    ("truth_recursion::fat::pong", "truth_recursion::fat"),
];

fn main() {
    let args = Args::parse(
        "Mutual recursion with known work at its bottom: 70 % below it, 20 and 10 % in its two functions.",
        &[
            Flag::number("seconds", 1.5, "CPU time to spend"),
            Flag::number("depth", 150.0, "frames of recursion, at least 2"),
            Flag::switch("fat", "frames of some 500 bytes"),
        ],
    );
    let depth = args.count("depth").max(2);
    let (ping, pong, pair): (Descend, Descend, _) =
        if args.switch("fat") { (fat::ping, fat::pong, FAT) } else { (slim::ping, slim::pong, SLIM) };
    let site = |(function, module)| Site::rust(function, module).under(pair);

    // The recursion ends in the function it began with if the depth is odd, else in the other.
    let (ends_in_ping, ends_in_pong) = if depth % 2 == 1 { (ping, pong) } else { (pong, ping) };
    Plan::new()
        .plant(70.0, site(("truth_recursion::leaf::grind", "truth_recursion::leaf")), move |rounds| {
            ping(depth, Bottom::Leaf, rounds)
        })
        .plant(20.0, site(pair[0]), move |rounds| ends_in_ping(depth, Bottom::Own, rounds))
        .plant(10.0, site(pair[1]), move |rounds| ends_in_pong(depth, Bottom::Own, rounds))
        .run(args.number("seconds"))
        .print("truth_recursion");
}
