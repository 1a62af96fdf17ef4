//! Two libraries are loaded, called and unloaded one after the other while the program runs.
//!
//! 15 % in Rust before; then the first library (35 %) and Rust (15 %) alternately; it is closed, the second is opened,
//! usually at the same address, and gets 25 %; closed again, 10 % in Rust after. A profiler that reads the mappings once,
//! or only at the end, or believes an address has one owner, is wrong here. The libraries are built beside the program
//! (`c/plugin_a.c`, `c/plugin_b.c`); the environment variables `TRUTH_PLUGIN_A` and `_B` name others.

use std::ffi::{CStr, CString};
use std::process;

use rustscope_examples::{Args, Flag, Plan, Site, Truth};

mod before {
    #[inline(never)]
    pub(crate) fn warm(rounds: u64) -> u64 {
        rustscope_examples::burn!(rounds, 15, 13, 7, 17)
    }
}

mod host {
    #[inline(never)]
    pub(crate) fn feed(rounds: u64) -> u64 {
        rustscope_examples::burn!(rounds, 16, 23, 17, 26)
    }
}

mod after {
    #[inline(never)]
    pub(crate) fn cool(rounds: u64) -> u64 {
        rustscope_examples::burn!(rounds, 10, 5, 15, 27)
    }
}

mod plugin {
    use super::{CStr, CString, process};

    type Run = unsafe extern "C" fn(u64) -> u64;

    /// A loaded library and the function it is loaded for.
    pub(crate) struct Plugin {
        handle: *mut libc::c_void,
        run: Run,
    }

    impl Plugin {
        pub(crate) fn open(path: &str, symbol: &CStr) -> Plugin {
            let Ok(path) = CString::new(path) else { fail("a path with a zero byte") };
            // SAFETY: both strings are terminated; the library's initialisers are ours and do nothing.
            let (handle, run) = unsafe {
                let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
                let run = if handle.is_null() { handle } else { libc::dlsym(handle, symbol.as_ptr()) };
                (handle, run)
            };
            if run.is_null() {
                fail(&format!("cannot load {}", path.to_string_lossy()));
            }
            // SAFETY: the symbol is a function of this type in both plugins.
            let run = unsafe { std::mem::transmute::<*mut libc::c_void, Run>(run) };
            Plugin { handle, run }
        }

        #[inline(never)]
        pub(crate) fn call(&self, rounds: u64) -> u64 {
            // SAFETY: the library stays loaded as long as `self`; the function computes on its argument only.
            unsafe { (self.run)(rounds) ^ 1 }
        }
    }

    impl Drop for Plugin {
        fn drop(&mut self) {
            // SAFETY: the handle came from dlopen, and nobody else can call into the library.
            unsafe { libc::dlclose(self.handle) };
        }
    }

    fn fail(message: &str) -> ! {
        eprintln!("truth_dlopen: {message}");
        process::exit(1);
    }
}

use plugin::Plugin;

const CALL: (&str, &str) = ("truth_dlopen::plugin::Plugin::call", "truth_dlopen::plugin");
const WARM: Site = Site::rust("truth_dlopen::before::warm", "truth_dlopen::before");
const FEED: Site = Site::rust("truth_dlopen::host::feed", "truth_dlopen::host");
const COOL: Site = Site::rust("truth_dlopen::after::cool", "truth_dlopen::after");
const CRUNCH_A: Site = Site::c("plugin_a_crunch", "libtruth_plugin_a.so").under(&[CALL]);
const CRUNCH_B: Site = Site::c("plugin_b_crunch", "libtruth_plugin_b.so").under(&[CALL]);

fn main() {
    let args = Args::parse(
        "Libraries loaded and unloaded at run time: 35 % in the first, 25 % in the second, the rest in Rust.",
        &[Flag::number("seconds", 1.5, "CPU time to spend")],
    );
    let seconds = args.number("seconds");
    let mut truth = Truth::default();

    truth.merge(Plan::new().plant(1.0, WARM, before::warm).run(0.15 * seconds));

    let first = Plugin::open(&path("TRUTH_PLUGIN_A", env!("TRUTH_PLUGIN_A")), c"plugin_a_run");
    let plan = Plan::new().plant(35.0, CRUNCH_A, move |rounds| first.call(rounds));
    // The plan owns the library and closes it when it is done.
    truth.merge(plan.plant(15.0, FEED, host::feed).run(0.5 * seconds));

    let second = Plugin::open(&path("TRUTH_PLUGIN_B", env!("TRUTH_PLUGIN_B")), c"plugin_b_run");
    truth.merge(Plan::new().plant(1.0, CRUNCH_B, move |rounds| second.call(rounds)).run(0.25 * seconds));

    truth.merge(Plan::new().plant(1.0, COOL, after::cool).run(0.1 * seconds));
    truth.print("truth_dlopen");
}

fn path(variable: &str, built: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| built.to_owned())
}
