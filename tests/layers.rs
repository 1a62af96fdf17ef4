//! The arrows between the crates of the workspace, from `cargo metadata`: DESIGN section 1 as a table.
//!
//! A new crate, or a new arrow, is a line here and a decision there.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, TargetKind};
use rs_tests::cmd::workspace;

/// A crate of the kit.
struct Layer {
    name: &'static str,
    /// The binaries it makes.
    binaries: &'static [&'static str],
    has_library: bool,
    /// The crates of the kit it may know.
    knows: &'static [&'static str],
    /// The ones it may know only for its binary, behind a feature.
    binary_knows: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        name: "rs-schema",
        binaries: &["rs-schema"],
        has_library: true,
        knows: &[],
        binary_knows: &["rs-cli"],
    },
    Layer { name: "rs-cli", binaries: &[], has_library: true, knows: &[], binary_knows: &[] },
    Layer { name: "rs-profile", binaries: &[], has_library: true, knows: &["rs-schema"], binary_knows: &[] },
    Layer { name: "rs-symbol", binaries: &[], has_library: true, knows: &["rs-schema"], binary_knows: &[] },
    Layer {
        name: "rs-record",
        binaries: &["rs-record"],
        has_library: false,
        knows: &["rs-schema", "rs-cli", "rs-symbol"],
        binary_knows: &[],
    },
    Layer {
        name: "rs-rollup",
        binaries: &["rs-rollup"],
        has_library: false,
        knows: &["rs-schema", "rs-cli", "rs-profile"],
        binary_knows: &[],
    },
    Layer {
        name: "rs-export",
        binaries: &["rs-export"],
        has_library: false,
        knows: &["rs-schema", "rs-cli", "rs-profile"],
        binary_knows: &[],
    },
];

/// What is not part of the kit: programs to profile, and these tests. Nobody depends on them.
const AROUND: &[&str] = &["rustscope-examples", "rs-tests"];

/// Crates that belong to command lines. A library has typed errors and options in plain structs.
const COMMAND_LINE: &[&str] = &["anyhow", "clap", "clap_complete", "clap_mangen"];
/// Crates that make system calls.
const OPERATING_SYSTEM: &[&str] = &["libc", "nix", "perf-event-open-sys", "sysinfo", "rustix"];

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(workspace().join("Cargo.toml")).no_deps().other_options(["--offline".to_owned()]);
    command.exec().expect("cargo knows the workspace")
}

/// What a package links, without what only its tests need: the name, and whether it is optional.
fn links(package: &Package) -> BTreeMap<&str, bool> {
    let links =
        package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    links.map(|dependency| (dependency.name.as_str(), dependency.optional)).collect()
}

fn layer(name: &str) -> &'static Layer {
    LAYERS.iter().find(|layer| layer.name == name).unwrap_or_else(|| panic!("{name} is in the table"))
}

#[test]
fn every_crate_is_in_the_table() {
    let metadata = metadata();
    let found: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let known: BTreeSet<&str> = LAYERS.iter().map(|layer| layer.name).chain(AROUND.iter().copied()).collect();
    assert_eq!(found, known);
}

#[test]
fn arrows_point_one_way() {
    let metadata = metadata();
    let kit: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    for package in metadata.packages.iter().filter(|package| !AROUND.contains(&package.name.as_str())) {
        let layer = layer(&package.name);
        for (name, optional) in links(package) {
            if !kit.contains(name) || layer.knows.contains(&name) {
                continue;
            }
            assert!(
                layer.binary_knows.contains(&name) && optional,
                "{} depends on {name}, which the table does not allow",
                layer.name
            );
        }
    }
}

/// The table itself has no way round: whoever is known stands before whoever knows it.
#[test]
fn the_table_has_no_circle() {
    for (place, layer) in LAYERS.iter().enumerate() {
        let known = |name: &&str| LAYERS[..place].iter().any(|earlier| earlier.name == *name);
        assert!(layer.knows.iter().all(known), "{} knows only what stands above it", layer.name);
        // The binary of rs-schema is the one that uses a crate beside its library.
        assert!(layer.binary_knows.is_empty() || layer.has_library && !layer.binaries.is_empty());
    }
}

#[test]
fn each_crate_makes_what_the_table_says() {
    for package in metadata().packages.iter().filter(|package| !AROUND.contains(&package.name.as_str())) {
        let layer = layer(&package.name);
        let made = |kind: TargetKind| {
            let targets = package.targets.iter().filter(move |target| target.kind.contains(&kind));
            targets.map(|target| target.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(made(TargetKind::Bin), layer.binaries, "binaries of {}", layer.name);
        assert_eq!(!made(TargetKind::Lib).is_empty(), layer.has_library, "library of {}", layer.name);
        // Made of cargo and cc alone: no build script of ours fetches or generates anything.
        assert!(made(TargetKind::CustomBuild).is_empty(), "{} has a build script", layer.name);
    }
}

/// No binary links another's code: what has no library cannot be linked, and what has one is a library by the table.
#[test]
fn no_binary_links_another() {
    let metadata = metadata();
    for package in &metadata.packages {
        for (name, _) in links(package) {
            let Some(target) = LAYERS.iter().find(|layer| layer.name == name) else { continue };
            assert!(target.has_library, "{} links the program {name}", package.name);
        }
        for around in AROUND {
            assert!(!links(package).contains_key(around), "{} links {around}", package.name);
        }
    }
}

#[test]
fn libraries_stay_pure() {
    for package in metadata().packages.iter().filter(|package| !AROUND.contains(&package.name.as_str())) {
        let name = package.name.as_str();
        let links = links(package);
        let forbid = |crates: &[&str], why: &str| {
            for forbidden in crates {
                // What only the binary takes is behind a feature.
                let taken = links.get(forbidden).is_some_and(|optional| !optional);
                assert!(!taken, "{name} depends on {forbidden}: {why}");
            }
        };
        if layer(name).has_library && name != "rs-cli" {
            forbid(COMMAND_LINE, "a library has typed errors and plain options");
            forbid(OPERATING_SYSTEM, "this library makes no system calls");
        }
    }
}

/// Only `rs-profile` computes a session, so only the programs that need one link it, and none folds by itself.
#[test]
fn sessions_are_computed_in_one_place() {
    let linkers: BTreeSet<&str> =
        LAYERS.iter().filter(|layer| layer.knows.contains(&"rs-profile")).map(|layer| layer.name).collect();
    assert_eq!(linkers, BTreeSet::from(["rs-rollup", "rs-export"]));
}

/// Members share version, licence, edition and lints; the kit is published as a whole or not at all.
#[test]
fn members_share_what_the_workspace_says() {
    let metadata = metadata();
    let first = &metadata.packages[0];
    for package in &metadata.packages {
        let same = package.version == first.version
            && package.license == first.license
            && package.edition == first.edition
            && package.rust_version == first.rust_version;
        assert!(same, "{} differs from {}", package.name, first.name);
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} has the lints of the workspace",
            package.name
        );
        assert!(
            package.description.as_ref().is_some_and(|text| text.ends_with('.')),
            "{} says what it is",
            package.name
        );
    }
}
