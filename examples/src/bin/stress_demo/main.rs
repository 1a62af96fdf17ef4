//! A program with problems, one after the other, each in a module and function of its own.
//!
//! | phase | what is wrong | where |
//! |---|---|---|
//! | `idle` | nothing | |
//! | `cpu` | one core at 100 % | `stress_demo::cpu::burn` |
//! | `memory` | about 100 MiB more in a third of a second, held, freed | `stress_demo::memory::spike`, `fill` |
//! | `threads` | two dozen threads at once | `stress_demo::threads::storm`, `work` |
//! | `fds` | hundreds of descriptors opened within 100 ms and held | `stress_demo::fds::hoard`, `index` |
//! | `files` | tiny reads, writes and seeks at full speed | `stress_demo::files::churn`, `checksum` |
//!
//! Phases are about a second long with quiet between them, so that every rise has a before and an after.

use std::time::Duration;

use rustscope_examples::{Args, Flag};

mod cpu;
mod fds;
mod files;
mod marks;
mod memory;
mod stage;
mod threads;

use stage::Stage;

fn main() {
    let args = Args::parse(
        "A program with identifiable problems: a CPU burst, a memory spike, a thread burst, descriptor growth, \
         syscall-heavy file work.",
        &[
            Flag::number("scale", 1.0, "factor on the length of the phases (1: about 7 s in all)"),
            Flag::number("memory-mib", 96.0, "size of the memory spike"),
            Flag::number("threads", 24.0, "threads of the thread burst"),
            Flag::number("fds", 256.0, "descriptors to hoard"),
            Flag::switch("json", "print the phases with their times on stdout"),
        ],
    );
    let scale = args.number("scale");
    let time = |ms: f64| Duration::from_secs_f64(ms * scale / 1e3);

    let mut stage = Stage::new(time(400.0));
    stage.play("cpu", |marks| cpu::burst(time(1000.0), marks));
    stage.play("memory", |_| memory::spike(args.count("memory-mib"), time(400.0)));
    stage.play("threads", |_| threads::storm(args.count("threads"), time(1000.0)));
    stage.play("fds", |_| fds::hoard(args.count("fds"), time(600.0)));
    stage.play("files", |_| files::churn(time(1000.0)));
    stage.close(args.switch("json"));
}
