//! Reading of frame lines without serde's `flatten`. That copies every field through a buffer, also the unknown
//! ones: they would have to be shallow, and frames, of which a big program has a hundred thousand, take longer.

use serde::{Deserialize, Deserializer};

use crate::event::{Body, Frame, FrameId, FrameKind, MappingId, Symbol};
use crate::units::{Address, Status};

/// A [`Frame`] as it lies in the line, the fields of its symbol among the others.
#[derive(Deserialize)]
struct FlatFrame {
    id: FrameId,
    kind: FrameKind,
    mapping: Option<MappingId>,
    address: Option<Address>,
    function: Option<String>,
    display: Option<String>,
    raw_name: Option<String>,
    #[serde(rename = "crate")]
    crate_name: Option<String>,
    crate_version: Option<String>,
    crate_version_source: Option<String>,
    module: Option<String>,
    language: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    body: Option<Body>,
    attribution: Option<Status>,
    reason: Option<String>,
    #[serde(default)]
    inlined_by: Vec<Symbol>,
}

impl<'de> Deserialize<'de> for Frame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flat = FlatFrame::deserialize(deserializer)?;
        Ok(Frame {
            id: flat.id,
            kind: flat.kind,
            mapping: flat.mapping,
            address: flat.address,
            symbol: Symbol {
                function: flat.function,
                display: flat.display,
                raw_name: flat.raw_name,
                crate_name: flat.crate_name,
                crate_version: flat.crate_version,
                crate_version_source: flat.crate_version_source,
                module: flat.module,
                language: flat.language,
                file: flat.file,
                line: flat.line,
                body: flat.body,
                attribution: flat.attribution,
            },
            reason: flat.reason,
            inlined_by: flat.inlined_by,
        })
    }
}
