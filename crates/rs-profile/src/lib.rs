//! From events to a session: the only place where a [`ProfileSession`](rs_schema::ProfileSession) is computed.
//!
//! A [`Fold`] takes the lines of a stream one by one and can give the session at any time; [`fold_stream`] drives
//! it from a reader, [`read_profile`] takes a stream or a session, whichever the input holds, and [`select()`]
//! recomputes a session for a part of its time, threads or stacks. All is pure: bytes and lines in, sessions out,
//! and the same bytes in make the same bytes out.
//!
//! Inside, base and derived are kept apart. `fold` and its parts (`cells`, `windows`, `tree`, `tasks`, `heap`,
//! `metrics`, `events`) sum what merges; `expand` turns addresses into functions at the end, when all names are
//! in; `tables::derive` computes the rest from the base columns alone, for a fold and a selection alike.

mod assemble;
mod blame;
mod bounds;
mod cells;
mod check;
mod diagnostics;
mod events;
mod expand;
mod facts;
mod fidelity;
mod fold;
mod heap;
mod hot;
mod index;
mod latency;
mod metrics;
mod names;
mod origin;
mod quantile;
mod read;
mod rollups;
mod round;
mod select;
mod snapshots;
mod summary;
mod sums;
mod tables;
mod tasks;
pub mod tree;
mod warnings;
mod windows;

pub use fold::{Fold, FoldOptions};
pub use read::{fold_stream, read_profile};
pub use select::{Selection, View, select};
pub use warnings::Warning;
