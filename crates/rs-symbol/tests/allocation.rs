//! Unwinding allocates nothing once its cache and output are there: it runs for every sample.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rs_symbol::{Registers, StackEnd, UnwindCache};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[inline(never)]
fn at_depth(depth: u32, work: &mut dyn FnMut()) {
    if depth == 0 {
        work()
    } else {
        at_depth(depth - 1, work)
    }
    std::hint::black_box(depth);
}

#[test]
fn unwinding_allocates_nothing() {
    let space = support::address_space("self");
    let mut cache = UnwindCache::new();
    let mut out = Vec::with_capacity(1024);
    at_depth(50, &mut || {
        let mut registers = Registers::default();
        // SAFETY: reads registers only.
        unsafe {
            std::arch::asm!(
                "lea {}, [rip]", "mov {}, rsp", "mov {}, rbp",
                out(reg) registers.ip, out(reg) registers.sp, out(reg) registers.bp,
                options(nomem, nostack, preserves_flags)
            );
        }
        let end = registers.sp + 16 * 1024;
        let mut read = |address: u64| {
            let in_stack = address >= registers.sp && address < end && address.is_multiple_of(8);
            // SAFETY: the test's thread has more stack than that above this frame, or the chain ends before.
            in_stack.then(|| unsafe { (address as *const u64).read() })
        };
        space.unwind(&mut cache, registers, &mut read, &mut out);
        let before = COUNT.get();
        for _ in 0..1000 {
            out.clear();
            assert_eq!(space.unwind(&mut cache, registers, &mut read, &mut out), StackEnd::Complete);
        }
        assert_eq!(COUNT.get(), before);
        assert!(out.len() > 50);
    });
}
