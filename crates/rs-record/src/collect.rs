//! From the kernel's records to lines of the stream.
//!
//! Records come in the order of time, so a mapping, fork or exec takes effect exactly between the samples
//! before and after it. A sample is unwound at once, from the ring; its addresses become frames and stacks by
//! number, and names follow from [`symbols`](crate::symbols) when they are ready.

use std::sync::Arc;

use rs_schema::event::{
    self, Lifecycle, Line, Lost, LostCause, Mapping, MappingId, ProcessId, StackId, ThreadId, ThreadState,
};
use rs_schema::units::Address;
use rs_symbol::{AddressSpace, StackEnd, UnwindCache};
use rustc_hash::FxHashMap;

use crate::backend::linux::record::{Mmap, Record, Sample};
use crate::clock::SessionClock;
use crate::images::{Images, Place, VDSO};
use crate::output::{Batch, Queue};
use crate::stack_memory::StackMemory;
use crate::stacks::{Code, Interner};
use crate::symbols::Request;
use crate::target::proc::{self, Numbers, ProcFs};

/// What was counted over the session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) samples: u64,
    pub(crate) lost: u64,
    pub(crate) dropped: u64,
    pub(crate) truncated: u64,
    pub(crate) spliced: u64,
    /// Frames for which no names were even asked: of unreadable binaries, or in no mapping.
    pub(crate) nameless_frames: u64,
}

/// A change in the set of live processes, for whoever measures them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProcessChange {
    Started { id: ProcessId, numbers: Numbers },
    Ended { id: ProcessId },
}

/// What became of the records of one pass, to be handed on.
#[derive(Default)]
pub(crate) struct Pass {
    /// Frames that want names.
    pub(crate) requests: Vec<Request>,
    /// Processes that began or ended.
    pub(crate) changes: Vec<ProcessChange>,
    /// Whether a stack was deeper than its copy, so that the rest had to be read from the running program.
    pub(crate) saw_deep_stack: bool,
}

struct Process {
    id: ProcessId,
    numbers: Numbers,
    name: Option<String>,
    space: AddressSpace,
    /// Mapped files that could not be read: (start, end, file offset, mapping).
    unread: Vec<(u64, u64, u64, MappingId)>,
    /// Executable memory without a file: code made at run time.
    anonymous: Vec<(u64, u64)>,
    /// Frames by run-time address, until the mappings change.
    codes: FxHashMap<u64, event::FrameId>,
    perf_map: Arc<str>,
    thread_count: u32,
}

impl Process {
    fn has_code_at(&self, address: u64) -> bool {
        let within = |start: u64, end: u64| (start..end).contains(&address);
        self.space.find(address).is_some()
            || self.unread.iter().any(|&(start, end, ..)| within(start, end))
            || self.anonymous.iter().any(|&(start, end)| within(start, end))
    }
}

struct Thread {
    id: ThreadId,
    process: i32,
}

/// Turns records into lines.
pub(crate) struct Collector {
    clock: SessionClock,
    queue: Queue,
    proc: ProcFs,
    batch: Batch,
    pass: Pass,
    processes: FxHashMap<i32, Process>,
    threads: FxHashMap<i32, Thread>,
    process_count: ProcessId,
    thread_count: ThreadId,
    images: Images,
    interner: Interner,
    unwind_cache: UnwindCache,
    addresses: Vec<u64>,
    chunk: Vec<u8>,
    throttled_since: FxHashMap<u32, u64>,
    last_lost_ns: FxHashMap<u32, u64>,
    period_ns: u64,
    kernel_frames: bool,
    /// The process that is launched: its first exec is its beginning, not a change.
    launched: Option<i32>,
    follow: bool,
    /// The reader of the stream is far behind, so samples of this pass are shed.
    shedding: bool,
    /// Samples shed in this pass, and when the first was.
    shed: Option<(u64, u64)>,
    /// Records were lost, mappings among them perhaps.
    stale_mappings: bool,
    totals: Totals,
}

