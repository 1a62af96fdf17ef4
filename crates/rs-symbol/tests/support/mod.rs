//! Building small programs and reading the maps of processes, for the integration tests.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{LittleEndian, Object, ObjectSymbol};
use rs_symbol::{AddressSpace, Image};

pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

/// Runs a tool that must succeed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn rustc(source: &Path, out: &Path, flags: &[&str]) {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    // The choice of mangling is an unstable option.
    run(Command::new(rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["-Zunstable-options", "-O", "--edition", "2024", "-o"])
        .arg(out)
        .args(flags)
        .arg(source));
}

pub(crate) fn cc(source: &Path, out: &Path, flags: &[&str]) {
    let is_cpp = source.extension().is_some_and(|extension| extension == "cpp");
    run(Command::new(if is_cpp { "c++" } else { "cc" }).arg("-o").arg(out).arg(source).args(flags));
}

pub(crate) fn open(path: &Path) -> Arc<Image> {
    Arc::new(Image::open(File::open(path).unwrap(), path).unwrap())
}

/// Functions of a binary whose raw name contains all of `parts`: name, address, size.
pub(crate) fn functions(path: &Path, parts: &[&str]) -> Vec<(String, u64, u64)> {
    let data = std::fs::read(path).unwrap();
    let elf = ElfFile::<FileHeader64<LittleEndian>>::parse(&*data).unwrap();
    elf.symbols()
        .filter(|symbol| symbol.size() > 0 && symbol.kind() == object::SymbolKind::Text)
        .map(|symbol| (symbol.name().unwrap().to_owned(), symbol.address(), symbol.size()))
        .filter(|(name, _, _)| parts.iter().all(|part| name.contains(part)))
        .collect()
}

/// The address space of a process as `/proc/PID/maps` has it; `process` is a pid or `self`.
pub(crate) fn address_space(process: &str) -> AddressSpace {
    let mut space = AddressSpace::new();
    let mut images: Vec<(String, Arc<Image>)> = Vec::new();
    for line in std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(path) = words.get(5).filter(|path| path.starts_with('/')) else { continue };
        let (start, end) = words[0].split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let image = match images.iter().find(|(known, _)| known == path) {
            Some((_, image)) => Arc::clone(image),
            None => {
                let Ok(file) = File::open(path) else { continue };
                let Ok(image) = Image::open(file, Path::new(path)) else { continue };
                let image = Arc::new(image);
                images.push(((*path).to_owned(), Arc::clone(&image)));
                image
            }
        };
        space.map(number(start), number(end), number(words[2]), image);
    }
    space
}
