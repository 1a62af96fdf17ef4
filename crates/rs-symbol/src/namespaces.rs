//! Modules of functions by the namespaces that debug information declares them in, from `debug = 1` up. They
//! tell where a trait impl is written, which the legacy mangling does not.
//!
//! Units are read when a function in their code is asked for, once, and only as far as declarations go.

use std::hash::Hasher;

use gimli::{AttributeValue, DebugInfoOffset, Dwarf};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::image::Image;
use crate::source::{MAX_UNITS, Slice, dwarf};

/// Entries of more bytes than this are not read; what is beyond stays estimated.
const MAX_READ: usize = 128 << 20;
const MAX_NESTING: usize = 100;

/// The units of one image.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    ranges: Vec<Range>,
    /// By offset.
    units: Vec<Unit>,
    read: usize,
}

/// First address, end, and the unit whose code is there.
type Range = (u64, u64, usize);

/// What the linker left out is at 0 or 1.
fn range(range: gimli::Range, unit: usize) -> Option<Range> {
    (range.begin > 1 && range.begin < range.end).then_some((range.begin, range.end, unit))
}

#[derive(Debug)]
struct Unit {
    offset: usize,
    declared: Option<Declared>,
}

/// What a unit declares.
#[derive(Debug, Default)]
struct Declared {
    scopes: Vec<Scope>,
    /// By hash of the linkage name.
    functions: FxHashMap<u64, Function>,
    /// Offsets into units that hold functions inlined here.
    elsewhere: Vec<usize>,
}

/// A namespace; the first one is the unit.
#[derive(Debug, Default)]
struct Scope {
    parent: usize,
    name: String,
    /// Where the function of this name is, if it is one: rustc declares what is in a function in a namespace.
    function: Option<Position>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    file: u64,
    line: u64,
}

#[derive(Debug)]
struct Function {
    scope: usize,
    position: Position,
}

impl Namespaces {
    /// Finds the units of the image's own, uncompressed debug information.
    pub(crate) fn read(image: &Image) -> Namespaces {
        let mut namespaces = Namespaces::default();
        let Some(dwarf) = dwarf(image) else { return namespaces };
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(offset) = header.offset().to_debug_info_offset(&header) else { continue };
            namespaces.units.push(Unit { offset: offset.0, declared: None });
            if namespaces.units.len() >= MAX_UNITS {
                break;
            }
        }
        // rustc writes a table. Without one, every unit tells its own ranges.
        namespaces.ranges = namespaces.table_of_ranges(&dwarf);
        if namespaces.ranges.is_empty() {
            namespaces.ranges = namespaces.ranges_of_units(&dwarf);
        }
        namespaces.ranges.sort_unstable();
        namespaces
    }

    fn table_of_ranges(&self, dwarf: &Dwarf<Slice<'_>>) -> Vec<Range> {
        let mut ranges = Vec::new();
        let mut headers = dwarf.debug_aranges.headers();
        while let Ok(Some(header)) = headers.next() {
            let offset = header.debug_info_offset().0;
            let Ok(unit) = self.units.binary_search_by_key(&offset, |unit| unit.offset) else { continue };
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                ranges.extend(range(entry.range(), unit));
            }
        }
        ranges
    }

    fn ranges_of_units(&self, dwarf: &Dwarf<Slice<'_>>) -> Vec<Range> {
        let mut ranges = Vec::new();
        for (index, unit) in self.units.iter().enumerate() {
            let Ok(header) = dwarf.unit_header(DebugInfoOffset(unit.offset)) else { continue };
            let Ok(unit) = dwarf.unit(header) else { continue };
            let Ok(mut of_unit) = dwarf.unit_ranges(&unit) else { continue };
            while let Ok(Some(of_unit)) = of_unit.next() {
                ranges.extend(range(of_unit, index));
            }
        }
        ranges
    }

    /// The module of a function with code at an address, inlined or not, by its linkage name.
    pub(crate) fn module(&mut self, image: &Image, svma: u64, name: &str) -> Option<String> {
        let after = self.ranges.partition_point(|(start, ..)| *start <= svma);
        let (_, end, index) = *self.ranges.get(after.checked_sub(1)?)?;
        if svma >= end {
            return None;
        }
        let hash = hash(name.as_bytes());
        if let Some(module) = self.declared(image, index)?.module(hash) {
            return Some(module);
        }
        for offset in self.declared(image, index)?.elsewhere.clone() {
            let other = self.units.partition_point(|unit| unit.offset <= offset).checked_sub(1)?;
            if let Some(module) = self.declared(image, other)?.module(hash) {
                return Some(module);
            }
        }
        None
    }

    fn declared(&mut self, image: &Image, index: usize) -> Option<&Declared> {
        let unit = self.units.get_mut(index)?;
        if unit.declared.is_none() {
            let mut declared = Declared::default();
            if let Some(dwarf) = dwarf(image)
                && let Ok(header) = dwarf.unit_header(DebugInfoOffset(unit.offset))
                && let Some(read) = self.read.checked_add(header.length_including_self())
                && read <= MAX_READ
                && let Ok(unit) = dwarf.unit(header)
            {
                self.read = read;
                declared = Reader::new(&dwarf, &unit).read();
            }
            unit.declared = Some(declared);
        }
        unit.declared.as_ref()
    }
}

