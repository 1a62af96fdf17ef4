//! The whole story of a recording: hold the target, open what watches it, let it go, collect until the end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use nix::sys::wait::WaitPidFlag;
use rs_cli::{Exit, Output, OutputKind, note, units, warn};
use rs_schema::event::{Build, End, EndReason, Line};

use crate::args::RecordArgs;
use crate::backend::linux::{PerfSampler, SamplerOptions};
use crate::clock::{SessionClock, monotonic_ns};
use crate::collect::{Collector, CollectorOptions, ProcessChange, Totals};
use crate::header::{HeaderParts, header};
use crate::marks::Marks;
use crate::output::{Queue, Writer};
use crate::pace::Pace;
use crate::stop::StopSignals;
use crate::symbols::SymbolThread;
use crate::target::attach;
use crate::target::cargo;
use crate::target::launch::{self, Child, ChildEnd, HeldChild};
use crate::target::proc::{self, Numbers, ProcFs};
use crate::watch::{Watch, WatchOptions};
use crate::{binary, doctor, environment, metrics};

/// The pace at which a ring is read that would wake us all the time.
const HUNG_UP_PAUSE: Duration = Duration::from_micros(500);
/// Where to send the events, for whoever forgets.
const PIPES: &[&str] = &["rs-record -- ./app | rs-rollup > s.json", "rs-record -- ./app | rs-export --text"];

/// The usual reason is a limit on processes, which counts threads.
const NO_THREAD: &str = "cannot start a thread (see ulimit -u)";

/// Who is recorded.
enum Target {
    Held(HeldChild),
    Running,
}

/// Records as the command line says, and returns the status to exit with.
///
/// # Errors
/// When nothing can be recorded, with what would help.
pub(crate) fn record(args: RecordArgs) -> anyhow::Result<Exit> {
    let command = command(&args)?;
    let signals = StopSignals::hold()?;
    let output = Output::create(args.output.as_deref(), OutputKind::Data, PIPES)?;
    let proc_fs = ProcFs::mounted()?;
    let marks = marks(&args)?;
    let clock = SessionClock::start();

    // The target, held or found.
    let (target, numbers) = match (&command, args.pid) {
        (Some(command), _) => {
            let divert_stdout = output.is_stdout();
            if divert_stdout {
                note!("stdout carries the events, so what the program prints goes to stderr");
            }
            if let Some(marks) = &marks {
                // SAFETY: no other thread runs yet that could read the environment at the same time.
                unsafe { std::env::set_var("RUSTSCOPE_MARKS", marks.path()) };
            }
            let directory = command.directory.as_deref();
            let child = launch::hold(&command.words, directory, divert_stdout, signals.original())?;
            let numbers = Numbers { ours: child.pid(), proc: proc_fs.proc_pid(child.pid())? };
            (Target::Held(child), numbers)
        }
        (None, Some(pid)) => (Target::Running, attach::find(&proc_fs, pid)?),
        (None, None) => unreachable!("the command line asks for a target"),
    };
    let ended = proc::pidfd_open(numbers.ours).context("cannot watch for the end of the target")?;

    // Everything that watches it.
    let options = SamplerOptions {
        period_ns: 1_000_000_000 / u64::from(args.rate),
        kernel_frames: args.kernel,
        follow: !args.no_follow,
        on_exec: matches!(target, Target::Held(_)),
        syscalls: args.syscalls,
    };
    let writer = Writer::start(output).context(NO_THREAD)?;
    let queue = writer.queue();
    let collector_options = CollectorOptions {
        period_ns: options.period_ns,
        kernel_frames: options.kernel_frames,
        follow: options.follow,
    };
    let mut collector = Collector::new(clock, queue.clone(), proc_fs, collector_options);
    let opened = match &target {
        Target::Held(_) => {
            collector.add_launched(
                numbers,
                &command.as_ref().map(|command| command.words.clone()).unwrap_or_default(),
            );
            PerfSampler::open(numbers.ours, &options)
        }
        Target::Running => attach::attach(numbers, &options, &proc_fs, &clock, &mut collector),
    };
    let mut sampler = match opened {
        Ok(sampler) => Ok(sampler),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            anyhow::bail!("process {} has ended", numbers.ours)
        }
        Err(error) => Err(no_samples(&error)),
    };
    if let Err(reason) = &sampler {
        warn!("{reason}");
        if matches!(target, Target::Running) {
            collector.add_running(numbers, None, clock.now_ns());
        }
    }
    if let Ok(sampler) = &sampler {
        if let Some(error) = sampler.kernel_refusal() {
            note!("time in the kernel is not sampled: {}", doctor::explain_refusal(error, false));
        }
        if let Some(error) = sampler.syscall_refusal() {
            warn!("system calls are not counted: {error}");
        }
    }
    let parts = header_parts(&args, command.as_ref(), numbers);
    queue.send_line(&header(parts, &clock, sampler.as_ref().map_err(String::as_str)));
    let watch_options = WatchOptions {
        interval: args.metrics_interval,
        spikes: args.spike.clone(),
        marks,
        syscalls: sampler.as_mut().ok().and_then(PerfSampler::take_syscall_counter),
    };
    let watch = Watch::start(watch_options, clock, queue.clone()).context(NO_THREAD)?;
    let symbols = SymbolThread::start(queue.clone()).context(NO_THREAD)?;

    let pace = Pace::new(sampler.as_ref().map_or(Duration::MAX, PerfSampler::patience));
    let mut recording =
        Recording { pace, sampler: sampler.ok(), collector, symbols, watch, target: numbers, queue };
    recording.hand_on();

    // Let it go.
    let child = match target {
        Target::Held(held) => {
            Some(held.release(command.as_ref().map_or("", |command| command.words[0].as_str()))?)
        }
        Target::Running => None,
    };
    let deadline = args.duration.map(|duration| Instant::now() + duration);
    let outcome = recording.run(&signals, &ended, child.as_ref(), deadline)?;
    let summary = recording.finish(&clock, &outcome)?;
    let written = writer.finish();

    finish_output(written, &outcome)?;
    summary.tell(&args, command.as_ref(), numbers.ours);
    leave(child, &outcome, &signals, &args)
}

