//! The functions of a symbol table by address.
//!
//! A name is given only to addresses that are the function's: within its size, or up to the next symbol for
//! the sizeless labels of assembly in `.symtab`. The dynamic table holds exports only, so a sizeless export,
//! or the nearest one below, would be credited with all the private code behind it.

use std::cmp::Reverse;

use object::LittleEndian as LE;
use object::Pod;
use object::elf::{self, Rela64, Sym64};
use object::pod::slice_from_all_bytes;
use object::read::elf::Sym;

use crate::elf::Section;
use crate::image::Image;

/// The functions of an image.
#[derive(Debug, Default)]
pub(crate) struct SymbolTable {
    /// Sorted by start; a later entry never ends before an earlier one that overlaps it begins.
    entries: Vec<Entry>,
    dynamic: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    end: u64,
    /// Highest end up to here: bounds the search backwards.
    max_end: u64,
    /// Where the name begins in the file.
    name: u64,
}

impl SymbolTable {
    pub(crate) fn read(image: &Image) -> SymbolTable {
        SymbolTable {
            entries: entries(image, ".symtab").unwrap_or_default(),
            dynamic: entries(image, ".dynsym").unwrap_or_default(),
        }
    }

    /// Whether there is a full table, not of exports only.
    pub(crate) fn is_full(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The name of the function that covers an address.
    pub(crate) fn lookup<'a>(&self, image: &'a Image, svma: u64) -> Option<&'a str> {
        [&self.entries, &self.dynamic]
            .iter()
            .find_map(|entries| name_at(image, covering(entries, svma)?.name))
    }

    #[cfg(test)]
    pub(crate) fn names<'a>(&'a self, image: &'a Image) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter_map(|entry| name_at(image, entry.name))
    }
}

fn covering(entries: &[Entry], svma: u64) -> Option<&Entry> {
    let behind = entries.partition_point(|entry| entry.start <= svma);
    entries[..behind].iter().rev().take_while(|entry| entry.max_end > svma).find(|entry| entry.end > svma)
}

fn name_at(image: &Image, offset: u64) -> Option<&str> {
    let bytes = image.bytes().get(usize::try_from(offset).ok()?..)?;
    let end = memchr::memchr(0, bytes)?;
    std::str::from_utf8(&bytes[..end]).ok().filter(|name| !name.is_empty())
}

fn entries(image: &Image, table: &str) -> Option<Vec<Entry>> {
    let sections = &image.elf().sections;
    let section = image.elf().section(table)?;
    let strings = sections.get(section.link as usize)?;
    let symbols: &[Sym64<LE>] = records(image, section)?;
    let is_static = table == ".symtab";
    let mut found: Vec<Candidate> =
        symbols.iter().filter_map(|symbol| Candidate::new(symbol, sections, strings, is_static)).collect();
    found
        .sort_unstable_by(|a, b| a.order().cmp(&b.order()).then_with(|| a.taste(image).cmp(&b.taste(image))));
    // Of several names for one function the best came first.
    found.dedup_by_key(|candidate| candidate.start);
    let mut entries: Vec<Entry> = Vec::with_capacity(found.len());
    let mut max_end = 0;
    for (index, candidate) in found.iter().enumerate() {
        let end = match candidate.size {
            // A label within a function is no function.
            0 if max_end > candidate.start => continue,
            0 => found[index + 1..]
                .iter()
                .map(|next| next.start)
                .next()
                .unwrap_or(candidate.section_end)
                .min(candidate.section_end),
            size => candidate.start.saturating_add(size),
        };
        max_end = max_end.max(end);
        entries.push(Entry { start: candidate.start, end, max_end, name: candidate.name });
    }
    Some(entries)
}

struct Candidate {
    start: u64,
    size: u64,
    section_end: u64,
    name: u64,
    is_label: bool,
    binding: u8,
}

