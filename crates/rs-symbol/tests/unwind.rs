//! Stacks of known shape: our own, those of stopped programs, and garbage.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use proptest::prelude::*;
use rs_symbol::{AddressSpace, Registers, StackEnd, Symbolizer, UnwindCache};
use support::{address_space, cc, open, program, rustc};

/// Registers of the calling function.
#[inline(always)]
fn registers() -> Registers {
    let mut registers = Registers::default();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads registers only.
    unsafe {
        std::arch::asm!(
            "lea {}, [rip]", "mov {}, rsp", "mov {}, rbp",
            out(reg) registers.ip, out(reg) registers.sp, out(reg) registers.bp,
            options(nomem, nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads registers only.
    unsafe {
        std::arch::asm!(
            "adr {}, .", "mov {}, sp", "mov {}, x29", "mov {}, x30",
            out(reg) registers.ip, out(reg) registers.sp, out(reg) registers.bp, out(reg) registers.lr,
            options(nomem, nostack, preserves_flags)
        );
    }
    registers
}

/// Unwinds the calling thread from `registers`, which must be those of a frame that is still there.
fn unwind_own(space: &AddressSpace, registers: Registers) -> (Vec<u64>, StackEnd) {
    let end = mapped_end("self", registers.sp);
    let mut read = |address: u64| {
        let in_stack = address >= registers.sp && address + 8 <= end && address.is_multiple_of(8);
        // SAFETY: within the mapped stack of this thread, above a live frame.
        in_stack.then(|| unsafe { (address as *const u64).read() })
    };
    let mut out = Vec::new();
    let end = space.unwind(&mut UnwindCache::new(), registers, &mut read, &mut out);
    (out, end)
}

fn mapped_end(process: &str, address: u64) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let ranges = maps.lines().filter_map(|line| line.split_whitespace().next()?.split_once('-'));
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    ranges.map(|(start, end)| number(start)..number(end)).find(|range| range.contains(&address)).unwrap().end
}

/// Function keys of a stack, leaf first, inlined functions included.
fn names(space: &AddressSpace, stack: &[u64]) -> Vec<String> {
    let mut symbolizer = Symbolizer::new();
    let mut names = Vec::new();
    for address in stack {
        match space.find(*address) {
            Some((range, svma)) => {
                let resolved = symbolizer.symbolize(&range.image, svma);
                for symbol in std::iter::once(resolved.symbol).chain(resolved.inlined_by) {
                    names.push(symbol.function.unwrap_or_default());
                }
            }
            None => names.push("[unmapped]".to_owned()),
        }
    }
    names
}

mod chain {
    use super::*;

    #[inline(never)]
    pub(super) fn first(space: &AddressSpace, out: &mut (Vec<u64>, StackEnd)) {
        second(space, out);
        std::hint::black_box(());
    }

    #[inline(never)]
    fn second(space: &AddressSpace, out: &mut (Vec<u64>, StackEnd)) {
        let third = |out: &mut (Vec<u64>, StackEnd)| *out = unwind_own(space, registers());
        std::hint::black_box(&third)(out);
        std::hint::black_box(());
    }
}

#[test]
fn our_own_stack_is_complete() {
    let space = address_space("self");
    let mut out = (Vec::new(), StackEnd::Truncated);
    chain::first(&space, &mut out);
    let names = names(&space, &out.0);
    assert_eq!(out.1, StackEnd::Complete, "{names:#?}");
    let at = |name: &str| {
        names.iter().position(|other| other == name).unwrap_or_else(|| panic!("{name} in {names:#?}"))
    };
    let test = at("unwind::our_own_stack_is_complete");
    // The closure folds into the function that wrote it.
    assert!(at("unwind::chain::second") < at("unwind::chain::first"), "{names:#?}");
    assert!(at("unwind::chain::first") < test, "{names:#?}");
    assert!(names.last().unwrap().contains("clone") || names.last().unwrap() == "_start", "{names:#?}");
}

#[test]
fn main_threads_are_complete_too() {
    // Tests run on threads; a forked child has the forking thread only, so a program it must be.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app");
    rustc(Path::new(&program("spin.rs")), &path, &["-Cdebuginfo=0"]);
    let mut target = Target::start(&path, &[], &[]);
    target.run_until(Signal::SIGSTOP);
    let (names, end) = target.stack();
    assert_eq!(end, StackEnd::Complete, "{names:#?}");
    assert_eq!(names.iter().filter(|name| *name == "spin::recurse").count(), 30, "{names:#?}");
    assert_eq!(names.last().map(String::as_str), Some("_start"), "{names:#?}");
}

/// A traced program.
struct Target {
    pid: Pid,
    thread: Pid,
}

impl Target {
    /// Starts a program, stopped before its first instruction.
    fn start(path: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Target {
        let mut command = Command::new(path);
        command.args(arguments).envs(environment.iter().copied());
        // SAFETY: ptrace is async-signal-safe.
        unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
        #[expect(clippy::zombie_processes, reason = "reaped when the target is dropped")]
        let child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
        ptrace::setoptions(pid, Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL).unwrap();
        Target { pid, thread: pid }
    }

    /// Runs until a thread stops with the signal.
    fn run_until(&mut self, wanted: Signal) {
        ptrace::cont(self.thread, None).unwrap();
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).unwrap() {
                WaitStatus::Stopped(thread, signal) if signal == wanted && self.is_signalled(thread) => {
                    self.thread = thread;
                    return;
                }
                WaitStatus::Stopped(thread, signal) => {
                    let pass_on = Some(signal).filter(|signal| *signal != Signal::SIGSTOP);
                    ptrace::cont(thread, pass_on).unwrap();
                }
                WaitStatus::PtraceEvent(thread, ..) => ptrace::cont(thread, None).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }

    /// A new thread starts with a SIGSTOP of its own, before it has a name for its stack.
    fn is_signalled(&self, thread: Pid) -> bool {
        let info = ptrace::getsiginfo(thread).unwrap();
        info.si_code == nix::libc::SI_TKILL
    }

    /// Runs until a new thread has been made and stands before its first instruction.
    fn run_until_new_thread(&mut self) {
        ptrace::cont(self.thread, None).unwrap();
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).unwrap() {
                WaitStatus::Stopped(thread, Signal::SIGSTOP) if thread != self.pid => {
                    self.thread = thread;
                    return;
                }
                WaitStatus::PtraceEvent(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn registers(&self) -> Registers {
        let regs = ptrace::getregs(self.thread).unwrap();
        #[cfg(target_arch = "x86_64")]
        return Registers { ip: regs.rip, sp: regs.rsp, bp: regs.rbp, lr: 0 };
        #[cfg(target_arch = "aarch64")]
        return Registers { ip: regs.pc, sp: regs.sp, bp: regs.regs[29], lr: regs.regs[30] };
    }

    fn stack(&self) -> (Vec<String>, StackEnd) {
        let space = address_space(&self.pid.to_string());
        let memory = File::open(format!("/proc/{}/mem", self.pid)).unwrap();
        let registers = self.registers();
        let mut read = |address: u64| {
            let mut bytes = [0; 8];
            let is_above = address >= registers.sp;
            (is_above && memory.read_exact_at(&mut bytes, address).is_ok()).then(|| u64::from_le_bytes(bytes))
        };
        let mut out = Vec::new();
        let end = space.unwind(&mut UnwindCache::new(), registers, &mut read, &mut out);
        (names(&space, &out), end)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.pid, Signal::SIGKILL);
        // A process is reaped after its threads.
        while waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).is_ok() {}
    }
}

fn check_deep(flags: &[&str], mode: &str, root: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep");
    cc(&program("deep.c"), &path, flags);
    let mut target = Target::start(&path, &[mode], &[]);
    target.run_until(Signal::SIGSTOP);
    let (names, end) = target.stack();
    assert_eq!(end, StackEnd::Complete, "{flags:?} {mode} {names:#?}");
    let count = |name: &str| names.iter().filter(|other| other.as_str() == name).count();
    assert_eq!(count("stop"), 1, "{flags:?} {mode} {names:#?}");
    match mode {
        "signal" => {
            assert_eq!(count("handler"), 1, "{names:#?}");
            assert_eq!(count("interrupted"), 11, "{names:#?}");
            assert_eq!(count("main"), 1, "{names:#?}");
        }
        _ => assert_eq!(count("deeper"), 40, "{names:#?}"),
    }
    let last = names.last().unwrap();
    assert!(root.contains(&last.as_str()), "{flags:?} {mode} {names:#?}");
}

const THREAD_STARTS: [&str; 3] = ["clone3", "__clone3", "__clone"];

#[test]
fn programs_without_frame_pointers() {
    let optimised = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls", "-pthread"];
    for more in
        [&[][..], &["-static"], &["-fno-omit-frame-pointer"], &["-no-pie"], &["-Wl,--no-eh-frame-hdr"]]
    {
        let flags = [&optimised[..], more].concat();
        check_deep(&flags, "main", &["_start"]);
        check_deep(&flags, "thread", &THREAD_STARTS);
        #[cfg(target_arch = "x86_64")]
        check_deep(&flags, "signal", &["_start"]);
    }
}

#[test]
fn a_program_without_symbols_or_section_headers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep");
    cc(&program("deep.c"), &path, &["-O2", "-fno-optimize-sibling-calls", "-pthread", "-s"]);
    // Sections are not needed to run a program; the unwind tables have a program header.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    std::fs::write(&path, bytes).unwrap();
    assert!(open(&path).eh_frame_function_start(open(&path).entry_svma()).is_some());
    let mut target = Target::start(&path, &["main"], &[]);
    target.run_until(Signal::SIGSTOP);
    let (names, end) = target.stack();
    assert_eq!(end, StackEnd::Complete, "{names:#?}");
    assert!(names.len() >= 45, "{names:#?}");
}

#[test]
fn the_first_instruction_is_a_complete_stack() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep");
    for flags in [&["-pthread"][..], &["-pthread", "-static"]] {
        cc(&program("deep.c"), &path, flags);
        let mut target = Target::start(&path, &["thread"], &[]);
        let (names, end) = target.stack();
        assert_eq!((names.len(), end), (1, StackEnd::Complete), "{names:#?}");
        target.run_until_new_thread();
        let (names, end) = target.stack();
        assert_eq!((names.len(), end), (1, StackEnd::Complete), "{names:#?}");
    }
}

/// Code made at run time has no unwind information, but may keep frame pointers.
#[test]
#[cfg(target_arch = "x86_64")]
fn code_with_frame_pointers_outside_of_any_binary() {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};

    // push rbp; mov rbp, rsp; call rdi; pop rbp; ret
    const CODE: [u8; 8] = [0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3];
    thread_local! {
        static RESULT: std::cell::RefCell<Option<(Vec<String>, StackEnd)>> = const { std::cell::RefCell::new(None) };
    }
    extern "C" fn called_back() {
        let space = address_space("self");
        let (stack, end) = unwind_own(&space, registers());
        RESULT.set(Some((names(&space, &stack), end)));
    }
    #[inline(never)]
    fn caller_of_made_code(code: extern "C" fn(extern "C" fn())) {
        code(called_back);
        std::hint::black_box(());
    }
    let size = std::num::NonZeroUsize::new(4096).unwrap();
    // SAFETY: new memory, filled with the bytes of a function before it is made executable and called.
    unsafe {
        let page =
            mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)
                .unwrap();
        page.cast::<[u8; 8]>().write(CODE);
        mprotect(page, 4096, ProtFlags::PROT_READ | ProtFlags::PROT_EXEC).unwrap();
        let code: extern "C" fn(extern "C" fn()) = std::mem::transmute(page.as_ptr());
        caller_of_made_code(code);
    }
    let (names, end) = RESULT.take().unwrap();
    assert_eq!(end, StackEnd::Complete, "{names:#?}");
    let made = names.iter().position(|name| name == "[unmapped]").unwrap();
    assert!(names[made + 1].ends_with("caller_of_made_code"), "{names:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever the registers and the stack hold: it ends, and is not called complete. Only code that is a
    /// root by itself (`_start`) may be.
    #[test]
    fn garbage_is_never_complete(
        ip in any::<prop::sample::Index>(),
        bp in prop_oneof![Just(0u64), Just(0x7000_0000u64), any::<u64>(), Just(u64::MAX - 7)],
        seed in 1..u64::MAX,
    ) {
        let words = garbage(seed);
        let (space, functions) = &*GARBAGE;
        let (_, start, size) = functions[ip.index(functions.len())];
        let registers = Registers { ip: start + size / 2, sp: 0x7000_0000, bp, lr: 0 };
        let mut read = |address: u64| {
            words.get(usize::try_from(address.checked_sub(0x7000_0000)? / 8).ok()?).copied()
        };
        let mut out = Vec::new();
        let end = space.unwind(&mut UnwindCache::new(), registers, &mut read, &mut out);
        prop_assert_eq!(end, StackEnd::Truncated);
        prop_assert!(!out.is_empty() && out.len() <= rs_symbol::MAX_FRAMES);
    }
}

