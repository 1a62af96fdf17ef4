//! What the tables are computed over: each stack's function, whom it is blamed on, and the functions' groups.

use rs_schema::ProfileSession;
use rs_schema::session::Row;
use rustc_hash::FxHashMap;

use crate::blame;

/// No group.
pub(crate) const NONE: u32 = u32::MAX;

/// A session's stacks by function, module and crate.
///
/// Made of a session that is structurally sound (see `check`).
#[derive(Debug)]
pub(crate) struct Index {
    /// The innermost function of each stack.
    pub(crate) function: Vec<Row>,
    /// The function that each stack is charged to outside std and the kernel.
    pub(crate) blamed: Vec<Row>,
    /// Each function for itself.
    pub(crate) functions: Level,
    /// Functions by module.
    pub(crate) modules: Level,
    /// Functions by crate.
    pub(crate) crates: Level,
}

/// A grouping of functions.
#[derive(Debug)]
pub(crate) struct Level {
    /// The group of each function, or [`NONE`].
    pub(crate) of_function: Vec<u32>,
    /// Groups.
    pub(crate) len: usize,
    /// For each stack, whether its group is not among its callers: there its total is counted.
    pub(crate) outermost: Vec<bool>,
}

impl Index {
    pub(crate) fn new(session: &ProfileSession) -> Self {
        let frame_function = &session.frames.function;
        let function: Vec<Row> =
            session.stacks.frame.iter().map(|&frame| frame_function[frame as usize]).collect();
        let walk = Walk::new(&session.stacks.parent);
        let level = |of_function: Vec<u32>, len: usize| {
            let outermost = walk.outermost(&function, &of_function, len);
            Level { of_function, len, outermost }
        };
        let count = session.functions.len();
        let by_module = group(session.functions.iter().map(|function| {
            function.module.as_deref().map(|module| (module, function.crate_name.as_deref()))
        }));
        let by_crate = group(session.functions.iter().map(|function| function.crate_name.as_deref()));
        Index {
            blamed: blame::charged(session, &function),
            functions: level((0..count as u32).collect(), count),
            modules: level(by_module.0, by_module.1),
            crates: level(by_crate.0, by_crate.1),
            function,
        }
    }

    /// Follows the functions to new rows.
    pub(crate) fn renumber_functions(&mut self, new_row: &[Row]) {
        for row in self.function.iter_mut().chain(&mut self.blamed) {
            *row = new_row[*row as usize];
        }
        for level in [&mut self.modules, &mut self.crates] {
            let mut of_function = vec![NONE; level.of_function.len()];
            for (old, &group) in level.of_function.iter().enumerate() {
                of_function[new_row[old] as usize] = group;
            }
            level.of_function = of_function;
        }
    }
}

impl Level {
    /// Follows the groups to new rows.
    pub(crate) fn renumber(&mut self, new_row: &[Row]) {
        for group in &mut self.of_function {
            if *group != NONE {
                *group = new_row[*group as usize];
            }
        }
    }
}

/// The group of each item by its key, [`NONE`] without one, and the number of groups.
fn group<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = Option<K>>) -> (Vec<u32>, usize) {
    let mut rows = FxHashMap::default();
    let mut groups = Vec::new();
    for key in keys {
        let next = rows.len() as u32;
        groups.push(key.map_or(NONE, |key| *rows.entry(key).or_insert(next)));
    }
    (groups, rows.len())
}

/// The prefix tree from callers to callees.
struct Walk<'a> {
    parent: &'a [i64],
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
    first_root: u32,
}

impl<'a> Walk<'a> {
    fn new(parent: &'a [i64]) -> Self {
        let mut walk = Walk {
            parent,
            first_child: vec![NONE; parent.len()],
            next_sibling: vec![NONE; parent.len()],
            first_root: NONE,
        };
        for (node, &parent) in parent.iter().enumerate().rev() {
            let first = match usize::try_from(parent) {
                Ok(parent) => &mut walk.first_child[parent],
                Err(_) => &mut walk.first_root,
            };
            walk.next_sibling[node] = std::mem::replace(first, node as u32);
        }
        walk
    }

    /// For each stack whether no caller is in its group. Time goes with the stacks, however deep they are.
    fn outermost(&self, function: &[Row], of_function: &[u32], groups: usize) -> Vec<bool> {
        let mut outermost = vec![false; self.parent.len()];
        let mut on_path = vec![0u32; groups];
        let group = |node: u32| of_function[function[node as usize] as usize];
        let mut next = self.first_root;
        while next != NONE {
            let entered = group(next);
            if entered != NONE {
                let depth = &mut on_path[entered as usize];
                outermost[next as usize] = *depth == 0;
                *depth += 1;
            }
            let mut node = next;
            next = self.first_child[node as usize];
            // Out of the leaf, and out of every caller that has no more callees.
            while next == NONE {
                let left = group(node);
                if left != NONE {
                    on_path[left as usize] -= 1;
                }
                next = self.next_sibling[node as usize];
                match u32::try_from(self.parent[node as usize]) {
                    Ok(parent) if next == NONE => node = parent,
                    _ => break,
                }
            }
        }
        outermost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursion_counts_once() {
        // a -> b -> a -> b, b (root) -> b, a -> c
        let parent = [-1, 0, 1, 2, -1, 4, 0];
        let function = [0, 1, 0, 1, 1, 1, 2];
        let walk = Walk::new(&parent);
        let outermost = walk.outermost(&function, &[0, 1, NONE], 2);
        assert_eq!(outermost, [true, true, false, false, true, false, false]);
        // a and b in one group.
        let outermost = walk.outermost(&function, &[0, 0, 1], 2);
        assert_eq!(outermost, [true, false, false, false, true, false, true]);
    }
}
