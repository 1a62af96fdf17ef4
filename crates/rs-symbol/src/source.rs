//! Crates and modules by source path, for functions that debug information names without saying where they
//! belong: line tables (`debug = "line-tables-only"`) call an inlined function `push`, nothing more.
//!
//! What a path tells is an estimate: modules written inside a file are not in it.

use std::path::{Component, Path, PathBuf};

use gimli::{Dwarf, EndianSlice, LittleEndian};

use crate::image::Image;

/// What a path tells of its crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) crate_name: String,
    pub(crate) module: String,
    pub(crate) version: Option<String>,
}

/// Recognizes the places where Cargo and rustc keep the sources of others.
pub(crate) fn known_source(path: &str) -> Option<Source> {
    if let Some((_, rest)) = path.split_once(".cargo/registry/src/") {
        let (_, rest) = rest.split_once('/')?;
        return packaged(rest);
    }
    if let Some((_, rest)) = path.split_once("/rust/deps/") {
        return packaged(rest);
    }
    if let Some(rest) = standard_library(path) {
        let (name, file) = rest.split_once('/')?;
        let (name, file) = match (name, file.split_once('/')) {
            // library/stdarch/crates/core_arch/src
            ("stdarch", Some(("crates", rest))) => rest.split_once('/')?,
            _ => (name, file),
        };
        let crate_name = if name == "core_arch" { "core".to_owned() } else { ident(name) };
        return Some(Source { module: module(&crate_name, in_src(file)), crate_name, version: None });
    }
    if let Some((_, rest)) = path.split_once(".cargo/git/checkouts/") {
        let (repository, rest) = rest.split_once('/')?;
        let (_, rest) = rest.split_once('/')?;
        let name = repository.rsplit_once('-').map_or(repository, |(name, _)| name);
        let (name, file) = split_at_src(rest).map_or((name, rest), |(dir, file)| {
            (dir.rsplit('/').next().filter(|dir| !dir.is_empty()).unwrap_or(name), file)
        });
        let crate_name = ident(name);
        return Some(Source { module: module(&crate_name, file), crate_name, version: None });
    }
    None
}

/// The rest of a path into the standard library's sources, from the library's name on.
fn standard_library(path: &str) -> Option<&str> {
    let (before, rest) = path.split_once("/library/")?;
    let is_remapped = before.rsplit('/').nth(1) == Some("rustc");
    (is_remapped || before.ends_with("/lib/rustlib/src/rust")).then_some(rest)
}

/// `CRATE-VERSION/src/…`
fn packaged(rest: &str) -> Option<Source> {
    let (package, file) = rest.split_once('/')?;
    let (name, version) = split_version(package)?;
    let crate_name = ident(name);
    let module = module(&crate_name, in_src(file));
    Some(Source { crate_name, module, version: Some(version.to_owned()) })
}

/// `serde_json-1.0.2`: the first dash before three numbers.
pub(crate) fn split_version(package: &str) -> Option<(&str, &str)> {
    package.match_indices('-').map(|(at, _)| (&package[..at], &package[at + 1..])).find(|(name, version)| {
        let mut parts = version.splitn(3, '.');
        let mut number = |exact: bool| {
            parts.next().is_some_and(|part| {
                let digits = part.bytes().take_while(u8::is_ascii_digit).count();
                digits > 0 && (!exact || digits == part.len())
            })
        };
        !name.is_empty() && number(true) && number(true) && number(false)
    })
}

/// By the convention that a crate's sources are in `NAME/src`.
pub(crate) fn guessed_source(path: &str) -> Option<Source> {
    let (dir, file) = split_at_src(path)?;
    let name = dir.rsplit('/').next().filter(|name| !name.is_empty())?;
    let name = split_version(name).map_or(name, |(name, _)| name);
    let crate_name = ident(name);
    Some(Source { module: module(&crate_name, file), crate_name, version: None })
}

