//! Stack unwinding of one process: its mappings, and framehop over them.
//!
//! What framehop calls the end of a stack is not always one: without unwind information it follows frame
//! pointers and takes a zero for the end, and rbp is zero in plenty of code that has no frame pointers. A
//! stack is called complete here only if an end-of-stack mark was met: unwind information that declares the
//! return address undefined (`_start`, `clone3`), or the program's entry and the thread start of a C library
//! without unwind information, known by the cleared frame pointer that the ABI asks for.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use framehop::{FrameAddress, Module, ModuleSectionInfo, Unwinder as _};
use memchr::memmem;
use rustc_hash::FxHashMap;

use crate::arch::{self, Registers};
use crate::fde::{Caller, UnwindSections};
use crate::image::{Image, ImageSlice};

/// More frames than this are cut off. A full 64 kB dump of the smallest frames has as many.
pub const MAX_FRAMES: usize = 4096;

/// How a stack ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackEnd {
    /// The end-of-stack mark was met.
    Complete,
    /// The stack goes on, but could not be followed.
    Truncated,
}

/// A range of a process's addresses that shows a binary.
#[derive(Clone, Debug)]
pub struct MappingRange {
    /// First address.
    pub start: u64,
    /// First address behind.
    pub end: u64,
    /// Offset of `start` in the file.
    pub file_offset: u64,
    /// The binary.
    pub image: Arc<Image>,
    bias: u64,
}

impl MappingRange {
    /// The address as the file states it.
    pub fn svma(&self, address: u64) -> u64 {
        address.wrapping_sub(self.bias)
    }

    fn part(&self, range: Range<u64>) -> MappingRange {
        MappingRange {
            start: range.start,
            end: range.end,
            file_offset: self.file_offset + (range.start - self.start),
            ..self.clone()
        }
    }

    fn holds_code(&self) -> bool {
        let addresses = self.svma(self.start)..self.svma(self.end - 1).saturating_add(1);
        self.image.elf().loads.iter().any(|load| {
            let code = load.addresses();
            load.executable && code.start < addresses.end && addresses.start < code.end
        })
    }
}

/// The mappings of one process, and the unwinder that knows them.
pub struct AddressSpace {
    /// Never reused.
    id: u64,
    /// Sorted by address, without overlaps.
    ranges: Vec<MappingRange>,
    unwinder: arch::Unwinder,
    /// Where signal handlers return to.
    signal_returns: Vec<u64>,
}

impl Clone for AddressSpace {
    fn clone(&self) -> Self {
        self.fork()
    }
}

impl Default for AddressSpace {
    fn default() -> Self {
        Self::new()
    }
}

impl AddressSpace {
    /// A process without mappings.
    pub fn new() -> Self {
        count_change();
        AddressSpace {
            id: next_id(),
            ranges: Vec::new(),
            unwinder: arch::Unwinder::new(),
            signal_returns: Vec::new(),
        }
    }

    /// The address space of a child after fork.
    pub fn fork(&self) -> Self {
        AddressSpace {
            id: next_id(),
            ranges: self.ranges.clone(),
            unwinder: self.unwinder.clone(),
            signal_returns: self.signal_returns.clone(),
        }
    }

    /// Forgets all mappings: the process runs another program now.
    pub fn clear(&mut self) {
        *self = AddressSpace::new();
    }

    /// A binary appears at `start..end`, from `file_offset` on; what was there is replaced. Ranges that show
    /// no part of a loadable segment are ignored.
    pub fn map(&mut self, start: u64, end: u64, file_offset: u64, image: Arc<Image>) {
        if start >= end {
            return;
        }
        self.unmap_overlaps(start, end);
        if let Some(bias) = image.elf().bias(start, end - start, file_offset) {
            self.insert(MappingRange { start, end, file_offset, image, bias });
        }
    }