/// What a collector needs to know of the sampler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CollectorOptions {
    pub(crate) period_ns: u64,
    pub(crate) kernel_frames: bool,
    pub(crate) follow: bool,
}

impl Collector {
    /// A collector without processes.
    pub(crate) fn new(
        clock: SessionClock,
        queue: Queue,
        proc: ProcFs,
        options: CollectorOptions,
    ) -> Collector {
        Collector {
            clock,
            queue,
            proc,
            batch: Batch::default(),
            pass: Pass::default(),
            processes: FxHashMap::default(),
            threads: FxHashMap::default(),
            process_count: 0,
            thread_count: 0,
            images: Images::default(),
            interner: Interner::default(),
            unwind_cache: UnwindCache::new(),
            addresses: Vec::new(),
            chunk: Vec::new(),
            throttled_since: FxHashMap::default(),
            last_lost_ns: FxHashMap::default(),
            period_ns: options.period_ns,
            kernel_frames: options.kernel_frames,
            launched: None,
            follow: options.follow,
            shedding: false,
            shed: None,
            stale_mappings: false,
            totals: Totals::default(),
        }
    }

    /// A reading of CLOCK_MONOTONIC as time of the session.
    pub(crate) fn session_time(&self, monotonic_ns: u64) -> u64 {
        self.clock.at(monotonic_ns)
    }

    /// The totals so far.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Live processes, as the stream numbers them.
    pub(crate) fn live_processes(&self) -> Vec<(ProcessId, Numbers)> {
        let mut live: Vec<_> = self.processes.values().map(|process| (process.id, process.numbers)).collect();
        live.sort_unstable_by_key(|&(id, _)| id);
        live
    }

    /// Adds the process that is about to execute `command`.
    pub(crate) fn add_launched(&mut self, numbers: Numbers, command: &[String]) {
        let name = command.first().map(|path| path.rsplit('/').next().unwrap_or(path).to_string());
        self.launched = Some(numbers.ours);
        self.start_process(numbers, None, name.clone(), command.to_vec(), 0);
        self.start_thread(numbers.ours, numbers.ours, name, 0);
    }

    /// Adds a process that runs already, with its threads and mappings.
    pub(crate) fn add_running(&mut self, numbers: Numbers, parent: Option<i32>, time_ns: u64) {
        let parent = parent.and_then(|pid| self.processes.get(&pid)).map(|process| process.id);
        let name = proc::name(numbers.proc, numbers.proc);
        self.start_process(numbers, parent, name, proc::command(numbers.proc), time_ns);
        for thread in self.proc.threads(numbers.proc).unwrap_or_default() {
            self.start_thread(numbers.ours, thread.ours, proc::name(numbers.proc, thread.proc), time_ns);
        }
        self.read_mappings(numbers.ours, time_ns);
    }

    /// Whether a thread is known, be it because it was there or because its beginning was recorded.
    pub(crate) fn knows_thread(&self, tid: i32) -> bool {
        self.threads.contains_key(&tid)
    }

    /// Adds a thread of a known process that was found running.
    pub(crate) fn add_running_thread(&mut self, process: Numbers, thread: Numbers, time_ns: u64) {
        self.start_thread(process.ours, thread.ours, proc::name(process.proc, thread.proc), time_ns);
    }

    /// Hands what was collected to the queue. Requests and changes are for the caller: what they refer to is
    /// in the queue now.
    pub(crate) fn flush(&mut self) -> Pass {
        if std::mem::take(&mut self.stale_mappings) {
            let now = self.clock.now_ns();
            for (_, numbers) in self.live_processes() {
                self.read_mappings(numbers.ours, now);
            }
        }
        if let Some((since_ns, count)) = self.shed.take() {
            self.totals.dropped += count;
            let time_ns = self.clock.now_ns();
            let cause = LostCause::Backpressure;
            self.batch.push(&Line::Lost(Lost { time_ns, since_ns: Some(since_ns), count, cause, cpu: None }));
        }
        self.queue.send(&mut self.batch);
        self.shedding = self.queue.is_full();
        std::mem::take(&mut self.pass)
    }

