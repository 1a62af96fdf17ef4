//! Whether a session from outside is sound enough to compute on: every row is there, columns are equally long,
//! parents stand before their children. Sums are not looked at; `rs-schema validate` does that.

use rs_schema::session::{ProfileSession, Windows};

/// What is not sound, as a sentence; `None` when all is.
pub(crate) fn fault(session: &ProfileSession) -> Option<String> {
    code(session)
        .or_else(|| session.windows.as_ref().and_then(|windows| cells(session, windows)))
        .or_else(|| references(session))
}

fn code(session: &ProfileSession) -> Option<String> {
    let (frames, stacks) = (&session.frames, &session.stacks);
    let count = frames.function.len();
    let lengths = [
        frames.mapping.len(),
        frames.file.len(),
        frames.line.len(),
        frames.address.len(),
        frames.inlined.len(),
    ];
    if lengths != [count; 5] {
        return Some("the columns of frames are not equally long".into());
    }
    if stacks.parent.len() != stacks.frame.len() {
        return Some("the columns of stacks are not equally long".into());
    }
    let before = |(row, &parent): (usize, &i64)| match usize::try_from(parent) {
        Ok(parent) => parent < row,
        Err(_) => parent == -1,
    };
    if let Some(row) = stacks.parent.iter().enumerate().position(|entry| !before(entry)) {
        return Some(format!("stacks.parent[{row}] is neither -1 nor a row above"));
    }
    rows("functions[].file", optional(session.functions.iter().map(|f| f.file)), session.files.len())
        .or_else(|| rows("frames.function", all(&frames.function), session.functions.len()))
        .or_else(|| rows("frames.mapping", optional(frames.mapping.iter().copied()), session.mappings.len()))
        .or_else(|| rows("frames.file", optional(frames.file.iter().copied()), session.files.len()))
        .or_else(|| rows("stacks.frame", all(&stacks.frame), count))
}

fn cells(session: &ProfileSession, windows: &Windows) -> Option<String> {
    let (cpu, wait, alloc) = (&windows.cpu, &windows.wait, &windows.alloc);
    if windows.interval_ns == 0 {
        return Some("windows.interval_ns is 0".into());
    }
    if windows.lost_count.len() as u64 != windows.count {
        return Some("windows.lost_count is not as long as windows.count says".into());
    }
    let cpu_ns = cpu.cpu_ns.as_ref().map_or(cpu.stack.len(), Vec::len);
    let even = [cpu.thread.len(), cpu.sample_count.len(), cpu_ns] == [cpu.stack.len(); 3]
        && [wait.thread.len(), wait.wait_count.len(), wait.waited_ns.len()] == [wait.stack.len(); 3]
        && [alloc.alloc_count.len(), alloc.alloc_bytes.len(), alloc.freed_bytes.len()]
            == [alloc.stack.len(); 3];
    if !even {
        return Some("the columns of windows are not equally long".into());
    }
    let threads = session.thread_rollups.len();
    offsets("windows.cpu", &cpu.offset, &cpu.stack, windows.count)
        .or_else(|| offsets("windows.wait", &wait.offset, &wait.stack, windows.count))
        .or_else(|| offsets("windows.alloc", &alloc.offset, &alloc.stack, windows.count))
        .or_else(|| stack_rows(session, "windows.cpu.stack", &cpu.stack))
        .or_else(|| stack_rows(session, "windows.wait.stack", &wait.stack))
        .or_else(|| stack_rows(session, "windows.alloc.stack", &alloc.stack))
        .or_else(|| rows("windows.cpu.thread", all(&cpu.thread), threads))
        .or_else(|| rows("windows.wait.thread", all(&wait.thread), threads))
}

fn references(session: &ProfileSession) -> Option<String> {
    let processes = session.processes.len();
    let events = || session.memory_events.iter().chain(&session.events);
    let hot = events().flat_map(|event| event.hot.functions.iter().chain(&event.hot.blamed));
    let snapshots = session.hotspot_snapshots.iter().flat_map(|snapshot| &snapshot.functions);
    let functions = hot.map(|hot| hot.function).chain(snapshots.map(|hot| hot.function));
    let sites = session.heap.iter().flat_map(|heap| &heap.sites).map(|site| site.stack);
    let allocated = events().flat_map(|event| event.allocated.iter().flatten()).map(|site| site.stack);
    let bare = session.sampling_diagnostics.mappings_without_symbols.iter().map(|bare| bare.mapping);
    rows("thread_rollups[].process", session.thread_rollups.iter().map(|t| u64::from(t.process)), processes)
        .or_else(|| {
            rows("processes[].parent", optional(session.processes.iter().map(|p| p.parent)), processes)
        })
        .or_else(|| rows("events[].process", optional(events().map(|event| event.process)), processes))
        .or_else(|| rows("a hot list", functions.map(u64::from), session.functions.len()))
        .or_else(|| rows("a heap site", sites.chain(allocated).map(u64::from), session.stacks.frame.len()))
        .or_else(|| {
            rows(
                "spans[].thread",
                optional(session.spans.iter().map(|s| s.thread)),
                session.thread_rollups.len(),
            )
        })
        .or_else(|| rows("mappings_without_symbols", bare.map(u64::from), session.mappings.len()))
}

fn all(rows: &[u32]) -> impl Iterator<Item = u64> + '_ {
    rows.iter().map(|&row| u64::from(row))
}

fn optional(rows: impl Iterator<Item = Option<u32>>) -> impl Iterator<Item = u64> {
    rows.flatten().map(u64::from)
}

fn rows(name: &str, mut rows: impl Iterator<Item = u64>, len: usize) -> Option<String> {
    rows.find(|&row| row >= len as u64).map(|row| format!("{name} refers to row {row} of {len}"))
}

fn stack_rows(session: &ProfileSession, name: &str, stacks: &[i64]) -> Option<String> {
    let len = session.stacks.frame.len();
    let sound = |stack: i64| stack == -1 || usize::try_from(stack).is_ok_and(|stack| stack < len);
    let row = stacks.iter().find(|&&stack| !sound(stack))?;
    Some(format!("{name} refers to row {row} of {len}"))
}

/// A table that is left out altogether has no offsets either.
fn offsets(name: &str, offset: &[u64], cells: &[i64], windows: u64) -> Option<String> {
    if offset.is_empty() && cells.is_empty() {
        return None;
    }
    let sound = offset.len() as u64 == windows.saturating_add(1)
        && offset.first() == Some(&0)
        && offset.last() == Some(&(cells.len() as u64))
        && offset.is_sorted();
    (!sound).then(|| format!("{name}.offset does not cut its cells into {windows} windows"))
}
