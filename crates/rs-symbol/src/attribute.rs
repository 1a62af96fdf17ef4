//! Crates and modules, truly: from the mangled name to the function that was written.
//!
//! The rules. A function's key has no generic arguments, hashes, disambiguators or compiler suffixes, so that
//! two builds compare. Trait impls belong to the crate and module of the impl, default methods to the
//! trait's. Closures, async bodies and shims count as the function that wrote them. What a mangling does not
//! tell is inferred and marked as estimated.

use std::fmt::{self, Write};

use rs_schema::event::Symbol;
use rs_schema::units::Status;

use crate::v0::Place;
use crate::{cpp, legacy, v0};

/// Names a function by its entry in a symbol table, mangled or not.
///
/// For C and C++ the crate stays open, because it is the binary's name: see [`finish_for_mapping`].
pub fn attribute(raw_name: &str) -> Symbol {
    if let Some(parsed) = v0::parse(raw_name)
        && let Some(place) = parsed.place()
    {
        return rust(raw_name, parsed.suffix, place, false);
    }
    if let Some(parsed) = legacy::parse(raw_name)
        && let Some(placed) = parsed.place()
    {
        return rust(raw_name, parsed.suffix, placed.place, placed.is_estimated);
    }
    let bare = strip_suffixes(raw_name);
    if bare.starts_with("_Z")
        && let Some(name) = cpp::parse(bare)
    {
        return Symbol {
            display: (name.display != name.key).then_some(name.display),
            function: Some(name.key),
            raw_name: Some(raw_name.to_owned()),
            module: name.namespace,
            language: Some("c++".to_owned()),
            body: name.body,
            ..Symbol::default()
        };
    }
    if let Some(module) = runtime_module(bare) {
        return runtime(raw_name, bare, module);
    }
    Symbol {
        function: (!bare.is_empty()).then(|| bare.to_owned()),
        display: (bare != raw_name).then(|| raw_name.to_owned()),
        raw_name: Some(raw_name.to_owned()),
        language: Some("c".to_owned()),
        ..Symbol::default()
    }
}

/// Gives what has no crate the binary's name in brackets: `[libc.so.6]`. A module that is known, such as a
/// C++ namespace, stays.
pub fn finish_for_mapping(symbol: &mut Symbol, mapping_basename: &str) {
    if symbol.function.is_none() || symbol.crate_name.is_some() {
        return;
    }
    let name = bracketed(mapping_basename);
    if symbol.module.is_none() {
        symbol.module = Some(name.clone());
    }
    symbol.crate_name = Some(name);
}

/// A name in brackets, unless it is in brackets already.
pub(crate) fn bracketed(name: &str) -> String {
    if name.starts_with('[') { name.to_owned() } else { format!("[{name}]") }
}

fn rust(raw_name: &str, suffix: &str, place: Place, is_estimated: bool) -> Symbol {
    // Symbols that the compiler makes for the allocator and the panic runtime.
    if place.crate_name == "__rustc" {
        let name = place.key.rsplit("::").next().unwrap_or_default();
        return runtime(raw_name, name, runtime_module(name).unwrap_or("std"));
    }
    let display =
        demangled(&raw_name[..raw_name.len() - suffix.len()]).filter(|display| *display != place.key);
    Symbol {
        function: Some(place.key),
        display,
        raw_name: Some(raw_name.to_owned()),
        crate_name: Some(place.crate_name),
        module: Some(place.module),
        language: Some("rust".to_owned()),
        body: place.body,
        attribution: is_estimated.then_some(Status::Estimated),
        ..Symbol::default()
    }
}

fn runtime(raw_name: &str, name: &str, module: &str) -> Symbol {
    Symbol {
        function: Some(name.to_owned()),
        display: demangled(raw_name).filter(|display| display != name),
        raw_name: Some(raw_name.to_owned()),
        crate_name: module.split("::").next().map(str::to_owned),
        module: Some(module.to_owned()),
        language: Some("rust".to_owned()),
        ..Symbol::default()
    }
}

/// Where the functions with fixed names live that std and the compiler link by name.
fn runtime_module(name: &str) -> Option<&'static str> {
    match name {
        "rust_begin_unwind"
        | "rust_panic"
        | "rust_panic_with_hook"
        | "__rust_start_panic"
        | "__rust_panic_cleanup"
        | "__rust_drop_panic"
        | "__rust_foreign_exception" => Some("std::panicking"),
        "rust_eh_personality" => Some("std::sys::personality"),
        _ if name.starts_with("__rdl_") => Some("std::alloc"),
        _ if name.starts_with("__rust_") || name.starts_with("__rg_") => Some("alloc::alloc"),
        _ => None,
    }
}

/// The full name without hashes, unless it is unreasonably long.
fn demangled(raw_name: &str) -> Option<String> {
    let demangled = rustc_demangle::try_demangle(raw_name).ok()?;
    let mut out = Bounded(String::new());
    write!(out, "{demangled:#}").ok()?;
    Some(out.0)
}

const MAX_DISPLAY: usize = 16 * 1024;

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_DISPLAY {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Suffixes of parts and copies of functions that compilers and linkers make; most are followed by a number.
const SUFFIXES: [&str; 12] = [
    "llvm",
    "cold",
    "part",
    "constprop",
    "isra",
    "lto_priv",
    "localalias",
    "clone",
    "warm",
    "unlikely",
    "__uniq",
    "specialized",
];

/// Drops suffixes such as `.cold`, `.part.0` or `.llvm.123`, and a symbol version (`@@GLIBC_2.2.5`).
pub(crate) fn strip_suffixes(name: &str) -> &str {
    let mut bare = match name.find('@') {
        Some(at) if at > 0 && !name.ends_with("@plt") => &name[..at],
        _ => name,
    };
    while let Some((rest, last)) = bare.rsplit_once('.') {
        let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        if rest.is_empty() || !(is_number || SUFFIXES.contains(&last)) {
            break;
        }
        bare = rest;
    }
    bare
}
