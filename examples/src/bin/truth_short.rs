//! About 60 ms of CPU: 60 and 40 % in two functions of the same name in different modules.
//!
//! At 1 kHz a profiler has some sixty samples, and no time to be late in.

use rustscope_examples::{Args, Flag, Plan, Site};

mod first {
    use rustscope_examples::burn;

    #[inline(never)]
    pub(crate) fn burst(rounds: u64) -> u64 {
        burn!(rounds, 60, 13, 7, 17)
    }
}

mod second {
    use rustscope_examples::burn;

    #[inline(never)]
    pub(crate) fn burst(rounds: u64) -> u64 {
        burn!(rounds, 40, 23, 17, 26)
    }
}

fn main() {
    let args = Args::parse(
        "60 ms of CPU, 60 and 40 % in two functions of the same name.",
        &[Flag::number("seconds", 0.06, "CPU time to spend")],
    );
    Plan::new()
        .plant(60.0, Site::rust("truth_short::first::burst", "truth_short::first"), first::burst)
        .plant(40.0, Site::rust("truth_short::second::burst", "truth_short::second"), second::burst)
        .run(args.number("seconds"))
        .print("truth_short");
}
