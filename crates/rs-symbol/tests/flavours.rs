//! Names of known functions in programs built in every way that matters: both manglings, every level of debug
//! information, stripped, split, deleted; Rust, C and C++.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use rs_schema::event::{Body, Symbol};
use rs_schema::units::Status;
use rs_symbol::{Resolved, Symbolizer};
use support::{cc, functions, open, program, run, rustc};

/// A function of tests/programs/app.rs, found by parts of its raw name.
struct Known {
    parts: &'static [&'static str],
    key: &'static str,
    /// Key where the mangling is legacy and says it otherwise.
    legacy_key: Option<&'static str>,
    module: &'static str,
    body: Option<Body>,
}

const KNOWN: &[Known] = &[
    Known {
        parts: &["app", "4burn"],
        key: "app::memory::burn",
        legacy_key: None,
        module: "app::memory",
        body: None,
    },
    Known {
        parts: &["app", "2go"],
        key: "<app::memory::Pool as app::memory::Work>::go",
        legacy_key: None,
        // The impl is in another module than type and trait.
        module: "app::memory::implementation",
        body: None,
    },
    Known {
        parts: &["app", "10by_default"],
        key: "<app::memory::Pool as app::memory::Work>::by_default",
        legacy_key: Some("app::memory::Work::by_default"),
        module: "app::memory",
        body: None,
    },
    Known {
        parts: &["app", "8inherent"],
        key: "app::memory::Pool::inherent",
        legacy_key: None,
        module: "app::memory",
        body: None,
    },
    Known {
        parts: &["app", "8inherent", "6nested"],
        key: "app::memory::Pool::inherent::nested",
        legacy_key: None,
        module: "app::memory",
        body: None,
    },
    Known {
        parts: &["app", "12with_closure", "closure"],
        key: "app::memory::with_closure",
        legacy_key: None,
        module: "app::memory",
        body: Some(Body::Closure),
    },
    Known {
        parts: &["app", "4call"],
        key: "app::memory::call",
        legacy_key: None,
        module: "app::memory",
        body: None,
    },
    Known {
        parts: &["app", "7handler"],
        key: "app::server::handler",
        legacy_key: None,
        module: "app::server",
        body: None,
    },
];

/// The function itself at an address, outside of what is inlined into it.
fn outermost(resolved: &Resolved) -> &Symbol {
    resolved.inlined_by.last().unwrap_or(&resolved.symbol)
}

fn build(name: &str, directory: &Path, mangling: &str, debuginfo: &str) -> PathBuf {
    let out = directory.join(format!("{name}-{mangling}-{debuginfo}"));
    let mangling = format!("symbol-mangling-version={mangling}");
    let debuginfo = format!("debuginfo={debuginfo}");
    rustc(&program(&format!("{name}.rs")), &out, &["-C", &mangling, "-C", &debuginfo]);
    out
}

#[test]
fn keys_crates_and_modules_in_every_flavour() {
    let directory = tempfile::tempdir().unwrap();
    for mangling in ["v0", "legacy"] {
        for debuginfo in ["0", "line-tables-only", "1", "2"] {
            let path = build("app", directory.path(), mangling, debuginfo);
            let flavour = path.file_name().unwrap().to_string_lossy().into_owned();
            let image = open(&path);
            let level = ["symbols", "line-tables-only", "limited", "full"]
                [["0", "line-tables-only", "1", "2"].iter().position(|level| *level == debuginfo).unwrap()];
            assert_eq!(image.facts().debuginfo, Some(level), "{flavour}");
            assert!(image.facts().rustc.is_some() && image.facts().has_symtab && !image.facts().is_static);
            let mut symbolizer = Symbolizer::new();
            for known in KNOWN {
                check_known(known, mangling, &path, &flavour, &mut symbolizer);
            }
            check_inlines(&path, debuginfo, &flavour, &mut symbolizer);
            check_exported(&path, debuginfo, &flavour, &mut symbolizer);
        }
    }
}

