//! Addresses to frames: images, unwinding, symbols, inlines, demangling, and attribution to crates and modules.
//!
//! Bytes in, names out. This library makes no system call on a target: whoever uses it opens files, reads
//! stacks and registers, and hands them in.
//!
//! - [`Image`] is a loaded binary; [`AddressSpace`] the mappings of one process, which [unwinds](AddressSpace::unwind)
//!   its stacks to addresses.
//! - [`Symbolizer`] names addresses, with the functions inlined at each.
//! - [`attribute`] takes a mangled name apart: function, module, crate.
//! - [`PerfMap`] and [`KernelSymbols`] name code made at run time and the kernel's.

mod arch;
mod attribute;
mod cpp;
mod debug_file;
mod elf;
mod error;
mod facts;
mod fde;
mod image;
mod kernel;
mod legacy;
mod namespaces;
mod perf_map;
mod source;
mod symbolize;
mod symtab;
mod text;
mod unwind;
mod v0;
mod versions;

pub use arch::Registers;
pub use attribute::{attribute, finish_for_mapping};
pub use error::{Error, Result};
pub use facts::{BinaryFacts, Dependency};
pub use image::Image;
pub use kernel::{Kallsyms, KernelSymbols, KernelUnavailable};
pub use perf_map::PerfMap;
pub use symbolize::{Resolved, Symbolizer};
pub use unwind::{AddressSpace, MAX_FRAMES, MappingRange, StackEnd, UnwindCache};
