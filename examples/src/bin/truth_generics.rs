//! Every way Rust names a function, each with a known share: generics, inherent and trait impls wherever they are written,
//! default methods, closures, functions inside functions, generics of another crate.
//!
//! | planted | % | what it is |
//! |---|---|---|
//! | `generic::fill` | 12 | a generic function, two instances of 6 % that count as one |
//! | `rustscope_examples::kernel::sift` | 10 | a generic function of another crate, two instances |
//! | `shapes::Grid::fill` | 8 | a method of a generic type, two instances |
//! | `shapes::Line::length` | 6 | an inherent method written in another module (`glue`) than its type |
//! | `<shapes::Square as traits::Work>::work` | 9 | a trait impl beside the type |
//! | `<shapes::Circle as traits::Work>::work` | 7 | a trait impl beside the trait: legacy symbols cannot tell the module |
//! | `<shapes::Line as traits::Work>::work` | 5 | a trait impl in a third module (`glue`) |
//! | `<shapes::Grid as traits::Work>::work` | 4 | a generic trait impl |
//! | `<u64 as traits::Work>::work` | 4 | a trait impl for a primitive |
//! | `<alloc::vec::Vec as traits::Work>::work` | 4 | a trait impl for a type of std: the crate is ours |
//! | `<shapes::Walk as core::iter::traits::iterator::Iterator>::next` | 5 | a trait of std for our type |
//! | `traits::Measure::provided` | 5 | a default method, which no impl writes |
//! | `closures::single` | 6 | a closure |
//! | `closures::nested` | 6 | a closure in a closure |
//! | `shapes::Grid::apply` | 5 | a closure in a method of a generic type |
//! | `scopes::host::guest` | 4 | a function inside a function: its module is `scopes` |

use std::hint::black_box;

use rustscope_examples::kernel::sift;
use rustscope_examples::{Args, Flag, Plan, Site};

mod shapes {
    use std::hint::black_box;
    use std::marker::PhantomData;

    use super::traits::Work;
    use rustscope_examples::burn;
    use rustscope_examples::kernel::Seed;

    pub(crate) struct Square;
    pub(crate) struct Circle;
    pub(crate) struct Line;
    pub(crate) struct Grid<T>(pub(crate) PhantomData<T>);
    pub(crate) struct Walk(pub(crate) u64);

    impl<T: Seed> Grid<T> {
        #[inline(never)]
        pub(crate) fn fill(&self, rounds: u64) -> u64 {
            burn!(rounds, T::SEED, 13, 7, 17)
        }

        #[inline(never)]
        pub(crate) fn apply(&self, rounds: u64) -> u64 {
            let closure = |rounds: u64| burn!(rounds, T::SEED, 23, 17, 26);
            black_box(&closure as &dyn Fn(u64) -> u64)(rounds) ^ 1
        }
    }

    impl Work for Square {
        #[inline(never)]
        fn work(&self, rounds: u64) -> u64 {
            burn!(rounds, 1, 12, 25, 27)
        }
    }

    impl<T: Seed> Work for Grid<T> {
        #[inline(never)]
        fn work(&self, rounds: u64) -> u64 {
            burn!(rounds, T::SEED, 5, 15, 27)
        }
    }

    impl Iterator for Walk {
        type Item = u64;

        #[inline(never)]
        fn next(&mut self) -> Option<u64> {
            Some(burn!(self.0, 2, 7, 9, 8))
        }
    }
}

mod traits {
    use super::shapes::Circle;
    use rustscope_examples::burn;

    pub(crate) trait Work {
        fn work(&self, rounds: u64) -> u64;
    }

    // One type only has it: instances for several would be the same code, and LLVM would keep one symbol of them.
    pub(crate) trait Measure {
        #[inline(never)]
        fn provided(&self, rounds: u64) -> u64 {
            burn!(rounds, 3, 17, 23, 13)
        }
    }

    impl Measure for Circle {}

    impl Work for Circle {
        #[inline(never)]
        fn work(&self, rounds: u64) -> u64 {
            burn!(rounds, 4, 11, 5, 32)
        }
    }

    impl Work for u64 {
        #[inline(never)]
        fn work(&self, rounds: u64) -> u64 {
            burn!(rounds, *self, 10, 13, 21)
        }
    }

    impl<T> Work for Vec<T> {
        #[inline(never)]
        fn work(&self, rounds: u64) -> u64 {
            burn!(rounds, 5, 9, 20, 31)
        }
    }
}

mod glue {
    use super::shapes::Line;
    use super::traits::Work;
    use rustscope_examples::burn;

    impl Line {
        #[inline(never)]
        pub(crate) fn length(&self, rounds: u64) -> u64 {
            burn!(rounds, 6, 8, 29, 19)
        }
    }

    impl Work for Line {
        #[inline(never)]
        fn work(&self, rounds: u64) -> u64 {
            burn!(rounds, 7, 3, 11, 35)
        }
    }
}

mod generic {
    use rustscope_examples::burn;
    use rustscope_examples::kernel::Seed;

    #[inline(never)]
    pub(crate) fn fill<T: Seed>(rounds: u64) -> u64 {
        burn!(rounds, T::SEED, 14, 27, 6)
    }
}

mod closures {
    use std::hint::black_box;

    use rustscope_examples::burn;