    /// Something else appears at `start..end`: unmapped, anonymous memory or a file that is no binary.
    pub fn unmap_overlaps(&mut self, start: u64, end: u64) {
        let first = self.ranges.partition_point(|range| range.end <= start);
        let last = self.ranges.partition_point(|range| range.start < end);
        if first >= last {
            return;
        }
        for old in self.ranges.drain(first..last).collect::<Vec<_>>() {
            self.unwinder.remove_module(old.start);
            count_change();
            self.signal_returns.retain(|address| !(old.start..old.end).contains(address));
            if old.start < start {
                self.insert(old.part(old.start..start));
            }
            if end < old.end {
                self.insert(old.part(end..old.end));
            }
        }
    }

    /// The mapping at an address, and the address as its file states it.
    pub fn find(&self, address: u64) -> Option<(&MappingRange, u64)> {
        let index = self.ranges.partition_point(|range| range.end <= address);
        let range = self.ranges.get(index).filter(|range| range.start <= address)?;
        Some((range, range.svma(address)))
    }

    /// All mappings by address.
    pub fn ranges(&self) -> &[MappingRange] {
        &self.ranges
    }

    /// Follows a stack from `registers` outward. `read_stack` gives the 8 bytes at an address of the stack.
    ///
    /// Appends the addresses to look up, leaf first: the instruction pointer at the leaf (and where a signal
    /// interrupted the program), the return address less one in callers.
    pub fn unwind(
        &self,
        cache: &mut UnwindCache,
        registers: Registers,
        read_stack: &mut dyn FnMut(u64) -> Option<u64>,
        out: &mut Vec<u64>,
    ) -> StackEnd {
        let mut caller_of_leaf = self.caller_by_frame_pointer(cache, registers, read_stack);
        let rules = cache.rules_of(self.id);
        let leaf = out.len();
        let mut state = arch::state(registers, self.unwinder.max_known_code_address());
        let mut address = FrameAddress::from_instruction_pointer(registers.ip);
        loop {
            let lookup = address.address_for_lookup();
            out.push(lookup);
            if out.len() - leaf >= MAX_FRAMES {
                return StackEnd::Truncated;
            }
            if self.signal_returns.contains(&address.address()) {
                let Some(interrupted) = arch::interrupted(&state, read_stack) else {
                    return StackEnd::Truncated;
                };
                state = arch::state(interrupted, self.unwinder.max_known_code_address());
                address = FrameAddress::from_instruction_pointer(interrupted.ip);
                continue;
            }
            if let Some(caller) = caller_of_leaf.take() {
                state = arch::state(caller, self.unwinder.max_known_code_address());
                let Some(caller) = FrameAddress::from_return_address(caller.ip) else {
                    return self.end(cache, lookup, true, leaf, out);
                };
                address = caller;
                continue;
            }
            let before = arch::stack_pointer(&state);
            // framehop 0.16 answers a failed read in a frame that it cannot put into a cached rule by caching its
            // frame-pointer guess for that address for good; so it never sees one, but below the stack pointer,
            // where it expects them.
            let mut unreadable = false;
            let mut read = |address| match read_stack(address) {
                Some(word) => Ok(word),
                None if address < before => Err(()),
                None => {
                    unreadable = true;
                    Ok(0)
                }
            };
            let step = self.unwinder.unwind_frame(address, &mut state, rules, &mut read);
            if unreadable {
                return self.end(cache, lookup, false, leaf, out);
            }
            let after = arch::stack_pointer(&state);
            let is_leaf = !address.is_return_address();
            let advanced =
                after > before || (after == before && is_leaf && arch::LEAF_MAY_KEEP_STACK_POINTER);
            match step {
                Ok(Some(return_address)) if advanced => {
                    match FrameAddress::from_return_address(return_address) {
                        Some(caller) => address = caller,
                        None => return self.end(cache, lookup, true, leaf, out),
                    }
                }
                Ok(Some(_)) | Err(_) => return self.end(cache, lookup, false, leaf, out),
                Ok(None) => return self.end(cache, lookup, true, leaf, out),
            }
        }
    }