fn check_known(known: &Known, mangling: &str, path: &Path, flavour: &str, symbolizer: &mut Symbolizer) {
    let image = open(path);
    // rustc spells the parts of a closure's name differently in the two manglings.
    let parts: Vec<&str> = known
        .parts
        .iter()
        .map(|part| match (*part, mangling) {
            ("closure", "v0") => "NCN",
            ("closure", _) => "$u7b$closure",
            ("app", "v0") => "_3app",
            ("app", _) => "3app",
            (part, _) => part,
        })
        .collect();
    let mut found = functions(path, &parts);
    if known.body.is_none() {
        found.retain(|(name, _, _)| !name.contains("closure") && !name.starts_with("_RNC"));
    }
    if known.key.ends_with("inherent") {
        found.retain(|(name, _, _)| !name.contains("nested"));
    }
    assert!(!found.is_empty(), "{flavour}: no {parts:?}");
    for (name, start, size) in found {
        for address in [start, start + size / 2, start + size - 1] {
            let resolved = symbolizer.symbolize(&image, address);
            let symbol = outermost(&resolved);
            let key = known.legacy_key.filter(|_| mangling == "legacy").unwrap_or(known.key);
            assert_eq!(symbol.function.as_deref(), Some(key), "{flavour} {name} {resolved:#?}");
            assert_eq!(symbol.crate_name.as_deref(), Some("app"), "{flavour} {name}");
            assert_eq!(symbol.module.as_deref(), Some(known.module), "{flavour} {name}");
            assert_eq!(symbol.language.as_deref(), Some("rust"), "{flavour} {name}");
            assert_eq!(symbol.body, known.body, "{flavour} {name}");
            assert_eq!(symbol.attribution, None, "{flavour} {name}");
            assert_eq!(symbol.raw_name.as_deref(), Some(name.as_str()), "{flavour}");
            assert_eq!(resolved.reason, None);
        }
    }
}

/// `leaf` is inlined into `burn` in two ways; one chain a symbol would show only one of them.
fn check_inlines(path: &Path, debuginfo: &str, flavour: &str, symbolizer: &mut Symbolizer) {
    let image = open(path);
    let mut chains = BTreeSet::new();
    for (_, start, size) in functions(path, &["3app", "4burn"]) {
        let addresses: Vec<u64> = (start..start + size).collect();
        for resolved in symbolizer.symbolize_batch(&image, &addresses) {
            for symbol in std::iter::once(&resolved.symbol).chain(&resolved.inlined_by) {
                let is_own = symbol.crate_name.as_deref() == Some("app");
                let file = symbol.file.as_deref().unwrap_or("app.rs");
                assert!(!is_own || file.ends_with("app.rs"), "{flavour} {symbol:#?}");
                assert!(
                    debuginfo == "0" || !is_own || symbol.line.is_none_or(|line| (2..=20).contains(&line))
                );
            }
            let names = std::iter::once(&resolved.symbol)
                .chain(&resolved.inlined_by)
                .filter(|symbol| symbol.crate_name.as_deref() == Some("app"));
            chains.insert(names.filter_map(|symbol| symbol.function.clone()).collect::<Vec<_>>());
        }
    }
    let chain = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected: BTreeSet<Vec<String>> = match debuginfo {
        "0" => [chain(&["app::memory::burn"])].into(),
        // Line tables name inlined functions without their path; the file tells the crate only.
        "line-tables-only" => [
            chain(&["app::leaf", "app::middle", "app::memory::burn"]),
            chain(&["app::leaf", "app::memory::burn"]),
            chain(&["app::middle", "app::memory::burn"]),
            chain(&["app::memory::burn"]),
        ]
        .into(),
        _ => [
            chain(&["app::memory::leaf", "app::memory::middle", "app::memory::burn"]),
            chain(&["app::memory::leaf", "app::memory::burn"]),
            chain(&["app::memory::middle", "app::memory::burn"]),
            chain(&["app::memory::burn"]),
        ]
        .into(),
    };
    assert_eq!(chains, expected, "{flavour}");
}

/// A function with a C name is Rust all the same, if its source is known.
fn check_exported(path: &Path, debuginfo: &str, flavour: &str, symbolizer: &mut Symbolizer) {
    let image = open(path);
    let (_, start, _) = functions(path, &["exported_by_rust"]).remove(0);
    let resolved = symbolizer.symbolize(&image, start);
    let symbol = outermost(&resolved);
    if debuginfo == "0" {
        assert_eq!(symbol.function.as_deref(), Some("exported_by_rust"), "{flavour}");
        assert_eq!(symbol.crate_name.as_deref(), Some(format!("[{flavour}]").as_str()));
    } else {
        assert_eq!(symbol.function.as_deref(), Some("app::exported_by_rust"), "{flavour}");
        assert_eq!(symbol.crate_name.as_deref(), Some("app"), "{flavour}");
        let is_estimated = debuginfo == "line-tables-only";
        assert_eq!(symbol.attribution, is_estimated.then_some(Status::Estimated), "{flavour}");
    }
}

