//! A C object linked into a Rust program: 40, 20 and 10 % in three C functions, 30 % in Rust.
//!
//! The C is `-O2` without frame pointers or debug information (`c/truth.c`). `tc_mix` is a local symbol;
//! `tc_scale` appears as `tc_scale.constprop.0` where the compiler is gcc. Of C functions the language and the name are
//! known; what crate and module they count under is the profiler's word, so those are null.

use rustscope_examples::{Args, Flag, Plan, Site, burn};

mod native {
    unsafe extern "C" {
        fn tc_scan(rounds: u64) -> u64;
        fn tc_batch(rounds: u64) -> u64;
        fn tc_triple(rounds: u64) -> u64;
    }

    #[inline(never)]
    pub(crate) fn scan(rounds: u64) -> u64 {
        // SAFETY: computes on its argument; touches no memory of ours. So do the other two.
        unsafe { tc_scan(rounds) ^ 1 }
    }

    #[inline(never)]
    pub(crate) fn batch(rounds: u64) -> u64 {
        // SAFETY: as above.
        unsafe { tc_batch(rounds) ^ 2 }
    }

    #[inline(never)]
    pub(crate) fn triple(rounds: u64) -> u64 {
        // SAFETY: as above.
        unsafe { tc_triple(rounds) ^ 3 }
    }
}

mod driver {
    use super::burn;

    #[inline(never)]
    pub(crate) fn feed(rounds: u64) -> u64 {
        burn!(rounds, 30, 5, 15, 27)
    }
}

const SCAN: Site = Site::c("tc_scan", "truth_c").under(&[("truth_c::native::scan", "truth_c::native")]);
const MIX: Site = Site::c("tc_mix", "truth_c").under(&[("truth_c::native::batch", "truth_c::native")]);
const SCALE: Site = Site::c("tc_scale", "truth_c").under(&[("truth_c::native::triple", "truth_c::native")]);

fn main() {
    let args = Args::parse(
        "C called from Rust: 40, 20 and 10 % in C functions, 30 % in Rust.",
        &[Flag::number("seconds", 1.5, "CPU time to spend")],
    );
    Plan::new()
        .plant(40.0, SCAN, native::scan)
        .plant(20.0, MIX, native::batch)
        .plant(10.0, SCALE, native::triple)
        .plant(30.0, Site::rust("truth_c::driver::feed", "truth_c::driver"), driver::feed)
        .run(args.number("seconds"))
        .print("truth_c");
}
