//! Four functions in nested modules get 50, 30, 15 and 5 % of one thread's CPU time.
//!
//! Each lies below an entry function of its branch which does nothing else, so `alpha` totals 80 % and `beta` 20 %.

use rustscope_examples::{Args, Flag, Plan, Site};

mod alpha {
    use std::hint::black_box;

    #[inline(never)]
    pub(crate) fn enter_hot(rounds: u64) -> u64 {
        black_box(hot::burn_fifty(rounds))
    }

    #[inline(never)]
    pub(crate) fn enter_warm(rounds: u64) -> u64 {
        black_box(warm::burn_thirty(rounds))
    }

    pub(crate) mod hot {
        use rustscope_examples::burn;

        #[inline(never)]
        pub(crate) fn burn_fifty(rounds: u64) -> u64 {
            burn!(rounds, 50, 13, 7, 17)
        }
    }

    pub(crate) mod warm {
        use rustscope_examples::burn;

        #[inline(never)]
        pub(crate) fn burn_thirty(rounds: u64) -> u64 {
            burn!(rounds, 30, 23, 17, 26)
        }
    }
}

mod beta {
    use std::hint::black_box;

    #[inline(never)]
    pub(crate) fn enter(rounds: u64) -> u64 {
        black_box(burn_fifteen(rounds))
    }

    #[inline(never)]
    pub(crate) fn enter_deep(rounds: u64) -> u64 {
        black_box(inner::innermost::burn_five(rounds))
    }

    #[inline(never)]
    fn burn_fifteen(rounds: u64) -> u64 {
        rustscope_examples::burn!(rounds, 15, 12, 25, 27)
    }

    mod inner {
        pub(super) mod innermost {
            use rustscope_examples::burn;

            #[inline(never)]
            pub(crate) fn burn_five(rounds: u64) -> u64 {
                burn!(rounds, 5, 7, 9, 8)
            }
        }
    }
}

const FIFTY: Site = Site::rust("truth_shares::alpha::hot::burn_fifty", "truth_shares::alpha::hot")
    .under(&[("truth_shares::alpha::enter_hot", "truth_shares::alpha")]);
const THIRTY: Site = Site::rust("truth_shares::alpha::warm::burn_thirty", "truth_shares::alpha::warm")
    .under(&[("truth_shares::alpha::enter_warm", "truth_shares::alpha")]);
const FIFTEEN: Site = Site::rust("truth_shares::beta::burn_fifteen", "truth_shares::beta")
    .under(&[("truth_shares::beta::enter", "truth_shares::beta")]);
const FIVE: Site =
    Site::rust("truth_shares::beta::inner::innermost::burn_five", "truth_shares::beta::inner::innermost")
        .under(&[("truth_shares::beta::enter_deep", "truth_shares::beta")]);

fn main() {
    let args = Args::parse(
        "Four functions get 50, 30, 15 and 5 % of the time.",
        &[Flag::number("seconds", 1.5, "CPU time to spend")],
    );
    Plan::new()
        .plant(50.0, FIFTY, alpha::enter_hot)
        .plant(30.0, THIRTY, alpha::enter_warm)
        .plant(15.0, FIFTEEN, beta::enter)
        .plant(5.0, FIVE, beta::enter_deep)
        .run(args.number("seconds"))
        .print("truth_shares");
}