/// Where marks come from. Marks that nobody asked for do not cost the recording.
fn marks(args: &RecordArgs) -> anyhow::Result<Option<Marks>> {
    if let Some(path) = &args.marks {
        let marks =
            Marks::open(path).with_context(|| format!("cannot take marks from {}", path.display()))?;
        return Ok(Some(marks));
    }
    match Marks::create() {
        Ok(marks) => Ok(Some(marks)),
        Err(error) => {
            let folder = std::env::temp_dir();
            warn!("no marks: cannot make a FIFO in {} ({error}); set TMPDIR", folder.display());
            Ok(None)
        }
    }
}

/// What is launched.
struct Program {
    words: Vec<String>,
    /// The file that will be executed, where it could be found.
    path: Option<PathBuf>,
    cargo_profile: Option<String>,
    /// Where it runs; `None` for here.
    directory: Option<PathBuf>,
}

/// The command to launch, built first if cargo is to build it; `None` to attach.
fn command(args: &RecordArgs) -> anyhow::Result<Option<Program>> {
    let Some(target) = args.cargo.target() else {
        let words = args.program.clone();
        let Some(first) = words.first() else { return Ok(None) };
        let path = launch::find(first);
        return Ok(Some(Program { words, path, cargo_profile: None, directory: None }));
    };
    let built = cargo::build(&target)?;
    let mut words = vec![built.path.to_string_lossy().into_owned()];
    words.extend(built.arguments);
    words.extend(args.program.iter().cloned());
    Ok(Some(Program {
        words,
        path: Some(built.path),
        cargo_profile: Some(built.cargo_profile),
        directory: built.directory,
    }))
}

fn header_parts(args: &RecordArgs, command: Option<&Program>, numbers: Numbers) -> HeaderParts {
    let tags: BTreeMap<String, String> = args.tags.iter().cloned().collect();
    HeaderParts {
        command: command.map_or_else(|| proc::command(numbers.proc), |program| program.words.clone()),
        pid: numbers.ours,
        name: args.name.clone(),
        build: build(command, numbers, &tags),
        tags: environment::tags(tags),
        environment: environment::allowed(&args.environment),
        rate_hz: args.rate,
        metrics_interval_ns: args.metrics_interval.as_nanos() as u64,
        spikes: args.spike.header(),
        capabilities: metrics::capabilities(numbers.ours, numbers.proc),
    }
}

/// What is known of the target's binary.
fn build(command: Option<&Program>, numbers: Numbers, tags: &BTreeMap<String, String>) -> Build {
    let exe = match command {
        Some(program) => program.path.clone(),
        None => proc::exe(numbers.proc),
    };
    let mut build = exe.map_or_else(Build::default, |exe| {
        // Through /proc the file is found in other mount namespaces, and after it was replaced.
        let file = match command {
            Some(_) => File::open(&exe),
            None => File::open(format!("/proc/{}/exe", numbers.proc)),
        };
        let image = file.ok().and_then(|file| rs_symbol::Image::open(file, &exe).ok());
        binary::build_of(&exe, image.as_ref())
    });
    if let Some(profile) = command.and_then(|program| program.cargo_profile.clone()) {
        build.profile = Some(profile);
    }
    let directory = command.map(|program| program.directory.clone().unwrap_or_else(|| PathBuf::from(".")));
    if let Some(found) = environment::git_commit(tags, directory.as_deref()) {
        build.git_commit = Some(found.commit);
        build.git_commit_source = Some(found.source.into());
    }
    build
}

