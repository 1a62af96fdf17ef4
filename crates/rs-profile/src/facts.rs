//! Which function a name stands for, and what is known of it.
//!
//! A function is (key, crate, module, kind of code). Frames without a name count under their binary,
//! `[libz.so.1]`, or `[unknown]`; kernel code has the crate and module `[kernel]`, code made at run time
//! `[jit]` unless it says otherwise. A name without a crate, as C and C++ have, counts under its binary too.
//! The mark `[truncated]`, under which cut stacks hang, belongs to no crate and no module.

use rs_schema::event::{Body, FrameKind};
use rs_schema::session::{Function, Row};
use rs_schema::units::Status;
use rustc_hash::FxHashMap;

use crate::names::{NameId, Names};
use crate::tree::SymbolNames;

/// Function under which stacks hang whose outer part was cut.
pub(crate) const TRUNCATED: &str = "[truncated]";
/// Stands for code of no known binary.
const UNKNOWN: &str = "[unknown]";
/// Stands for the kernel.
pub(crate) const KERNEL: &str = "[kernel]";
/// Stands for code made at run time.
pub(crate) const JIT: &str = "[jit]";

/// What makes two functions one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    function: NameId,
    crate_name: Option<NameId>,
    module: Option<NameId>,
    kind: FrameKind,
}

impl Key {
    fn new(symbol: &SymbolNames, kind: FrameKind, mapping_path: Option<NameId>, names: &mut Names) -> Self {
        let stand_in = match kind {
            FrameKind::Kernel => names.intern(KERNEL),
            FrameKind::Jit => names.intern(JIT),
            FrameKind::User | FrameKind::Unknown => {
                let bracketed = mapping_path.map(|path| bracketed(names.text(path)));
                names.intern(bracketed.as_deref().unwrap_or(UNKNOWN))
            }
        };
        let Some(function) = symbol.function else {
            return Key { function: stand_in, crate_name: Some(stand_in), module: Some(stand_in), kind };
        };
        if kind == FrameKind::Unknown && names.text(function) == TRUNCATED {
            return Key { function, crate_name: None, module: None, kind };
        }
        if kind == FrameKind::Kernel {
            return Key { function, crate_name: Some(stand_in), module: Some(stand_in), kind };
        }
        let crate_name = symbol.crate_name.unwrap_or(stand_in);
        Key {
            function,
            crate_name: Some(crate_name),
            module: Some(symbol.module.unwrap_or(crate_name)),
            kind,
        }
    }
}

/// A binary's name in brackets.
fn bracketed(path: &str) -> String {
    if path.starts_with('[') && path.ends_with(']') {
        return path.to_string();
    }
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    format!("[{name}]")
}

/// A value that all who know it agree on, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Agree<T> {
    /// Nobody spoke yet.
    #[default]
    Open,
    /// All said this.
    On(T),
    /// They differ.
    Not,
}

impl<T: PartialEq + Copy> Agree<T> {
    /// Hears another value.
    pub(crate) fn hear(&mut self, value: T) {
        *self = match *self {
            Agree::Open => Agree::On(value),
            Agree::On(other) if other == value => return,
            _ => Agree::Not,
        };
    }

    /// What all agree on.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Agree::On(value) => Some(value),
            Agree::Open | Agree::Not => None,
        }
    }
}

/// What the frames of a function say of it.
#[derive(Default)]
struct Facts {
    /// Hears "none" as well: the full name is then the key.
    display: Agree<Option<NameId>>,
    version: Agree<(NameId, Option<NameId>)>,
    language: Option<NameId>,
    estimated: bool,
    closure: bool,
    asynchronous: bool,
    /// The file whose path comes first, and the lowest line in it.
    place: Option<(NameId, Option<u32>)>,
}

impl Facts {
    fn hear(&mut self, symbol: &SymbolNames, names: &Names) {
        self.display.hear(symbol.display);
        if let Some(version) = symbol.crate_version {
            self.version.hear((version, symbol.crate_version_source));
        }
        self.language = self.language.or(symbol.language);
        self.estimated |= symbol.attribution == Some(Status::Estimated);
        self.closure |= symbol.body == Some(Body::Closure);
        self.asynchronous |= symbol.body == Some(Body::Async);
        let Some(file) = symbol.file else { return };
        self.place = match self.place {
            Some((known, line)) if known == file => Some((file, lower(line, symbol.line))),
            Some((known, _)) if names.text(known) < names.text(file) => self.place,
            _ => Some((file, symbol.line)),
        };
    }

    fn bodies(&self) -> Vec<Body> {
        let closure = self.closure.then_some(Body::Closure);
        let asynchronous = self.asynchronous.then_some(Body::Async);
        closure.into_iter().chain(asynchronous).collect()
    }
}

fn lower(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The functions of a session in the making.
#[derive(Default)]
pub(crate) struct FunctionTable {
    rows: FxHashMap<Key, Row>,
    entries: Vec<(Key, Facts)>,
}

impl FunctionTable {
    /// The row of the function that `symbol` names at an address of the given kind and binary.
    pub(crate) fn row(
        &mut self,
        symbol: &SymbolNames,
        kind: FrameKind,
        mapping_path: Option<NameId>,
        names: &mut Names,
    ) -> Row {
        let key = Key::new(symbol, kind, mapping_path, names);
        let row = *self.rows.entry(key).or_insert_with(|| {
            self.entries.push((key, Facts::default()));
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        self.entries[row as usize].1.hear(symbol, names);
        row
    }

    /// The session's functions, without figures.
    pub(crate) fn into_functions(self, names: &Names, file_row: &FxHashMap<NameId, Row>) -> Vec<Function> {
        let function = |(key, facts): (Key, Facts)| {
            let version = facts.version.value();
            Function {
                function: names.text(key.function).to_string(),
                display: names.owned(facts.display.value().flatten()),
                crate_name: names.owned(key.crate_name),
                crate_version: names.owned(version.map(|(version, _)| version)),
                crate_version_source: names.owned(version.and_then(|(_, source)| source)),
                module: names.owned(key.module),
                language: names.owned(facts.language),
                kind: key.kind,
                attribution: facts.estimated.then_some(Status::Estimated),
                bodies: facts.bodies(),
                file: facts.place.and_then(|(file, _)| file_row.get(&file).copied()),
                line: facts.place.and_then(|(_, line)| line),
                self_ns: 0,
                total_ns: 0,
                self_samples: 0,
                total_samples: 0,
                self_pct: 0.0,
                total_pct: 0.0,
                blame_ns: 0,
                self_waited_ns: 0,
                total_waited_ns: 0,
                alloc_count: None,
                alloc_bytes: None,
                latency: None,
            }
        };
        self.entries.into_iter().map(function).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_stands_in_brackets() {
        assert_eq!(bracketed("/usr/lib/libz.so.1"), "[libz.so.1]");
        assert_eq!(bracketed("[vdso]"), "[vdso]");
        assert_eq!(bracketed("/memfd:jit (deleted)"), "[memfd:jit (deleted)]");
        assert_eq!(bracketed(""), "[]");
    }

    #[test]
    fn agreement_ends_with_the_first_other_value() {
        let mut agree = Agree::Open;
        agree.hear(1);
        agree.hear(1);
        assert_eq!(agree.value(), Some(1));
        agree.hear(2);
        agree.hear(1);
        assert_eq!(agree.value(), None);
    }
}