/// Zeros, addresses within the stack, and anything. A strategy for each word would take most of the test's time.
fn garbage(seed: u64) -> [u64; 512] {
    let mut state = seed;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 3 {
            0 => 0,
            1 => 0x7000_0000 + (state >> 32) % 0x1000,
            _ => state,
        }
    })
}

type Functions = Vec<(String, u64, u64)>;

/// This test's own binary, mapped at its own addresses, and its functions.
static GARBAGE: LazyLock<(AddressSpace, Functions)> = LazyLock::new(|| {
    let path = std::env::current_exe().unwrap();
    let image = open(&path);
    let mut space = AddressSpace::new();
    for range in address_space("self").ranges() {
        if range.image.path() == path {
            let start = range.svma(range.start);
            space.map(start, start + (range.end - range.start), range.file_offset, image.clone());
        }
    }
    assert!(!space.ranges().is_empty());
    (space, support::functions(&path, &["_R"]))
});

#[test]
fn mappings_replace_each_other() {
    let path = std::env::current_exe().unwrap();
    let (one, other) = (open(&path), open(&path));
    let mut space = AddressSpace::new();
    space.map(0x10000, 0x20000, 0, one.clone());
    let id =
        |space: &AddressSpace, address| space.find(address).map(|(range, svma)| (range.image.id(), svma));
    assert_eq!(id(&space, 0xffff), None);
    let before = id(&space, 0x1c123).unwrap();
    assert_eq!(before.0, one.id());
    space.map(0x14000, 0x18000, 0, other.clone());
    assert_eq!(space.ranges().len(), 3);
    assert_eq!(id(&space, 0x14000).unwrap().0, other.id());
    assert_eq!(id(&space, 0x1c123).unwrap(), before);
    assert_eq!(space.find(0x18000).unwrap().0.file_offset, 0x8000);
    let fork = space.fork();
    space.unmap_overlaps(0, 0x16000);
    assert_eq!(id(&space, 0x15fff), None);
    assert_eq!(id(&space, 0x16000).unwrap().0, other.id());
    assert_eq!(id(&fork, 0x10000).unwrap().0, one.id());
    space.clear();
    assert!(space.find(0x1c123).is_none());
    space.map(5, 5, 0, one);
    assert!(space.ranges().is_empty());
}

