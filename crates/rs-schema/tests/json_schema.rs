//! The files in `schema/` are made from the types: they are fresh, and the golden files keep to them.
//!
//! After a change of the types: `BLESS=1 cargo test -p rs-schema --test json_schema`.

mod support;

use std::path::PathBuf;

use proptest::prelude::*;
use rs_schema::{ProfileSession, json_schema};
use serde_json::{Value, json};
use support::lines::any_line;
use support::read;

fn fresh(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schema").join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).expect("the schema can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "schema/{file} is stale: run BLESS=1 cargo test -p rs-schema --test json_schema");
}

#[test]
fn the_files_are_fresh() {
    fresh("events.v1.json", &json_schema::to_text(&json_schema::events()));
    fresh("session.v1.json", &json_schema::to_text(&json_schema::session()));
}

fn validator(schema: &schemars::Schema) -> jsonschema::Validator {
    jsonschema::draft202012::meta::validate(schema.as_value()).expect("it is a schema");
    jsonschema::draft202012::new(schema.as_value()).expect("it is a schema")
}

#[track_caller]
fn accepts(validator: &jsonschema::Validator, value: &Value) {
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value}");
}

#[test]
fn the_schemas_name_themselves() {
    for (schema, title) in [
        (json_schema::events(), "RustScope event stream, version 1"),
        (json_schema::session(), "RustScope session, version 1"),
    ] {
        let value = schema.as_value();
        assert_eq!(value["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(value["title"], title);
        assert!(value["description"].as_str().unwrap().len() > 100);
        assert!(value.get("$id").is_none());
        assert!(!value.to_string().contains("\"additionalProperties\":false"));
    }
}

#[test]
fn golden_files_keep_to_the_schemas() {
    let events = validator(&json_schema::events());
    for name in ["events.ndjson", "every-type.ndjson"] {
        for line in String::from_utf8(read(name)).unwrap().lines() {
            accepts(&events, &serde_json::from_str(line).unwrap());
        }
    }
    accepts(&validator(&json_schema::session()), &serde_json::from_slice(&read("session.json")).unwrap());
}

#[test]
fn fields_of_a_later_version_are_permitted_and_wrong_ones_are_not() {
    let events = validator(&json_schema::events());
    accepts(&events, &json!({"type":"sample","time_ns":1,"thread":1,"stack":null,"new":[1]}));
    for wrong in [
        json!({"type":"sample","thread":1}),
        json!({"type":"sample","time_ns":-1,"thread":1}),
        json!({"type":"sample","time_ns":"1","thread":1}),
        json!({"type":"sample","time_ns":1,"thread":1,"state":"dreaming"}),
        json!({"type":"free","time_ns":1,"thread":1,"address":"1a2f0"}),
        json!({"type":"hologram"}),
    ] {
        assert!(!events.is_valid(&wrong), "{wrong}");
    }
    let session = validator(&json_schema::session());
    let mut document: Value = serde_json::from_slice(&read("session.json")).unwrap();
    document["new"] = json!({});
    document["functions"][0]["new"] = json!(1);
    accepts(&session, &document);
    assert!(ProfileSession::from_json(document.to_string().as_bytes()).is_ok());
    document["sampling_diagnostics"] = json!(null);
    assert!(!session.is_valid(&document));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_line_that_is_written_keeps_to_the_schema(lines in prop::collection::vec(any_line(), 16)) {
        let events = validator(&json_schema::events());
        for line in lines {
            accepts(&events, &serde_json::to_value(line).unwrap());
        }
    }
}
