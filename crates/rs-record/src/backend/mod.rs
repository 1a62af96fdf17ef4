//! Who takes the samples. The one place that chooses by platform.

pub(crate) mod linux;