    // Called through a pointer the optimiser cannot see through, so that the closures keep code of their own.
    #[inline(never)]
    pub(crate) fn single(rounds: u64) -> u64 {
        let closure = |rounds: u64| burn!(rounds, 8, 16, 21, 35);
        black_box(&closure as &dyn Fn(u64) -> u64)(rounds) ^ 1
    }

    #[inline(never)]
    pub(crate) fn nested(rounds: u64) -> u64 {
        let outer = |rounds: u64| {
            let inner = |rounds: u64| burn!(rounds, 9, 4, 35, 15);
            black_box(&inner as &dyn Fn(u64) -> u64)(rounds) ^ 1
        };
        black_box(&outer as &dyn Fn(u64) -> u64)(rounds) ^ 2
    }
}

mod scopes {
    #[inline(never)]
    pub(crate) fn host(rounds: u64) -> u64 {
        #[inline(never)]
        fn guest(rounds: u64) -> u64 {
            rustscope_examples::burn!(rounds, 10, 6, 21, 13)
        }
        guest(rounds) ^ 1
    }
}

use shapes::{Circle, Grid, Line, Square, Walk};
use traits::{Measure, Work};

const SHAPES: &str = "truth_generics::shapes";
const TRAITS: &str = "truth_generics::traits";
const GLUE: &str = "truth_generics::glue";

const FILL: Site = Site::rust("truth_generics::generic::fill", "truth_generics::generic");
const SIFT: Site = Site::rust("rustscope_examples::kernel::sift", "rustscope_examples::kernel");
const GRID_FILL: Site = Site::rust("truth_generics::shapes::Grid::fill", SHAPES);
const LINE_LENGTH: Site = Site::rust("truth_generics::shapes::Line::length", GLUE);
const SQUARE_WORK: Site =
    Site::rust("<truth_generics::shapes::Square as truth_generics::traits::Work>::work", SHAPES);
const CIRCLE_WORK: Site =
    Site::rust("<truth_generics::shapes::Circle as truth_generics::traits::Work>::work", TRAITS)
        .legacy_module(SHAPES);
const LINE_WORK: Site =
    Site::rust("<truth_generics::shapes::Line as truth_generics::traits::Work>::work", GLUE);
const GRID_WORK: Site =
    Site::rust("<truth_generics::shapes::Grid as truth_generics::traits::Work>::work", SHAPES);
const U64_WORK: Site = Site::rust("<u64 as truth_generics::traits::Work>::work", TRAITS);
const VEC_WORK: Site = Site::rust("<alloc::vec::Vec as truth_generics::traits::Work>::work", TRAITS);
const WALK_NEXT: Site =
    Site::rust("<truth_generics::shapes::Walk as core::iter::traits::iterator::Iterator>::next", SHAPES);
const PROVIDED: Site = Site::rust("truth_generics::traits::Measure::provided", TRAITS)
    .also("<truth_generics::shapes::Circle as truth_generics::traits::Measure>::provided");
const SINGLE: Site = Site::rust("truth_generics::closures::single", "truth_generics::closures");
const NESTED: Site = Site::rust("truth_generics::closures::nested", "truth_generics::closures");
const GRID_APPLY: Site = Site::rust("truth_generics::shapes::Grid::apply", SHAPES);
const GUEST: Site = Site::rust("truth_generics::scopes::host::guest", "truth_generics::scopes")
    .legacy_module("truth_generics::scopes::host")
    .under(&[("truth_generics::scopes::host", "truth_generics::scopes")]);

fn main() {
    let args = Args::parse(
        "Generics, impls, closures: every way Rust names a function, with known shares.",
        &[Flag::number("seconds", 1.5, "CPU time to spend")],
    );
    Plan::new()
        .plant(6.0, FILL, generic::fill::<u32>)
        .plant(6.0, FILL, generic::fill::<u64>)
        .plant(5.0, SIFT, sift::<u32>)
        .plant(5.0, SIFT, sift::<u64>)
        .plant(4.0, GRID_FILL, |rounds| Grid::<u32>(Default::default()).fill(rounds))
        .plant(4.0, GRID_FILL, |rounds| Grid::<u64>(Default::default()).fill(rounds))
        .plant(6.0, LINE_LENGTH, |rounds| Line.length(rounds))
        .plant(9.0, SQUARE_WORK, |rounds| dynamic(&Square).work(rounds))
        .plant(7.0, CIRCLE_WORK, |rounds| dynamic(&Circle).work(rounds))
        .plant(5.0, LINE_WORK, |rounds| dynamic(&Line).work(rounds))
        .plant(4.0, GRID_WORK, |rounds| dynamic(&Grid::<u64>(Default::default())).work(rounds))
        .plant(4.0, U64_WORK, |rounds| dynamic(&11u64).work(rounds))
        .plant(4.0, VEC_WORK, |rounds| dynamic(&Vec::<u8>::new()).work(rounds))
        .plant(5.0, WALK_NEXT, |rounds| Walk(rounds).next().unwrap_or(0))
        .plant(5.0, PROVIDED, |rounds| Circle.provided(rounds))
        .plant(6.0, SINGLE, closures::single)
        .plant(6.0, NESTED, closures::nested)
        .plant(5.0, GRID_APPLY, |rounds| Grid::<u64>(Default::default()).apply(rounds))
        .plant(4.0, GUEST, scopes::host)
        .run(args.number("seconds"))
        .print("truth_generics");
}

/// Hides the type from the optimiser: the call goes through the vtable.
fn dynamic(work: &dyn Work) -> &dyn Work {
    black_box(work)
}
