//! The truth programs say what they promise to say, and the functions they plant are there to be found.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Runs a truth program briefly and checks what it prints against what it intends.
fn run(program: &str, args: &[&str]) -> Value {
    let output = Command::new(program).args(args).output().expect("the program starts");
    assert!(output.status.success(), "{program}: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    let json: Value = serde_json::from_str(&text).expect("JSON");

    let mut sum = 0.0;
    for row in rows(&json) {
        let (share, intended) = (number(row, "share"), number(row, "intended"));
        assert!((share - intended).abs() < 0.015, "{share} is not {intended}: {row}");
        assert!(number(row, "total_share") >= share, "{row}");
        sum += share;
    }
    assert!((sum - 1.0).abs() < 1e-4, "shares add up to {sum}");

    // What the program spends besides, on starting and on its clock, must not blur the shares.
    let aside = number(&json, "process_cpu_ns") - number(&json, "total_ns");
    assert!(aside < 0.05 * number(&json, "total_ns") + 10e6, "{aside} ns beside the work");
    json
}

fn rows(json: &Value) -> &[Value] {
    json["truth"].as_array().expect("truth")
}

fn number(json: &Value, name: &str) -> f64 {
    json[name].as_f64().unwrap_or_else(|| panic!("no {name} in {json}"))
}

fn row<'a>(json: &'a Value, function: &str) -> &'a Value {
    rows(json).iter().find(|row| row["function"] == function).unwrap_or_else(|| panic!("no {function}"))
}

/// The keys of all functions that have a symbol.
#[cfg(target_os = "linux")]
fn keys(binary: &str) -> BTreeSet<String> {
    use object::{Object, ObjectSymbol};

    let data = std::fs::read(binary).expect("the binary is readable");
    let file = object::File::parse(&*data).expect("an object file");
    file.symbols().filter_map(|symbol| symbol.name().ok()).map(|name| key(&demangled(name))).collect()
}

/// Everywhere else the programs run all the same; only their symbols are not looked at.
#[cfg(not(target_os = "linux"))]
fn keys(_: &str) -> BTreeSet<String> {
    BTreeSet::new()
}

fn demangled(name: &str) -> String {
    match rustc_demangle::try_demangle(name) {
        Ok(name) => format!("{name:#}"),
        // A C name; what follows the dot is the compiler's.
        Err(_) => name.split('.').next().unwrap_or(name).to_owned(),
    }
}

/// The key of a function from its demangled symbol, in either mangling. A profiler must do better than split text;
/// this knows what the programs plant.
fn key(symbol: &str) -> String {
    let symbol = symbol.split("::{").next().unwrap_or(symbol);
    let symbol = without_generics(symbol);
    // legacy: `glue::<impl Trait for Type>::method`, `glue::<impl Type>::method`; v0: `<Type>::method`
    let Some((head, method)) = symbol.rsplit_once(">::") else { return symbol };
    let Some((_, subject)) = head.split_once('<') else { return symbol };
    match (subject.strip_prefix("impl ").unwrap_or(subject), subject.contains(" as ")) {
        (subject, true) => format!("<{subject}>::{method}"),
        (subject, false) => match subject.split_once(" for ") {
            Some((of, ty)) => format!("<{ty} as {of}>::{method}"),
            None => format!("{subject}::{method}"),
        },
    }
}

/// Drops `<...>` after a name and `::<...>`, but not the `<Type as Trait>` and `<impl ...>` that are part of a path.
fn without_generics(symbol: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0;
    let mut rest = symbol;
    while let Some(c) = rest.chars().next() {
        let after_name = kept.ends_with(|c: char| c.is_alphanumeric() || c == '_') && c == '<';
        let turbofish = rest.starts_with("::<") && !rest.starts_with("::<impl ");
        match c {
            '>' if depth > 0 => depth -= 1,
            '<' if depth > 0 => depth += 1,
            _ if depth > 0 => {}
            _ if turbofish => {
                depth = 1;
                rest = &rest[2..];
            }
            _ if after_name => depth = 1,
            _ => kept.push(c),
        }
        rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
    }
    kept
}

/// Every function that is to have code of its own has a symbol, and every inlined one has none.
fn assert_symbols(binary: &str, json: &Value) {
    let keys = keys(binary);
    if keys.is_empty() {
        return;
    }
    for row in rows(json) {
        let mut names = [&row["function"], &row["also"]].into_iter().filter_map(Value::as_str);
        let there = match row["mapping"].as_str() {
            Some(library) if library.contains(".so") => continue,
            _ => names.any(|name| keys.contains(name)),
        };
        let (inlined, has_work) = (row["inlined"] == true, number(row, "self_ns") > 0.0);
        if has_work {
            assert_eq!(there, !inlined, "{row}");
        }
    }
}

#[test]
fn shares() {
    let program = env!("CARGO_BIN_EXE_truth_shares");
    let json = run(program, &["--seconds", "0.3"]);
    assert_symbols(program, &json);
    let fifty = row(&json, "truth_shares::alpha::hot::burn_fifty");
    assert_eq!(fifty["crate"], "truth_shares");
    assert_eq!(fifty["module"], "truth_shares::alpha::hot");
    assert_eq!(number(row(&json, "truth_shares::alpha::enter_hot"), "total_ns"), number(fifty, "self_ns"));
}

