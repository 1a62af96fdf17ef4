//! RustScope's formats: what flows through the pipes and what lies in the files.
//!
//! [`event`] is the stream that a recorder writes, [`session`] the document that a stream folds into,
//! [`stream`] reads and writes the first, [`validate`] checks both, [`json_schema`] describes them for others.
//! The library knows the formats and nothing else: no operating system, no command line.

pub mod error;
pub mod event;
mod fast;
mod flat_frame;
pub mod json_schema;
pub mod session;
pub mod stream;
pub mod units;
pub mod validate;

pub use error::Error;
pub use session::ProfileSession;
pub use stream::{StreamReader, StreamWriter};
pub use units::{Address, Capability, Quantity, Status};
