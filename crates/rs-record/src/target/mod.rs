//! The program that is profiled: launched by us, or found running.

pub(crate) mod attach;
pub(crate) mod cargo;
pub(crate) mod launch;
pub(crate) mod proc;
