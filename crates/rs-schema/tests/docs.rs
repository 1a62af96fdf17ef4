//! docs/FORMAT.md against the program: its example is the golden stream, no field is missing, the recipes work.

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use rs_schema::json_schema;
use serde_json::Value;
use support::{golden, read};

fn format_md() -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/FORMAT.md"))
        .expect("the documentation is there")
}

/// Code blocks as language and text, in order.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    text.split("\n```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').unwrap_or_else(|| panic!("an open block: {block}")))
        .collect()
}

#[test]
fn the_example_is_the_golden_stream() {
    let text = format_md();
    let (_, example) = blocks(&text).into_iter().find(|(language, _)| *language == "json").unwrap();
    assert_eq!(example.as_bytes(), read("events.ndjson").trim_ascii_end());
}

/// Collects the names of all properties, and all values of enumerations.
fn collect(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                names.extend(properties.keys().cloned());
            }
            let values = object.get("enum").and_then(Value::as_array).into_iter().flatten();
            names.extend(values.chain(object.get("const")).filter_map(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect(value, names));
        }
        Value::Array(array) => array.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

#[test]
fn every_field_and_value_is_documented() {
    let mut names = BTreeSet::new();
    collect(json_schema::events().as_value(), &mut names);
    collect(json_schema::session().as_value(), &mut names);
    assert!(names.len() > 200, "{names:?}");
    let text = format_md();
    let documented = |name: &&String| text.contains(&format!("`{name}`"));
    let missing: Vec<&String> = names.iter().filter(|name| !documented(name)).collect();
    assert!(missing.is_empty(), "docs/FORMAT.md does not mention {missing:?}");
}

#[test]
fn recipes_give_what_is_shown() {
    if Command::new("jq").arg("--version").output().is_err() {
        let required = std::env::var("RUSTSCOPE_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "jq"), "jq is required and not installed");
        eprintln!("skipped: jq is not installed");
        return;
    }
    let text = format_md();
    let blocks = blocks(&text);
    let recipes: Vec<_> = blocks.windows(2).filter(|pair| pair[0].0 == "sh").collect();
    assert!(recipes.len() >= 8, "{recipes:?}");
    for pair in recipes {
        let (recipe, (language, shown)) = (pair[0].1, pair[1]);
        assert_eq!(language, "text", "the output of a recipe follows it: {recipe}");
        let output = Command::new("sh").args(["-c", recipe]).current_dir(golden("")).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), shown, "{recipe}\n{stderr}");
    }
}
