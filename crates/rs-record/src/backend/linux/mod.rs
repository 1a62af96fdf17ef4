//! Sampling on Linux.

pub(crate) mod merge;
pub(crate) mod perf_event;
pub(crate) mod record;
pub(crate) mod ring;
mod sampler;

pub(crate) use sampler::{PerfSampler, SamplerOptions};