    /// Takes one record.
    pub(crate) fn handle(&mut self, cpu: u32, record: Record<'_>) {
        match record {
            Record::Sample(sample) => self.sample(&sample),
            Record::Mmap(mmap) => self.mmap(&mmap),
            Record::Comm { pid, tid, name, exec, time } => {
                let name = String::from_utf8_lossy(name).into_owned();
                if exec { self.exec(pid, name, time) } else { self.rename(pid, tid, name, time) }
            }
            Record::Fork { pid, parent_pid, tid, time } => self.fork(pid, parent_pid, tid, time),
            Record::Exit { pid, tid, time } => self.exit(pid, tid, time),
            Record::Lost { count, time } => self.lost(cpu, count, time, LostCause::RingFull),
            Record::Throttle { on: true, time } => {
                self.throttled_since.insert(cpu, time);
            }
            Record::Throttle { on: false, time } => {
                if let Some(since) = self.throttled_since.remove(&cpu) {
                    let count = time.saturating_sub(since) / self.period_ns;
                    self.lost(cpu, count, time, LostCause::Throttled);
                }
            }
            Record::Other => {}
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let time_ns = self.clock.at(sample.time);
        let Some(thread) = self.thread_of(sample.pid, sample.tid, time_ns) else { return };
        if self.shedding {
            let (since_ns, count) = self.shed.unwrap_or((time_ns, 0));
            self.shed = Some((since_ns, count + 1));
            return;
        }
        let stack = self.stack_of(sample);
        self.batch.push(&Line::Sample(event::Sample {
            time_ns,
            thread,
            stack,
            count: None,
            cpu_ns: None,
            state: ThreadState::Running,
            waited_ns: None,
        }));
        self.totals.samples += 1;
    }

    fn stack_of(&mut self, sample: &Sample<'_>) -> Option<StackId> {
        let mut addresses = std::mem::take(&mut self.addresses);
        addresses.clear();
        let mut stack = None;
        if let Some(user) = sample.user.filter(|user| !user.stack.is_empty()) {
            let process = self.processes.get(&sample.pid)?;
            let mut memory =
                StackMemory::new(sample.pid, user.registers.sp, user.stack, user.is_full, &mut self.chunk);
            let end = process.space.unwind(
                &mut self.unwind_cache,
                user.registers,
                &mut |address| memory.read(address),
                &mut addresses,
            );
            self.pass.saw_deep_stack |= memory.wanted_past_dump();
            match end {
                StackEnd::Complete => self.totals.spliced += u64::from(memory.went_past_dump()),
                StackEnd::Truncated => {
                    self.totals.truncated += 1;
                    let (frame, _) = self.interner.frame(Code::Truncated, &mut self.batch);
                    stack = Some(self.interner.stack(None, frame, &mut self.batch));
                }
            }
            if end == StackEnd::Truncated {
                self.drop_garbage(sample.pid, &mut addresses);
            }
            for &address in addresses.iter().rev() {
                let frame = self.frame_at(sample.pid, address);
                stack = Some(self.interner.stack(stack, frame, &mut self.batch));
            }
        }
        self.addresses = addresses;
        if sample.in_kernel {
            stack = Some(self.kernel_leaf(sample, stack));
        }
        stack
    }

    /// Where unwinding failed, the last return address may be whatever lay on the stack. One that points to no
    /// code of the process was none.
    fn drop_garbage(&self, pid: i32, addresses: &mut Vec<u64>) {
        let Some(process) = self.processes.get(&pid) else { return };
        while addresses.len() > 1 && addresses.last().is_some_and(|&address| !process.has_code_at(address)) {
            addresses.pop();
        }
    }

    fn kernel_leaf(&mut self, sample: &Sample<'_>, mut stack: Option<StackId>) -> StackId {
        let mut chain: Vec<u64> =
            if self.kernel_frames { sample.kernel_chain.addresses().collect() } else { Vec::new() };
        if chain.is_empty() {
            let (frame, _) = self.interner.frame(Code::WholeKernel, &mut self.batch);
            return self.interner.stack(stack, frame, &mut self.batch);
        }
        let mut leaf = 0;
        chain.reverse();
        let innermost = chain.len() - 1;
        for (depth, &address) in chain.iter().enumerate() {
            // Callers are return addresses, and so looked up one byte before.
            let address = if depth == innermost { address } else { address - 1 };
            let (frame, new) = self.interner.frame(Code::Kernel { address }, &mut self.batch);
            if new {
                self.pass.requests.push(Request::Kernel { frame, address });
            }
            leaf = self.interner.stack(stack, frame, &mut self.batch);
            stack = Some(leaf);
        }
        leaf
    }

    fn frame_at(&mut self, pid: i32, address: u64) -> event::FrameId {
        let Some(process) = self.processes.get_mut(&pid) else {
            let (frame, new) = self.interner.frame(Code::Unmapped { process: 0, address }, &mut self.batch);
            self.totals.nameless_frames += u64::from(new);
            return frame;
        };
        if let Some(&frame) = process.codes.get(&address) {
            return frame;
        }
        let mut request = None;
        let code = if let Some((range, svma)) = process.space.find(address) {
            let mapping = self.images.mapping_of(&range.image).unwrap_or(0);
            request = Some((mapping, Arc::clone(&range.image), svma));
            Code::Mapped { mapping, address: svma }
        } else if let Some(&(start, _, offset, mapping)) =
            process.unread.iter().find(|(start, end, ..)| (*start..*end).contains(&address))
        {
            Code::Mapped { mapping, address: address - start + offset }
        } else if process.anonymous.iter().any(|&(start, end)| (start..end).contains(&address)) {
            Code::Jit { process: process.id, address }
        } else {
            Code::Unmapped { process: process.id, address }
        };
        let (frame, new) = self.interner.frame(code, &mut self.batch);
        process.codes.insert(address, frame);
        if new {
            self.totals.nameless_frames += u64::from(request.is_none() && !matches!(code, Code::Jit { .. }));
            match (code, request) {
                (Code::Mapped { .. }, Some((mapping, image, address))) => {
                    self.pass.requests.push(Request::Code { frame, mapping, image, address });
                }
                (Code::Mapped { mapping, address }, None) => self.close_unread(frame, mapping, address),
                (Code::Jit { address, .. }, _) => {
                    let map = Arc::clone(&process.perf_map);
                    self.pass.requests.push(Request::Jit { frame, map, address });
                }
                _ => {}
            }
        }
        frame
    }

    /// The binary could not be read, so no names will come.
    fn close_unread(&mut self, frame: event::FrameId, mapping: MappingId, address: u64) {
        self.batch.push(&Line::Frame(Box::new(event::Frame {
            id: frame,
            kind: event::FrameKind::User,
            mapping: Some(mapping),
            address: Some(Address(address)),
            symbol: event::Symbol::default(),
            reason: Some("unreadable".into()),
            inlined_by: Vec::new(),
        })));
    }

    fn mmap(&mut self, mmap: &Mmap<'_>) {
        let time_ns = self.clock.at(mmap.time);
        let Some(process) = self.processes.get(&mmap.pid) else { return };
        let path = String::from_utf8_lossy(mmap.path);
        let place = Place {
            proc_pid: process.numbers.proc,
            start: mmap.start,
            end: mmap.start.saturating_add(mmap.length),
            device: mmap.device,
            inode: mmap.inode,
            path: &path,
        };
        self.map(mmap.pid, &place, mmap.file_offset, time_ns);
    }

    fn map(&mut self, pid: i32, place: &Place<'_>, file_offset: u64, time_ns: u64) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let (start, end) = (place.start, place.end);
        if process.space.ranges().iter().any(|range| {
            range.start == start
                && range.end == end
                && range.file_offset == file_offset
                && range.image.path().as_os_str() == place.path
        }) {
            return;
        }
        process.codes.clear();
        process.unread.retain(|&(from, to, ..)| to <= start || end <= from);
        process.anonymous.retain(|&(from, to)| to <= start || end <= from);
        let is_file = place.path.starts_with('/') && !place.path.starts_with("//") && place.inode != 0;
        if !is_file && place.path != VDSO {
            process.space.unmap_overlaps(start, end);
            process.anonymous.push((start, end));
            return;
        }
        let binary = self.images.at(place);
        match &binary.image {
            Some(image) => process.space.map(start, end, file_offset, Arc::clone(image)),
            None => {
                process.space.unmap_overlaps(start, end);
                process.unread.push((start, end, file_offset, binary.mapping));
            }
        }
        self.batch.push(&Line::Mapping(Mapping {
            id: binary.mapping,
            time_ns,
            process: process.id,
            start: Address(start),
            end: Address(end),
            file_offset,
            path: binary.path,
            build_id: binary.image.as_ref().and_then(|image| image.build_id()).map(str::to_string),
        }));
    }

    fn read_mappings(&mut self, pid: i32, time_ns: u64) {
        let Some(process) = self.processes.get(&pid) else { return };
        let proc_pid = process.numbers.proc;
        for line in proc::maps(proc_pid).unwrap_or_default().iter().filter(|line| line.executable) {
            let place = Place {
                proc_pid,
                start: line.start,
                end: line.end,
                device: line.device,
                inode: line.inode,
                path: &line.path,
            };
            self.map(pid, &place, line.file_offset, time_ns);
        }
    }

    fn exec(&mut self, pid: i32, name: String, time: u64) {
        let time_ns = self.clock.at(time);
        if self.thread_of(pid, pid, time_ns).is_none() {
            return;
        }
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.space.clear();
        process.unread.clear();
        process.anonymous.clear();
        process.codes.clear();
        process.name = Some(name.clone());
        let is_beginning = self.launched == Some(pid);
        if is_beginning {
            self.launched = None;
        }
        if !is_beginning {
            self.batch.push(&Line::Process(event::Process {
                id: process.id,
                time_ns,
                event: Lifecycle::Exec,
                pid: pid as u32,
                parent: None,
                name: Some(name.clone()),
                command: proc::command(process.numbers.proc),
            }));
        }
        self.rename(pid, pid, name, time);
    }

    fn rename(&mut self, pid: i32, tid: i32, name: String, time: u64) {
        let time_ns = self.clock.at(time);
        let (Some(process), Some(thread)) = (self.processes.get(&pid), self.threads.get(&tid)) else {
            return;
        };
        self.batch.push(&Line::Thread(event::Thread {
            id: thread.id,
            time_ns,
            event: Lifecycle::Name,
            process: process.id,
            tid: tid as u32,
            name: Some(name),
        }));
    }

    fn fork(&mut self, pid: i32, parent_pid: i32, tid: i32, time: u64) {
        let time_ns = self.clock.at(time);
        if pid == parent_pid {
            if self.processes.contains_key(&pid) && !self.threads.contains_key(&tid) {
                let name = self.processes.get(&pid).and_then(|process| process.name.clone());
                self.start_thread(pid, tid, name, time_ns);
            }
            return;
        }
        if !self.follow || self.processes.contains_key(&pid) {
            return;
        }
        let Some(parent) = self.processes.get(&parent_pid) else { return };
        let (id, name) = (parent.id, parent.name.clone());
        let (space, unread, anonymous) =
            (parent.space.fork(), parent.unread.clone(), parent.anonymous.clone());
        let numbers = Numbers { ours: pid, proc: self.proc.proc_pid(pid).unwrap_or(0) };
        self.start_process(numbers, Some(id), name.clone(), Vec::new(), time_ns);
        if let Some(child) = self.processes.get_mut(&pid) {
            child.space = space;
            child.unread = unread;
            child.anonymous = anonymous;
        }
        self.start_thread(pid, tid, name, time_ns);
    }

    fn exit(&mut self, pid: i32, tid: i32, time: u64) {
        let time_ns = self.clock.at(time);
        let Some(thread) = self.threads.remove(&tid) else { return };
        let Some(process) = self.processes.get_mut(&pid) else { return };
        self.batch.push(&Line::Thread(event::Thread {
            id: thread.id,
            time_ns,
            event: Lifecycle::Exit,
            process: process.id,
            tid: tid as u32,
            name: None,
        }));
        process.thread_count = process.thread_count.saturating_sub(1);
        if process.thread_count == 0 {
            self.end_process(pid, time_ns);
        }
    }

    /// The process is gone, with whatever threads were still in the books.
    fn end_process(&mut self, pid: i32, time_ns: u64) {
        let Some(process) = self.processes.remove(&pid) else { return };
        self.threads.retain(|_, thread| thread.process != pid);
        self.batch.push(&Line::Process(event::Process {
            id: process.id,
            time_ns,
            event: Lifecycle::Exit,
            pid: pid as u32,
            parent: None,
            name: None,
            command: Vec::new(),
        }));
        self.pass.changes.push(ProcessChange::Ended { id: process.id });
    }

    fn lost(&mut self, cpu: u32, count: u64, time: u64, cause: LostCause) {
        let time_ns = self.clock.at(time);
        let since_ns = self.last_lost_ns.insert(cpu, time_ns);
        self.totals.lost += count;
        self.stale_mappings |= cause == LostCause::RingFull;
        self.batch.push(&Line::Lost(Lost { time_ns, since_ns, count, cause, cpu: Some(cpu) }));
    }

    /// The thread of a sample; one whose beginning was lost is looked up now.
    fn thread_of(&mut self, pid: i32, tid: i32, time_ns: u64) -> Option<ThreadId> {
        if let Some(thread) = self.threads.get(&tid) {
            return Some(thread.id);
        }
        // The kernel says -1 when the task is already gone, and 0 for one outside our namespace.
        if pid <= 0 || tid <= 0 {
            return None;
        }
        if !self.processes.contains_key(&pid) {
            let numbers = Numbers { ours: pid, proc: self.proc.proc_pid(pid).unwrap_or(0) };
            self.add_running(numbers, None, time_ns);
        }
        if !self.threads.contains_key(&tid) {
            self.start_thread(pid, tid, None, time_ns);
        }
        self.threads.get(&tid).map(|thread| thread.id)
    }

    fn start_process(
        &mut self,
        numbers: Numbers,
        parent: Option<ProcessId>,
        name: Option<String>,
        command: Vec<String>,
        time_ns: u64,
    ) {
        self.process_count += 1;
        let id = self.process_count;
        self.batch.push(&Line::Process(event::Process {
            id,
            time_ns,
            event: Lifecycle::Start,
            pid: numbers.ours as u32,
            parent,
            name: name.clone(),
            command,
        }));
        self.pass.changes.push(ProcessChange::Started { id, numbers });
        let process = Process {
            id,
            numbers,
            name,
            space: AddressSpace::new(),
            unread: Vec::new(),
            anonymous: Vec::new(),
            codes: FxHashMap::default(),
            perf_map: proc::perf_map_path(numbers.proc),
            thread_count: 0,
        };
        self.processes.insert(numbers.ours, process);
    }

    fn start_thread(&mut self, pid: i32, tid: i32, name: Option<String>, time_ns: u64) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.thread_count += 1;
        self.thread_count += 1;
        let id = self.thread_count;
        self.threads.insert(tid, Thread { id, process: pid });
        self.batch.push(&Line::Thread(event::Thread {
            id,
            time_ns,
            event: Lifecycle::Start,
            process: process.id,
            tid: tid as u32,
            name,
        }));
    }
}
