//! The work itself.

/// A loop of xorshift steps, expanded in place: all its time is the self time of the function that writes it.
///
/// It calls nothing, not even inlined operators of `core`, so the innermost frame of a sample is the planted function
/// whether or not there is debug information. Each step needs the one before, so the optimiser cannot fold the loop;
/// functions that use different constants cannot be merged.
#[macro_export]
macro_rules! burn {
    ($rounds:expr, $seed:expr, $a:literal, $b:literal, $c:literal) => {{
        let rounds: u64 = $rounds;
        let mut x: u64 = $seed;
        let mut i: u64 = 0;
        while i < rounds {
            x ^= x << $a;
            x ^= x >> $b;
            x ^= x << $c;
            i += 1;
        }
        x
    }};
}

/// Makes every instance of a generic function different code.
pub trait Seed {
    /// What the instance starts from.
    const SEED: u64;
}

impl Seed for u32 {
    const SEED: u64 = 0x9e37_79b9;
}

impl Seed for u64 {
    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
}

/// Planted in this library, instantiated by the programs: its key names this crate, wherever its code lies.
#[inline(never)]
pub fn sift<T: Seed>(rounds: u64) -> u64 {
    burn!(rounds, T::SEED, 5, 15, 27)
}