    /// The caller of a leaf that no unwind information covers: code made at run time, or a runtime's embedded
    /// builtins. framehop takes it for a stub without a frame, whose return address is on top of the stack; in
    /// the middle of a function that is whatever was pushed last. Such code keeps frame pointers, and where the
    /// frame pointer leads to code, it is believed.
    fn caller_by_frame_pointer(
        &self,
        cache: &mut UnwindCache,
        leaf: Registers,
        read_stack: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> Option<Registers> {
        /// Frames are smaller than this.
        const FRAME_BYTES_MAX: u64 = 1 << 20;
        if !arch::LEAF_RETURN_IS_ON_STACK {
            return None;
        }
        if !(leaf.sp..leaf.sp.saturating_add(FRAME_BYTES_MAX)).contains(&leaf.bp)
            || !leaf.bp.is_multiple_of(8)
        {
            return None;
        }
        let mapped = self.find(leaf.ip);
        if let Some((range, svma)) = mapped
            && cache.is_covered(&range.image, svma)
        {
            return None;
        }
        let (bp, ip) = (read_stack(leaf.bp)?, read_stack(leaf.bp + 8)?);
        // Code made at run time calls its like, of which no mapping is known here; but it is not on the stack.
        let is_code = self.find(ip).is_some()
            || mapped.is_none() && ip > 0xffff && ip.abs_diff(leaf.sp) > FRAME_BYTES_MAX << 10;
        is_code.then_some(Registers { ip, sp: leaf.bp + 16, bp, lr: 0 })
    }

    /// Judges where unwinding stopped. `by_zero`: framehop met a zero or a declared end.
    fn end(
        &self,
        cache: &mut UnwindCache,
        last: u64,
        by_zero: bool,
        leaf: usize,
        out: &mut Vec<u64>,
    ) -> StackEnd {
        let root = self.root_at(cache, last);
        if root == Root::Marked || (root == Root::HasCaller && by_zero && arch::ZERO_FRAME_POINTER_ENDS_STACK)
        {
            return StackEnd::Complete;
        }
        // At the first instructions of a program or thread the stack holds no return address yet, but
        // framehop takes what is there for one where no unwind information covers the code. A new thread
        // stands behind the system call that made it.
        if out.len() - leaf <= 3
            && (self.root_at(cache, out[leaf]) == Root::Marked || self.is_newborn(out[leaf]))
        {
            out.truncate(leaf + 1);
            return StackEnd::Complete;
        }
        StackEnd::Truncated
    }

    fn root_at(&self, cache: &mut UnwindCache, address: u64) -> Root {
        let Some((range, svma)) = self.find(address) else { return Root::HasCaller };
        let key = (range.image.id(), svma);
        if let Some(root) = cache.roots.get(&key) {
            return *root;
        }
        let root = root_in_image(&range.image, svma);
        if cache.roots.len() >= MAX_ROOTS {
            cache.roots.clear();
        }
        cache.roots.insert(key, root);
        root
    }

    fn is_newborn(&self, ip: u64) -> bool {
        let Some((range, svma)) = self.find(ip) else { return false };
        let call = arch::SYSTEM_CALL.len() as u64;
        let before = svma.checked_sub(call).and_then(|start| range.image.bytes_at(start, call));
        before == Some(arch::SYSTEM_CALL)
            && range.image.bytes_at(svma, 32).is_some_and(|code| contains(code, arch::CLEAR_FRAME_POINTER))
    }

    fn insert(&mut self, range: MappingRange) {
        if range.holds_code() {
            self.unwinder.add_module(module(&range));
            count_change();
            if let Some(svma) = range.image.signal_return() {
                let address = svma.wrapping_add(range.bias);
                if (range.start..range.end).contains(&address) {
                    self.signal_returns.push(address);
                }
            }
        }
        let index = self.ranges.partition_point(|other| other.start < range.start);
        self.ranges.insert(index, range);
    }
}

/// Whether the stack ends at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Marked,
    HasCaller,
}

const MAX_ROOTS: usize = 4096;

fn root_in_image(image: &Image, svma: u64) -> Root {
    let marked = match image.functions().caller_at(image, svma) {
        Caller::None => true,
        Caller::Some => false,
        Caller::Unknown => {
            let start = svma.saturating_sub(48);
            let at_entry = svma.checked_sub(image.entry_svma()).is_some_and(|distance| distance < 64);
            at_entry
                || image
                    .bytes_at(start, svma - start)
                    .is_some_and(|code| contains(code, arch::CLEAR_FRAME_POINTER))
        }
    };
    if marked { Root::Marked } else { Root::HasCaller }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memmem::find(haystack, needle).is_some()
}