impl Candidate {
    fn new(
        symbol: &Sym64<LE>,
        sections: &[Section],
        strings: &Section,
        is_static: bool,
    ) -> Option<Candidate> {
        let kind = symbol.st_type();
        let is_function = kind == elf::STT_FUNC || kind == elf::STT_GNU_IFUNC;
        let is_label = kind == elf::STT_NOTYPE && is_static;
        let size = symbol.st_size(LE);
        if !(is_function || is_label) || (size == 0 && !is_static) || symbol.st_name(LE) == 0 {
            return None;
        }
        let index = symbol.st_shndx(LE);
        if index == elf::SHN_UNDEF {
            return None;
        }
        let start = symbol.st_value(LE);
        let section_end = sections.get(usize::from(index.0)).map_or(u64::MAX, |s| s.addresses().end);
        let binding = match symbol.st_bind() {
            elf::STB_GLOBAL => 0,
            elf::STB_WEAK => 1,
            _ => 2,
        };
        let name = strings.offset.checked_add(u64::from(symbol.st_name(LE)))?;
        (start < section_end).then_some(Candidate { start, size, section_end, name, is_label, binding })
    }

    fn order(&self) -> (u64, bool, bool, Reverse<u64>) {
        (self.start, self.size == 0, self.is_label, Reverse(self.size))
    }

    /// Of the names of one function, the one that its users know: `malloc`, not `__libc_malloc` or the
    /// C library's private `__GI___libc_malloc`.
    fn taste<'a>(&self, image: &'a Image) -> (bool, usize, u8, usize, &'a str) {
        let name = name_at(image, self.name).unwrap_or_default();
        let underscores = name.bytes().take_while(|byte| *byte == b'_').count();
        (name.is_empty() || name.starts_with("__GI_"), underscores, self.binding, name.len(), name)
    }
}

/// The records of a section, as many as are whole.
fn records<'a, T: Pod>(image: &'a Image, section: &Section) -> Option<&'a [T]> {
    let bytes = image.bytes().get(image.section_range(section)?)?;
    let whole = bytes.len() - bytes.len() % size_of::<T>();
    slice_from_all_bytes(&bytes[..whole]).ok()
}

/// Name of the function that a stub of the procedure linkage table jumps to: its jump goes through a slot of
/// the offset table, and the slot's relocation names the function.
pub(crate) fn plt_target(image: &Image, svma: u64) -> Option<(u64, &str)> {
    let elf = image.elf();
    let section =
        elf.sections.iter().find(|s| s.name.starts_with(".plt") && s.addresses().contains(&svma))?;
    let start = section.address + (svma - section.address) / PLT_STUB * PLT_STUB;
    let code = image.bytes_at(start, PLT_STUB)?;
    let jump = code.windows(6).position(|window| window.starts_with(&JUMP_THROUGH_MEMORY))?;
    let distance = i32::from_le_bytes(code[jump + 2..jump + 6].try_into().ok()?);
    let slot = (start + jump as u64 + 6).wrapping_add_signed(i64::from(distance));
    let name = [".rela.plt", ".rela.dyn"].iter().find_map(|name| {
        let relocations: &[Rela64<LE>] = records(image, elf.section(name)?)?;
        let relocation = relocations.iter().find(|relocation| relocation.r_offset.get(LE) == slot)?;
        let symbols = elf.section(".dynsym")?;
        let strings = elf.sections.get(symbols.link as usize)?;
        let symbol = records::<Sym64<LE>>(image, symbols)?.get(relocation.r_sym(LE, false) as usize)?;
        name_at(image, strings.offset.checked_add(u64::from(symbol.st_name(LE)))?)
    })?;
    Some((start, name))
}

const PLT_STUB: u64 = 16;
/// `jmp [rip + distance]`.
const JUMP_THROUGH_MEMORY: [u8; 2] = [0xff, 0x25];

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::File;

    use super::*;

    pub(crate) fn own_image() -> Image {
        let path = std::env::current_exe().unwrap();
        Image::open(File::open(&path).unwrap(), &path).unwrap()
    }

    pub(crate) fn own_symbol_names() -> Vec<String> {
        let image = own_image();
        image.symbols().names(&image).map(str::to_owned).collect()
    }
}
