//! Versions of the crates in a binary, from the places that tell them apart from source paths of the
//! functions themselves.

use memchr::memmem;
use rustc_hash::FxHashMap;

use crate::facts::{dependencies, rustc_version};
use crate::image::Image;
use crate::source::split_version;

/// A version and where it is from.
pub(crate) type Version = (String, &'static str);

/// Versions by crate. A crate that is there in two versions has none.
#[derive(Debug, Default)]
pub(crate) struct VersionTable {
    versions: FxHashMap<String, Option<Version>>,
    rustc: Option<String>,
}

/// No more of `.rodata` is searched.
const MAX_SEARCHED: usize = 64 << 20;
/// Paths of more panics than this tell nothing new.
const MAX_PATHS: usize = 100_000;

impl VersionTable {
    /// What the image tells at once. The list of `cargo auditable` is complete; panics tell of the packages
    /// that can panic.
    pub(crate) fn read(image: &Image) -> VersionTable {
        let mut table = VersionTable { rustc: rustc_version(image), ..VersionTable::default() };
        for dependency in dependencies(image).unwrap_or_default() {
            table.add(&dependency.name, &dependency.version, "dep_v0");
        }
        if table.versions.is_empty() {
            table.add_panic_paths(image.section_bytes(".rodata").unwrap_or_default());
        }
        table
    }

    /// Takes in the version of a crate from the path of a function's source.
    pub(crate) fn learn(&mut self, crate_name: &str, version: &str) {
        if !self.versions.contains_key(crate_name) {
            self.versions.insert(crate_name.to_owned(), Some((version.to_owned(), "path")));
        }
    }

    /// The version of a Rust crate. The standard library's is the compiler's.
    pub(crate) fn get(&self, crate_name: &str) -> Option<Version> {
        if matches!(crate_name, "core" | "alloc" | "std" | "proc_macro" | "test" | "panic_unwind") {
            return Some((self.rustc.clone()?, "rustc"));
        }
        self.versions.get(crate_name).cloned().flatten()
    }

    /// Panics carry the path of their source, which stripping leaves in place.
    fn add_panic_paths(&mut self, bytes: &[u8]) {
        const REGISTRY: &[u8] = b".cargo/registry/src/";
        let bytes = &bytes[..bytes.len().min(MAX_SEARCHED)];
        for at in memmem::find_iter(bytes, REGISTRY).take(MAX_PATHS) {
            let rest = &bytes[at + REGISTRY.len()..];
            let text = String::from_utf8_lossy(&rest[..rest.len().min(256)]);
            let mut parts = text.split('/');
            let package = parts.nth(1).and_then(split_version);
            if let (Some((name, version)), Some(_)) = (package, parts.next()) {
                self.add(name, version, "panic_path");
            }
        }
    }

    fn add(&mut self, package: &str, version: &str, source: &'static str) {
        let name = package.replace('-', "_");
        self.versions
            .entry(name)
            .and_modify(|known| {
                if known.as_ref().is_some_and(|(known, _)| known != version) {
                    *known = None;
                }
            })
            .or_insert_with(|| Some((version.to_owned(), source)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_paths() {
        let mut table = VersionTable::default();
        table.add_panic_paths(
            b"xx/root/.cargo/registry/src/index.crates.io-19/regex-1.10.2/src/lib.rs/r/.cargo/registry/src/i/md-5-0.1.2/src/a.rsassertion\
              /u/.cargo/registry/src/i/twice-1.0.0/src/a.rs/u/.cargo/registry/src/i/twice-2.0.0/src/a.rs.cargo/registry/src/i/cut-1.0",
        );
        assert_eq!(table.get("regex"), Some(("1.10.2".into(), "panic_path")));
        assert_eq!(table.get("md_5"), Some(("0.1.2".into(), "panic_path")));
        assert_eq!(table.get("twice"), None);
        assert_eq!(table.get("cut"), None);
        assert_eq!(table.get("std"), None);
    }
}
