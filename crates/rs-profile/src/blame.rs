//! Whom time in the standard libraries and the kernel is charged to: the nearest caller outside them.
//!
//! Passed over are the crates that come with the compiler, the runtime libraries of C and C++ (most of whose
//! frames are the last step into the kernel, a copy or an allocation), and the kernel. Other C libraries are
//! not. Where there is no caller outside, as in a stack of std alone, the innermost function keeps its own time.

use rs_schema::ProfileSession;
use rs_schema::event::FrameKind;
use rs_schema::session::{Function, Row};

use crate::facts::TRUNCATED;

/// The crates that come with the compiler.
const STD: [&str; 11] = [
    "std",
    "core",
    "alloc",
    "proc_macro",
    "test",
    "compiler_builtins",
    "panic_abort",
    "panic_unwind",
    "std_detect",
    "unwind",
    "rustc_std_workspace_core",
];

/// Whether a crate comes with the compiler.
pub(crate) fn is_std(crate_name: &str) -> bool {
    STD.contains(&crate_name)
}

/// How the names of the runtime libraries of C and C++ begin, as they stand in brackets.
const RUNTIME_LIBRARIES: [&str; 12] = [
    "[libc.so",
    "[libc-",
    "[libm.so",
    "[libm-",
    "[libpthread",
    "[librt",
    "[ld-linux",
    "[ld-musl",
    "[libgcc_s",
    "[libstdc++",
    "[libc++",
    "[vdso]",
];

/// Whether a mapping's bracketed name is that of a runtime library of C or C++.
fn is_runtime_library(crate_name: &str) -> bool {
    RUNTIME_LIBRARIES.iter().any(|start| crate_name.starts_with(start))
}

/// Whether time of this function is charged to its caller. Crates that std is built with (hashbrown, addr2line,
/// …) are known by where their sources lay when it was built.
fn is_passed_over(function: &Function, files: &[String]) -> bool {
    let file = function.file.and_then(|file| files.get(file as usize));
    function.kind == FrameKind::Kernel
        || function.crate_name.as_deref().is_some_and(|name| is_std(name) || is_runtime_library(name))
        || file.is_some_and(|file| is_std_source(file))
}

/// Whether a source file is of the standard library or what it is built with.
pub(crate) fn is_std_source(file: &str) -> bool {
    file.starts_with("/rustc/") || file.starts_with("/rust/deps/")
}

/// For each stack the function that its own time is charged to.
pub(crate) fn charged(session: &ProfileSession, function: &[Row]) -> Vec<Row> {
    let passed_over: Vec<bool> = (session.functions.iter())
        .map(|function| {
            // The mark for a cut stack is nobody's caller.
            is_passed_over(function, &session.files) || is_truncation_mark(function)
        })
        .collect();
    let mut outside: Vec<Option<Row>> = Vec::with_capacity(function.len());
    for (&own, &parent) in function.iter().zip(&session.stacks.parent) {
        outside.push(match usize::try_from(parent) {
            _ if !passed_over[own as usize] => Some(own),
            Ok(parent) => outside[parent],
            Err(_) => None,
        });
    }
    outside.into_iter().zip(function).map(|(outside, &own)| outside.unwrap_or(own)).collect()
}

/// Whether this is the root under which cut stacks hang.
pub(crate) fn is_truncation_mark(function: &Function) -> bool {
    function.kind == FrameKind::Unknown && function.function == TRUNCATED
}