/// Binds the unwind tables of a range's image to its addresses. One module a range of code, so that a hole
/// between the segments of a binary may hold another one.
fn module(range: &MappingRange) -> Module<ImageSlice> {
    let image = &range.image;
    let info = SectionInfo { image, sections: UnwindSections::find(image) };
    let base_avma = image.base_svma().wrapping_add(range.bias);
    Module::new(String::new(), range.start..range.end, base_avma, info)
}

struct SectionInfo<'a> {
    image: &'a Arc<Image>,
    sections: UnwindSections,
}

impl ModuleSectionInfo<ImageSlice> for SectionInfo<'_> {
    fn base_svma(&self) -> u64 {
        self.image.base_svma()
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        let located = |(start, part): &(u64, Range<usize>)| *start..start.saturating_add(part.len() as u64);
        match name {
            b".eh_frame" => self.sections.eh_frame.as_ref().map(located),
            b".eh_frame_hdr" => self.sections.eh_frame_header.as_ref().map(located),
            b".text" => self.sections.text.clone(),
            b".got" => self.sections.got.clone(),
            _ => None,
        }
    }

    fn section_data(&mut self, name: &[u8]) -> Option<ImageSlice> {
        let part = match name {
            b".eh_frame" => self.sections.eh_frame.as_ref()?.1.clone(),
            b".eh_frame_hdr" => self.sections.eh_frame_header.as_ref()?.1.clone(),
            b".debug_frame" => self.sections.debug_frame.clone()?,
            _ => return None,
        };
        ImageSlice::new(self.image, part)
    }
}

/// Unwind rules of addresses seen before. One cache serves all address spaces of a thread.
///
/// framehop's own cache may be shared between processes as well: it tells rules apart by a generation that
/// every change of any process's modules advances. But the generation has 16 bits. A recording that sees many
/// short processes goes around in minutes, and then the rules of one process, or its own of long ago, would
/// be applied to another. So each address space gets a cache to itself, made anew in time.
pub struct UnwindCache {
    slots: [Option<Slot>; SLOTS],
    roots: FxHashMap<(u64, u64), Root>,
    /// Leaves that unwind information covers, or not.
    covered: FxHashMap<(u64, u64), bool>,
}

struct Slot {
    owner: u64,
    /// Changes of modules that had been made when the cache was new.
    changes: u64,
    rules: arch::Cache,
}

/// Address spaces whose rules are kept; a cache takes some 30 kB.
const SLOTS: usize = 16;
/// Renewed well before the generations repeat, since other threads count on meanwhile.
const MAX_CHANGES: u64 = u16::MAX as u64 - 1024;

impl Default for UnwindCache {
    fn default() -> Self {
        Self::new()
    }
}

impl UnwindCache {
    /// An empty cache.
    pub fn new() -> Self {
        UnwindCache {
            slots: [const { None }; SLOTS],
            roots: FxHashMap::default(),
            covered: FxHashMap::default(),
        }
    }

    fn is_covered(&mut self, image: &Image, svma: u64) -> bool {
        let key = (image.id(), svma);
        if let Some(covered) = self.covered.get(&key) {
            return *covered;
        }
        let covered = image.functions().caller_at(image, svma) != Caller::Unknown
            || svma.checked_sub(image.entry_svma()).is_some_and(|distance| distance < 64);
        if self.covered.len() >= MAX_ROOTS {
            self.covered.clear();
        }
        self.covered.insert(key, covered);
        covered
    }

    fn rules_of(&mut self, owner: u64) -> &mut arch::Cache {
        let changes = CHANGES.load(Ordering::Relaxed);
        let slot = &mut self.slots[owner as usize % SLOTS];
        if slot.as_ref().is_some_and(|slot| slot.owner != owner || changes - slot.changes > MAX_CHANGES) {
            *slot = None;
        }
        &mut slot.get_or_insert_with(|| Slot { owner, changes, rules: arch::Cache::new_in() }).rules
    }
}

static CHANGES: AtomicU64 = AtomicU64::new(0);

fn count_change() {
    CHANGES.fetch_add(1, Ordering::Relaxed);
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
