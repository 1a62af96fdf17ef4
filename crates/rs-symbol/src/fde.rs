//! Function boundaries and ends of stacks from the unwind tables (`.eh_frame`, else `.debug_frame`).
//!
//! Stripping a binary leaves these tables in place, so they give stripped functions an identity that is
//! stable from run to run.

use std::ops::Range;

use gimli::{
    BaseAddresses, CieOrFde, DebugFrame, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, RegisterRule,
    UnwindContext, UnwindOffset, UnwindSection,
};
use memchr::memmem;
use object::elf;

use crate::arch::SIGNAL_RETURN;
use crate::image::Image;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Fde<'a> = gimli::FrameDescriptionEntry<Slice<'a>>;

/// One function as the unwind tables know it.
pub(crate) struct Function {
    pub(crate) range: Range<u64>,
}

/// What the unwind tables say about the frame at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The return address is declared undefined: the stack ends here.
    None,
    /// There is a caller, or there is meant to be one.
    Some,
    /// The tables do not cover the address.
    Unknown,
}

/// Where an image's unwind tables are.
#[derive(Debug)]
pub(crate) struct FunctionTable {
    place: Place,
    bases: BaseAddresses,
}

#[derive(Debug)]
enum Place {
    /// Sorted by the linker; nothing was read yet.
    Header {
        header: Range<usize>,
        eh_frame: Range<usize>,
    },
    /// Sorted here: first address of a function and the offset of its entry.
    Index {
        section: Range<usize>,
        debug: bool,
        starts: Vec<(u64, usize)>,
    },
    None,
}

/// The sections that unwinding needs, found by section headers or without them.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnwindSections {
    pub(crate) eh_frame: Option<(u64, Range<usize>)>,
    pub(crate) eh_frame_header: Option<(u64, Range<usize>)>,
    pub(crate) debug_frame: Option<Range<usize>>,
    pub(crate) text: Option<Range<u64>>,
    pub(crate) got: Option<Range<u64>>,
}

impl UnwindSections {
    pub(crate) fn find(image: &Image) -> UnwindSections {
        let elf = image.elf();
        let named = |name: &str| {
            let section = elf.section(name)?;
            Some((section.address, image.section_range(section)?))
        };
        let addresses = |name: &str| elf.section(name).map(|section| section.addresses());
        let mut sections = UnwindSections {
            eh_frame: named(".eh_frame").filter(|(_, range)| !range.is_empty()),
            eh_frame_header: named(".eh_frame_hdr").filter(|(_, range)| !range.is_empty()),
            debug_frame: elf
                .section(".debug_frame")
                .filter(|section| !section.compressed)
                .and_then(|section| image.section_range(section)),
            text: addresses(".text"),
            got: addresses(".got"),
        };
        if sections.eh_frame.is_none() {
            sections.find_by_program_header(image);
        }
        sections
    }

    /// Without section headers the program header tells where the sorted table is, and the table tells where
    /// `.eh_frame` starts. It ends with a terminator, so the rest of the segment serves as its end.
    fn find_by_program_header(&mut self, image: &Image) {
        let found = image.elf().eh_frame_header.as_ref().and_then(|segment| {
            let header = image.range(segment.offset, segment.file_size)?;
            let bases = BaseAddresses::default().set_eh_frame_hdr(segment.address);
            let parsed =
                EhFrameHdr::new(&image.bytes()[header.clone()], LittleEndian).parse(&bases, 8).ok()?;
            let gimli::Pointer::Direct(start) = parsed.eh_frame_ptr() else { return None };
            let load = image.elf().loads.iter().find(|load| load.addresses().contains(&start))?;
            let skip = start - load.address;
            let range = image.range(load.offset.checked_add(skip)?, load.file_size.checked_sub(skip)?)?;
            Some(((segment.address, header), (start, range)))
        });
        if let Some((header, eh_frame)) = found {
            self.eh_frame_header = Some(header);
            self.eh_frame = Some(eh_frame);
        }
    }
}

impl FunctionTable {
    pub(crate) fn find(image: &Image) -> FunctionTable {
        let sections = UnwindSections::find(image);
        let mut bases = BaseAddresses::default();
        if let Some((address, _)) = &sections.eh_frame {
            bases = bases.set_eh_frame(*address);
        }
        if let Some((address, _)) = &sections.eh_frame_header {
            bases = bases.set_eh_frame_hdr(*address);
        }
        if let Some(text) = &sections.text {
            bases = bases.set_text(text.start);
        }
        if let Some(got) = &sections.got {
            bases = bases.set_got(got.start);
        }
        let place = match (sections.eh_frame_header, sections.eh_frame, sections.debug_frame) {
            (Some((_, header)), Some((_, eh_frame)), _) => Place::Header { header, eh_frame },
            (None, Some((_, section)), _) => {
                let starts = starts(&eh_frame(&image.bytes()[section.clone()]), &bases);
                Place::Index { section, debug: false, starts }
            }
            (_, None, Some(section)) => {
                let starts = starts(&debug_frame(&image.bytes()[section.clone()]), &bases);
                Place::Index { section, debug: true, starts }
            }
            (_, None, None) => Place::None,
        };
        FunctionTable { place, bases }
    }

    /// The function that covers `svma`.
    pub(crate) fn function_at(&self, image: &Image, svma: u64) -> Option<Function> {
        self.with_fde(image, svma, |fde, _| Function { range: addresses(fde) })
    }

