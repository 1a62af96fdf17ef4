//! What several tests of this crate use: where golden files are, and generators of lines.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod lines;

use std::path::PathBuf;

use rs_schema::validate::Fault;

/// Path of a golden file.
pub(crate) fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1").join(name)
}

/// Content of a golden file.
pub(crate) fn read(name: &str) -> Vec<u8> {
    let path = golden(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All that is wrong with an input, as `PLACE: SEVERITY: MESSAGE`.
pub(crate) fn faults(input: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut report = |fault: Fault| found.push(fault.to_string());
    rs_schema::validate::input(input, &mut report).expect("memory can be read");
    found
}