impl Declared {
    fn module(&self, hash: u64) -> Option<String> {
        let function = self.functions.get(&hash)?;
        let mut path = Vec::new();
        let mut scope = function.scope;
        while scope != 0 {
            path.push(self.scopes.get(scope)?);
            scope = path.last()?.parent;
            if path.len() > MAX_NESTING {
                return None;
            }
        }
        let is_module = |scope: &&&Scope| {
            // A module may have the name of a function beside it; then it is in a file of its own, or above.
            let is_within = |outer: Position| {
                outer.file == function.position.file && outer.line <= function.position.line
            };
            // `{impl#0}`, or the type that an inherent impl is for.
            let is_item = scope.name.starts_with(|c: char| c == '{' || c.is_uppercase());
            !is_item && !scope.function.is_some_and(is_within)
        };
        let names: Vec<&str> =
            path.iter().rev().take_while(is_module).map(|scope| scope.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join("::"))
    }
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

/// Reads the entries of one unit.
struct Reader<'r, 'a> {
    dwarf: &'r Dwarf<Slice<'a>>,
    unit: &'r gimli::Unit<Slice<'a>>,
    declared: Declared,
    scopes: FxHashMap<(usize, &'a [u8]), usize>,
    bodies: FxHashMap<(usize, &'a [u8]), Position>,
}

/// The attributes of one entry that matter here.
#[derive(Default)]
struct Entry<'a> {
    name: Option<&'a [u8]>,
    linkage_name: Option<&'a [u8]>,
    position: Position,
    elsewhere: Option<usize>,
}

impl<'r, 'a> Reader<'r, 'a> {
    fn new(dwarf: &'r Dwarf<Slice<'a>>, unit: &'r gimli::Unit<Slice<'a>>) -> Self {
        let declared = Declared { scopes: vec![Scope::default()], ..Declared::default() };
        Reader { dwarf, unit, declared, scopes: FxHashMap::default(), bodies: FxHashMap::default() }
    }

    fn read(mut self) -> Declared {
        // Line tables come without namespaces.
        let has_namespaces = (1..)
            .map_while(|code| self.unit.abbreviations.get(code))
            .any(|abbreviation| abbreviation.tag() == gimli::DW_TAG_namespace);
        if has_namespaces {
            // What was read of a damaged unit counts.
            let _ = self.entries();
        }
        for (&(parent, name), &scope) in &self.scopes {
            self.declared.scopes[scope].function = self.bodies.get(&(parent, name)).copied();
        }
        self.declared.elsewhere.sort_unstable();
        self.declared.elsewhere.dedup();
        self.declared
    }

    fn entries(&mut self) -> gimli::Result<()> {
        let mut entries = self.unit.entries_raw(None)?;
        // The namespaces around the entry, with the depth of what is in them.
        let mut around: Vec<(isize, usize)> = Vec::new();
        while !entries.is_empty() {
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            while around.last().is_some_and(|(inside, _)| depth < *inside) {
                around.pop();
            }
            let scope = around.last().map_or(0, |(_, scope)| *scope);
            match abbreviation.tag() {
                gimli::DW_TAG_namespace => {
                    let entry = self.entry(&mut entries, abbreviation)?;
                    if abbreviation.has_children() {
                        around.push((depth + 1, self.scope(scope, entry.name.unwrap_or_default())));
                    }
                }
                gimli::DW_TAG_subprogram => {
                    let entry = self.entry(&mut entries, abbreviation)?;
                    self.function(scope, entry);
                }
                _ if is_inlined_from_elsewhere(abbreviation) => {
                    let entry = self.entry(&mut entries, abbreviation)?;
                    self.declared.elsewhere.extend(entry.elsewhere);
                }
                _ => entries.skip_attributes(abbreviation.attributes())?,
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        entries: &mut gimli::EntriesRaw<'_, Slice<'a>>,
        abbreviation: &gimli::Abbreviation,
    ) -> gimli::Result<Entry<'a>> {
        let mut entry = Entry::default();
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            let text = || Some(self.dwarf.attr_string(self.unit, attribute.value()).ok()?.slice());
            match attribute.name() {
                gimli::DW_AT_name => entry.name = text(),
                gimli::DW_AT_linkage_name => entry.linkage_name = text(),
                gimli::DW_AT_decl_file => {
                    if let AttributeValue::FileIndex(file) = attribute.value() {
                        entry.position.file = file;
                    }
                }
                gimli::DW_AT_decl_line => entry.position.line = attribute.udata_value().unwrap_or(0),
                gimli::DW_AT_abstract_origin => {
                    if let AttributeValue::DebugInfoRef(offset) = attribute.value() {
                        entry.elsewhere = Some(offset.0);
                    }
                }
                _ => {}
            }
        }
        Ok(entry)
    }

