//! What the example programs share: a work kernel, the clock they measure themselves with, the plan that divides
//! their time, and the line of JSON they end with.
//!
//! A truth program plants functions and gives each a share of its CPU time. The plan calls them in turns of about a
//! millisecond, reads the thread's CPU clock before and after each call, and always continues with the one that is
//! furthest behind its share. So the shares hold on any machine and in any build, and the program knows them itself.

pub mod args;
pub mod clock;
pub mod kernel;
pub mod plan;
pub mod truth;

pub use args::{Args, Flag};
pub use plan::Plan;
pub use truth::{Site, Truth};
