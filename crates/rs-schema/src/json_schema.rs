//! JSON Schema of the formats, made from their types so that the two cannot differ.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::{ProfileSession, event};

/// Schema of one line of the event stream.
pub fn events() -> Schema {
    schema::<event::Line>(
        "RustScope event stream, version 1",
        "One line of the stream: a flat JSON object with its type. Readers ignore fields they do not know, skip \
         and count lines of types they do not know, and refuse a newer schema_version. What a schema cannot say \
         (order, references, sums) `rs-schema validate` checks.",
    )
}

/// Schema of a session.
pub fn session() -> Schema {
    schema::<ProfileSession>(
        "RustScope session, version 1",
        "A folded recording: one JSON document. Readers ignore fields they do not know and refuse a newer \
         schema_version. What a schema cannot say (references, sums) `rs-schema validate` checks.",
    )
}

/// A schema as it is printed and kept in `schema/`.
pub fn to_text(schema: &Schema) -> String {
    format!("{:#}\n", schema.as_value())
}

fn schema<T: JsonSchema>(title: &str, description: &str) -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    schema.insert("description".into(), description.into());
    schema
}