/// Why there are no samples, and what would allow them.
fn no_samples(error: &io::Error) -> String {
    format!("no stack samples, only metrics: {}", doctor::explain_refusal(error, true))
}

/// Why and how recording ended.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    reason: EndReason,
    child: Option<ChildEnd>,
    /// Told to leave a launched child to itself.
    leave_child: bool,
    /// The reader of the stream is gone.
    downstream: Option<io::ErrorKind>,
}

struct Recording {
    sampler: Option<PerfSampler>,
    collector: Collector,
    symbols: SymbolThread,
    watch: Watch,
    target: Numbers,
    queue: Queue,
    pace: Pace,
}

impl Recording {
    /// Collects until the target ends, the time is over, or somebody says stop.
    fn run(
        &mut self,
        signals: &StopSignals,
        ended: &OwnedFd,
        child: Option<&Child>,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Outcome> {
        let mut outcome =
            Outcome { reason: EndReason::Detached, child: None, leave_child: false, downstream: None };
        let mut asked_before = None;
        let end = |reason, outcome: Outcome| Ok(Outcome { reason, ..outcome });
        loop {
            self.wait(signals, ended, deadline)?;
            while let Some(stop) = signals.next() {
                let Some(child) = child else { return end(EndReason::Signal, outcome) };
                if asked_before == Some(Signal::SIGHUP) && stop.signal == Signal::SIGHUP {
                    // A closing terminal hangs up twice: the shell tells its jobs, then the kernel.
                    continue;
                }
                if asked_before.is_some() {
                    outcome.leave_child = true;
                    return end(EndReason::Signal, outcome);
                }
                // The child was told too, by the terminal or now by us; it decides when the recording ends.
                asked_before = Some(stop.signal);
                if !stop.from_terminal {
                    child.signal(stop.signal);
                }
            }
            if is_readable(ended)? {
                self.pass(u64::MAX);
                // Its last reading comes before it is collected: a zombie's CPU clock can still be read.
                if let Some((id, _)) =
                    self.collector.live_processes().into_iter().find(|(_, numbers)| *numbers == self.target)
                {
                    self.watch.remove_process(id);
                }
                outcome.child = child.and_then(|child| child.wait(WaitPidFlag::empty()));
                return end(EndReason::Exit, outcome);
            }
            self.pass(monotonic_ns().saturating_sub(self.pace.settle().as_nanos() as u64));
            if let Some(kind) = self.queue.broken() {
                outcome.downstream = Some(kind);
                return end(EndReason::StoppedDownstream, outcome);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return end(EndReason::Duration, outcome);
            }
        }
    }

    /// Waits until there may be something to do.
    fn wait(&self, signals: &StopSignals, ended: &OwnedFd, deadline: Option<Instant>) -> io::Result<()> {
        let until_deadline =
            deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = self.pace.timeout().min(until_deadline);
        let mut polled = vec![
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        ];
        if self.pace.is_deep() {
            let rings = self.sampler.iter().flat_map(PerfSampler::ring_events);
            polled.extend(rings.map(|event| PollFd::new(event.as_fd(), PollFlags::POLLIN)));
        }
        match ppoll(&mut polled, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let hung_up =
            |ring: &PollFd<'_>| ring.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP));
        if polled.iter().skip(2).any(hung_up) && !is_readable(ended)? {
            // A ring hangs up when its own thread ends, though others still write to it, and would wake us
            // without pause from now on.
            std::thread::sleep(timeout.min(HUNG_UP_PAUSE));
        }
        Ok(())
    }

    /// Takes what the rings hold, up to a time.
    fn pass(&mut self, until: u64) {
        if let Some(sampler) = &mut self.sampler {
            let collector = &mut self.collector;
            sampler.drain(until, |cpu, record| collector.handle(cpu, record));
        }
        self.hand_on();
        if self.sampler.is_some() {
            self.queue.sampled_until(self.collector.session_time(until));
        }
    }

    /// Hands on what a pass brought: lines first, then what refers to them.
    fn hand_on(&mut self) {
        let pass = self.collector.flush();
        if pass.saw_deep_stack {
            self.pace.saw_deep_stack();
        }
        for request in pass.requests {
            self.symbols.ask(request);
        }
        for change in pass.changes {
            match change {
                ProcessChange::Started { id, numbers } => {
                    self.watch.add_process(id, numbers.ours, numbers.proc, numbers == self.target);
                }
                ProcessChange::Ended { id } => self.watch.remove_process(id),
            }
        }
    }

    /// Drains, waits for names, and writes the end.
    fn finish(mut self, clock: &SessionClock, outcome: &Outcome) -> anyhow::Result<Summary> {
        self.pass(u64::MAX);
        let sampled_cpu_ns = self.sampler.as_ref().and_then(PerfSampler::cpu_ns);
        // Closed before anything else is done: the target runs on without us from here.
        drop(self.sampler.take());
        let watched = self.watch.finish();
        let (mut late, unresolved_frame_count) = self.symbols.finish();
        self.queue.send(&mut late);
        let totals = self.collector.totals();
        let (recorder_cpu_ns, recorder_peak_rss_bytes) = own_use();
        let (exit_code, signal) = match outcome.child {
            Some(ChildEnd::Exited(code)) => (Some(code), None),
            Some(ChildEnd::Signalled(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let time_ns = clock.now_ns();
        self.queue.send_line(&Line::End(End {
            time_ns,
            reason: outcome.reason,
            exit_code,
            signal,
            sample_count: totals.samples,
            lost_count: totals.lost,
            dropped_count: totals.dropped,
            truncated_count: totals.truncated,
            spliced_count: totals.spliced,
            unresolved_frame_count: unresolved_frame_count + totals.nameless_frames,
            process_cpu_ns: sampled_cpu_ns.or(Some(watched.process_cpu_ns)),
            recorder_cpu_ns: Some(recorder_cpu_ns),
            recorder_peak_rss_bytes: Some(recorder_peak_rss_bytes),
        }));
        Ok(Summary { totals, mark_count: watched.marks.mark_count, duration_ns: time_ns, recorder_cpu_ns })
    }
}

/// Whether a descriptor has something now.
fn is_readable(fd: &OwnedFd) -> io::Result<bool> {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut polled, PollTimeout::ZERO)? > 0)
}

/// CPU time and peak resident memory of this process.
fn own_use() -> (u64, u64) {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return (0, 0) };
    let cpu = usage.user_time() + usage.system_time();
    (cpu.num_microseconds() as u64 * 1000, usage.max_rss() as u64 * 1024)
}

/// Takes the output back and puts it in place. A reader that went away is no failure.
fn finish_output(written: io::Result<Output>, outcome: &Outcome) -> anyhow::Result<()> {
    match written {
        Ok(output) => output.finish(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(_) if outcome.downstream == Some(io::ErrorKind::BrokenPipe) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Leaves the target: an attached one runs on, a launched one is waited for unless we were told to go.
fn leave(
    child: Option<Child>,
    outcome: &Outcome,
    signals: &StopSignals,
    args: &RecordArgs,
) -> anyhow::Result<Exit> {
    let Some(child) = child else { return Ok(Exit::Ok) };
    if let Some(end) = outcome.child {
        return Ok(end.exit());
    }
    if outcome.leave_child {
        note!("left {} running", args.program.first().map_or("the program", String::as_str));
        return Ok(Exit::Ok);
    }
    note!("recording has ended; waiting for the program (Ctrl-C twice to leave it)");
    let mut asked_before = false;
    loop {
        if let Some(end) = child.wait(WaitPidFlag::WNOHANG) {
            return Ok(end.exit());
        }
        while let Some(stop) = signals.next() {
            if std::mem::replace(&mut asked_before, true) {
                return Ok(Exit::Ok);
            }
            if !stop.from_terminal {
                child.signal(stop.signal);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a person is told in the end.
struct Summary {
    totals: Totals,
    mark_count: u64,
    duration_ns: u64,
    recorder_cpu_ns: u64,
}

impl Summary {
    fn tell(&self, args: &RecordArgs, command: Option<&Program>, pid: i32) {
        let Totals { samples, lost, dropped, truncated, .. } = self.totals;
        let whom = command.map_or_else(|| format!("process {pid}"), |program| program.words[0].clone());
        let duration = units::show_duration(Duration::from_nanos(self.duration_ns));
        let overhead = self.recorder_cpu_ns as f64 / self.duration_ns.max(1) as f64 * 100.0;
        let mut text = format!(
            "{} {} of {whom} in {duration}",
            units::show_count(samples),
            if samples == 1 { "sample" } else { "samples" }
        );
        for (count, what) in [(lost, "lost"), (dropped, "dropped"), (truncated, "truncated")] {
            if count > 0 {
                text += &format!(", {} {what}", units::show_count(count));
            }
        }
        if self.mark_count > 0 {
            text += &format!(", {} marks", units::show_count(self.mark_count));
        }
        text += &format!("; recorder used {overhead:.1} % of a core");
        if let Some(file) = &args.output {
            text += &format!("; events in {}", file.display());
        }
        note!("{text}");
    }
}
