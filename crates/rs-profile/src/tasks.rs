//! Processes and threads of a stream.
//!
//! Threads may be folded: those of one process whose names differ only in digits (`worker-1`, `worker-2`)
//! then share one row, named `worker-*`.

use rs_schema::event::{self, Lifecycle, ProcessId, ThreadId};
use rs_schema::session;
use rustc_hash::FxHashMap;

use crate::names::{NameId, Names};

/// The processes and threads seen so far. Rows are given in order of appearance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    process_ids: FxHashMap<ProcessId, u32>,
    processes: Vec<ProcessEntry>,
    thread_ids: FxHashMap<ThreadId, u32>,
    threads: Vec<ThreadEntry>,
    groups: Option<Groups>,
}

#[derive(Clone, Debug)]
struct ProcessEntry {
    pid: u32,
    parent: Option<u32>,
    name: Option<NameId>,
    start_ns: u64,
    end_ns: Option<u64>,
}

/// A thread, or a group of them: both may own cells.
#[derive(Clone, Copy, Debug)]
struct ThreadEntry {
    process: u32,
    tid: Option<u32>,
    name: Option<NameId>,
    /// The group that samples of this thread go to.
    group: Option<u32>,
    /// The first thread in it: a thread's own row unless this is a group.
    first: u32,
    /// Threads in it.
    members: u32,
}

/// The groups by process and name pattern.
type Groups = FxHashMap<(u32, Option<NameId>), u32>;

impl Tasks {
    /// Takes a process line. False when its parent was never defined.
    pub(crate) fn process(&mut self, line: &event::Process, names: &mut Names) -> bool {
        let parent = line.parent.map(|id| self.process_ids.get(&id).copied());
        let row = *self.process_ids.entry(line.id).or_insert_with(|| {
            self.processes.push(ProcessEntry {
                pid: line.pid,
                parent: None,
                name: None,
                start_ns: line.time_ns,
                end_ns: None,
            });
            row_of(self.processes.len())
        });
        let entry = &mut self.processes[row as usize];
        entry.pid = line.pid;
        if let Some(Some(parent)) = parent
            && parent < row
        {
            entry.parent = Some(parent);
        }
        if let Some(name) = &line.name {
            entry.name = Some(names.intern(name));
        }
        if line.event == Lifecycle::Exit {
            entry.end_ns = Some(line.time_ns);
        }
        parent != Some(None)
    }

    /// Takes a thread line. False when its process was never defined.
    pub(crate) fn thread(
        &mut self,
        line: &event::Thread,
        header_pid: Option<u32>,
        names: &mut Names,
    ) -> bool {
        let process = self.process_ids.get(&line.process).copied();
        let row = match self.thread_ids.get(&line.id) {
            Some(&row) => row,
            None => {
                let process = process.unwrap_or_else(|| self.some_process(header_pid));
                self.add_thread(line.id, process)
            }
        };
        let entry = &mut self.threads[row as usize];
        entry.tid = Some(line.tid);
        if let Some(process) = process {
            entry.process = process;
        }
        if let Some(name) = &line.name {
            entry.name = Some(names.intern(name));
        }
        self.join_group(row, names);
        process.is_some()
    }

    /// The row that a thread's samples are booked on.
    pub(crate) fn thread_row(&self, id: ThreadId) -> Option<u32> {
        self.thread_ids.get(&id).map(|&row| self.cell_row(row))
    }

    /// A row for a thread that was never defined, so that its samples are not lost.
    pub(crate) fn unknown_thread(&mut self, id: ThreadId, header_pid: Option<u32>, names: &mut Names) -> u32 {
        let process = self.some_process(header_pid);
        let row = self.add_thread(id, process);
        self.join_group(row, names);
        self.cell_row(row)
    }

    /// The row of a process.
    pub(crate) fn process_row(&self, id: ProcessId) -> Option<u32> {
        self.process_ids.get(&id).copied()
    }

    /// The first process, which is the target; made from the header if there is none.
    fn some_process(&mut self, header_pid: Option<u32>) -> u32 {
        if self.processes.is_empty() {
            let pid = header_pid.unwrap_or(0);
            self.processes.push(ProcessEntry { pid, parent: None, name: None, start_ns: 0, end_ns: None });
        }
        0
    }

    fn add_thread(&mut self, id: ThreadId, process: u32) -> u32 {
        let row = row_of(self.threads.len() + 1);
        self.threads.push(ThreadEntry {
            process,
            tid: None,
            name: None,
            group: None,
            first: row,
            members: 1,
        });
        self.thread_ids.insert(id, row);
        row
    }

    /// Rows that the session would have.
    pub(crate) fn row_count(&self) -> usize {
        self.groups.as_ref().map_or(self.threads.len(), Groups::len)
    }

