//! The stack of a sampled thread: first the copy in the sample, then, deeper, the running program's memory.
//!
//! The kernel copies at most 64 KiB of stack, and room for all of it is taken from the ring whether it is used
//! or not. What lies deeper are the oldest frames, which change seldom: they are still there when the sample is
//! read some milliseconds later. They are trusted only if the top of the copy is found unchanged in memory: had
//! the thread returned past it and called something else, those bytes would differ. The target is not stopped.

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use std::io::IoSliceMut;

/// How much of the copy's top must be unchanged.
const OVERLAP_BYTES: usize = 256;
/// How much is read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Reads the stack of one sample.
pub(crate) struct StackMemory<'a> {
    pid: i32,
    start: u64,
    dump: &'a [u8],
    /// Whether the dump is as long as dumps can be: only then does the stack go on behind it.
    dump_is_full: bool,
    chunk: &'a mut Vec<u8>,
    chunk_start: u64,
    state: Past,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    NotNeeded,
    Trusted,
    Refused,
}

impl<'a> StackMemory<'a> {
    /// The stack that begins at `start` (the stack pointer) with `dump`; `chunk` is room to read into.
    pub(crate) fn new(
        pid: i32,
        start: u64,
        dump: &'a [u8],
        dump_is_full: bool,
        chunk: &'a mut Vec<u8>,
    ) -> Self {
        StackMemory { pid, start, dump, dump_is_full, chunk, chunk_start: 0, state: Past::NotNeeded }
    }

    /// The word at `address`.
    pub(crate) fn read(&mut self, address: u64) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        if let Some(word) = word_at(self.dump, offset) {
            return Some(word);
        }
        if !self.dump_is_full || self.state == Past::Refused {
            return None;
        }
        if self.state == Past::NotNeeded {
            self.state = if self.dump_is_unchanged() { Past::Trusted } else { Past::Refused };
            self.chunk.clear();
        }
        if self.state == Past::Refused {
            return None;
        }
        let in_chunk =
            |this: &Self| word_at(this.chunk, usize::try_from(address.checked_sub(this.chunk_start)?).ok()?);
        in_chunk(self).or_else(|| {
            self.load(address, CHUNK_BYTES);
            in_chunk(self)
        })
    }

    /// Whether anything was read past the dump.
    pub(crate) fn went_past_dump(&self) -> bool {
        self.state == Past::Trusted
    }

    /// Whether the dump did not hold all that was asked for.
    pub(crate) fn wanted_past_dump(&self) -> bool {
        self.state != Past::NotNeeded
    }

    fn dump_is_unchanged(&mut self) -> bool {
        let top = self.dump.len().saturating_sub(OVERLAP_BYTES);
        self.load(self.start + top as u64, OVERLAP_BYTES);
        self.chunk.as_slice() == &self.dump[top..]
    }

    /// Reads up to `bytes` at `address`; fewer where the stack ends.
    fn load(&mut self, address: u64, bytes: usize) {
        self.chunk_start = address;
        self.chunk.resize(bytes, 0);
        let remote = [RemoteIoVec { base: address as usize, len: bytes }];
        let read = process_vm_readv(Pid::from_raw(self.pid), &mut [IoSliceMut::new(self.chunk)], &remote);
        let mut read = read.unwrap_or(0);
        if read == 0 && bytes > 4096 {
            // One remote range is read whole or not at all where its start fails; the end of the stack may be
            // nearer than a chunk.
            let until_page_end = 4096 - address as usize % 4096;
            let remote = [RemoteIoVec { base: address as usize, len: until_page_end }];
            read = process_vm_readv(
                Pid::from_raw(self.pid),
                &mut [IoSliceMut::new(&mut self.chunk[..until_page_end])],
                &remote,
            )
            .unwrap_or(0);
        }
        self.chunk.truncate(read);
    }
}

fn word_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let word = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_ne_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 64 KiB of this process stand for a stack of which the first 4 KiB were copied.
    #[test]
    fn reads_on_past_an_unchanged_dump_and_refuses_a_changed_one() {
        let mut stack: Vec<u64> = (0..8192).collect();
        let start = stack.as_ptr() as u64;
        let dump: Vec<u8> = stack[..512].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let own = std::process::id() as i32;
        let mut chunk = Vec::new();

        let mut memory = StackMemory::new(own, start, &dump, true, &mut chunk);
        assert_eq!(memory.read(start + 8 * 511), Some(511));
        assert!(!memory.went_past_dump());
        assert_eq!(memory.read(start + 8 * 512), Some(512));
        assert_eq!(memory.read(start + 8 * 8000), Some(8000));
        assert!(memory.went_past_dump());

        assert_eq!(StackMemory::new(own, start, &dump, false, &mut chunk).read(start + 8 * 512), None);

        stack[510] = 0;
        std::hint::black_box(&mut stack);
        let mut memory = StackMemory::new(own, start, &dump, true, &mut chunk);
        assert_eq!(memory.read(start + 8 * 512), None);
        assert!(!memory.went_past_dump());
    }
}
