//! How often the rings are emptied.
//!
//! By the clock, not by a watermark: some ten times a second, or more often where the rings are small, is enough
//! to lose nothing and to keep the stream live, and disturbs the target least. Deep stacks are another matter:
//! what did not fit into a sample is read from the running program, and the sooner the likelier it is still
//! there. So while such stacks are seen, every record wakes the reader.

use std::time::{Duration, Instant};

/// The slowest pace: a stream is to be useful while it runs.
const SLOWEST: Duration = Duration::from_millis(100);
/// The pace of the first moments, in which it is not known yet whether stacks are deep.
const FIRST: Duration = Duration::from_millis(5);
/// How long the first moments last.
const FIRST_MOMENTS: Duration = Duration::from_millis(100);
/// How long after a deep stack the next one is expected.
const DEEP_MEMORY: Duration = Duration::from_secs(1);
/// Records younger than this wait for the next pass, lest one that another CPU is just writing be overtaken.
const SETTLE: Duration = Duration::from_millis(1);
/// The same while stacks are deep: no record takes longer to write unless its CPU is taken away meanwhile.
const SETTLE_DEEP: Duration = Duration::from_micros(20);

/// When to look at the rings.
#[derive(Debug)]
pub(crate) struct Pace {
    begun: Instant,
    slowest: Duration,
    last_deep: Option<Instant>,
}

impl Pace {
    /// A pace for rings that fill up in `patience` at the earliest.
    pub(crate) fn new(patience: Duration) -> Pace {
        Pace { begun: Instant::now(), slowest: (patience / 4).min(SLOWEST), last_deep: None }
    }

    /// Notes that a stack was deeper than its copy.
    pub(crate) fn saw_deep_stack(&mut self) {
        self.last_deep = Some(Instant::now());
    }

    /// Whether to wake at every record.
    pub(crate) fn is_deep(&self) -> bool {
        self.last_deep.is_some_and(|deep| deep.elapsed() < DEEP_MEMORY)
    }

    /// How long to wait at most.
    pub(crate) fn timeout(&self) -> Duration {
        if self.begun.elapsed() < FIRST_MOMENTS { FIRST.min(self.slowest) } else { self.slowest }
    }

    /// Records up to this long ago are taken.
    pub(crate) fn settle(&self) -> Duration {
        if self.is_deep() { SETTLE_DEEP } else { SETTLE }
    }
}
