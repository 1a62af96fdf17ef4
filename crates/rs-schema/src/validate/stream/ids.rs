//! What is known of the things that lines refer to.

use std::collections::HashMap;

use super::fault::{Id, StreamFault};
use crate::event::StackId;

#[derive(Default)]
pub(super) struct KnownProcess {
    pub(super) pid: Option<u32>,
    pub(super) exited: bool,
    pub(super) metrics_end_ns: u64,
}

#[derive(Default)]
pub(super) struct KnownThread {
    pub(super) process: Option<u32>,
    /// Newest sample, alloc, free and span.
    pub(super) newest_ns: [u64; 4],
}

#[derive(Default)]
pub(super) struct KnownMapping {
    pub(super) build_id: Option<String>,
}

#[derive(Default)]
pub(super) struct KnownFrame {
    pub(super) address: Option<u64>,
    pub(super) truncated: bool,
    pub(super) unnamed: bool,
    pub(super) pending: bool,
    /// Samples whose stack has this frame outermost: that it is `[truncated]` may be known only later.
    pub(super) samples_as_root: u64,
}

#[derive(Clone, Copy, Default)]
pub(super) struct KnownStack {
    /// Parent and frame; absent for an id that was used undefined and reported.
    pub(super) node: Option<(Option<StackId>, u32)>,
    pub(super) root_frame: u32,
}

/// What is known of each id. Ids are dense in a stream that a tool wrote, and then a vector finds them without
/// hashing; a stream made to hurt gets a map and costs no more memory than its lines do.
pub(super) struct Ids<T> {
    dense: Vec<Option<T>>,
    sparse: HashMap<u32, T>,
    /// How many are defined.
    pub(super) len: u64,
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Ids { dense: Vec::new(), sparse: HashMap::new(), len: 0 }
    }
}

impl<T: Default> Ids<T> {
    pub(super) fn get(&self, id: u32) -> Option<&T> {
        match self.dense.get(id as usize) {
            Some(Some(known)) => Some(known),
            _ if self.sparse.is_empty() => None,
            _ => self.sparse.get(&id),
        }
    }

    /// What is known of `id`, from now on defined.
    pub(super) fn define(&mut self, id: u32) -> &mut T {
        let index = id as usize;
        // An id that once was sparse stays there.
        if self.sparse.contains_key(&id) || index > 2 * self.len as usize + 1024 {
            return self.sparse.entry(id).or_insert_with(|| {
                self.len += 1;
                T::default()
            });
        }
        if index >= self.dense.len() {
            self.dense.resize_with(index + 1, || None);
        }
        self.dense[index].get_or_insert_with(|| {
            self.len += 1;
            T::default()
        })
    }

    /// Reports an id that is not defined: once, then it counts as defined.
    pub(super) fn used(&mut self, id: u32, kind: Id, sink: &mut dyn FnMut(StreamFault)) {
        if self.get(id).is_none() {
            self.define(id);
            sink(StreamFault::Undefined { id: kind, number: id });
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.dense.iter().flatten().chain(self.sparse.values())
    }
}
