//! An outsider reads the wire: types declared again by hand read what rs-schema writes.

mod support;
#[path = "wire/mod.rs"]
mod wire;

use proptest::collection::vec;
use proptest::prelude::*;
use rs_schema::ProfileSession;
use rs_schema::stream::write_line;
use support::lines::any_line;
use wire::Line;

fn read(name: &str) -> String {
    String::from_utf8(support::read(name)).expect("golden files are UTF-8")
}

#[test]
fn the_example_stream_says_what_the_documentation_says() {
    let lines = wire::read_events(&read("events.ndjson")).unwrap();
    let Some(Line::Header { schema, schema_version, sampler, spikes, .. }) = lines.first() else {
        panic!("the first line is not a header: {:?}", lines.first());
    };
    assert_eq!((schema.as_str(), *schema_version), ("rustscope.events", 1));
    assert_eq!(sampler.as_ref().unwrap().kernel_time, "folded");
    assert_eq!(spikes["memory_spike"], 5_242_880.0);

    let names: Vec<_> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Frame { id: 1, function, reason, inlined_by, .. } => {
                Some((function.as_deref(), reason.as_deref(), inlined_by.len()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(names, [(None, Some("pending"), 0), (Some("stress_demo::memory::fill"), None, 1)]);
    let waits = lines.iter().filter(
        |line| matches!(line, Line::Sample { state: Some(state), waited_ns: Some(40_000_000), .. } if state == "waiting"),
    );
    assert_eq!(waits.count(), 1);
    let Some(Line::End { reason, sample_count: 5, lost_count: 3, .. }) = lines.last() else {
        panic!("the last line is not the end: {:?}", lines.last());
    };
    assert_eq!(reason, "exit");
}

#[test]
fn every_type_of_line_is_known() {
    assert_eq!(
        wire::read_events(&read("every-type.ndjson")).unwrap().len(),
        read("every-type.ndjson").lines().count()
    );
}

#[test]
fn the_example_session_says_what_the_documentation_says() {
    let session = wire::read_session(&read("session.json")).unwrap();
    assert_eq!((session.schema.as_str(), session.schema_version), ("rustscope.session", 1));
    let event = &session.memory_events[0];
    let hot = &session.functions[event.hot.functions[0].function];
    assert_eq!((event.kind.as_str(), hot.function.as_str()), ("memory_spike", "stress_demo::memory::fill"));
    let windows = session.windows.unwrap();
    assert_eq!(windows.cpu.offset.len() as u64, windows.count + 1);
}

#[test]
fn what_is_not_documented_is_refused() {
    for text in [
        r#"{"type":"sample","time_ns":1,"thread":1,"stack":1,"mood":"good"}"#,
        r#"{"type":"hologram"}"#,
        r#"{"type":"sample","time_ns":1.5,"thread":1,"stack":1}"#,
    ] {
        assert!(wire::read_events(text).is_err(), "{text}");
    }
}

#[test]
fn a_session_that_is_written_again_reads_the_same() {
    let session = ProfileSession::from_json(read("session.json").as_bytes()).unwrap();
    wire::read_session(&serde_json::to_string_pretty(&session).unwrap()).unwrap();
}

proptest! {
    #[test]
    fn whatever_is_written_can_be_read_by_an_outsider(lines in vec(any_line(), 1..10)) {
        let mut text = Vec::new();
        for line in &lines {
            write_line(&mut text, line).unwrap();
        }
        let read = wire::read_events(&String::from_utf8(text).unwrap());
        prop_assert_eq!(read.map(|lines| lines.len()), Ok(lines.len()));
    }
}