#[test]
fn generics() {
    let program = env!("CARGO_BIN_EXE_truth_generics");
    let json = run(program, &["--seconds", "0.4"]);
    assert_symbols(program, &json);
    let beside_trait = row(&json, "<truth_generics::shapes::Circle as truth_generics::traits::Work>::work");
    assert_eq!(beside_trait["module"], "truth_generics::traits");
    assert_eq!(beside_trait["legacy_module"], "truth_generics::shapes");
    assert_eq!(row(&json, "rustscope_examples::kernel::sift")["crate"], "rustscope_examples");
}

#[test]
fn asyncs() {
    let program = env!("CARGO_BIN_EXE_truth_async");
    let json = run(program, &["--seconds", "0.3"]);
    assert_symbols(program, &json);
    assert!((number(row(&json, "truth_async::tasks::outer"), "total_share") - 0.35).abs() < 0.02);
}

#[test]
fn inline() {
    let program = env!("CARGO_BIN_EXE_truth_inline");
    let json = run(program, &["--seconds", "0.3"]);
    assert_symbols(program, &json);
    assert_eq!(number(row(&json, "truth_inline::pipeline::process"), "total_share"), 1.0);
}

#[test]
fn recursion() {
    let program = env!("CARGO_BIN_EXE_truth_recursion");
    for (args, module) in
        [(&["--depth", "3"][..], "slim"), (&["--depth", "150"], "slim"), (&["--fat"], "fat")]
    {
        let json = run(program, &[&["--seconds", "0.2"], args].concat());
        assert_symbols(program, &json);
        for function in ["ping", "pong"] {
            assert_eq!(
                number(row(&json, &format!("truth_recursion::{module}::{function}")), "total_share"),
                1.0
            );
        }
    }
}

#[test]
fn threads() {
    let program = env!("CARGO_BIN_EXE_truth_threads");
    let json = run(program, &["--seconds", "0.6", "--depth", "150", "--fat"]);
    assert_symbols(program, &json);
    let threads = json["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 8);
    for (part, thread) in (1..).zip(threads) {
        assert_eq!(thread["name"], format!("worker-{part}"));
        assert!((number(thread, "share") - f64::from(part) / 36.0).abs() < 0.015, "{thread}");
    }
}

#[test]
fn short() {
    let program = env!("CARGO_BIN_EXE_truth_short");
    let json = run(program, &[]);
    assert_symbols(program, &json);
    assert!((50e6..80e6).contains(&number(&json, "total_ns")), "{json}");
}

#[test]
fn c() {
    let program = env!("CARGO_BIN_EXE_truth_c");
    let json = run(program, &["--seconds", "0.3"]);
    assert_symbols(program, &json);
    let scan = row(&json, "tc_scan");
    assert_eq!(
        (&scan["language"], &scan["crate"], &scan["mapping"]),
        (&"c".into(), &Value::Null, &"truth_c".into())
    );
}

#[test]
fn dlopen() {
    let program = env!("CARGO_BIN_EXE_truth_dlopen");
    let json = run(program, &["--seconds", "0.3"]);
    assert_symbols(program, &json);
    for (library, function) in
        [(env!("TRUTH_PLUGIN_A"), "plugin_a_crunch"), (env!("TRUTH_PLUGIN_B"), "plugin_b_crunch")]
    {
        let mapping = row(&json, function)["mapping"].as_str().expect("a mapping");
        assert!(library.ends_with(mapping));
        let keys = keys(library);
        assert!(keys.is_empty() || keys.contains(function), "{function} in {keys:?}");
    }
}

#[test]
fn a_missing_library_is_an_error() {
    let program = Command::new(env!("CARGO_BIN_EXE_truth_dlopen"))
        .args(["--seconds", "0.01"])
        .env("TRUTH_PLUGIN_A", "/nonexistent.so")
        .output()
        .expect("the program starts");
    assert_eq!(program.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&program.stderr).contains("/nonexistent.so"));
}

#[test]
fn options() {
    let program = env!("CARGO_BIN_EXE_truth_recursion");
    let code = |args: &[&str]| Command::new(program).args(args).output().expect("starts").status.code();
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["--unknown"]), Some(2));
    assert_eq!(code(&["--depth"]), Some(2));
    assert_eq!(code(&["--seconds", "-1"]), Some(2));
}

#[test]
fn keys_of_both_manglings() {
    for (symbol, expected) in [
        ("a::generic::fill::<u32>", "a::generic::fill"),
        ("<a::Grid<u64>>::fill", "a::Grid::fill"),
        ("a::Grid<T>::fill", "a::Grid::fill"),
        ("<a::Grid<u64> as a::Work>::work", "<a::Grid as a::Work>::work"),
        ("a::glue::<impl a::Line>::length", "a::Line::length"),
        ("a::glue::<impl a::Work for a::Line>::work", "<a::Line as a::Work>::work"),
        ("<alloc::vec::Vec<T> as a::Work>::work", "<alloc::vec::Vec as a::Work>::work"),
        ("a::nested::{closure#0}::{closure#0}", "a::nested"),
        ("a::lambda::{{closure}}", "a::lambda"),
    ] {
        assert_eq!(key(symbol), expected);
    }
}
