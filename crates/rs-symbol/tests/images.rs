//! What binaries tell about themselves.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rs_symbol::{AddressSpace, Dependency, Image, Symbolizer, UnwindCache};
use support::{cc, functions, open, program, run, rustc};

#[test]
fn facts_of_c_programs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain");
    for (flags, debuginfo, is_static) in [
        (&["-O2"][..], "symbols", false),
        (&["-O2", "-g"], "full", false),
        (&["-O2", "-s"], "stripped", false),
        (&["-O2", "-static"], "symbols", true),
        (&["-O2", "-static-pie"], "symbols", true),
        (&["-O2", "-shared", "-fPIC"], "symbols", false),
    ] {
        cc(&program("plain.c"), &path, flags);
        let image = open(&path);
        let facts = image.facts();
        assert_eq!(facts.debuginfo, Some(debuginfo), "{flags:?}");
        assert_eq!(facts.is_static, is_static, "{flags:?}");
        assert_eq!(facts.rustc, None);
        assert_eq!(facts.has_symtab, debuginfo != "stripped");
        let has_loader = !is_static && !flags.contains(&"-shared");
        assert_eq!(facts.interpreter.is_some(), has_loader, "{flags:?}");
        assert!(facts.dependencies.is_empty());
    }
}

#[test]
fn addresses_and_offsets() {
    let directory = tempfile::tempdir().unwrap();
    let c = directory.path().join("c");
    cc(&program("plain.c"), &c, &["-O2", "-Wl,--build-id"]);
    // rustc links with lld on this platform, which packs segments so that addresses and offsets differ.
    let rust = directory.path().join("rust");
    rustc(&program("spin.rs"), &rust, &["-Clink-arg=-Wl,--build-id"]);
    for path in [c, rust] {
        let image = open(&path);
        assert!(
            image.build_id().is_some_and(|id| id.len() >= 16 && id.bytes().all(|c| c.is_ascii_hexdigit()))
        );
        for (name, start, size) in functions(&path, &[]) {
            for address in [start, start + size - 1] {
                let offset = image.file_offset_of_svma(address).unwrap_or_else(|| panic!("{name}"));
                assert_eq!(image.svma_of_file_offset(offset), Some(address), "{name}");
            }
        }
        assert_eq!(image.file_offset_of_svma(u64::MAX), None);
        assert_eq!(image.svma_of_file_offset(u64::MAX), None);
        assert!(image.eh_frame_function_start(image.entry_svma()).is_some());
    }
}

#[test]
fn dependencies_that_cargo_auditable_listed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app");
    rustc(&program("app.rs"), &path, &["-Cdebuginfo=0"]);
    let list = directory.path().join("list");
    let json = br#"{"packages":[{"name":"app","version":"2.3.4","source":"local","root":true},
        {"name":"regex-automata","version":"0.4.9","source":"crates.io","dependencies":[0]}]}"#;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(json).unwrap();
    std::fs::write(&list, encoder.finish().unwrap()).unwrap();
    let section = format!(".dep-v0={}", list.display());
    let listed = directory.path().join("listed");
    run(Command::new("objcopy").arg("--add-section").arg(section).arg(&path).arg(&listed));
    let image = open(&listed);
    let dependency = |name: &str, version: &str| Dependency { name: name.into(), version: version.into() };
    assert_eq!(
        image.facts().dependencies,
        [dependency("app", "2.3.4"), dependency("regex-automata", "0.4.9")]
    );
    let (_, start, _) = functions(&listed, &["_3app", "4burn"]).remove(0);
    let symbol = Symbolizer::new().symbolize(&image, start).symbol;
    assert_eq!(symbol.crate_version.as_deref(), Some("2.3.4"));
    assert_eq!(symbol.crate_version_source.as_deref(), Some("dep_v0"));
}

#[test]
#[cfg(target_os = "linux")]
fn functions_of_the_vdso() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let (start, end) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
    let number = |text| usize::from_str_radix(text, 16).unwrap();
    // SAFETY: the kernel maps these bytes into every process, read-only.
    let bytes =
        unsafe { std::slice::from_raw_parts(number(start) as *const u8, number(end) - number(start)) };
    let image = Arc::new(Image::from_bytes(bytes.to_vec(), "[vdso]").unwrap());
    assert!(image.build_id().is_some());
    let mut symbolizer = Symbolizer::new();
    let text = (0..bytes.len() as u64).step_by(16).map(|offset| image.base_svma() + offset);
    let names: Vec<_> = text.map(|address| symbolizer.symbolize(&image, address).symbol).collect();
    let gettime = names
        .iter()
        .find(|symbol| symbol.function.as_deref().is_some_and(|name| name.ends_with("clock_gettime")));
    assert_eq!(gettime.unwrap().crate_name.as_deref(), Some("[vdso]"), "{names:#?}");
}

#[test]
fn an_image_is_named_after_its_path() {
    let path = std::env::current_exe().unwrap();
    let image = Image::open(std::fs::File::open(&path).unwrap(), Path::new("/container/bin/tool")).unwrap();
    assert_eq!((image.path(), image.file_name()), (Path::new("/container/bin/tool"), "tool".to_owned()));
}

#[test]
fn what_may_cross_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Image>();
    shared::<AddressSpace>();
    shared::<UnwindCache>();
}
