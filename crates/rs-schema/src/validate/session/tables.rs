//! Every reference points to a row, columns of one table are equally long, windows are cut at whole cells.

use super::{SessionFault, Sink};
use crate::ProfileSession;
use crate::session::{Event, Windows};

pub(super) fn check(session: &ProfileSession, sink: &mut Sink<'_, '_>) {
    processes_and_threads(session, sink);
    let files = session.files.len();
    for (i, function) in session.functions.iter().enumerate() {
        if let Some(file) = function.file {
            sink.row(|| format!("functions[{i}].file"), file.into(), "files", files);
        }
    }
    frames(session, sink);
    stacks(session, sink);
    if let Some(windows) = &session.windows {
        cells(session, windows, sink);
    }
    let (functions, stacks) = (session.functions.len(), session.stacks.frame.len());
    for (s, snapshot) in session.hotspot_snapshots.iter().enumerate() {
        for (i, hot) in snapshot.functions.iter().enumerate() {
            let path = || format!("hotspot_snapshots[{s}].functions[{i}].function");
            sink.row(path, hot.function.into(), "functions", functions);
        }
    }
    for (name, list) in [("memory_events", &session.memory_events), ("events", &session.events)] {
        for (i, event) in list.iter().enumerate() {
            event_rows(session, &format!("{name}[{i}]"), event, sink);
        }
    }
    for (i, span) in session.spans.iter().enumerate() {
        if let Some(thread) = span.thread {
            let path = || format!("spans[{i}].thread");
            sink.row(path, thread.into(), "thread_rollups", session.thread_rollups.len());
        }
    }
    for (i, site) in session.heap.iter().flat_map(|heap| &heap.sites).enumerate() {
        sink.row(|| format!("heap.sites[{i}].stack"), site.stack.into(), "stacks", stacks);
    }
}

fn processes_and_threads(session: &ProfileSession, sink: &mut Sink<'_, '_>) {
    let processes = session.processes.len();
    for (i, process) in session.processes.iter().enumerate() {
        let path = |field: &'static str| move || format!("processes[{i}].{field}");
        if let Some(parent) = process.parent {
            sink.row(path("parent"), parent.into(), "processes", processes);
            sink.check(parent as usize != i, path("parent"), "is the process itself");
        }
        let ordered = process.end_ns.is_none_or(|end| process.start_ns <= end);
        sink.check(ordered, path("end_ns"), "lies before start_ns");
    }
    for (i, thread) in session.thread_rollups.iter().enumerate() {
        let path = |field: &'static str| move || format!("thread_rollups[{i}].{field}");
        sink.row(path("process"), thread.process.into(), "processes", processes);
        sink.check(thread.thread_count > 0, path("thread_count"), "is 0");
        let single = thread.tid.is_none() || thread.thread_count <= 1;
        sink.check(single, path("tid"), "is given, but the row stands for several threads");
    }
}

fn length(name: &'static str, found: usize, expected: u64, sink: &mut Sink<'_, '_>) {
    if u64::try_from(found) != Ok(expected) {
        sink.fault(|| name.into(), SessionFault::Length { found, expected });
    }
}

fn frames(session: &ProfileSession, sink: &mut Sink<'_, '_>) {
    let frames = &session.frames;
    let expected = frames.function.len() as u64;
    length("frames.mapping", frames.mapping.len(), expected, sink);
    length("frames.file", frames.file.len(), expected, sink);
    length("frames.line", frames.line.len(), expected, sink);
    length("frames.address", frames.address.len(), expected, sink);
    length("frames.inlined", frames.inlined.len(), expected, sink);
    for (i, &function) in frames.function.iter().enumerate() {
        sink.row(|| format!("frames.function[{i}]"), function.into(), "functions", session.functions.len());
    }
    for (i, mapping) in frames.mapping.iter().enumerate() {
        if let Some(mapping) = *mapping {
            sink.row(|| format!("frames.mapping[{i}]"), mapping.into(), "mappings", session.mappings.len());
        }
    }
    for (i, file) in frames.file.iter().enumerate() {
        if let Some(file) = *file {
            sink.row(|| format!("frames.file[{i}]"), file.into(), "files", session.files.len());
        }
    }
    for (i, &inlined) in frames.inlined.iter().enumerate() {
        sink.check(inlined <= 1, || format!("frames.inlined[{i}]"), "is neither 0 nor 1");
    }
}

fn stacks(session: &ProfileSession, sink: &mut Sink<'_, '_>) {
    let stacks = &session.stacks;
    length("stacks.frame", stacks.frame.len(), stacks.parent.len() as u64, sink);
    for (i, &parent) in stacks.parent.iter().enumerate() {
        let path = || format!("stacks.parent[{i}]");
        let before = usize::try_from(parent).map_or(parent == -1, |parent| parent < i);
        sink.check(before, path, "is neither -1 nor a row above: a parent stands before its children");
    }
    for (i, &frame) in stacks.frame.iter().enumerate() {
        sink.row(|| format!("stacks.frame[{i}]"), frame.into(), "frames", session.frames.function.len());
    }
}

