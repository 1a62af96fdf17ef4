//! What keeps a fold small however long the stream.
//!
//! When there are more cells than [`FoldOptions::max_cells`](crate::FoldOptions::max_cells), the threads of one
//! process whose names differ only in digits are folded into one row first, then the interval of the windows
//! doubles until the rest fits. Both are said in `windows.coarsened`. Whether it comes to that depends on the
//! cells alone and not on the order of the lines.

use crate::fold::Fold;

/// Threads beyond which those whose names differ only in digits share a row, however few cells they have.
const THREADS_MAX: usize = 10_000;

impl Fold {
    /// To be called after every line that made cells.
    pub(crate) fn keep_bounded(&mut self) {
        if self.windows.is_due() {
            self.settle();
        }
    }

    /// Settles the cells, and makes fewer of them if there are too many.
    pub(crate) fn settle(&mut self) {
        if self.windows.settle() <= self.options.max_cells {
            return;
        }
        if !self.tasks.is_folded() {
            self.fold_threads();
        }
        while self.windows.settle() > self.options.max_cells && self.windows.double(self.last_ns) {}
    }

    /// To be called after every new thread.
    pub(crate) fn keep_threads_bounded(&mut self) {
        if self.tasks.row_count() > THREADS_MAX && !self.tasks.is_folded() {
            self.fold_threads();
        }
    }

    fn fold_threads(&mut self) {
        let row_of = self.tasks.fold(&mut self.names);
        self.windows.fold_threads(&row_of);
        for span in &mut self.spans {
            span.thread = span.thread.and_then(|row| row_of.get(row as usize).copied());
        }
    }

    /// What was done to keep the cells bounded, in words.
    pub(crate) fn coarsened(&self) -> Option<String> {
        let mut done = Vec::new();
        if self.tasks.is_folded() {
            done.push("threads of one process whose names differ only in digits share a row".to_string());
        }
        let (asked_ns, interval_ns) = (self.options.window_ns.max(1), self.windows.interval_ns());
        if interval_ns != asked_ns {
            let raised =
                format!("the interval was raised from {} ms to {} ms", ms(asked_ns), ms(interval_ns));
            done.push(raised);
        }
        (!done.is_empty()).then(|| format!("{}, to keep the session small", done.join(" and ")))
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
