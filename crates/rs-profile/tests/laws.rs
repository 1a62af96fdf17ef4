//! What holds for every stream.

mod common;

use common::{HEADER, PERIOD, assert_valid};
use proptest::collection::vec;
use proptest::prelude::*;
use rs_profile::{Fold, FoldOptions, Selection, read_profile, select};
use rs_schema::event::{Frame, FrameKind, Lifecycle, Line, Sample, Stack, Symbol, Thread, ThreadState};
use rs_schema::{ProfileSession, StreamReader};

const NAMES: [(&str, &str); 8] = [
    ("app::a::f", "app"),
    ("app::a::g", "app"),
    ("app::b::h", "app"),
    ("core::iter::next", "core"),
    ("std::io::read", "std"),
    ("serde::de::visit", "serde"),
    ("[truncated]", ""),
    ("", ""),
];

/// Definitions of a stream: frames of known and unknown names, some with inlines, and a random tree.
fn definitions() -> impl Strategy<Value = (Vec<Line>, u32)> {
    let frames = vec((0..NAMES.len(), vec(0..NAMES.len(), 0..3)), 1..12);
    let parents = vec(any::<prop::sample::Index>(), 1..30);
    (frames, parents).prop_map(|(frames, parents)| {
        let symbol = |&name: &usize| {
            let (function, krate) = NAMES[name];
            Symbol {
                function: (!function.is_empty()).then(|| function.to_string()),
                crate_name: (!krate.is_empty()).then(|| krate.to_string()),
                language: (!krate.is_empty()).then(|| "rust".to_string()),
                line: Some(name as u32),
                ..Symbol::default()
            }
        };
        let mut lines = Vec::new();
        for (id, (innermost, inlined_by)) in frames.iter().enumerate() {
            let truncated = NAMES[*innermost].0 == "[truncated]";
            lines.push(Line::Frame(Box::new(Frame {
                id: id as u32,
                kind: if truncated { FrameKind::Unknown } else { FrameKind::User },
                mapping: None,
                address: Some(rs_schema::Address(id as u64)),
                symbol: symbol(innermost),
                reason: None,
                inlined_by: inlined_by.iter().map(symbol).collect(),
            })));
        }
        for (id, parent) in parents.iter().enumerate() {
            // A parent above, or none for the first and now and then.
            let parent = (id > 0).then(|| parent.index(id + 1)).filter(|&parent| parent < id);
            lines.push(Line::Stack(Stack {
                id: id as u32,
                parent: parent.map(|parent| parent as u32),
                frame: (id % frames.len()) as u32,
            }));
        }
        (lines, parents.len() as u32)
    })
}

fn sample(stacks: u32) -> impl Strategy<Value = Sample> {
    let stack = prop::option::weighted(0.95, 0..stacks);
    (0..3_000_000_000u64, 0..4u32, stack, 0..10u8, 0..2_000_000_000u64, prop::option::of(1..4u64)).prop_map(
        |(time_ns, thread, stack, kind, waited_ns, count)| {
            let waits = kind == 0;
            Sample {
                time_ns,
                thread,
                stack,
                count,
                cpu_ns: (kind == 1).then_some(12345),
                state: if waits { ThreadState::Waiting } else { ThreadState::Running },
                waited_ns: waits.then_some(waited_ns.min(time_ns)),
            }
        },
    )
}

fn threads() -> Vec<Line> {
    let thread = |id| {
        Line::Thread(Thread {
            id,
            time_ns: 0,
            event: Lifecycle::Start,
            process: 1,
            tid: id,
            name: Some(if id == 0 { "main".into() } else { format!("worker-{id}") }),
        })
    };
    let process = r#"{"type":"process","id":1,"time_ns":0,"event":"start","pid":7}"#;
    let text = format!("{HEADER}\n{process}\n");
    let mut reader = StreamReader::new(text.as_bytes());
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().expect("sound lines") {
        lines.push(line);
    }
    lines.extend((0..4).map(thread));
    lines
}

/// Definitions, and samples in order of time.
fn stream() -> impl Strategy<Value = (Vec<Line>, Vec<Sample>)> {
    definitions().prop_flat_map(|(definitions, stacks)| {
        vec(sample(stacks), 0..200).prop_map(move |mut samples| {
            samples.sort_by_key(|sample| sample.time_ns);
            let mut lines = threads();
            lines.extend(definitions.iter().cloned());
            (lines, samples)
        })
    })
}

fn fold(lines: &[Line], samples: &[Sample], options: FoldOptions) -> Fold {
    let mut fold = Fold::new(options);
    for line in lines.iter().cloned().chain(samples.iter().copied().map(Line::Sample)) {
        fold.push(line).expect("sound lines");
    }
    fold
}

