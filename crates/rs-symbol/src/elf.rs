//! The headers of an ELF file, copied out and checked once so that nothing later can run off the file.

use std::ops::Range;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

/// A loaded part of the file, or where to find something in it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    pub(crate) memory_size: u64,
    pub(crate) offset: u64,
    pub(crate) file_size: u64,
    pub(crate) align: u64,
    pub(crate) executable: bool,
}

impl Segment {
    /// Addresses that the segment takes up in memory.
    pub(crate) fn addresses(&self) -> Range<u64> {
        self.address..self.address.saturating_add(self.memory_size)
    }

    /// Address at which a byte of the file appears, or would if the loader maps the page around the segment.
    fn address_at(&self, offset: u64) -> u64 {
        self.address.wrapping_add(offset.wrapping_sub(self.offset))
    }

    /// Offset of an address that is backed by the file.
    fn offset_of(&self, address: u64) -> Option<u64> {
        let distance = address.checked_sub(self.address)?;
        (distance < self.file_size).then(|| self.offset.checked_add(distance)).flatten()
    }
}

/// A named part of the file.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    /// Size in memory; there may be no bytes for it in the file.
    pub(crate) size: u64,
    pub(crate) in_file: bool,
    pub(crate) compressed: bool,
    pub(crate) link: u32,
}

impl Section {
    pub(crate) fn addresses(&self) -> Range<u64> {
        self.address..self.address.saturating_add(self.size)
    }
}

/// What the headers say.
#[derive(Clone, Debug)]
pub(crate) struct Elf {
    pub(crate) machine: elf::Machine,
    pub(crate) is_shared: bool,
    pub(crate) entry: u64,
    /// `PT_LOAD`, in the order of the headers.
    pub(crate) loads: Vec<Segment>,
    pub(crate) notes: Vec<Segment>,
    pub(crate) eh_frame_header: Option<Segment>,
    pub(crate) dynamic: Option<Segment>,
    pub(crate) interpreter: Option<Segment>,
    pub(crate) sections: Vec<Section>,
}

impl Elf {
    /// Reads the headers. Damaged section headers are left out, because the loader does without them too;
    /// damaged program headers are an error.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Elf, ParseError> {
        let header = FileHeader64::<LE>::parse(bytes).map_err(|_| ParseError::NotElf)?;
        if !header.is_little_endian() {
            return Err(ParseError::NotElf);
        }
        let programs = header.program_headers(LE, bytes).map_err(|e| ParseError::Damaged(e.to_string()))?;
        let mut elf = Elf {
            machine: header.e_machine(LE),
            is_shared: header.e_type(LE) == elf::ET_DYN,
            entry: header.e_entry(LE),
            loads: Vec::new(),
            notes: Vec::new(),
            eh_frame_header: None,
            dynamic: None,
            interpreter: None,
            sections: sections(header, bytes),
        };
        for program in programs {
            let segment = Segment {
                address: program.p_vaddr(LE),
                memory_size: program.p_memsz(LE),
                offset: program.p_offset(LE),
                file_size: program.p_filesz(LE),
                align: program.p_align(LE),
                executable: program.p_flags(LE).0 & elf::PF_X.0 != 0,
            };
            match program.p_type(LE) {
                elf::PT_LOAD => elf.loads.push(segment),
                elf::PT_NOTE => elf.notes.push(segment),
                elf::PT_GNU_EH_FRAME => elf.eh_frame_header = Some(segment),
                elf::PT_DYNAMIC => elf.dynamic = Some(segment),
                elf::PT_INTERP => elf.interpreter = Some(segment),
                _ => {}
            }
        }
        Ok(elf)
    }

    /// Lowest address of the image, down to the page that the loader maps.
    pub(crate) fn base(&self) -> u64 {
        self.loads.iter().map(|s| s.address - s.address % s.align.max(1)).min().unwrap_or(0)
    }

    /// Address of a byte of the file. Where two segments share the byte, code wins, since the question comes
    /// from instruction addresses.
    pub(crate) fn address_of_offset(&self, offset: u64) -> Option<u64> {
        let segment = self.by_code_first(|s| offset >= s.offset && offset - s.offset < s.file_size)?;
        Some(segment.address_at(offset))
    }

    /// Distance from the addresses of the file to those of a process that has `length` bytes from
    /// `file_offset` on mapped at `start`.
    ///
    /// The loader maps whole pages, so the bytes of one page of the file may be mapped twice, at different
    /// distances: lld puts the end of the read-only segment and the start of the code on one page. The
    /// segment that accounts for the exact range is taken, else one that has code there.
    pub(crate) fn bias(&self, start: u64, length: u64, file_offset: u64) -> Option<u64> {
        let end = file_offset.checked_add(length)?;
        let exact = |s: &Segment| {
            let last = s.offset.saturating_add(s.file_size);
            s.offset - s.offset % PAGE == file_offset && last.div_ceil(PAGE).saturating_mul(PAGE) == end
        };
        let covers = |s: &Segment| {
            s.offset.saturating_sub(LARGE_PAGE - 1) <= file_offset
                && file_offset < s.offset.saturating_add(s.file_size)
                && s.offset < end
        };
        let segment = self
            .by_code_first(exact)
            .or_else(|| self.loads.iter().find(|s| s.executable && covers(s)))
            .or_else(|| self.loads.iter().find(|s| covers(s)))?;
        Some(start.wrapping_sub(segment.address_at(file_offset)))
    }

    fn by_code_first(&self, wanted: impl Fn(&Segment) -> bool) -> Option<&Segment> {
        self.loads
            .iter()
            .filter(|s| s.executable)
            .find(|s| wanted(s))
            .or_else(|| self.loads.iter().find(|s| wanted(s)))
    }

    /// Offset in the file of an address, where the file has a byte for it.
    pub(crate) fn offset_of_address(&self, address: u64) -> Option<u64> {
        self.loads.iter().find_map(|s| s.offset_of(address))
    }

    /// The section of that name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }
}

/// Smallest page of the machines supported.
pub(crate) const PAGE: u64 = 4096;
/// Largest page that a loader may round segments to.
const LARGE_PAGE: u64 = 65536;

/// Why the headers could not be read.
pub(crate) enum ParseError {
    NotElf,
    Damaged(String),
}

fn sections(header: &FileHeader64<LE>, bytes: &[u8]) -> Vec<Section> {
    let Ok(table) = header.sections(LE, bytes) else { return Vec::new() };
    table
        .iter()
        .map(|section| Section {
            name: table
                .section_name(LE, section)
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .unwrap_or_default(),
            address: section.sh_addr(LE),
            offset: section.sh_offset(LE),
            size: section.sh_size(LE),
            in_file: section.sh_type(LE) != elf::SHT_NOBITS,
            compressed: section.sh_flags(LE).0 & elf::SHF_COMPRESSED.0 != 0,
            link: section.sh_link(LE),
        })
        .collect()
}