fn split_at_src(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once("/src/").or_else(|| path.strip_prefix("src/").map(|file| ("", file)))
}

fn in_src(file: &str) -> &str {
    split_at_src(file).map_or(file, |(_, file)| file)
}

/// `memory/fill.rs` in crate `app` is `app::memory::fill`.
fn module(crate_name: &str, file: &str) -> String {
    let mut module = crate_name.to_owned();
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let is_file = parts.peek().is_none();
        if !(is_file && matches!(part, "lib" | "main" | "mod")) {
            module.push_str("::");
            module.push_str(part);
        }
    }
    module
}

fn ident(package: &str) -> String {
    package.replace('-', "_")
}

/// The crates that a binary was compiled from, with their first source file: rustc names its compilation
/// units `ROOT_FILE/@/CRATE.HASH-cgu.N`.
#[derive(Debug, Default)]
pub(crate) struct CrateRoots {
    roots: Vec<Root>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Root {
    directory: PathBuf,
    file: PathBuf,
    crate_name: String,
}

/// More units than any program has; a bound on damaged files.
pub(crate) const MAX_UNITS: usize = 100_000;

impl CrateRoots {
    /// Reads the names of the units that the image itself holds, uncompressed.
    pub(crate) fn read(image: &Image) -> CrateRoots {
        let mut roots = Vec::new();
        for_each_unit(image, |unit, _| {
            if let (Some(name), Some(directory)) = (text(unit.name), text(unit.comp_dir)) {
                roots.extend(root(name, directory));
            }
        });
        roots.sort_unstable();
        roots.dedup();
        CrateRoots { roots }
    }

    /// The crate of a source file: the one whose root is nearest above it. Where a library and a program
    /// share a directory, `hint` decides, then the library.
    pub(crate) fn find(&self, path: &str, hint: Option<&str>) -> Option<Source> {
        let path = normalized(Path::new(path));
        let nearest = |root: &&Root| {
            let is_hinted = hint == Some(root.crate_name.as_str());
            (root.file == path, root.directory.as_os_str().len(), is_hinted, root.file.ends_with("lib.rs"))
        };
        let root = self.roots.iter().filter(|root| path.starts_with(&root.directory)).max_by_key(nearest)?;
        let file = path.strip_prefix(&root.directory).ok()?.to_str()?;
        let module = if root.file == path { root.crate_name.clone() } else { module(&root.crate_name, file) };
        Some(Source { crate_name: root.crate_name.clone(), module, version: None })
    }
}

fn root(unit_name: &str, directory: &str) -> Option<Root> {
    let (file, unit) = unit_name.split_once("/@/")?;
    let (crate_name, _) = unit.split_once('.')?;
    let file = normalized(&Path::new(directory).join(file));
    Some(Root { directory: file.parent()?.to_owned(), file, crate_name: crate_name.to_owned() })
}

/// Without `.` and `..`, by the letters.
fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

pub(crate) type Slice<'a> = EndianSlice<'a, LittleEndian>;

fn text(bytes: Option<Slice<'_>>) -> Option<&str> {
    std::str::from_utf8(bytes?.slice()).ok()
}

/// The image's own, uncompressed debug information.
pub(crate) fn dwarf(image: &Image) -> Option<Dwarf<Slice<'_>>> {
    let section = |id: gimli::SectionId| -> Result<Slice<'_>, gimli::Error> {
        let compressed = image.elf().section(id.name()).is_some_and(|section| section.compressed);
        let bytes = if compressed { None } else { image.section_bytes(id.name()) };
        Ok(EndianSlice::new(bytes.unwrap_or_default(), LittleEndian))
    };
    Dwarf::load(section).ok()
}