    /// Whether the frame at `svma` has a caller.
    pub(crate) fn caller_at(&self, image: &Image, svma: u64) -> Caller {
        let mut context = UnwindContext::new();
        self.with_fde(image, svma, |fde, section| {
            let row = match section {
                AnySection::EhFrame(section) => {
                    fde.unwind_info_for_address(section, &self.bases, &mut context, svma)
                }
                AnySection::DebugFrame(section) => {
                    fde.unwind_info_for_address(section, &self.bases, &mut context, svma)
                }
            };
            let register = fde.cie().return_address_register();
            match row.map(|row| row.register(register)) {
                Ok(None | Some(RegisterRule::Undefined)) => return_address_default(image),
                Ok(Some(_)) => Caller::Some,
                Err(_) => Caller::Unknown,
            }
        })
        .unwrap_or(Caller::Unknown)
    }

    fn with_fde<T>(
        &self,
        image: &Image,
        svma: u64,
        then: impl FnOnce(&Fde<'_>, AnySection<'_>) -> T,
    ) -> Option<T> {
        let bytes = image.bytes();
        match &self.place {
            Place::Header { header, eh_frame: section } => {
                let section = eh_frame(bytes.get(section.clone())?);
                let header =
                    EhFrameHdr::new(bytes.get(header.clone())?, LittleEndian).parse(&self.bases, 8).ok()?;
                let gimli::Pointer::Direct(entry) = header.table()?.lookup(svma, &self.bases).ok()? else {
                    return None;
                };
                let gimli::Pointer::Direct(start) = header.eh_frame_ptr() else { return None };
                let offset = usize::try_from(entry.checked_sub(start)?).ok()?;
                let fde =
                    section.fde_from_offset(&self.bases, offset.into(), EhFrame::cie_from_offset).ok()?;
                addresses(&fde).contains(&svma).then(|| then(&fde, AnySection::EhFrame(&section)))
            }
            Place::Index { section, debug, starts } => {
                let index = starts.partition_point(|(start, _)| *start <= svma).checked_sub(1)?;
                let offset = starts[index].1;
                if *debug {
                    let section = debug_frame(bytes.get(section.clone())?);
                    let fde = section
                        .fde_from_offset(&self.bases, offset.into(), DebugFrame::cie_from_offset)
                        .ok()?;
                    addresses(&fde).contains(&svma).then(|| then(&fde, AnySection::DebugFrame(&section)))
                } else {
                    let section = eh_frame(bytes.get(section.clone())?);
                    let fde =
                        section.fde_from_offset(&self.bases, offset.into(), EhFrame::cie_from_offset).ok()?;
                    addresses(&fde).contains(&svma).then(|| then(&fde, AnySection::EhFrame(&section)))
                }
            }
            Place::None => None,
        }
    }
}

/// Where signal handlers return to, if this image has that code (a C library, the vDSO on aarch64). Its
/// unwind entry is marked with an S; its rules are DWARF expressions that framehop cannot evaluate.
pub(crate) fn signal_return(image: &Image) -> Option<u64> {
    const MARK: &[u8] = b"zRS\0";
    let (eh_frame_address, range) = UnwindSections::find(image).eh_frame?;
    let eh_frame = &image.bytes()[range];
    let mark = memmem::find(eh_frame, MARK)?;
    // The common entry: length, id, version, then the mark. Its first function follows at once.
    let common = mark.checked_sub(9)?;
    let word = |at: usize| Some(u32::from_le_bytes(eh_frame.get(at..at + 4)?.try_into().ok()?));
    let function = common.checked_add(4)?.checked_add(word(common)? as usize)?;
    let start_at = function.checked_add(8)?;
    let start = (eh_frame_address + start_at as u64).wrapping_add_signed(i64::from(word(start_at)? as i32));
    let code = image.bytes_at(start, 64)?;
    Some(start + memmem::find(code, SIGNAL_RETURN)? as u64)
}

enum AnySection<'a> {
    EhFrame(&'a EhFrame<Slice<'a>>),
    DebugFrame(&'a DebugFrame<Slice<'a>>),
}

/// On x86-64 the common entry always gives the return address a place, so a missing rule means that it was
/// undefined on purpose. On aarch64 a missing rule means that it is still in the link register.
fn return_address_default(image: &Image) -> Caller {
    if image.elf().machine == elf::EM_AARCH64 { Caller::Some } else { Caller::None }
}

fn addresses(fde: &Fde<'_>) -> Range<u64> {
    fde.initial_address()..fde.initial_address().saturating_add(fde.len())
}

fn eh_frame(bytes: &[u8]) -> EhFrame<Slice<'_>> {
    let mut section = EhFrame::new(bytes, LittleEndian);
    section.set_address_size(8);
    section
}

fn debug_frame(bytes: &[u8]) -> DebugFrame<Slice<'_>> {
    let mut section = DebugFrame::new(bytes, LittleEndian);
    section.set_address_size(8);
    section
}

/// Reads the whole section; entries behind a damaged one are lost.
fn starts<'a, S>(section: &S, bases: &BaseAddresses) -> Vec<(u64, usize)>
where
    S: UnwindSection<Slice<'a>>,
    S::Offset: UnwindOffset<usize>,
{
    let mut starts = Vec::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        if let CieOrFde::Fde(partial) = entry
            && let Ok(fde) = partial.parse(S::cie_from_offset)
            && fde.len() > 0
        {
            starts.push((fde.initial_address(), fde.offset()));
        }
    }
    starts.sort_unstable();
    starts
}