fn cells(session: &ProfileSession, windows: &Windows, sink: &mut Sink<'_, '_>) {
    sink.check(windows.interval_ns > 0, || "windows.interval_ns".into(), "is 0");
    length("windows.lost_count", windows.lost_count.len(), windows.count, sink);
    let reach = u128::from(windows.interval_ns) * u128::from(windows.count.saturating_sub(1));
    if reach > u128::from(session.session.duration_ns) {
        let why = "windows begin behind the end of the session".into();
        sink.fault(|| "windows.count".into(), SessionFault::Odd(why));
    }

    let cpu = &windows.cpu;
    let count = cpu.stack.len() as u64;
    length("windows.cpu.thread", cpu.thread.len(), count, sink);
    length("windows.cpu.sample_count", cpu.sample_count.len(), count, sink);
    if let Some(cpu_ns) = &cpu.cpu_ns {
        length("windows.cpu.cpu_ns", cpu_ns.len(), count, sink);
    } else if session.sampling_diagnostics.period_ns.is_none() && count > 0 {
        sink.field(
            || "windows.cpu.cpu_ns".into(),
            "is null, but there is no period_ns that says what a sample weighs",
        );
    }
    table(session, windows, "windows.cpu", &cpu.offset, &cpu.stack, Some(&cpu.thread), sink);

    let wait = &windows.wait;
    let count = wait.stack.len() as u64;
    length("windows.wait.thread", wait.thread.len(), count, sink);
    length("windows.wait.wait_count", wait.wait_count.len(), count, sink);
    length("windows.wait.waited_ns", wait.waited_ns.len(), count, sink);
    table(session, windows, "windows.wait", &wait.offset, &wait.stack, Some(&wait.thread), sink);

    let alloc = &windows.alloc;
    let count = alloc.stack.len() as u64;
    length("windows.alloc.alloc_count", alloc.alloc_count.len(), count, sink);
    length("windows.alloc.alloc_bytes", alloc.alloc_bytes.len(), count, sink);
    length("windows.alloc.freed_bytes", alloc.freed_bytes.len(), count, sink);
    table(session, windows, "windows.alloc", &alloc.offset, &alloc.stack, None, sink);
}

/// The columns that all tables of cells share.
fn table(
    session: &ProfileSession,
    windows: &Windows,
    name: &'static str,
    offset: &[u64],
    stack: &[i64],
    thread: Option<&[u32]>,
    sink: &mut Sink<'_, '_>,
) {
    for (i, &stack) in stack.iter().enumerate() {
        if stack != -1 {
            sink.row(|| format!("{name}.stack[{i}]"), stack, "stacks", session.stacks.frame.len());
        }
    }
    for (i, &thread) in thread.into_iter().flatten().enumerate() {
        let path = || format!("{name}.thread[{i}]");
        sink.row(path, thread.into(), "thread_rollups", session.thread_rollups.len());
    }
    // A table that is left out altogether has no offsets either.
    if offset.is_empty() && stack.is_empty() && name != "windows.cpu" {
        return;
    }
    let path = || format!("{name}.offset");
    let expected = windows.count.saturating_add(1);
    if offset.len() as u64 != expected {
        sink.fault(path, SessionFault::Length { found: offset.len(), expected });
        return;
    }
    let ends_meet = offset.first() == Some(&0) && offset.last() == Some(&(stack.len() as u64));
    sink.check(ends_meet, path, "does not go from 0 to the number of cells");
    let monotonic = offset.is_sorted();
    sink.check(monotonic, path, "goes back: each window begins where the one before ends");
    if ends_meet && monotonic {
        let key = |cell: usize| (stack[cell], thread.and_then(|thread| thread.get(cell)));
        for window in offset.windows(2) {
            let (from, to) = (window[0] as usize, window[1] as usize);
            if let Some(cell) = (from + 1..to).find(|&cell| key(cell - 1) >= key(cell)) {
                let why = "is out of order: cells of a window go by stack, then thread, each once";
                sink.fault(|| format!("{name}.stack[{cell}]"), SessionFault::Order(why));
            }
        }
    }
}

fn event_rows(session: &ProfileSession, event_path: &str, event: &Event, sink: &mut Sink<'_, '_>) {
    let functions = session.functions.len();
    if let Some(process) = event.process {
        sink.row(|| format!("{event_path}.process"), process.into(), "processes", session.processes.len());
    }
    for (i, hot) in event.hot.functions.iter().enumerate() {
        let path = || format!("{event_path}.hot.functions[{i}].function");
        sink.row(path, hot.function.into(), "functions", functions);
    }
    if let Some(blamed) = &event.hot.blamed {
        sink.row(
            || format!("{event_path}.hot.blamed.function"),
            blamed.function.into(),
            "functions",
            functions,
        );
    }
    for (i, site) in event.allocated.iter().flatten().enumerate() {
        let path = || format!("{event_path}.allocated[{i}].stack");
        sink.row(path, site.stack.into(), "stacks", session.stacks.frame.len());
    }
}
