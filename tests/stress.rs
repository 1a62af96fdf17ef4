//! `stress_demo` plays five problems one after the other; a session must show each one in its time and its module.

use std::time::Duration;

use rs_schema::event::EventKind;
use rs_schema::session::{Event, Hot, Phase, ProcessSample, ProfileSession};
use rs_tests::cmd;
use rs_tests::session::{backend, finish, recorder};
use rs_tests::skip;
use rs_tests::skip::say;

const PHASES: [&str; 5] = ["cpu", "memory", "threads", "fds", "files"];

/// Everything is asked of one recording: it takes seven seconds.
#[test]
fn every_problem_is_seen_in_its_time_and_module() {
    if backend() != Some("perf_event") {
        skip!("perf", "the kernel lets nobody here sample with perf_event");
    }
    let mut recording = play();
    for _ in 0..3 {
        if had_a_core(&recording) {
            break;
        }
        say("stress_demo did not get a core to itself; once more");
        recording = play();
    }
    let session = recording;
    phases_and_work(&session);
    metrics(&session);
    memory_spike(&session);
    for (kind, phase) in [
        (EventKind::ThreadBurst, "threads"),
        (EventKind::FdGrowth, "fds"),
        (EventKind::SyscallBurst, "files"),
    ] {
        event(&session, kind, phase);
    }
    snapshots(&session);
    if !had_a_core(&session) {
        skip!(
            "quiet",
            "the machine is too busy for a program to use a core, so there is no CPU burst to see"
        );
    }
    event(&session, EventKind::CpuSpike, "cpu");
    let kinds: Vec<_> = session.events.iter().map(|event| event.kind).collect();
    let spikes = kinds.iter().filter(|kind| **kind != EventKind::Phase).count();
    assert!(spikes <= 6, "nothing else happened: {kinds:?}");
}

fn play() -> ProfileSession {
    let directory = cmd::scratch("stress");
    let mut command = recorder(directory.path());
    command.arg("--").arg(cmd::bin("stress_demo"));
    cmd::ahead(&mut command);
    finish(directory.path(), command, Duration::from_secs(60)).session
}

fn planted(phase: &str) -> String {
    format!("stress_demo::{phase}")
}

fn phase<'a>(session: &'a ProfileSession, name: &str) -> &'a Phase {
    let found = session.session.phases.iter().find(|phase| phase.name == name);
    found.unwrap_or_else(|| panic!("no phase {name} in {:?}", session.session.phases))
}

/// Readings that lie in a phase altogether.
fn within<'a>(session: &'a ProfileSession, phase: &Phase) -> Vec<&'a ProcessSample> {
    let span = phase.start_ns..=phase.end_ns;
    let inside = |sample: &&ProcessSample| {
        span.contains(&sample.time_ns) && span.contains(&(sample.time_ns + sample.duration_ns))
    };
    session.process_samples.iter().filter(inside).collect()
}

/// Whether the machine let the burst use a core; a busy one may not.
fn had_a_core(session: &ProfileSession) -> bool {
    let readings = within(session, phase(session, "cpu"));
    let busy = readings.iter().filter(|sample| sample.cpu_ratio.is_some_and(|ratio| ratio > 0.85));
    busy.count() >= 4
}

/// Marks through RUSTSCOPE_MARKS: five phases with quiet between them, and the blocks that the burst counted.
fn phases_and_work(session: &ProfileSession) {
    let names: Vec<&str> = session.session.phases.iter().map(|phase| &*phase.name).collect();
    assert_eq!(
        names,
        ["idle", "cpu", "idle", "memory", "idle", "threads", "idle", "fds", "idle", "files", "idle"]
    );
    for pair in session.session.phases.windows(2) {
        assert!(pair[0].start_ns < pair[0].end_ns && pair[0].end_ns <= pair[1].start_ns, "{pair:?}");
    }
    let work = session.session.work.as_ref().expect("work was reported");
    assert_eq!(work.unit.as_deref(), Some("block"));
    assert!(work.count > 50, "{work:?}");
    let cpu = phase(session, "cpu");
    assert_eq!(cpu.work_count, Some(work.count), "all of it in its phase");
    let seconds = (cpu.end_ns - cpu.start_ns) as f64 / 1e9;
    assert!((0.95..1.3).contains(&seconds), "the burst takes a second: {cpu:?}");
    // The time that the phases are given is that of their windows.
    let sum: u64 = session.session.phases.iter().map(|phase| phase.cpu_ns).sum();
    assert!(sum <= session.sampling_diagnostics.sampled_cpu_ns);
    assert!(cpu.cpu_ns > 200_000_000, "{cpu:?}");
}

/// Each phase in the metrics over time.
fn metrics(session: &ProfileSession) {
    let peak = |name: &str, metric: fn(&ProcessSample) -> Option<f64>| {
        let readings = within(session, phase(session, name));
        assert!(readings.len() >= 4, "{} readings in {name}", readings.len());
        readings.iter().filter_map(|sample| metric(sample)).fold(0.0, f64::max)
    };
    let rss = |sample: &ProcessSample| sample.rss_bytes.map(|bytes| bytes as f64 / 1048576.0);
    let heap = |sample: &ProcessSample| sample.heap_bytes.map(|bytes| bytes as f64 / 1048576.0);
    let threads = |sample: &ProcessSample| sample.thread_count.map(|count| count as f64);
    let fds = |sample: &ProcessSample| sample.open_fd_count.map(|count| count as f64);
    let calls = |sample: &ProcessSample| sample.io_calls_per_s;
    for name in PHASES {
        let figures =
            [peak(name, rss), peak(name, heap), peak(name, threads), peak(name, fds), peak(name, calls)];
        let expected: [(f64, f64); 5] = [
            if name == "memory" { (90.0, 130.0) } else { (0.5, 30.0) },
            if name == "memory" { (90.0, 130.0) } else { (0.0, 30.0) },
            if name == "threads" { (20.0, 25.0) } else { (1.0, 1.0) },
            if name == "fds" { (256.0, 300.0) } else { (3.0, 40.0) },
            if name == "files" { (20_000.0, f64::INFINITY) } else { (0.0, 5_000.0) },
        ];
        for (figure, (low, high)) in figures.into_iter().zip(expected) {
            assert!((low..=high).contains(&figure), "{name}: {figures:?} against {expected:?}");
        }
    }
    // It wakes up for nothing but the marks while it rests.
    let rest = session.session.phases.iter().filter(|phase| phase.name == "idle");
    for sample in rest.flat_map(|phase| within(session, phase)) {
        assert!(sample.cpu_ratio.is_some_and(|ratio| ratio < 0.3), "{sample:?}");
    }
}

