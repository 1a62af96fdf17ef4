//! What a binary tells about how it was built.

use std::io::Read;

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use crate::image::Image;
use crate::source::for_each_unit;

/// Facts of a binary. Unknown is `None`, never a guess.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BinaryFacts {
    /// Version of rustc that built it, from the comment section.
    pub rustc: Option<String>,
    /// `full`, `limited` or `line-tables-only` as the program's own code has it (the standard library always
    /// comes with some); `symbols` when there is only a symbol table, `stripped` without.
    pub debuginfo: Option<&'static str>,
    /// Needs no dynamic loader.
    pub is_static: bool,
    /// The dynamic loader it asks for.
    pub interpreter: Option<String>,
    /// Has a full symbol table.
    pub has_symtab: bool,
    /// Has a table of exports and imports.
    pub has_dynsym: bool,
    /// Packages it was built from, if `cargo auditable` listed them.
    pub dependencies: Vec<Dependency>,
}

/// A package that a binary was built from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dependency {
    /// Name of the package, dashes and all.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl BinaryFacts {
    pub(crate) fn read(image: &Image) -> BinaryFacts {
        let elf = image.elf();
        let has_symtab = elf.section(".symtab").is_some();
        let interpreter = elf.interpreter.as_ref().and_then(|segment| {
            let bytes = image.segment_bytes(segment)?;
            let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
        });
        BinaryFacts {
            rustc: rustc_version(image),
            debuginfo: debuginfo(image, has_symtab),
            is_static: interpreter.is_none() && (!elf.is_shared || is_position_independent_program(image)),
            interpreter,
            has_symtab,
            has_dynsym: elf.section(".dynsym").is_some(),
            dependencies: dependencies(image).unwrap_or_default(),
        }
    }
}

/// `rustc version 1.95.0 (59807616e 2026-04-14)`; libraries linked in may bring others, and then it is open
/// which one built the program.
pub(crate) fn rustc_version(image: &Image) -> Option<String> {
    let comment = image.section_bytes(".comment")?;
    let mut versions = comment
        .split(|byte| *byte == 0)
        .filter_map(|text| std::str::from_utf8(text).ok()?.strip_prefix("rustc version "))
        .filter_map(|text| text.split_whitespace().next());
    let version = versions.next()?;
    versions.all(|other| other == version).then(|| version.to_owned())
}

fn is_position_independent_program(image: &Image) -> bool {
    const DT_FLAGS_1: u64 = 0x6fff_fffb;
    const DF_1_PIE: u64 = 0x0800_0000;
    let Some(bytes) = image.elf().dynamic.as_ref().and_then(|segment| image.segment_bytes(segment)) else {
        return false;
    };
    bytes.chunks_exact(16).any(|entry| {
        let word = |at: usize| entry[at..at + 8].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        word(0) == DT_FLAGS_1 && word(8) & DF_1_PIE != 0
    })
}

fn debuginfo(image: &Image, has_symtab: bool) -> Option<&'static str> {
    match image.elf().section(".debug_info") {
        None if image.elf().section(".zdebug_info").is_some() => None,
        None => Some(if has_symtab { "symbols" } else { "stripped" }),
        Some(section) if section.compressed => None,
        Some(_) => Some(own_debuginfo(image).unwrap_or(if has_symtab { "symbols" } else { "stripped" })),
    }
}

/// The most that any unit has which was not compiled with the toolchain. The kinds of entries that a unit
/// declares tell, without reading the entries.
fn own_debuginfo(image: &Image) -> Option<&'static str> {
    let mut best = None;
    for_each_unit(image, |unit, _| {
        let text = |bytes: Option<crate::source::Slice<'_>>| {
            String::from_utf8_lossy(bytes.map(|bytes| bytes.slice()).unwrap_or_default()).into_owned()
        };
        let is_toolchain = ["/rustc/", "/rust/deps/", "/checkout/", "/usr/src/"]
            .iter()
            .any(|place| text(unit.comp_dir).starts_with(place) || text(unit.name).starts_with(place));
        if !is_toolchain {
            best = best.max(Some(level(unit)));
        }
    });
    best.map(|level| ["line-tables-only", "limited", "full"][level])
}

fn level(unit: &gimli::Unit<crate::source::Slice<'_>>) -> usize {
    let mut level = 0;
    // Codes are given out in order.
    for code in 1.. {
        let Some(abbreviation) = unit.abbreviations.get(code) else { break };
        if matches!(abbreviation.tag(), gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable) {
            return 2;
        }
        if abbreviation.tag() == gimli::DW_TAG_subprogram
            && abbreviation.attributes().iter().any(|attribute| {
                matches!(attribute.name(), gimli::DW_AT_linkage_name | gimli::DW_AT_decl_file)
            })
        {
            level = 1;
        }
    }
    level
}

/// Enough for the list of the largest workspaces.
const MAX_LIST: u64 = 16 << 20;

#[derive(Deserialize)]
struct DependencyList {
    packages: Vec<Dependency>,
}

/// The section that `cargo auditable` writes: JSON, deflated.
pub(crate) fn dependencies(image: &Image) -> Option<Vec<Dependency>> {
    let bytes = image.section_bytes(".dep-v0")?;
    let mut json = Vec::new();
    ZlibDecoder::new(bytes).take(MAX_LIST).read_to_end(&mut json).ok()?;
    Some(serde_json::from_slice::<DependencyList>(&json).ok()?.packages)
}
