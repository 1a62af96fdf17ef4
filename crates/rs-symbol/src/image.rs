//! A loaded binary: its bytes, and where things are in it.
//!
//! An [`Image`] is made from an open file, because the path that a process reports may be gone, replaced, or
//! mean something else in the recorder's mount namespace.

use std::fmt;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::read::elf::NoteIterator;

use crate::elf::{Elf, ParseError, Section, Segment};
use crate::error::{Error, Result};
use crate::facts::BinaryFacts;
use crate::fde::{FunctionTable, signal_return};
use crate::symtab::SymbolTable;

/// One binary, shared by everything that looks into it.
pub struct Image {
    id: u64,
    path: PathBuf,
    bytes: Bytes,
    file: Option<File>,
    elf: Elf,
    build_id: Option<String>,
    facts: OnceLock<BinaryFacts>,
    functions: OnceLock<FunctionTable>,
    symbols: OnceLock<SymbolTable>,
    signal_return: OnceLock<Option<u64>>,
}

enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Image {
    /// Maps an open binary. `path` is what the process calls it: it names the image, and separate debug
    /// information is looked for around it.
    pub fn open(file: File, path: &Path) -> Result<Image> {
        // SAFETY: the mapping is private and never written. If somebody truncates the file in place while
        // it is mapped, reading the lost pages raises SIGBUS; the processes that run the binary die of it
        // as well, which is why installers replace binaries instead of rewriting them.
        let map = unsafe { memmap2::Mmap::map(&file) }
            .map_err(|source| Error::Map { name: path.display().to_string(), source })?;
        Image::new(Bytes::Mapped(map), Some(file), path)
    }

    /// Takes the bytes of a binary that is no file, such as the vDSO.
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Image> {
        Image::new(Bytes::Owned(bytes), None, Path::new(name))
    }

    fn new(bytes: Bytes, file: Option<File>, path: &Path) -> Result<Image> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = || path.display().to_string();
        let elf = Elf::parse(bytes.slice()).map_err(|error| match error {
            ParseError::NotElf => Error::NotElf { name: name() },
            ParseError::Damaged(what) => Error::Damaged { name: name(), what },
        })?;
        let mut image = Image {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            path: path.to_owned(),
            bytes,
            file,
            elf,
            build_id: None,
            facts: OnceLock::new(),
            functions: OnceLock::new(),
            symbols: OnceLock::new(),
            signal_return: OnceLock::new(),
        };
        image.build_id = image.find_build_id();
        Ok(image)
    }

    /// Number of the image in this program's run; never reused.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The path given when the image was made.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Last component of the path.
    pub fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        name.trim_start_matches('[').trim_end_matches(']').to_owned()
    }

    /// GNU build id in hex.
    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    /// The open file, if the image is one.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// All bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.slice()
    }

    /// Virtual address, as the file states it, of a byte of the file. Segments need not be loaded at their
    /// offset, so the program headers decide.
    pub fn svma_of_file_offset(&self, offset: u64) -> Option<u64> {
        self.elf.address_of_offset(offset)
    }

    /// Offset in the file of a stated virtual address, where the file has a byte for it.
    pub fn file_offset_of_svma(&self, svma: u64) -> Option<u64> {
        self.elf.offset_of_address(svma)
    }

    /// Lowest stated virtual address.
    pub fn base_svma(&self) -> u64 {
        self.elf.base()
    }

    /// Address of the first instruction of the program.
    pub fn entry_svma(&self) -> u64 {
        self.elf.entry
    }

    /// What the binary tells about how it was built. Read on first use.
    pub fn facts(&self) -> &BinaryFacts {
        self.facts.get_or_init(|| BinaryFacts::read(self))
    }

    /// First address of the function at `svma` by the unwind information, which stripped code keeps.
    pub fn eh_frame_function_start(&self, svma: u64) -> Option<u64> {
        self.functions().function_at(self, svma).map(|function| function.range.start)
    }

    pub(crate) fn functions(&self) -> &FunctionTable {
        self.functions.get_or_init(|| FunctionTable::find(self))
    }

    pub(crate) fn symbols(&self) -> &SymbolTable {
        self.symbols.get_or_init(|| SymbolTable::read(self))
    }

    /// Where signal handlers return to, if this image has that code.
    pub(crate) fn signal_return(&self) -> Option<u64> {
        *self.signal_return.get_or_init(|| signal_return(self))
    }

    pub(crate) fn elf(&self) -> &Elf {
        &self.elf
    }

    /// Bytes of a range of the file, if they all exist.
    pub(crate) fn range(&self, offset: u64, size: u64) -> Option<Range<usize>> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        (end <= self.bytes().len()).then_some(start..end)
    }

    /// Bytes of a section as they stand in the file.
    pub(crate) fn section_bytes(&self, name: &str) -> Option<&[u8]> {
        self.bytes().get(self.section_range(self.elf.section(name)?)?)
    }

    pub(crate) fn section_range(&self, section: &Section) -> Option<Range<usize>> {
        section.in_file.then(|| self.range(section.offset, section.size)).flatten()
    }

    pub(crate) fn segment_bytes(&self, segment: &Segment) -> Option<&[u8]> {
        self.bytes().get(self.range(segment.offset, segment.file_size)?)
    }

    /// Code or data at a stated address, up to `size` bytes, fewer at the end of the segment.
    pub(crate) fn bytes_at(&self, svma: u64, size: u64) -> Option<&[u8]> {
        let segment = self.elf.loads.iter().find(|s| s.addresses().contains(&svma))?;
        let distance = svma - segment.address;
        let size = size.min(segment.file_size.checked_sub(distance)?);
        self.bytes().get(self.range(segment.offset.checked_add(distance)?, size)?)
    }

    fn find_build_id(&self) -> Option<String> {
        let notes = self.elf.notes.iter().filter_map(|s| Some((s.align, self.segment_bytes(s)?)));
        let section = self.section_bytes(".note.gnu.build-id").map(|bytes| (4, bytes));
        notes.chain(section).find_map(|(align, bytes)| {
            let mut notes = NoteIterator::<FileHeader64<LE>>::new(LE, align, bytes).ok()?;
            while let Ok(Some(note)) = notes.next() {
                if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
                    return Some(hex(note.desc()));
                }
            }
            None
        })
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("path", &self.path)
            .field("build_id", &self.build_id)
            .finish_non_exhaustive()
    }
}

impl Bytes {
    fn slice(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// Bytes of a part of an image, kept alive by it. The unwinder holds its sections this way, without a copy.
#[derive(Clone)]
pub(crate) struct ImageSlice {
    image: Arc<Image>,
    range: Range<usize>,
}

impl ImageSlice {
    pub(crate) fn new(image: &Arc<Image>, range: Range<usize>) -> Option<ImageSlice> {
        image.bytes().get(range.clone())?;
        Some(ImageSlice { image: Arc::clone(image), range })
    }
}

impl Deref for ImageSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.image.bytes()[self.range.clone()]
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
