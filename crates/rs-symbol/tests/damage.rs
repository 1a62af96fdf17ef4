//! Damaged binaries: cut off anywhere, with bytes changed anywhere. They give an error or fewer names, never a
//! panic, an endless loop or a read outside of the file.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rs_symbol::{AddressSpace, Error, Image, Registers, Symbolizer, UnwindCache};
use support::{cc, functions, program, rustc};

/// Does everything that can be done with an image, without a panic. The arithmetic of gimli and blazesym may
/// wrap on damaged tables, which they find out by the next bounds check; builds with overflow checks panic
/// before that, and only there that is let pass.
fn exercise(image: Image, addresses: &[u64]) {
    thread_local! {
        static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_arithmetic =
                info.payload().downcast_ref::<&str>().is_some_and(|text| text.ends_with("with overflow"));
            PLACE.set(info.location().map(|place| place.file().to_owned()).unwrap_or_default());
            if !is_arithmetic {
                previous(info);
            }
        }));
    });
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| exercise_all(image, addresses)));
    if let Err(panic) = result {
        let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
        let place = PLACE.take();
        let is_theirs = place.contains("/gimli-") || place.contains("/blazesym-");
        assert!(cfg!(debug_assertions) && text.ends_with("with overflow") && is_theirs, "{place}: {text}");
    }
}

fn exercise_all(image: Image, addresses: &[u64]) {
    let image = Arc::new(image);
    let _ = (image.facts(), image.build_id(), image.base_svma(), image.entry_svma());
    for address in addresses {
        let offset = image.file_offset_of_svma(*address);
        let _ = offset.and_then(|offset| image.svma_of_file_offset(offset));
        let _ = image.eh_frame_function_start(*address);
    }
    let mut symbolizer = Symbolizer::new();
    assert_eq!(symbolizer.symbolize_batch(&image, addresses).len(), addresses.len());
    let mut space = AddressSpace::new();
    for page in 0..64 {
        let start = 0x10_0000 + page * 0x1000;
        space.map(start, start + 0x1000, page * 0x1000, Arc::clone(&image));
    }
    let mut cache = UnwindCache::new();
    for address in addresses {
        let registers = Registers { ip: 0x10_0000 + address % 0x4_0000, sp: 0x1000, bp: 0x1010, lr: 0 };
        let mut out = Vec::new();
        let mut read = |address: u64| (0x1000..0x2000).contains(&address).then_some(0x10_1000 + address);
        space.unwind(&mut cache, registers, &mut read, &mut out);
        assert!(out.len() <= rs_symbol::MAX_FRAMES);
    }
}

struct Sample {
    bytes: Vec<u8>,
    addresses: Vec<u64>,
}

fn sample(path: &Path) -> Sample {
    let mut addresses: Vec<u64> =
        functions(path, &[]).into_iter().map(|(_, start, size)| start + size / 2).collect();
    addresses.truncate(40);
    addresses.extend([0, 1, 0x1000, u64::MAX, u64::MAX / 2]);
    Sample { bytes: std::fs::read(path).unwrap(), addresses }
}

fn c_program(directory: &Path) -> Sample {
    let path = directory.join("plain");
    cc(&program("plain.c"), &path, &["-O2", "-g"]);
    sample(&path)
}

#[test]
fn cut_off_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let sample = c_program(directory.path());
    for length in (0..sample.bytes.len()).step_by(97).chain(0..200) {
        match Image::from_bytes(sample.bytes[..length].to_vec(), "cut") {
            Ok(image) => exercise(image, &sample.addresses),
            Err(error) => assert!(matches!(error, Error::NotElf { .. } | Error::Damaged { .. }), "{error}"),
        }
    }
}

#[test]
fn what_is_no_elf_file_is_said_to_be_none() {
    for bytes in [&b""[..], b"#!/bin/sh\n", &[0x7f, b'E', b'L', b'F'], &[0; 64]] {
        let error = Image::from_bytes(bytes.to_vec(), "script").unwrap_err();
        assert_eq!(error.to_string(), "script: not a 64-bit little-endian ELF file");
    }
    let empty = tempfile::tempfile().unwrap();
    assert!(Image::open(empty, Path::new("empty")).is_err());
}

/// Positions are drawn where headers and tables are, not only in code.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, bool, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u8>()), 1..20)
}

fn damaged(sample: &Sample, changes: &[(prop::sample::Index, bool, u8)]) -> Vec<u8> {
    let mut bytes = sample.bytes.clone();
    for (index, in_headers, value) in changes {
        let length = bytes.len();
        let position = if *in_headers {
            // The file header, the program headers, or the section headers at the end.
            let position = index.index(64 + 13 * 56 + 40 * 64);
            if position < 64 + 13 * 56 { position } else { length - 1 - (position - 64 - 13 * 56) }
        } else {
            index.index(length)
        };
        bytes[position] = *value;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn bytes_changed_anywhere(changes in changes()) {
        thread_local! {
            static SAMPLE: Sample = c_program(tempfile::tempdir().unwrap().path());
        }
        SAMPLE.with(|sample| {
            let start = Instant::now();
            if let Ok(image) = Image::from_bytes(damaged(sample, &changes), "damaged") {
                exercise(image, &sample.addresses);
            }
            assert!(start.elapsed() < Duration::from_secs(5));
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// As a file, with debug information.
    #[test]
    fn debug_information_changed_anywhere(changes in changes(), is_rust in any::<bool>()) {
        thread_local! {
            static SAMPLES: [Sample; 2] = {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("spin");
                rustc(&program("spin.rs"), &path, &["-Cdebuginfo=2"]);
                [c_program(directory.path()), sample(&path)]
            };
        }
        SAMPLES.with(|samples| {
            let sample = &samples[usize::from(is_rust)];
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("damaged");
            std::fs::write(&path, damaged(sample, &changes)).unwrap();
            if let Ok(image) = Image::open(std::fs::File::open(&path).unwrap(), &path) {
                exercise(image, &sample.addresses);
            }
        });
    }
}