fn small() -> impl Strategy<Value = FoldOptions> {
    (1..300_000_000u64, prop_oneof![Just(2_000_000), 1..60usize])
        .prop_map(|(window_ns, max_cells)| FoldOptions { window_ns, max_cells })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The validator recounts self, total, threads, rollups, hot lists and losses from the base columns.
    #[test]
    fn sums_hold((lines, samples) in stream(), options in small()) {
        let session = fold(&lines, &samples, options).finish();
        assert_valid(&session);
        let running = samples.iter().filter(|sample| sample.state == ThreadState::Running);
        let expected: u64 = running.map(|s| s.cpu_ns.unwrap_or(s.count.unwrap_or(1) * PERIOD)).sum();
        prop_assert_eq!(session.sampling_diagnostics.sampled_cpu_ns, expected);
        let waited: u64 = samples.iter().filter_map(|sample| sample.waited_ns).sum();
        prop_assert_eq!(session.thread_rollups.iter().map(|thread| thread.waited_ns).sum::<u64>(), waited);
        let windows = session.windows.as_ref().unwrap();
        let cells = windows.cpu.stack.len() + windows.wait.stack.len();
        prop_assert!(cells <= options.max_cells.max(2 * 2 * session.stacks.frame.len() + 4));
        for function in &session.functions {
            prop_assert!(function.self_ns <= function.total_ns);
        }
    }

    #[test]
    fn disorder_does_not_matter((lines, samples) in stream(), shuffle in any::<u64>(), options in small()) {
        let mut late = samples.clone();
        // Each line up to a second late.
        let delay = |sample: &Sample| (sample.time_ns ^ shuffle).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000_000;
        late.sort_by_key(|sample| sample.time_ns + delay(sample));
        prop_assert_eq!(fold(&lines, &samples, options).finish(), fold(&lines, &late, options).finish());
    }

    #[test]
    fn a_snapshot_is_what_finishing_gives((lines, samples) in stream(), cut in any::<prop::sample::Index>()) {
        let half = &samples[..cut.index(samples.len() + 1)];
        let mut whole = fold(&lines, half, FoldOptions::default());
        let expected = fold(&lines, half, FoldOptions::default()).finish();
        prop_assert_eq!(whole.snapshot(), expected);
        for &sample in &samples[half.len()..] {
            whole.push(Line::Sample(sample)).unwrap();
        }
        prop_assert_eq!(whole.finish(), fold(&lines, &samples, FoldOptions::default()).finish());
    }

    #[test]
    fn all_of_a_session_is_the_session((lines, samples) in stream(), options in small()) {
        let session = fold(&lines, &samples, options).finish();
        let view = select(&session, &Selection::default()).unwrap();
        prop_assert_eq!(&view.session, &session);
        let all = Selection { from_ns: Some(0), to_ns: Some(u64::MAX), process: Some(0), ..Selection::default() };
        prop_assert_eq!(select(&session, &all).unwrap(), view);
    }

    #[test]
    fn parts_add_up((lines, samples) in stream(), at in 0..3_500_000_000u64, options in small()) {
        let session = fold(&lines, &samples, options).finish();
        let from = select(&session, &Selection { from_ns: Some(at), ..Selection::default() }).unwrap();
        let until = select(&session, &Selection { to_ns: Some(from.from_ns), ..Selection::default() }).unwrap();
        prop_assert!(from.from_ns <= at);
        for view in [&from, &until] {
            assert_valid(&view.session);
        }
        let cpu = |session: &ProfileSession| session.sampling_diagnostics.sampled_cpu_ns;
        // From the beginning both are the whole.
        if from.from_ns > 0 {
            prop_assert_eq!(cpu(&from.session) + cpu(&until.session), cpu(&session));
        }
        let of_thread = |row| select(&session, &Selection { threads: Some(vec![row]), ..Selection::default() }).unwrap();
        let threads: u64 = (0..session.thread_rollups.len() as u32).map(|row| cpu(&of_thread(row).session)).sum();
        prop_assert_eq!(threads, cpu(&session));
    }

    #[test]
    fn a_document_is_read_back_as_it_was((lines, samples) in stream()) {
        let session = fold(&lines, &samples, FoldOptions::default()).finish();
        let text = serde_json::to_vec(&session).unwrap();
        let read = read_profile(&text[..], FoldOptions::default(), &mut |_| ()).unwrap();
        prop_assert_eq!(read, session);
    }

    /// Whatever the bytes, there is a session or an error, and never a panic.
    #[test]
    fn damage_is_survived(
        (lines, samples) in stream(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        document in any::<bool>(),
    ) {
        let mut text = Vec::new();
        if document {
            text = serde_json::to_vec(&fold(&lines, &samples, FoldOptions::default()).finish()).unwrap();
        } else {
            for line in lines.into_iter().chain(samples.into_iter().map(Line::Sample)) {
                rs_schema::stream::write_line(&mut text, &line).unwrap();
            }
        }
        for (at, byte) in damage {
            let at = at.index(text.len());
            // Digits make other numbers, which get further than broken JSON does.
            text[at] = if text[at].is_ascii_digit() { b'0' + byte % 10 } else { byte };
        }
        if let Ok(session) = read_profile(&text[..], FoldOptions::default(), &mut |_| ()) {
            let part = Selection { from_ns: Some(1_000_000_000), crate_name: Some("app".into()), ..Selection::default() };
            let _ = select(&session, &part);
        }
    }
}