    /// Whether threads share rows.
    pub(crate) fn is_folded(&self) -> bool {
        self.groups.is_some()
    }

    /// From now on threads whose names differ only in digits share a row. Returns the row to use for each row
    /// used so far. To be called once.
    pub(crate) fn fold(&mut self, names: &mut Names) -> Vec<u32> {
        let count = row_of(self.threads.len() + 1);
        self.groups = Some(Groups::default());
        for row in 0..count {
            self.join_group(row, names);
        }
        (0..count).map(|row| self.cell_row(row)).collect()
    }

    /// Puts a thread with the group of its present name. Samples before a late name stay with the earlier one.
    fn join_group(&mut self, row: u32, names: &mut Names) {
        let Some(groups) = &mut self.groups else { return };
        let ThreadEntry { process, name, group, .. } = self.threads[row as usize];
        let pattern = name.map(|name| {
            let pattern = pattern(names.text(name));
            names.intern(&pattern)
        });
        let next = row_of(self.threads.len() + 1);
        let joined = *groups.entry((process, pattern)).or_insert(next);
        if joined == next {
            let entry =
                ThreadEntry { process, tid: None, name: pattern, group: None, first: row, members: 0 };
            self.threads.push(entry);
        }
        if group != Some(joined) {
            self.threads[row as usize].group = Some(joined);
            self.threads[joined as usize].members += 1;
        }
    }

    /// The row that samples of a thread are booked on.
    fn cell_row(&self, row: u32) -> u32 {
        self.threads.get(row as usize).and_then(|entry| entry.group).unwrap_or(row)
    }

    /// The session's processes.
    pub(crate) fn processes(&self, names: &Names) -> Vec<session::Process> {
        let process = |entry: &ProcessEntry| session::Process {
            pid: entry.pid,
            parent: entry.parent,
            name: names.owned(entry.name),
            start_ns: entry.start_ns,
            end_ns: entry.end_ns,
        };
        self.processes.iter().map(process).collect()
    }

    /// The session's threads, without figures, and for each row of cells the session's.
    pub(crate) fn threads(&self, names: &Names) -> (Vec<session::ThreadRollup>, Vec<u32>) {
        let mut kept: Vec<u32> = (0..row_of(self.threads.len() + 1))
            .filter(|&row| self.threads[row as usize].group.is_none())
            .collect();
        kept.sort_by_key(|&row| self.threads[row as usize].first);
        let mut session_row = vec![0; self.threads.len()];
        let mut rollups = Vec::with_capacity(kept.len());
        for &row in &kept {
            session_row[row as usize] = row_of(rollups.len() + 1);
            let entry = &self.threads[row as usize];
            // A group of one is shown as the thread that it is.
            let shown = if entry.members == 1 { &self.threads[entry.first as usize] } else { entry };
            rollups.push(session::ThreadRollup {
                process: entry.process,
                tid: shown.tid,
                name: names.owned(shown.name),
                thread_count: u64::from(entry.members),
                self_ns: 0,
                samples: 0,
                waited_ns: 0,
                wait_count: 0,
                stackless_samples: 0,
            });
        }
        for row in 0..self.threads.len() {
            session_row[row] = session_row[self.cell_row(row as u32) as usize];
        }
        (rollups, session_row)
    }
}

fn row_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).saturating_sub(1)
}

/// A name with each run of digits replaced by `*`.
fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        match c.is_ascii_digit() {
            true if pattern.ends_with('*') => {}
            true => pattern.push('*'),
            false => pattern.push(c),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(id: u32, name: &str) -> event::Thread {
        event::Thread {
            id,
            time_ns: 0,
            event: Lifecycle::Start,
            process: 1,
            tid: 100 + id,
            name: Some(name.into()),
        }
    }

    #[test]
    fn threads_that_differ_in_digits_share_a_row() {
        let (mut tasks, mut names) = (Tasks::default(), Names::default());
        for line in [thread(1, "main"), thread(2, "worker-1"), thread(3, "worker-12")] {
            tasks.thread(&line, Some(7), &mut names);
        }
        let moved = tasks.fold(&mut names);
        assert_eq!(moved, [3, 4, 4]);
        tasks.thread(&thread(4, "worker-99"), Some(7), &mut names);
        assert_eq!(tasks.thread_row(4), Some(4));
        let (rollups, rows) = tasks.threads(&names);
        let seen: Vec<_> =
            rollups.iter().map(|row| (row.name.as_deref(), row.tid, row.thread_count)).collect();
        assert_eq!(seen, [(Some("main"), Some(101), 1), (Some("worker-*"), None, 3)]);
        assert_eq!(rows, [0, 1, 1, 0, 1, 1]);
        assert_eq!(tasks.processes(&names)[0].pid, 7);
    }
}