/// A function of tests/programs/places.rs: key, module, and where a legacy symbol leaves its module open, what
/// is said without debug information and with line tables.
type Place = (&'static str, &'static str, Option<[(&'static str, bool); 2]>);

const PLACES: &[Place] = &[
    (
        "<places::shapes::Square as places::traits::Work>::work",
        "places::shapes",
        Some([("places::shapes", true); 2]),
    ),
    // Beside the trait, and all in one file.
    (
        "<places::shapes::Circle as places::traits::Work>::work",
        "places::traits",
        Some([("places::shapes", true); 2]),
    ),
    // Beside the trait, in its file.
    (
        "<places::shapes::Circle as places::placed_in_file::Far>::far",
        "places::placed_in_file",
        Some([("places::shapes", true), ("places::placed_in_file", true)]),
    ),
    // There is one place only where these can be.
    ("<places::shapes::Square as core::iter::traits::iterator::Iterator>::next", "places::shapes", None),
    ("<u64 as places::traits::Work>::work", "places::traits", None),
    ("<alloc::vec::Vec as places::traits::Work>::work", "places::traits", None),
    // The path of a function looks like a module's.
    ("places::scopes::host", "places::scopes", None),
    ("places::scopes::host::guest", "places::scopes", Some([("places::scopes", true); 2])),
    (
        "<places::scopes::host::Local as places::traits::Work>::work",
        "places::scopes",
        Some([("places::scopes", true); 2]),
    ),
    // No symbol tells that this is in a function.
    (
        "places::scopes::inlined_host::second_guest",
        "places::scopes",
        Some([("places::scopes::inlined_host", false); 2]),
    ),
    (
        "<places::service::server::Server as places::service::Handle>::handle",
        "places::service",
        Some([("places::service::server", true); 2]),
    ),
    ("places::placed_in_file", "places", None),
    // There is a function of the module's name; the file tells that it is a module.
    (
        "places::placed_in_file::helper",
        "places::placed_in_file",
        Some([("places", true), ("places::placed_in_file", false)]),
    ),
];

#[test]
fn modules_are_exact_wherever_anything_tells() {
    let directory = tempfile::tempdir().unwrap();
    for mangling in ["v0", "legacy"] {
        for (level, debuginfo) in ["0", "line-tables-only", "1", "2"].into_iter().enumerate() {
            let path = build("places", directory.path(), mangling, debuginfo);
            let image = open(&path);
            let mut symbolizer = Symbolizer::new();
            let functions = functions(&path, &["places"]);
            let addresses: Vec<u64> =
                functions.iter().flat_map(|(_, start, size)| [*start, start + size - 1]).collect();
            let resolved = symbolizer.symbolize_batch(&image, &addresses);
            for (key, module, legacy) in PLACES {
                let (module, is_estimated) = match legacy {
                    Some(legacy) if mangling == "legacy" && level < 2 => legacy[level],
                    _ => (*module, false),
                };
                let mut found = resolved.iter().map(outermost).filter(|symbol| {
                    symbol.function.as_deref() == Some(key)
                        && symbol.raw_name.as_deref().is_some_and(|name| !name.contains("drop"))
                });
                let first = found.next().unwrap_or_else(|| panic!("{mangling} {debuginfo}: no {key}"));
                for symbol in std::iter::once(first).chain(found) {
                    assert_eq!(symbol.module.as_deref(), Some(module), "{mangling} {debuginfo} {symbol:#?}");
                    assert_eq!(symbol.crate_name.as_deref(), Some("places"), "{mangling} {debuginfo} {key}");
                    assert_eq!(
                        symbol.attribution,
                        is_estimated.then_some(Status::Estimated),
                        "{mangling} {debuginfo} {key}"
                    );
                }
            }
            check_inlined_impl(&path, mangling, level, &mut symbolizer);
        }
    }
}

/// A function of an impl that is there only inlined.
fn check_inlined_impl(path: &Path, mangling: &str, level: usize, symbolizer: &mut Symbolizer) {
    let (_, start, size) = functions(path, &["places", "12with_inlined"]).remove(0);
    let addresses: Vec<u64> = (start..start + size).collect();
    let resolved = symbolizer.symbolize_batch(&open(path), &addresses);
    let inlined: BTreeSet<_> = resolved
        .iter()
        .flat_map(|resolved| std::iter::once(&resolved.symbol).chain(&resolved.inlined_by))
        .filter(|symbol| symbol.function.as_deref().is_some_and(|name| name.ends_with("::inlined")))
        .map(|symbol| (symbol.function.as_deref(), symbol.module.as_deref(), symbol.attribution.is_some()))
        .collect();
    let expected = match level {
        0 => None,
        1 => Some((Some("places::inlined"), Some("places"), true)),
        _ => {
            let key = "<places::shapes::Circle as places::traits::Work>::inlined";
            Some((Some(key), Some("places::traits"), false))
        }
    };
    assert_eq!(inlined, expected.into_iter().collect(), "{mangling} {level}");
}

#[test]
fn stripped_functions_have_a_stable_identity() {
    let directory = tempfile::tempdir().unwrap();
    let path = build("app", directory.path(), "v0", "1");
    let stripped = directory.path().join("stripped");
    run(Command::new("strip").arg("-s").arg("-o").arg(&stripped).arg(&path));
    let image = open(&stripped);
    assert_eq!(image.facts().debuginfo, Some("stripped"));
    assert_eq!(image.build_id(), open(&path).build_id());
    let mut symbolizer = Symbolizer::new();
    for (name, start, size) in functions(&path, &["_3app"]) {
        for address in [start, start + size / 2, start + size - 1] {
            let resolved = symbolizer.symbolize(&image, address);
            assert_eq!(
                resolved.symbol.function.as_deref(),
                Some(format!("[stripped]+{start:#x}").as_str()),
                "{name}"
            );
            assert_eq!(resolved.symbol.crate_name.as_deref(), Some("[stripped]"));
            assert_eq!(resolved.symbol.module.as_deref(), Some("[stripped]"));
            assert_eq!(resolved.symbol.language, None);
            assert_eq!(resolved.reason, Some("no_symbols"));
        }
    }
    // Between functions there is nothing to name.
    let resolved = symbolizer.symbolize(&image, 0);
    assert_eq!((resolved.symbol.function, resolved.reason), (None, Some("no_symbols")));
}

#[test]
fn symbols_split_off_are_found_beside_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let path = build("app", directory.path(), "v0", "1");
    let (_, start, _) = functions(&path, &["_3app", "4burn"]).remove(0);
    let expected = Symbolizer::new().symbolize(&open(&path), start + 8);
    assert!(!expected.inlined_by.is_empty());
    let split = directory.path().join("split");
    let debug = directory.path().join("split.debug");
    run(Command::new("objcopy").arg("--only-keep-debug").arg(&path).arg(&debug));
    run(Command::new("objcopy")
        .arg("--strip-all")
        .arg("--add-gnu-debuglink")
        .arg(&debug)
        .arg(&path)
        .arg(&split));
    assert_eq!(Symbolizer::new().symbolize(&open(&split), start + 8), expected);
    // Debug information that does not match is not used, and does not take the rest with it.
    std::fs::write(&debug, b"no debug file").unwrap();
    let resolved = Symbolizer::new().symbolize(&open(&split), start + 8);
    assert_eq!(resolved.reason, Some("no_symbols"));
}

#[test]
fn a_deleted_program_is_read_through_its_open_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = build("app", directory.path(), "v0", "1");
    let (_, start, _) = functions(&path, &["_3app", "4burn"]).remove(0);
    let expected = Symbolizer::new().symbolize(&open(&path), start + 8);
    let image = open(&path);
    std::fs::write(directory.path().join("other"), b"another program now").unwrap();
    std::fs::rename(directory.path().join("other"), &path).unwrap();
    assert_eq!(Symbolizer::new().symbolize(&image, start + 8), expected);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(Symbolizer::new().symbolize(&image, start + 8), expected);
}

#[test]
fn c_functions_belong_to_their_binary() {
    let directory = tempfile::tempdir().unwrap();
    for (flags, has_lines) in [(&["-O2", "-g"][..], true), (&["-O2"][..], false), (&["-O2", "-g1"][..], true)]
    {
        let path = directory.path().join("plain");
        cc(&program("plain.c"), &path, flags);
        let image = open(&path);
        let mut symbolizer = Symbolizer::new();
        for name in ["inner", "outer", "main"] {
            let (_, start, size) = functions(&path, &[name]).remove(0);
            let resolved = symbolizer.symbolize(&image, start + size - 1);
            let symbol = outermost(&resolved);
            assert_eq!(symbol.function.as_deref(), Some(name), "{flags:?}");
            assert_eq!(symbol.crate_name.as_deref(), Some("[plain]"));
            assert_eq!(symbol.module.as_deref(), Some("[plain]"));
            assert_eq!(symbol.language.as_deref(), Some("c"));
            assert_eq!(symbol.file.is_some(), has_lines, "{flags:?}");
        }
        let (_, start, size) = functions(&path, &["outer"]).remove(0);
        let addresses: Vec<u64> = (start..start + size).collect();
        let is_inlined = symbolizer.symbolize_batch(&image, &addresses).iter().any(|resolved| {
            resolved.symbol.function.as_deref() == Some("inlined") && resolved.inlined_by.len() == 1
        });
        assert_eq!(is_inlined, has_lines, "{flags:?}");
    }
}

#[test]
fn linkage_stubs_are_named_by_their_target() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain");
    cc(&program("plain.c"), &path, &["-O2", "-Wl,-z,lazy"]);
    let image = open(&path);
    let data = std::fs::read(&path).unwrap();
    let elf =
        object::read::elf::ElfFile::<object::elf::FileHeader64<object::LittleEndian>>::parse(&*data).unwrap();
    use object::{Object, ObjectSection};
    let plt = elf.section_by_name(".plt").unwrap();
    let mut symbolizer = Symbolizer::new();
    let addresses: Vec<u64> = (plt.address() + 16..plt.address() + plt.size()).collect();
    let names: BTreeSet<String> = symbolizer
        .symbolize_batch(&image, &addresses)
        .into_iter()
        .filter_map(|resolved| resolved.symbol.function)
        .collect();
    assert_eq!(names, ["getenv@plt".to_owned(), "printf@plt".to_owned()].into());
}

