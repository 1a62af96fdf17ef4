//! The machine seam of the unwinder: the same names for each architecture.

pub(crate) use imp::*;

/// Registers to start unwinding from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Instruction pointer.
    pub ip: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer (rbp, x29).
    pub bp: u64,
    /// Link register (x30). Ignored on x86-64.
    pub lr: u64,
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use framehop::MustNotAllocateDuringUnwind;
    use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};

    use super::Registers;
    use crate::image::ImageSlice;

    pub(crate) type Unwinder = UnwinderX86_64<ImageSlice, MustNotAllocateDuringUnwind>;
    pub(crate) type Cache = CacheX86_64<MustNotAllocateDuringUnwind>;
    pub(crate) type State = UnwindRegsX86_64;

    /// A saved frame pointer of zero proves nothing here: code uses rbp for anything.
    pub(crate) const ZERO_FRAME_POINTER_ENDS_STACK: bool = false;
    /// The caller pushed the return address just before the function began.
    pub(crate) const LEAF_RETURN_IS_ON_STACK: bool = true;
    /// A return pops the return address, so each caller's stack pointer is higher.
    pub(crate) const LEAF_MAY_KEEP_STACK_POINTER: bool = false;
    /// `syscall`.
    pub(crate) const SYSTEM_CALL: &[u8] = &[0x0f, 0x05];
    /// `xor ebp, ebp`, by which the ABI wants the outermost frame marked.
    pub(crate) const CLEAR_FRAME_POINTER: &[u8] = &[0x31, 0xed];
    /// `mov rax, 15; syscall`: rt_sigreturn.
    pub(crate) const SIGNAL_RETURN: &[u8] = &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

    pub(crate) fn state(registers: Registers, _max_code_address: u64) -> State {
        UnwindRegsX86_64::new(registers.ip, registers.sp, registers.bp)
    }

    /// Registers that the kernel saved before it called a signal handler: `ucontext` is on top of the stack
    /// once the handler has returned (linux: arch/x86/include/uapi/asm/sigcontext.h).
    pub(crate) fn interrupted(
        state: &State,
        read_stack: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> Option<Registers> {
        let mut saved = |offset: u64| read_stack(state.sp().checked_add(offset)?);
        Some(Registers { bp: saved(120)?, sp: saved(160)?, ip: saved(168)?, lr: 0 })
    }
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use framehop::MustNotAllocateDuringUnwind;
    use framehop::aarch64::{CacheAarch64, PtrAuthMask, UnwindRegsAarch64, UnwinderAarch64};

    use super::Registers;
    use crate::image::ImageSlice;

    pub(crate) type Unwinder = UnwinderAarch64<ImageSlice, MustNotAllocateDuringUnwind>;
    pub(crate) type Cache = CacheAarch64<MustNotAllocateDuringUnwind>;
    pub(crate) type State = UnwindRegsAarch64;

    /// The ABI keeps x29 a frame record at all times; the outermost one holds zero.
    pub(crate) const ZERO_FRAME_POINTER_ENDS_STACK: bool = true;
    /// The return address is in x30 until the function stores it.
    pub(crate) const LEAF_RETURN_IS_ON_STACK: bool = false;
    /// A leaf function may not touch the stack at all.
    pub(crate) const LEAF_MAY_KEEP_STACK_POINTER: bool = true;
    /// `svc #0`.
    pub(crate) const SYSTEM_CALL: &[u8] = &[0x01, 0, 0, 0xd4];
    /// `mov x29, #0`.
    pub(crate) const CLEAR_FRAME_POINTER: &[u8] = &[0x1d, 0, 0x80, 0xd2];
    /// `mov x8, #139; svc #0`: rt_sigreturn.
    pub(crate) const SIGNAL_RETURN: &[u8] = &[0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4];

    pub(crate) fn state(registers: Registers, max_code_address: u64) -> State {
        // User addresses have 48 bits or fewer unless large addresses were asked for; what is above is the
        // pointer's signature.
        let mask = PtrAuthMask::from_max_known_address(max_code_address.max(1 << 47));
        UnwindRegsAarch64::new_with_ptr_auth_mask(mask, registers.lr, registers.sp, registers.bp)
    }

    /// Registers that the kernel saved before it called a signal handler: siginfo (128 bytes), then
    /// `ucontext` whose `sigcontext` starts at 176 with the fault address, x0 to x30, sp and pc.
    pub(crate) fn interrupted(
        state: &State,
        read_stack: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> Option<Registers> {
        let first = 128 + 176 + 8;
        let mut saved = |n: u64| read_stack(state.sp().checked_add(first + 8 * n)?);
        Some(Registers { bp: saved(29)?, lr: saved(30)?, sp: saved(31)?, ip: saved(32)? })
    }
}

pub(crate) fn stack_pointer(state: &State) -> u64 {
    state.sp()
}
