//! The manners as a user meets them: the example filter `examples/manners.rs` run as a process.

mod command_line;
mod pipes;
mod signals;
mod support;
mod terminal;
