//! Compiles the C that the truth programs call: an object linked into `truth_c`, and two shared libraries that
//! `truth_dlopen` opens while it runs. A plain `cc` does it, so that the build needs cargo and cc only.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=c");
    println!("cargo:rerun-if-env-changed=CC");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));

    let object = out.join("truth.o");
    cc(&["-c", "c/truth.c", "-o"], object.as_os_str());
    println!("cargo:rustc-link-arg-bin=truth_c={}", object.display());

    for (variable, name) in [("TRUTH_PLUGIN_A", "plugin_a"), ("TRUTH_PLUGIN_B", "plugin_b")] {
        let library = out.join(format!("libtruth_{name}.so"));
        cc(&["-shared", &format!("c/{name}.c"), "-o"], library.as_os_str());
        println!("cargo:rustc-env={variable}={}", library.display());
    }
}

/// Optimised, without frame pointers and without debug information: what a distribution ships.
fn cc(args: &[&str], output: &OsStr) {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(&compiler)
        .args(["-O2", "-fPIC", "-fomit-frame-pointer", "-g0", "-Wall", "-Wextra"])
        .args(args)
        .arg(output)
        .status();
    match status {
        Ok(status) if status.success() => {}
        other => panic!("{} {args:?} failed: {other:?}", compiler.to_string_lossy()),
    }
}
