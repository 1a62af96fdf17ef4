//! The base columns summed over all windows.

use rs_schema::ProfileSession;
use rs_schema::session::{ThreadRollup, Windows};

use crate::index::{Index, Level, NONE};

/// What can be summed over stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) cpu_ns: u64,
    pub(crate) samples: u64,
    pub(crate) waited_ns: u64,
    pub(crate) alloc_count: u64,
    pub(crate) alloc_bytes: u64,
}

impl Amounts {
    fn add(&mut self, other: &Amounts) {
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
        self.samples = self.samples.saturating_add(other.samples);
        self.waited_ns = self.waited_ns.saturating_add(other.waited_ns);
        self.alloc_count = self.alloc_count.saturating_add(other.alloc_count);
        self.alloc_bytes = self.alloc_bytes.saturating_add(other.alloc_bytes);
    }
}

/// Sums of a session's cells.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// What each stack did itself.
    pub(crate) own: Vec<Amounts>,
    /// What each stack did with all it called.
    subtree: Vec<Amounts>,
    /// All of it.
    pub(crate) all: Amounts,
    /// Samples without a stack.
    pub(crate) stackless_samples: u64,
}

/// A function's, module's or crate's figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) own: Amounts,
    pub(crate) total: Amounts,
    pub(crate) blame_ns: u64,
}

/// CPU time of a cell: as given, or its samples times the period.
pub(crate) fn cell_cpu_ns(windows: &Windows, period_ns: u64, cell: usize) -> u64 {
    match &windows.cpu.cpu_ns {
        Some(cpu_ns) => cpu_ns[cell],
        None => windows.cpu.sample_count[cell].saturating_mul(period_ns),
    }
}

impl Sums {
    /// Sums the cells by stack, and by thread into the threads' rows.
    pub(crate) fn new(session: &mut ProfileSession) -> Self {
        let mut sums = Sums { own: vec![Amounts::default(); session.stacks.frame.len()], ..Sums::default() };
        let period_ns = session.sampling_diagnostics.period_ns.unwrap_or(0);
        for thread in &mut session.thread_rollups {
            clear(thread);
        }
        if let Some(windows) = &session.windows {
            sums.add_cpu(windows, period_ns, &mut session.thread_rollups);
            sums.add_wait(windows, &mut session.thread_rollups);
            sums.add_alloc(windows);
        }
        sums.subtree = sums.own.clone();
        for (node, &parent) in session.stacks.parent.iter().enumerate().rev() {
            if let Ok(parent) = usize::try_from(parent) {
                let callee = sums.subtree[node];
                sums.subtree[parent].add(&callee);
            }
        }
        sums
    }

    fn add(&mut self, stack: i64, amount: &Amounts) {
        self.all.add(amount);
        match usize::try_from(stack) {
            Ok(stack) => self.own[stack].add(amount),
            Err(_) => self.stackless_samples = self.stackless_samples.saturating_add(amount.samples),
        }
    }

    fn add_cpu(&mut self, windows: &Windows, period_ns: u64, threads: &mut [ThreadRollup]) {
        let cells = &windows.cpu;
        for (cell, (&stack, &thread)) in cells.stack.iter().zip(&cells.thread).enumerate() {
            let (samples, cpu_ns) = (cells.sample_count[cell], cell_cpu_ns(windows, period_ns, cell));
            self.add(stack, &Amounts { cpu_ns, samples, ..Amounts::default() });
            let thread = &mut threads[thread as usize];
            thread.self_ns = thread.self_ns.saturating_add(cpu_ns);
            thread.samples = thread.samples.saturating_add(samples);
            if stack < 0 {
                thread.stackless_samples = thread.stackless_samples.saturating_add(samples);
            }
        }
    }

    fn add_wait(&mut self, windows: &Windows, threads: &mut [ThreadRollup]) {
        let cells = &windows.wait;
        for (cell, (&stack, &thread)) in cells.stack.iter().zip(&cells.thread).enumerate() {
            let waited_ns = cells.waited_ns[cell];
            self.add(stack, &Amounts { waited_ns, ..Amounts::default() });
            let thread = &mut threads[thread as usize];
            thread.waited_ns = thread.waited_ns.saturating_add(waited_ns);
            thread.wait_count = thread.wait_count.saturating_add(cells.wait_count[cell]);
        }
    }

    fn add_alloc(&mut self, windows: &Windows) {
        let cells = &windows.alloc;
        for (cell, &stack) in cells.stack.iter().enumerate() {
            let (alloc_count, alloc_bytes) = (cells.alloc_count[cell], cells.alloc_bytes[cell]);
            self.add(stack, &Amounts { alloc_count, alloc_bytes, ..Amounts::default() });
        }
    }

    /// The figures of each group of functions: own at the innermost frame, total once a sample.
    pub(crate) fn figures(&self, index: &Index, level: &Level) -> Vec<Figures> {
        let mut figures = vec![Figures::default(); level.len];
        for (node, &function) in index.function.iter().enumerate() {
            let own = &self.own[node];
            let group = level.of_function[function as usize];
            if group != NONE {
                let figures = &mut figures[group as usize];
                figures.own.add(own);
                if level.outermost[node] {
                    figures.total.add(&self.subtree[node]);
                }
            }
            let blamed = level.of_function[index.blamed[node] as usize];
            if blamed != NONE {
                let blame_ns = &mut figures[blamed as usize].blame_ns;
                *blame_ns = blame_ns.saturating_add(own.cpu_ns);
            }
        }
        figures
    }
}

fn clear(thread: &mut ThreadRollup) {
    thread.self_ns = 0;
    thread.samples = 0;
    thread.waited_ns = 0;
    thread.wait_count = 0;
    thread.stackless_samples = 0;
}