    fn scope(&mut self, parent: usize, name: &'a [u8]) -> usize {
        *self.scopes.entry((parent, name)).or_insert_with(|| {
            let name = String::from_utf8_lossy(name).into_owned();
            self.declared.scopes.push(Scope { parent, name, function: None });
            self.declared.scopes.len() - 1
        })
    }

    fn function(&mut self, scope: usize, entry: Entry<'a>) {
        self.declared.elsewhere.extend(entry.elsewhere);
        let Some(name) = entry.name else { return };
        let base = &name[..name.iter().position(|byte| *byte == b'<').unwrap_or(name.len())];
        self.bodies.entry((scope, base)).or_insert(entry.position);
        // A function that has its name for linkage name is declared with the name alone.
        let linkage_name = entry.linkage_name.unwrap_or(name);
        if scope != 0 && !linkage_name.starts_with(b"_R") {
            let function = Function { scope, position: entry.position };
            self.declared.functions.insert(hash(linkage_name), function);
        }
    }
}

/// Only after optimisation across crates; rarely are there any.
fn is_inlined_from_elsewhere(abbreviation: &gimli::Abbreviation) -> bool {
    abbreviation.tag() == gimli::DW_TAG_inlined_subroutine
        && abbreviation.attributes().iter().any(|attribute| {
            attribute.name() == gimli::DW_AT_abstract_origin && attribute.form() == gimli::DW_FORM_ref_addr
        })
}

/// The functions that a binary has, by the path in their legacy symbols: what is in a path below one of them is
/// in a function, not in a module. The names in debug information count as well, because a function may be
/// inlined wherever it is called.
#[derive(Debug, Default)]
pub(crate) struct FunctionPaths {
    paths: FxHashSet<u64>,
}

const MAX_PATHS: usize = 2_000_000;

impl FunctionPaths {
    pub(crate) fn read<'i>(images: impl Iterator<Item = &'i Image>) -> FunctionPaths {
        let mut paths = FxHashSet::default();
        let tables = images.flat_map(|image| [".strtab", ".debug_str"].map(|name| (image, name)));
        for (image, name) in tables {
            let is_plain = image.elf().section(name).is_some_and(|section| !section.compressed);
            let bytes = image.section_bytes(name).filter(|_| is_plain).unwrap_or_default();
            for at in memchr::memmem::find_iter(bytes, b"\0_ZN") {
                if paths.len() >= MAX_PATHS {
                    break;
                }
                if let Some(path) = function_path(&bytes[at + 4..]) {
                    paths.insert(hash(path));
                }
            }
        }
        FunctionPaths { paths }
    }

    /// The module of something whose path has `path` before it, without the functions in it. `is_module` may
    /// know better of the path of a function: a module can have the same name.
    pub(crate) fn module<'p>(&self, path: &'p str, is_module: impl Fn(&str) -> bool) -> &'p str {
        let mut mangled = String::new();
        let mut end = 0;
        for (index, name) in path.split("::").enumerate() {
            mangled.push_str(&format!("{}{name}", name.len()));
            let before = end;
            end += name.len() + if index == 0 { 0 } else { 2 };
            if index > 0 && self.paths.contains(&hash(mangled.as_bytes())) && !is_module(&path[..end]) {
                return &path[..before];
            }
        }
        path
    }
}

/// The path in a legacy name, from behind `_ZN`, up to the hash; without closures, for only functions have them.
fn function_path(name: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    let mut end = 0;
    loop {
        let digits = name.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).take(4).count();
        let length = name[at..at + digits].iter().fold(0, |n, digit| n * 10 + usize::from(digit - b'0'));
        let next = at + digits + length;
        let component = name.get(at + digits..next).filter(|component| !component.is_empty())?;
        if length == 17 && component[0] == b'h' && name.get(next) == Some(&b'E') {
            return (end > 0).then(|| &name[..end]);
        }
        if !component.starts_with(b"_$u7b$$u7b$") {
            end = next;
        }
        at = next;
    }
}
