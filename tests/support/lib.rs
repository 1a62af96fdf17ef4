//! What the tests of the kit share: its binaries, running them with a time limit, the sessions that come out, and
//! skipping what a machine cannot do without hiding it.

pub mod cmd;
pub mod confine;
pub mod flavour;
pub mod perf;
pub mod process;
pub mod session;
pub mod skip;
pub mod streams;
pub mod terminal;
pub mod truth;
