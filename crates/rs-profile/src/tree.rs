//! Frames and the prefix tree of stacks, as the stream defines them.
//!
//! Names are kept as numbers, and a frame that is sent again replaces what was known of it. What a stack looks
//! like in the session is decided only at the end, when all names are in (see `expand`).

use rs_schema::event::{self, Body, FrameId, FrameKind, MappingId, StackId};
use rs_schema::session::{Row, Stacks};
use rs_schema::units::{Address, Status};
use rustc_hash::FxHashMap;

use crate::names::{NameId, Names};

/// Names of one function at one address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SymbolNames {
    pub(crate) function: Option<NameId>,
    pub(crate) display: Option<NameId>,
    pub(crate) crate_name: Option<NameId>,
    pub(crate) crate_version: Option<NameId>,
    pub(crate) crate_version_source: Option<NameId>,
    pub(crate) module: Option<NameId>,
    pub(crate) language: Option<NameId>,
    pub(crate) file: Option<NameId>,
    pub(crate) line: Option<u32>,
    pub(crate) body: Option<Body>,
    pub(crate) attribution: Option<Status>,
}

impl SymbolNames {
    fn new(symbol: &event::Symbol, names: &mut Names) -> Self {
        let mut name = |text: &Option<String>| names.intern_option(text.as_deref());
        SymbolNames {
            function: name(&symbol.function),
            display: name(&symbol.display),
            crate_name: name(&symbol.crate_name),
            crate_version: name(&symbol.crate_version),
            crate_version_source: name(&symbol.crate_version_source),
            module: name(&symbol.module),
            language: name(&symbol.language),
            file: name(&symbol.file),
            line: symbol.line,
            body: symbol.body,
            attribution: symbol.attribution,
        }
    }
}

/// One code address.
#[derive(Clone, Debug)]
pub(crate) struct FrameEntry {
    pub(crate) kind: FrameKind,
    pub(crate) mapping: Option<MappingId>,
    pub(crate) address: Option<Address>,
    /// The innermost function.
    pub(crate) symbol: SymbolNames,
    /// The functions it is inlined into, outward.
    pub(crate) inlined_by: Box<[SymbolNames]>,
}

impl FrameEntry {
    /// What stands for a frame that was never defined.
    fn unknown() -> Self {
        FrameEntry {
            kind: FrameKind::Unknown,
            mapping: None,
            address: None,
            symbol: SymbolNames::default(),
            inlined_by: Box::default(),
        }
    }
}

/// One node: row of its parent, row of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) parent: Option<u32>,
    pub(crate) frame: u32,
}

/// All frames and stacks seen so far. A parent's row is always below its children's.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamTree {
    frame_ids: FxHashMap<FrameId, u32>,
    pub(crate) frames: Vec<FrameEntry>,
    stack_ids: FxHashMap<StackId, u32>,
    pub(crate) nodes: Vec<Node>,
}

/// What was wrong with a stack line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackFault {
    /// Its frame was never defined; it stands as an unknown frame until it is.
    Frame,
    /// Its parent was never defined; the stack is taken as a root.
    Parent,
    /// The id meant another stack before; samples from here on mean the new one.
    Redefined,
}

impl StreamTree {
    /// Takes a frame line; a later one replaces an earlier one.
    pub(crate) fn frame(&mut self, line: &event::Frame, names: &mut Names) {
        let entry = FrameEntry {
            kind: line.kind,
            mapping: line.mapping,
            address: line.address,
            symbol: SymbolNames::new(&line.symbol, names),
            inlined_by: line.inlined_by.iter().map(|symbol| SymbolNames::new(symbol, names)).collect(),
        };
        let row = self.frame_row(line.id);
        self.frames[row as usize] = entry;
    }

    /// Takes a stack line.
    pub(crate) fn stack(&mut self, line: &event::Stack) -> Result<(), StackFault> {
        let mut fault = Ok(());
        if !self.frame_ids.contains_key(&line.frame) {
            fault = Err(StackFault::Frame);
        }
        let parent = match line.parent {
            None => None,
            Some(id) => {
                let parent = self.stack_row(id);
                if parent.is_none() {
                    fault = Err(StackFault::Parent);
                }
                parent
            }
        };
        let node = Node { parent, frame: self.frame_row(line.frame) };
        if let Some(&row) = self.stack_ids.get(&line.id) {
            if self.nodes[row as usize] == node {
                return fault;
            }
            fault = Err(StackFault::Redefined);
        }
        // A new row even for a redefined id: parents stay before their children, so there are no cycles.
        self.stack_ids.insert(line.id, row(self.nodes.len()));
        self.nodes.push(node);
        fault
    }

    /// The row of a stack.
    pub(crate) fn stack_row(&self, id: StackId) -> Option<u32> {
        self.stack_ids.get(&id).copied()
    }

    /// Whether a frame was defined or used before.
    pub(crate) fn has_frame(&self, id: FrameId) -> bool {
        self.frame_ids.contains_key(&id)
    }

    /// The row of a frame, made if need be.
    pub(crate) fn frame_row(&mut self, id: FrameId) -> u32 {
        *self.frame_ids.entry(id).or_insert_with(|| {
            self.frames.push(FrameEntry::unknown());
            row(self.frames.len() - 1)
        })
    }
}

fn row(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The stacks from `stack` outward to its root, as rows of `stacks`. Nothing for a row that is not there.
pub fn chain(stacks: &Stacks, stack: Row) -> impl Iterator<Item = Row> + '_ {
    let known = |row: Row| ((row as usize) < stacks.parent.len()).then_some(row);
    std::iter::successors(known(stack), move |&row| {
        let parent = *stacks.parent.get(row as usize)?;
        // Parents stand before their children; anything else would not end.
        Row::try_from(parent).ok().filter(|&parent| parent < row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redefined_stack_makes_no_cycle() {
        let mut tree = StreamTree::default();
        let frame = tree.frame_row(1);
        let stack = |id, parent| event::Stack { id, parent, frame: 1 };
        assert_eq!(tree.stack(&stack(1, None)), Ok(()));
        assert_eq!(tree.stack(&stack(2, Some(1))), Ok(()));
        assert_eq!(tree.stack(&stack(2, Some(1))), Ok(()));
        assert_eq!(tree.stack(&stack(1, Some(2))), Err(StackFault::Redefined));
        assert_eq!(tree.stack(&stack(3, Some(9))), Err(StackFault::Parent));
        assert_eq!(tree.stack_row(1), Some(2));
        assert_eq!(tree.nodes[2], Node { parent: Some(1), frame });
        assert!(
            tree.nodes.iter().enumerate().all(|(row, node)| node.parent.is_none_or(|p| (p as usize) < row))
        );
    }

    #[test]
    fn a_chain_goes_outward_and_ends() {
        let stacks = Stacks { parent: vec![-1, 0, 1, 3], frame: vec![0; 4] };
        assert_eq!(chain(&stacks, 2).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(chain(&stacks, 3).collect::<Vec<_>>(), [3]);
        assert_eq!(chain(&stacks, 4).count(), 0);
    }
}
