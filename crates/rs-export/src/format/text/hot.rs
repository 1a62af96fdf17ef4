//! Looking things up in a session: functions behind stacks, and whose code it is.

use rs_schema::event::FrameKind;
use rs_schema::session::{Function, ProfileSession, Row};

use super::names::file_name;

/// A session with what is looked up often.
pub(super) struct Index<'a> {
    pub(super) session: &'a ProfileSession,
    /// Crates whose time is charged to their callers.
    runtime: Vec<&'a str>,
}

impl<'a> Index<'a> {
    pub(super) fn new(session: &'a ProfileSession) -> Self {
        let origin = |origin: &Option<String>| matches!(origin.as_deref(), Some("std" | "kernel"));
        let crates = session.crate_rollups.iter().filter(|rollup| origin(&rollup.origin));
        let mut runtime = vec!["std", "core", "alloc"];
        runtime.extend(crates.map(|rollup| rollup.crate_name.as_str()));
        Index { session, runtime }
    }

    pub(super) fn function(&self, row: Row) -> Option<&'a Function> {
        self.session.functions.get(row as usize)
    }

    /// Whether the user wrote neither this nor chose to depend on it.
    pub(super) fn is_runtime(&self, function: &Function) -> bool {
        function.kind == FrameKind::Kernel
            || function.crate_name.as_deref().is_some_and(|name| self.runtime.contains(&name))
    }

    /// The function a heap site is known by, with its place: the innermost outside std, since each site's
    /// innermost function is some `alloc::alloc`; the innermost of all where there is no other.
    pub(super) fn site(&self, stack: Row) -> Option<(&'a Function, String)> {
        let frames = &self.session.frames;
        let stacks = &self.session.stacks;
        let mut innermost = None;
        for row in rs_profile::tree::chain(stacks, stack) {
            let frame = *stacks.frame.get(row as usize)? as usize;
            let function = self.function(*frames.function.get(frame)?)?;
            let file = frames.file.get(frame).copied().flatten();
            let line = frames.line.get(frame).copied().flatten();
            let found = (function, self.place(file, line));
            if !self.is_runtime(function) {
                return Some(found);
            }
            innermost.get_or_insert(found);
        }
        innermost
    }

    /// `memory.rs:31`, or nothing.
    pub(super) fn place(&self, file: Option<Row>, line: Option<u32>) -> String {
        let Some(file) = file.and_then(|row| self.session.files.get(row as usize)) else {
            return String::new();
        };
        match line {
            Some(line) => format!("{}:{line}", file_name(file)),
            None => file_name(file).to_owned(),
        }
    }
}

/// What a function is called on screen: its key, and its crate where the key does not tell it, as in C.
pub(super) fn label(function: &Function) -> String {
    if function.function.is_empty() {
        return "(no name)".to_owned();
    }
    match function.crate_name.as_deref() {
        Some(crate_name) if !function.function.contains(crate_name) => {
            format!("{} ({crate_name})", function.function)
        }
        _ => function.function.clone(),
    }
}
