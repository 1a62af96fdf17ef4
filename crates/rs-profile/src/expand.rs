//! From the stream's frames and stacks to the session's.
//!
//! A stream frame is an address with the functions inlined there; in the session it becomes one frame for each
//! function, named by (function, mapping, file, line, inlined) and free of addresses, so that addresses of one
//! line meet. Stacks are interned again over these frames.

use rs_schema::event::{self, MappingId};
use rs_schema::session::{Frames, Function, Mapping, Row, Stacks};
use rs_schema::units::Address;
use rustc_hash::FxHashMap;

use crate::facts::FunctionTable;
use crate::names::{NameId, Names};
use crate::tree::{FrameEntry, StreamTree, SymbolNames};

/// The binaries of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mappings {
    ids: FxHashMap<MappingId, Binary>,
}

/// Path and build id.
type Binary = (NameId, Option<NameId>);

impl Mappings {
    /// Takes a mapping line; a later one replaces an earlier one.
    pub(crate) fn add(&mut self, line: &event::Mapping, names: &mut Names) {
        let path = names.intern(&line.path);
        self.ids.insert(line.id, (path, names.intern_option(line.build_id.as_deref())));
    }

    /// Whether the binary was defined.
    pub(crate) fn contains(&self, id: MappingId) -> bool {
        self.ids.contains_key(&id)
    }
}

/// The session's tables of code.
#[derive(Debug)]
pub(crate) struct Expanded {
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) files: Vec<String>,
    pub(crate) functions: Vec<Function>,
    pub(crate) frames: Frames,
    pub(crate) stacks: Stacks,
    /// The session's stack for each row of the stream's.
    pub(crate) stack_row: Vec<u32>,
    /// The session's innermost function for each row of the stream's frames; `None` when nothing uses it.
    pub(crate) function_row: Vec<Option<Row>>,
}

/// Expands everything that is in a stack, and `also` some frames that need not be.
pub(crate) fn expand(tree: StreamTree, also: &[u32], mappings: &Mappings, names: &mut Names) -> Expanded {
    let mut expansion = Expansion { binaries: mappings, names, tables: Tables::default() };
    // The session frames of each stream frame, outermost first, as a range of `chained`.
    let mut ranges: Vec<Option<(usize, usize)>> = vec![None; tree.frames.len()];
    let mut chained: Vec<Row> = Vec::new();
    let mut stacks = StackTable::default();
    let mut stack_row: Vec<u32> = Vec::with_capacity(tree.nodes.len());
    let mut range = |frame: u32, chained: &mut Vec<Row>| {
        *ranges[frame as usize].get_or_insert_with(|| {
            let from = chained.len();
            expansion.frame(&tree.frames[frame as usize], chained);
            (from, chained.len())
        })
    };
    for &frame in also {
        range(frame, &mut chained);
    }
    for node in &tree.nodes {
        let (from, to) = range(node.frame, &mut chained);
        let mut at = node.parent.map(|parent| stack_row[parent as usize]);
        for &frame in &chained[from..to] {
            at = Some(stacks.stack(at, frame));
        }
        // Every frame has at least its innermost function, so there is a stack now.
        stack_row.push(at.unwrap_or(0));
    }
    let Tables { mappings, file_rows, files, functions, frames, .. } = expansion.tables;
    let innermost = |range: Option<(usize, usize)>| {
        range
            .and_then(|(_, to)| chained.get(to.checked_sub(1)?))
            .map(|&frame| frames.function[frame as usize])
    };
    let function_row = ranges.into_iter().map(innermost).collect();
    Expanded {
        mappings,
        files: files.into_iter().map(|file| names.text(file).to_string()).collect(),
        functions: functions.into_functions(names, &file_rows),
        frames,
        stacks: stacks.stacks,
        stack_row,
        function_row,
    }
}

/// What makes two frames one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FrameKey {
    function: Row,
    mapping: Option<Row>,
    file: Option<Row>,
    line: Option<u32>,
    address: Option<Address>,
    inlined: u8,
}

/// Tables in the making, with the way back from contents to row.
#[derive(Default)]
struct Tables {
    mapping_rows: FxHashMap<Binary, Row>,
    mappings: Vec<Mapping>,
    file_rows: FxHashMap<NameId, Row>,
    files: Vec<NameId>,
    functions: FunctionTable,
    frame_rows: FxHashMap<FrameKey, Row>,
    frames: Frames,
}

/// The prefix tree in the making.
#[derive(Default)]
struct StackTable {
    rows: FxHashMap<(Option<Row>, Row), Row>,
    stacks: Stacks,
}

struct Expansion<'a> {
    binaries: &'a Mappings,
    names: &'a mut Names,
    tables: Tables,
}

impl Expansion<'_> {
    /// Appends the session frames of one address, outermost first.
    fn frame(&mut self, entry: &FrameEntry, chained: &mut Vec<Row>) {
        let binary = entry.mapping.and_then(|id| self.binaries.ids.get(&id).copied());
        let mapping = binary.map(|binary| self.mapping(binary));
        let inward = entry.inlined_by.iter().rev().chain([&entry.symbol]);
        for (depth, symbol) in inward.enumerate() {
            let function = self.tables.functions.row(symbol, entry.kind, binary.map(|b| b.0), self.names);
            let key = FrameKey {
                function,
                mapping,
                file: symbol.file.map(|file| self.tables.file(file)),
                line: symbol.line,
                address: entry.address.filter(|_| is_nameless(symbol)),
                inlined: u8::from(depth > 0),
            };
            chained.push(self.tables.frame(key));
        }
    }

    fn mapping(&mut self, binary: Binary) -> Row {
        let Tables { mapping_rows, mappings, .. } = &mut self.tables;
        *mapping_rows.entry(binary).or_insert_with(|| {
            mappings.push(Mapping {
                path: self.names.text(binary.0).to_string(),
                build_id: self.names.owned(binary.1),
            });
            last_row(mappings.len())
        })
    }
}

fn is_nameless(symbol: &SymbolNames) -> bool {
    symbol.function.is_none()
}

impl Tables {
    fn file(&mut self, file: NameId) -> Row {
        *self.file_rows.entry(file).or_insert_with(|| {
            self.files.push(file);
            last_row(self.files.len())
        })
    }

    fn frame(&mut self, key: FrameKey) -> Row {
        let Tables { frame_rows, frames, .. } = self;
        *frame_rows.entry(key).or_insert_with(|| {
            frames.function.push(key.function);
            frames.mapping.push(key.mapping);
            frames.file.push(key.file);
            frames.line.push(key.line);
            frames.address.push(key.address);
            frames.inlined.push(key.inlined);
            last_row(frames.function.len())
        })
    }
}

impl StackTable {
    fn stack(&mut self, parent: Option<Row>, frame: Row) -> Row {
        let StackTable { rows, stacks } = self;
        *rows.entry((parent, frame)).or_insert_with(|| {
            stacks.parent.push(parent.map_or(-1, i64::from));
            stacks.frame.push(frame);
            last_row(stacks.frame.len())
        })
    }
}

fn last_row(len: usize) -> Row {
    u32::try_from(len).unwrap_or(u32::MAX).saturating_sub(1)
}
