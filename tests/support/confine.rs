//! Running a program with less than we may ourselves.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Somebody without rights: nobody, on most systems.
pub const NOBODY: u32 = 65534;

/// Has a command run as another user, without groups. Only root can.
pub fn as_user(command: &mut Command, id: u32) -> &mut Command {
    // The library gives up the supplementary groups too.
    command.uid(id).gid(id)
}

/// Has a system call fail with an error in a command and all that it starts, by a seccomp filter, as a container does.
pub fn deny(command: &mut Command, call: libc::c_long, errno: i32) -> &mut Command {
    const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let program = [
        // The number of the call is the first word of what a filter sees.
        step(LOAD_WORD, 0, 0, 0),
        step(JUMP_IF_EQUAL, call as u32, 0, 1),
        step(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let confine = move || {
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        // SAFETY: both calls take plain integers and, the second, a filter that lives during the call.
        let result = unsafe {
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 {
                -1
            } else {
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
            }
        };
        if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: prctl is async-signal-safe, and the closure allocates nothing.
    unsafe { command.pre_exec(confine) }
}