#[test]
fn exports_are_not_credited_with_private_code() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("libplain.so");
    cc(&program("plain.c"), &path, &["-O2", "-shared", "-fPIC", "-Dmain=entry"]);
    let (_, inner, _) = functions(&path, &["inner"]).remove(0);
    let (_, outer, _) = functions(&path, &["outer"]).remove(0);
    run(Command::new("strip").arg("--strip-all").arg(&path));
    let image = open(&path);
    let mut symbolizer = Symbolizer::new();
    assert_eq!(symbolizer.symbolize(&image, outer + 1).symbol.function.as_deref(), Some("outer"));
    let resolved = symbolizer.symbolize(&image, inner + 1);
    assert_eq!(resolved.symbol.function, Some(format!("[libplain.so]+{inner:#x}")));
    assert_eq!(resolved.reason, Some("no_symbols"));
}

#[test]
fn cpp_functions_have_their_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("names");
    cc(&program("names.cpp"), &path, &["-O2"]);
    let image = open(&path);
    let mut symbolizer = Symbolizer::new();
    for (part, key, module, body) in [
        ("hidden", "outer::(anonymous namespace)::hidden", "outer::(anonymous namespace)", None),
        ("BoxI", "outer::Box::get", "outer::Box", None),
        ("applyEmENK", "outer::apply", "outer", Some(Body::Closure)),
    ] {
        let (name, start, _) = functions(&path, &[part])
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("{part} in {:?}", functions(&path, &[])));
        let resolved = symbolizer.symbolize(&image, start);
        assert_eq!(resolved.symbol.function.as_deref(), Some(key), "{name}");
        assert_eq!(resolved.symbol.module.as_deref(), Some(module), "{name}");
        assert_eq!(resolved.symbol.crate_name.as_deref(), Some("[names]"), "{name}");
        assert_eq!(resolved.symbol.language.as_deref(), Some("c++"), "{name}");
        assert_eq!(resolved.symbol.body, body, "{name}");
    }
}