/// Visits the compilation units of the image's own, uncompressed debug information.
pub(crate) fn for_each_unit<'a>(
    image: &'a Image,
    mut visit: impl FnMut(&gimli::Unit<Slice<'a>>, &Dwarf<Slice<'a>>),
) {
    let Some(dwarf) = dwarf(image) else { return };
    let mut headers = dwarf.units();
    for _ in 0..MAX_UNITS {
        let Ok(Some(header)) = headers.next() else { return };
        if let Ok(unit) = dwarf.unit(header) {
            visit(&unit, &dwarf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(path: &str) -> Option<(String, String, Option<String>)> {
        known_source(path).map(|source| (source.crate_name, source.module, source.version))
    }

    fn some(crate_name: &str, module: &str, version: &str) -> Option<(String, String, Option<String>)> {
        Some((crate_name.into(), module.into(), (!version.is_empty()).then(|| version.into())))
    }

    #[test]
    fn sources_of_others() {
        let registry = "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
        assert_eq!(
            known(&format!("{registry}/regex-automata-0.4.9/src/meta/strategy.rs")),
            some("regex_automata", "regex_automata::meta::strategy", "0.4.9")
        );
        assert_eq!(known(&format!("{registry}/md-5-0.10.6/src/lib.rs")), some("md_5", "md_5", "0.10.6"));
        assert_eq!(
            known(&format!("{registry}/libc-1.0.0-alpha.5/src/unix/mod.rs")),
            some("libc", "libc::unix", "1.0.0-alpha.5")
        );
        assert_eq!(
            known("/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/num/mod.rs"),
            some("core", "core::num", "")
        );
        assert_eq!(
            known("/rustc/5980/library/stdarch/crates/core_arch/src/x86/sse2.rs"),
            some("core", "core::x86::sse2", "")
        );
        assert_eq!(
            known("/root/.rustup/toolchains/stable/lib/rustlib/src/rust/library/alloc/src/vec/mod.rs"),
            some("alloc", "alloc::vec", "")
        );
        assert_eq!(
            known("/rust/deps/hashbrown-0.15.2/src/raw/mod.rs"),
            some("hashbrown", "hashbrown::raw", "0.15.2")
        );
        assert_eq!(
            known("/root/.cargo/git/checkouts/tokio-0a1b2c/abc123/tokio-util/src/codec/mod.rs"),
            some("tokio_util", "tokio_util::codec", "")
        );
        assert_eq!(known("/home/u/library/src/lib.rs"), None);
    }

    #[test]
    fn crate_roots_decide_between_neighbours() {
        let roots = CrateRoots {
            roots: [
                ("src/lib.rs/@/app.1-cgu.0", "/w"),
                ("src/main.rs/@/tool.1-cgu.0", "/w"),
                ("crates/dep-x/src/lib.rs/@/renamed.1-cgu.3", "/w"),
                ("src/bin/other.rs/@/other.1-cgu.0", "/w"),
            ]
            .iter()
            .filter_map(|(name, directory)| root(name, directory))
            .collect(),
        };
        let find = |path, hint| roots.find(path, hint).map(|source| source.module);
        assert_eq!(find("/w/src/a/b.rs", None).as_deref(), Some("app::a::b"));
        assert_eq!(find("/w/src/a/b.rs", Some("tool")).as_deref(), Some("tool::a::b"));
        assert_eq!(find("/w/src/main.rs", None).as_deref(), Some("tool"));
        assert_eq!(find("/w/crates/dep-x/src/./y/mod.rs", None).as_deref(), Some("renamed::y"));
        assert_eq!(find("/w/src/bin/other.rs", None).as_deref(), Some("other"));
        assert_eq!(find("/elsewhere/src/lib.rs", None), None);
    }

    #[test]
    fn guesses() {
        let guess = |path| guessed_source(path).map(|source| source.module);
        assert_eq!(guess("/w/my-app/src/memory/fill.rs").as_deref(), Some("my_app::memory::fill"));
        assert_eq!(guess("src/main.rs"), None);
        assert_eq!(guess("/w/x.c"), None);
    }
}
