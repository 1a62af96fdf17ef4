//! Where a crate is from, as far as its name and its sources tell.

use rs_schema::ProfileSession;
use rs_schema::event::FrameKind;
use rs_schema::session::Function;

use crate::blame::{is_std, is_std_source};
use crate::facts::{JIT, KERNEL};

/// The origin of a crate; `None` when nothing tells.
///
/// Names decide first: `[kernel]`, `[jit]`, the crates that come with the compiler, other names in brackets,
/// which are C and C++ libraries unless they are the target's own binary. Then sources: those in a registry or
/// a git checkout of Cargo's, or vendored, are of a dependency; those of std are of std; Rust code with any
/// other source is of the workspace. Without sources only the crate named as the target's binary is known.
pub(crate) fn of_crate(name: &str, members: &[&Function], session: &ProfileSession) -> Option<&'static str> {
    let exe = session.session.build.exe.as_deref().map(|exe| exe.rsplit('/').next().unwrap_or(exe));
    if name == KERNEL {
        return Some("kernel");
    }
    if name == JIT || (!members.is_empty() && members.iter().all(|member| member.kind == FrameKind::Jit)) {
        return Some("jit");
    }
    if is_std(name) {
        return Some("std");
    }
    if let Some(binary) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        let known = !matches!(binary, "unknown" | "") && exe != Some(binary);
        return known.then_some("system");
    }
    let files = || {
        let file = |function: &&Function| session.files.get(function.file? as usize).map(String::as_str);
        members.iter().filter_map(file)
    };
    let downloaded = |source: &str| matches!(source, "path" | "panic_path");
    let any_downloaded =
        members.iter().filter_map(|member| member.crate_version_source.as_deref()).any(downloaded);
    if any_downloaded || files().any(is_dependency_source) {
        return Some("dependency");
    }
    if files().next().is_some() && files().all(is_std_source) {
        return Some("std");
    }
    let is_rust = members.iter().any(|member| member.language.as_deref() == Some("rust"));
    if is_rust && files().any(|file| !is_std_source(file)) {
        return Some("workspace");
    }
    let is_target = exe.is_some_and(|exe| exe.replace('-', "_") == name);
    is_target.then_some("workspace")
}

/// Whether a source file is of a crate that Cargo downloaded, or that was vendored.
fn is_dependency_source(file: &str) -> bool {
    file.contains("/registry/src/")
        || file.contains("/git/checkouts/")
        || file.starts_with("vendor/")
        || file.contains("/vendor/")
}
