//! What can be wrong with a binary.

use std::io;

use thiserror::Error;

/// Why a file could not be used as a binary image.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be mapped.
    #[error("cannot map {name}: {source}")]
    Map {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not a binary of a kind this library reads: 64-bit little-endian ELF.
    #[error("{name}: not a 64-bit little-endian ELF file")]
    NotElf {
        /// The file.
        name: String,
    },
    /// The headers point outside the file or contradict each other.
    #[error("{name}: damaged ELF file: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// Which header, and how.
        what: String,
    },
}

/// Result of this library.
pub type Result<T> = std::result::Result<T, Error>;
