//! The ring buffer that the kernel fills and we empty.
//!
//! One page of bookkeeping, then a power of two of data pages. The kernel moves `data_head`, we move
//! `data_tail`; a record that wraps at the end is copied together, all others are read where they lie.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use perf_event_open_sys::bindings::{perf_event_header, perf_event_mmap_page};

/// Size of a record's header.
const HEADER_BYTES: u64 = size_of::<perf_event_header>() as u64;

/// A ring, and the event that owns it.
pub(crate) struct Ring {
    cpu: u32,
    event: OwnedFd,
    base: NonNull<u8>,
    mapped_bytes: usize,
    data_offset: usize,
    data_bytes: u64,
    /// Where we are: never behind what the kernel has been told, never before `data_tail`.
    position: u64,
    /// How far the kernel had come at the last [`look`](Self::look).
    head: u64,
    /// A record that wrapped.
    scratch: Vec<u8>,
}

// SAFETY: the mapping belongs to this value alone; nothing in it is tied to a thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps a ring of `pages` data pages (a power of two) for `event` on `cpu`.
    ///
    /// # Errors
    /// The kernel's: EPERM when it is more memory than this user may lock.
    pub(crate) fn map(event: OwnedFd, cpu: u32, pages: usize) -> io::Result<Ring> {
        let page = page_bytes();
        let mapped_bytes = (pages + 1) * page;
        let length = std::num::NonZeroUsize::new(mapped_bytes).expect("one page at least");
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                event.as_fd(),
                0,
            )
        }?
        .cast::<u8>();
        // SAFETY: the first page of the mapping holds this structure, filled in by the kernel.
        let (offset, size) = unsafe {
            let page = base.cast::<perf_event_mmap_page>().as_ref();
            (page.data_offset, page.data_size)
        };
        Ok(Ring {
            cpu,
            event,
            base,
            mapped_bytes,
            data_offset: offset as usize,
            data_bytes: size,
            position: 0,
            head: 0,
            scratch: Vec::new(),
        })
    }

    /// The CPU whose events come here.
    pub(crate) fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Room for records.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Descriptor of the owning event, to poll and to share the ring with others.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// The owning event.
    pub(crate) fn event(&self) -> &OwnedFd {
        &self.event
    }

    /// Takes notice of what the kernel has written so far.
    pub(crate) fn look(&mut self) {
        // Acquire: what the kernel wrote before it moved the head is visible after this.
        self.head = self.control(|page| &raw mut page.data_head).load(Ordering::Acquire);
    }

    /// The record at our position, if one was there at the last look: its whole bytes.
    pub(crate) fn peek(&mut self) -> Option<&[u8]> {
        if self.head - self.position < HEADER_BYTES {
            return None;
        }
        // Records are multiples of 8 bytes, so a header never wraps.
        let start = (self.position % self.data_bytes) as usize;
        // SAFETY: `start` lies in the data area and eight bytes follow it there; the kernel does not write
        // between our tail and its head.
        let header = unsafe { self.data().add(start).cast::<perf_event_header>().read_unaligned() };
        let size = usize::from(header.size);
        let until_end = self.data_bytes as usize - start;
        if size <= until_end {
            // SAFETY: as above, for `size` bytes, which the head has passed.
            return Some(unsafe { std::slice::from_raw_parts(self.data().add(start), size) });
        }
        self.scratch.clear();
        // SAFETY: as above; the record goes on at the start of the data area.
        unsafe {
            self.scratch.extend_from_slice(std::slice::from_raw_parts(self.data().add(start), until_end));
            self.scratch.extend_from_slice(std::slice::from_raw_parts(self.data(), size - until_end));
        }
        Some(&self.scratch)
    }

    /// Steps over a record of `bytes` and gives its room back to the kernel.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.position += bytes as u64;
        // Release: our reads are done before the kernel may overwrite.
        self.control(|page| &raw mut page.data_tail).store(self.position, Ordering::Release);
    }

    fn data(&self) -> *const u8 {
        // SAFETY: the kernel said that the data area begins here, inside the mapping.
        unsafe { self.base.as_ptr().add(self.data_offset) }
    }

    fn control(&self, field: impl FnOnce(&mut perf_event_mmap_page) -> *mut u64) -> &AtomicU64 {
        // SAFETY: the first page lives as long as the mapping. Only the address of a field is taken through
        // the reference; head and tail are aligned and shared with the kernel, hence atomic.
        unsafe {
            let field = field(&mut *self.base.as_ptr().cast::<perf_event_mmap_page>());
            AtomicU64::from_ptr(field)
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing borrowed from it outlives this value.
        let _ = unsafe { munmap(self.base.cast(), self.mapped_bytes) };
    }
}

/// Size of a memory page.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: sysconf only reads.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}
