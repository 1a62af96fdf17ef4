//! Attribution of names of every kind, frozen in `names.txt`: the name in the symbol table, then
//! `key | crate | module | language`, with `closure` or `estimated` behind where they hold.
//!
//! After a change that is meant, `RS_SYMBOL_BLESS=1 cargo test -p rs-symbol --test names` writes it anew.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::Path;

use proptest::prelude::*;
use rs_schema::event::Symbol;
use rs_symbol::{Kallsyms, PerfMap, attribute, finish_for_mapping};

fn described(symbol: &Symbol) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
    let mut line =
        [&symbol.function, &symbol.crate_name, &symbol.module, &symbol.language].map(text).join(" | ");
    if symbol.body.is_some() {
        line += " | closure";
    }
    if symbol.attribution.is_some() {
        line += " | estimated";
    }
    line
}

fn table() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(table_path()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].trim().to_owned())).collect()
}

fn table_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/names.txt")
}

#[test]
fn known_names() {
    let table = table();
    assert!(table.len() >= 120);
    if std::env::var_os("RS_SYMBOL_BLESS").is_some() {
        let text: String =
            table.iter().map(|(name, _)| format!("{name}\n    {}\n", described(&attribute(name)))).collect();
        std::fs::write(table_path(), text).unwrap();
        return;
    }
    for (name, expected) in table {
        let symbol = attribute(&name);
        assert_eq!(described(&symbol), expected, "{name}");
        assert_eq!(symbol.raw_name.as_deref(), Some(name.as_str()));
        assert_ne!(symbol.display, symbol.function, "{name}");
    }
}

#[test]
fn keys_are_the_same_for_two_builds() {
    // Hashes, disambiguators, generic arguments and suffixes differ; the function does not.
    for names in [
        ["_RINvNtCs1a_3app6memory4fillyEB4_", "_RINvNtCs9zzz_3app6memory4fillhECs7_5other.llvm.99"],
        ["_ZN3app4main17h0123456789abcdefE", "_ZN3app4main17hfedcba9876543210E.cold"],
        ["_RNvMs0_NtCs1_3app1mNtB5_1T1f", "_RNvMs4_NtCs2_3app1mNtB5_1T1f"],
        ["compress.part.0", "compress.constprop.1.isra.0.cold"],
    ] {
        let [one, other] = names.map(attribute);
        assert_eq!(one.function, other.function);
        assert_eq!(one.module, other.module);
    }
}

#[test]
fn display_keeps_what_the_key_drops() {
    let symbol = attribute("_RINvNtCs6xxl1lAjzDf_1a5inner4burnhEB4_");
    assert_eq!(symbol.function.as_deref(), Some("a::inner::burn"));
    assert_eq!(symbol.display.as_deref(), Some("a::inner::burn::<u8>"));
    let symbol = attribute("_ZN3foo3barIiEEvT_.cold");
    assert_eq!(symbol.function.as_deref(), Some("foo::bar"));
    assert_eq!(symbol.display.as_deref(), Some("void foo::bar<int>(int)"));
    assert_eq!(attribute("memcpy").display, None);
}

#[test]
fn what_has_no_crate_belongs_to_its_binary() {
    let finished = |name: &str, mapping: &str| {
        let mut symbol = attribute(name);
        finish_for_mapping(&mut symbol, mapping);
        (symbol.crate_name.unwrap(), symbol.module.unwrap())
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(finished("memcpy", "libc.so.6"), pair("[libc.so.6]", "[libc.so.6]"));
    assert_eq!(finished("__vdso_time", "[vdso]"), pair("[vdso]", "[vdso]"));
    assert_eq!(finished("_ZN3foo3barEv", "libfoo.so"), pair("[libfoo.so]", "foo"));
    assert_eq!(finished("_Z3barv", "libfoo.so"), pair("[libfoo.so]", "[libfoo.so]"));
    assert_eq!(finished("_RNvCs1_3app4main", "app"), pair("app", "app"));
}

/// A name of the table, damaged.
fn damaged_name() -> impl Strategy<Value = String> {
    let names: Vec<String> = table().into_iter().map(|(name, _)| name).collect();
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), ".{0,3}");
    (prop::sample::select(names), prop::collection::vec(change, 1..4)).prop_map(|(mut name, changes)| {
        for (start, end, text) in changes {
            let boundaries: Vec<usize> = name.char_indices().map(|(at, _)| at).chain([name.len()]).collect();
            let start = boundaries[start.index(boundaries.len())];
            let end = boundaries[end.index(boundaries.len())].clamp(start, (start + 3).min(name.len()));
            let end = if name.is_char_boundary(end) { end } else { start };
            name.replace_range(start..end, &text);
        }
        name
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_names_never_panic(name in damaged_name()) {
        let symbol = attribute(&name);
        prop_assert!(symbol.function.as_deref().unwrap_or_default().len() <= 20_000 + name.len());
    }

    #[test]
    fn no_text_panics(name in "(_R|_ZN|_Z|__R|)[ -~]{0,60}|\\PC{0,40}") {
        attribute(&name);
    }
}

proptest! {
    #[test]
    fn no_map_panics(text in "([0-9a-f]{0,17} [0-9a-fx]{0,17} [ -~]{0,20}\n|\\PC{0,40}\n){0,20}") {
        let map = PerfMap::parse(&text);
        map.lookup(0);
        let _ = Kallsyms::parse(&text);
    }
}

/// Names that grow when printed stay within bounds of time and size.
#[test]
fn names_that_explode_are_cut_short() {
    let start = std::time::Instant::now();
    let mut v0 = String::from("_RINvC1a1fTuuE");
    let mut previous = 8;
    let mut cpp = String::from("_Z1f");
    for round in 0..60 {
        let here = v0.len() - 2;
        let reference = base_62(previous);
        v0 += &format!("TB{reference}B{reference}E");
        previous = here;
        cpp += if round == 0 { "1AIiiE" } else { "1AIS_S_E" };
    }
    v0.push('E');
    for name in [v0, cpp, format!("_RNvY{}", "R".repeat(1 << 20)), format!("_ZN{}E", "1a".repeat(1 << 19))] {
        let symbol = attribute(&name);
        assert!(symbol.function.unwrap().len() <= 1 << 21);
    }
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

fn base_62(number: usize) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut rest = number - 1;
    let mut digits = vec![b'_'];
    while rest > 0 || digits.len() == 1 {
        digits.push(DIGITS[rest % 62]);
        rest /= 62;
    }
    digits.reverse();
    String::from_utf8(digits).unwrap()
}
