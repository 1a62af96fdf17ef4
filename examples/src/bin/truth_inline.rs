//! Three stages inlined into one physical function get 40, 40 and 20 % of the time.
//!
//! `parse` and `hash` are inlined directly into `process`, `mix` through `blend`. There is one symbol, `process`:
//! only the inline information of debug=1 and up tells the stages apart, and without it `process` has it all.

use std::hint::black_box;

use rustscope_examples::{Args, Flag, Plan, Site};

mod stages {
    use rustscope_examples::burn;

    #[inline(always)]
    pub(crate) fn parse(rounds: u64) -> u64 {
        burn!(rounds, 401, 13, 7, 17)
    }

    #[inline(always)]
    pub(crate) fn hash(rounds: u64) -> u64 {
        burn!(rounds, 402, 23, 17, 26)
    }

    #[inline(always)]
    pub(crate) fn blend(rounds: u64) -> u64 {
        mix(rounds) ^ 1
    }

    #[inline(always)]
    fn mix(rounds: u64) -> u64 {
        burn!(rounds, 200, 12, 25, 27)
    }
}

mod pipeline {
    use super::stages;

    #[inline(never)]
    pub(crate) fn process(parse: u64, hash: u64, mix: u64) -> u64 {
        stages::parse(parse) ^ stages::hash(hash) ^ stages::blend(mix)
    }
}

const PROCESS: (&str, &str) = ("truth_inline::pipeline::process", "truth_inline::pipeline");
const BLEND: (&str, &str) = ("truth_inline::stages::blend", "truth_inline::stages");
const PARSE: Site =
    Site::rust("truth_inline::stages::parse", "truth_inline::stages").inlined_into(&[PROCESS]);
const HASH: Site = Site::rust("truth_inline::stages::hash", "truth_inline::stages").inlined_into(&[PROCESS]);
const MIX: Site =
    Site::rust("truth_inline::stages::mix", "truth_inline::stages").inlined_into(&[BLEND, PROCESS]);

fn main() {
    let args = Args::parse(
        "Three inlined stages get 40, 40 and 20 % of one physical function.",
        &[Flag::number("seconds", 1.5, "CPU time to spend")],
    );
    // One function does all three stages; a turn gives rounds to one of them. The optimiser must not see the zeros.
    let zero = || black_box(0);
    Plan::new()
        .plant(40.0, PARSE, move |rounds| pipeline::process(rounds, zero(), zero()))
        .plant(40.0, HASH, move |rounds| pipeline::process(zero(), rounds, zero()))
        .plant(20.0, MIX, move |rounds| pipeline::process(zero(), zero(), rounds))
        .run(args.number("seconds"))
        .print("truth_inline");
}