fn function<'a>(session: &'a ProfileSession, hot: &Hot, rank: usize) -> &'a str {
    let row = hot.functions.get(rank).map(|share| share.function as usize);
    row.map_or("", |row| &session.functions[row].function)
}

fn overlaps(event: &Event, phase: &Phase) -> bool {
    event.start_ns < phase.end_ns && event.end_ns > phase.start_ns
}

/// One rise is one event, and it names what filled the memory.
fn memory_spike(session: &ProfileSession) {
    let [event] = &session.memory_events[..] else {
        panic!("one memory spike, not {:?}", session.memory_events)
    };
    assert_eq!(event.kind, EventKind::MemorySpike);
    assert!(overlaps(event, phase(session, "memory")), "{event:?}");
    let mib = |quantity: Option<rs_schema::units::Quantity>| quantity.expect("a value").as_f64() / 1048576.0;
    let rise = mib(event.value) - mib(event.before);
    assert!((90.0..110.0).contains(&rise), "{rise} MiB: {event:?}");
    assert_eq!(function(session, &event.hot, 0), "stress_demo::memory::fill", "{event:?}");
    assert_eq!(event.hot.modules[0].module, "stress_demo::memory");
    assert_eq!(event.hot.crates[0].crate_name, "stress_demo");
    let under: Vec<_> = session.functions.iter().map(|row| (&*row.function, row.total_samples)).collect();
    let spike = under.iter().find(|row| row.0 == "stress_demo::memory::spike").expect("the caller").1;
    let fill = under.iter().find(|row| row.0 == "stress_demo::memory::fill").expect("the filler").1;
    assert!(spike >= fill, "{spike} of {fill} samples have the caller");
}

/// The event of a kind: one, in its phase, with the planted module hottest of all that is not the system.
fn event(session: &ProfileSession, kind: EventKind, name: &str) {
    let events: Vec<_> = session.events.iter().filter(|event| event.kind == kind).collect();
    let here: Vec<_> = events.iter().filter(|event| overlaps(event, phase(session, name))).collect();
    // A thread burst is also work; nothing but its own kind is asked here.
    let &[event] = &here[..] else { panic!("one {kind:?} in {name}, not {events:#?}") };
    let hottest = event.hot.modules.iter().find(|share| !is_system(&share.module));
    let hottest = hottest.map_or("", |share| &share.module);
    assert_eq!(hottest, planted(name), "{event:?}");
    let (before, value) = (event.before.expect("before").as_f64(), event.value.expect("a value").as_f64());
    assert!(value > before, "{event:?}");
    assert!(value - before >= event.threshold.expect("a rule").as_f64(), "{event:?}");
    let crates = event.hot.crates.iter().find(|share| !is_system(&share.crate_name));
    assert_eq!(crates.map(|share| &*share.crate_name), Some("stress_demo"), "{event:?}");
    if kind != EventKind::SyscallBurst {
        // Tiny reads and writes are the kernel's time; the others are the program's own.
        assert_eq!(event.hot.modules[0].module, planted(name), "{event:?}");
    }
}

/// The kernel, and libraries without crates.
fn is_system(name: &str) -> bool {
    name.starts_with('[') || ["std", "core", "alloc"].contains(&name.split("::").next().unwrap_or(name))
}

/// What is hot changes with the phases.
fn snapshots(session: &ProfileSession) {
    let mut order: Vec<&str> = Vec::new();
    for snapshot in &session.hotspot_snapshots {
        let end_ns = snapshot.time_ns + snapshot.duration_ns;
        let ours = snapshot.modules.iter().filter(|hot| !is_system(&hot.module));
        for hot in ours.clone() {
            let Some(name) = hot.module.strip_prefix("stress_demo::") else { continue };
            if !PHASES.contains(&name) || hot.self_ns < 5_000_000 {
                continue;
            }
            let phase = phase(session, name);
            assert!(
                snapshot.time_ns < phase.end_ns && end_ns > phase.start_ns,
                "{name} is hot in {}..{end_ns}, but plays in {phase:?}",
                snapshot.time_ns
            );
            if !order.contains(&name) {
                order.push(name);
            }
        }
    }
    assert_eq!(order, PHASES, "each is hot in its turn");
    let top = |at: u64| {
        let covers =
            |s: &&rs_schema::session::HotspotSnapshot| (s.time_ns..s.time_ns + s.duration_ns).contains(&at);
        let snapshot = session.hotspot_snapshots.iter().find(covers)?;
        snapshot.modules.iter().find(|hot| !is_system(&hot.module)).map(|hot| &*hot.module)
    };
    let mut tops: Vec<_> =
        session.session.phases.iter().filter_map(|phase| top((phase.start_ns + phase.end_ns) / 2)).collect();
    tops.sort_unstable();
    tops.dedup();
    assert!(tops.len() >= 4, "the hottest module changes: {tops:?}");
}