/// framehop's cached rules carry a 16-bit generation; after 65536 changes an old rule would seem current.
#[test]
fn a_cache_outlives_many_changes_of_mappings() {
    let space = address_space("self");
    let registers = registers();
    let end = mapped_end("self", registers.sp);
    let mut read = |address: u64| {
        let in_stack = address >= registers.sp && address + 8 <= end && address.is_multiple_of(8);
        // SAFETY: within the mapped stack of this thread, above a live frame.
        in_stack.then(|| unsafe { (address as *const u64).read() })
    };
    let mut cache = UnwindCache::new();
    let mut expected = Vec::new();
    assert_eq!(space.unwind(&mut cache, registers, &mut read, &mut expected), StackEnd::Complete);
    let image = open(Path::new("/proc/self/exe"));
    let mut churn = AddressSpace::new();
    let range = space.find(expected[0]).unwrap().0.clone();
    for round in 0..70_000u32 {
        // Each round takes two generations; the odd ones have their turn as well.
        churn.clear();
        if round == 35_000 {
            churn.clear();
        }
        // Wrong rules for the very addresses of our stack.
        churn.map(range.start, range.end, range.file_offset + 0x1000, image.clone());
        // Only about the rounds when the generations are those of the beginning; other tests take some as well.
        if !(30_000..33_000).contains(&(round % 32_768)) && round % 32_768 > 100 {
            continue;
        }
        let mut out = Vec::new();
        churn.unwind(&mut cache, registers, &mut read, &mut out);
        assert_ne!(out, expected);
        out.clear();
        space.unwind(&mut cache, registers, &mut read, &mut out);
        assert_eq!(out, expected, "round {round}");
    }
    // A process's own rules of long ago: mapping anew removes a module and adds one.
    let mut alone = space.fork();
    alone.map(range.start, range.end, range.file_offset, range.image.clone());
    let mut out = Vec::new();
    alone.unwind(&mut cache, registers, &mut read, &mut out);
    assert_eq!(out, expected);
    for _ in 0..1 << 15 {
        alone.map(range.start, range.end, range.file_offset + 0x1000, image.clone());
    }
    out.clear();
    alone.unwind(&mut cache, registers, &mut read, &mut out);
    assert_ne!(out, expected);
}
