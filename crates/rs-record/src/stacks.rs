//! Stacks and frames seen so far: every distinct one gets a number once.

use rs_schema::event::{Frame, FrameId, FrameKind, Line, Stack, StackId, Symbol};
use rs_schema::units::Address;
use rustc_hash::FxHashMap;

use crate::output::Batch;

/// What makes two frames the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    /// An address in a binary.
    Mapped { mapping: u32, address: u64 },
    /// An address in code made at run time, of one process.
    Jit { process: u32, address: u64 },
    /// A kernel function's address.
    Kernel { address: u64 },
    /// An address where nothing is mapped.
    Unmapped { process: u32, address: u64 },
    /// All of the kernel, as one frame.
    WholeKernel,
    /// The root of stacks that were cut.
    Truncated,
}

/// Numbers of frames and stacks.
#[derive(Default)]
pub(crate) struct Interner {
    frames: FxHashMap<Code, FrameId>,
    stacks: FxHashMap<(Option<StackId>, FrameId), StackId>,
}

impl Interner {
    /// The frame of `code`, and whether it is new. A new one is written to `batch`, its names pending if they
    /// are to be looked up.
    pub(crate) fn frame(&mut self, code: Code, batch: &mut Batch) -> (FrameId, bool) {
        let next = self.frames.len() as FrameId + 1;
        match self.frames.entry(code) {
            std::collections::hash_map::Entry::Occupied(known) => (*known.get(), false),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(next);
                batch.push(&Line::Frame(Box::new(first_line(next, code))));
                (next, true)
            }
        }
    }

    /// The stack in which `parent` calls `frame`.
    pub(crate) fn stack(&mut self, parent: Option<StackId>, frame: FrameId, batch: &mut Batch) -> StackId {
        let next = self.stacks.len() as StackId + 1;
        *self.stacks.entry((parent, frame)).or_insert_with(|| {
            batch.push(&Line::Stack(Stack { id: next, parent, frame }));
            next
        })
    }
}

fn first_line(id: FrameId, code: Code) -> Frame {
    let pending = Frame {
        id,
        kind: FrameKind::User,
        mapping: None,
        address: None,
        symbol: Symbol::default(),
        reason: Some("pending".into()),
        inlined_by: Vec::new(),
    };
    let named = |kind, name: &str, owner: Option<&str>| Frame {
        kind,
        symbol: Symbol {
            function: Some(name.into()),
            crate_name: owner.map(str::to_string),
            module: owner.map(str::to_string),
            ..Symbol::default()
        },
        reason: None,
        ..pending.clone()
    };
    match code {
        Code::Mapped { mapping, address } => {
            Frame { mapping: Some(mapping), address: Some(Address(address)), ..pending }
        }
        Code::Jit { address, .. } => {
            Frame { kind: FrameKind::Jit, address: Some(Address(address)), ..pending }
        }
        Code::Kernel { address } => {
            Frame { kind: FrameKind::Kernel, address: Some(Address(address)), ..pending }
        }
        Code::Unmapped { address, .. } => Frame {
            kind: FrameKind::Unknown,
            address: Some(Address(address)),
            reason: Some("unmapped".into()),
            ..pending
        },
        Code::WholeKernel => named(FrameKind::Kernel, "[kernel]", Some("[kernel]")),
        Code::Truncated => named(FrameKind::Unknown, "[truncated]", None),
    }
}
