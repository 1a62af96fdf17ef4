//! Spikes: rules from the command line, and the detectors that watch one process's metrics for them.
//!
//! Spikes are detected here and nowhere else, so that every reader of a stream sees the same events.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use rs_cli::units;
use rs_schema::event::{Event, EventKind, Metrics, ProcessId};
use rs_schema::units::Quantity;

/// How far back a rise may have begun.
const LOOKBACK_TICKS: usize = 5;
/// Readings without a new maximum that end a rise.
const RISE_CALM_TICKS: u32 = 3;
/// By how much a maximum must exceed the last one to count as new, as a part of the threshold.
const NEW_MAXIMUM_PART: f64 = 1.0 / 8.0;
/// Below this part of its level a rate is calm.
const CALM_PART: f64 = 0.8;
/// Calm readings that end a time above a level.
const LEVEL_CALM_TICKS: u32 = 2;

/// When a metric's rise or height is an event; `None` is never.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpikeRules {
    /// Rise of resident memory, in bytes.
    memory_bytes: Option<u64>,
    /// Height of CPU use, in cores.
    cpu_ratio: Option<f64>,
    /// Rise of the number of threads.
    thread_count: Option<u64>,
    /// Rise of the number of open file descriptors.
    fd_count: Option<u64>,
    /// Height of the rate of system calls, or of read and write calls where those are all that is known.
    syscalls_per_s: Option<u64>,
}

impl Default for SpikeRules {
    fn default() -> Self {
        SpikeRules {
            memory_bytes: Some(5 << 20),
            cpu_ratio: Some(0.8),
            thread_count: Some(8),
            fd_count: Some(64),
            syscalls_per_s: Some(20_000),
        }
    }
}

impl SpikeRules {
    const OFF: SpikeRules = SpikeRules {
        memory_bytes: None,
        cpu_ratio: None,
        thread_count: None,
        fd_count: None,
        syscalls_per_s: None,
    };

    /// The thresholds as the header has them, by event kind; a rule that is off is absent.
    pub(crate) fn header(&self) -> BTreeMap<String, Quantity> {
        self.thresholds().map(|(kind, threshold)| (kind.as_str().to_owned(), threshold)).collect()
    }

    fn thresholds(&self) -> impl Iterator<Item = (EventKind, Quantity)> {
        let integer = |count: Option<u64>| count.map(Quantity::Integer);
        [
            (EventKind::MemorySpike, integer(self.memory_bytes)),
            (EventKind::CpuSpike, self.cpu_ratio.map(Quantity::Fraction)),
            (EventKind::ThreadBurst, integer(self.thread_count)),
            (EventKind::FdGrowth, integer(self.fd_count)),
            (EventKind::SyscallBurst, integer(self.syscalls_per_s)),
        ]
        .into_iter()
        .filter_map(|(kind, threshold)| Some((kind, threshold?)))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), RuleError> {
        let fault = |why: String| RuleError::Value { name: name.to_owned(), why };
        let count = || match value.parse() {
            Ok(0) => Err(fault("0 would make everything an event; use off".into())),
            Ok(count) => Ok(count),
            Err(_) => Err(fault(format!("`{value}` is not a whole number"))),
        };
        let off = value == "off";
        match name {
            _ if !NAMES.contains(&name) => return Err(RuleError::Name(name.to_owned())),
            "memory" if off => self.memory_bytes = None,
            "memory" => match units::parse_size(value) {
                Ok(0) => return Err(fault("0 would make everything an event; use off".into())),
                Ok(bytes) => self.memory_bytes = Some(bytes),
                Err(error) => return Err(fault(error.to_string())),
            },
            "cpu" if off => self.cpu_ratio = None,
            // Without the sign 0.8 might mean 0.8 cores or 0.8 %.
            "cpu" if !value.ends_with('%') => {
                return Err(fault(format!("`{value}` has no unit; write for example 80% (of one core)")));
            }
            "cpu" => match units::parse_percent(value) {
                Ok(percent) if percent > 0.0 => self.cpu_ratio = Some(percent / 100.0),
                Ok(_) => return Err(fault("0% would make everything an event; use off".into())),
                Err(error) => return Err(fault(error.to_string())),
            },
            "threads" => self.thread_count = if off { None } else { Some(count()?) },
            "fds" => self.fd_count = if off { None } else { Some(count()?) },
            _ => self.syscalls_per_s = if off { None } else { Some(count()?) },
        }
        Ok(())
    }
}

const NAMES: [&str; 5] = ["memory", "cpu", "threads", "fds", "syscalls"];

/// Why rules are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RuleError {
    /// Not of the form `name=value`.
    Form(String),
    /// No rule of that name.
    Name(String),
    /// The same rule twice.
    Twice(String),
    /// A value that the rule cannot have.
    Value { name: String, why: String },
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.join(", ");
        match self {
            RuleError::Form(text) => {
                write!(f, "`{text}` is no rule; write for example memory=5MiB,cpu=80%, or off for none")
            }
            RuleError::Name(name) => write!(f, "there is no rule `{name}`; use one of {names}"),
            RuleError::Twice(name) => write!(f, "{name} is given twice"),
            RuleError::Value { name, why } => write!(f, "{name}: {why}"),
        }
    }
}

impl std::error::Error for RuleError {}

impl FromStr for SpikeRules {
    type Err = RuleError;

    /// `memory=5MiB,cpu=off`: what is not named keeps its default. `off` turns all off, and in front of others
    /// all but those.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut rules = SpikeRules::default();
        let mut seen = Vec::new();
        for (at, rule) in text.split(',').map(str::trim).enumerate() {
            if rule == "off" && at == 0 {
                rules = SpikeRules::OFF;
                continue;
            }
            let (name, value) = rule.split_once('=').ok_or_else(|| RuleError::Form(rule.to_owned()))?;
            let (name, value) = (name.trim(), value.trim());
            if seen.contains(&name) {
                return Err(RuleError::Twice(name.to_owned()));
            }
            seen.push(name);
            rules.set(name, value)?;
        }
        Ok(rules)
    }
}

impl fmt::Display for SpikeRules {
    /// As it can be typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_off = |text: Option<String>| text.unwrap_or_else(|| "off".to_owned());
        let memory = or_off(self.memory_bytes.map(exact_size));
        let cpu = or_off(self.cpu_ratio.map(|ratio| format!("{}%", ratio * 100.0)));
        let count = |count: Option<u64>| or_off(count.map(|count| count.to_string()));
        let (threads, fds, syscalls) =
            (count(self.thread_count), count(self.fd_count), count(self.syscalls_per_s));
        write!(f, "memory={memory},cpu={cpu},threads={threads},fds={fds},syscalls={syscalls}")
    }
}

/// In the largest unit that gives a whole number.
fn exact_size(bytes: u64) -> String {
    let (amount, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| bytes.trailing_zeros() >= *shift)
        .map_or((bytes, "B"), |(shift, unit)| (bytes >> shift, unit));
    format!("{amount}{unit}")
}

/// A metric's excursion: from the last observation before it to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Excursion {
    /// When it was seen to be one.
    seen_ns: u64,
    start_ns: u64,
    before: f64,
    /// Highest so far.
    value: f64,
    /// Where it stopped, or was last seen to go on.
    end_ns: u64,
}

/// What an observation made known.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Began(Excursion),
    Over(Excursion),
}

/// Finds rises of a gauge. A rise goes on while new maxima keep coming; then its peak is the new base, so that a
/// plateau is no second event and a further rise from it is.
#[derive(Debug)]
struct RiseDetector {
    threshold: f64,
    /// The last observations before this one: (time, value).
    history: VecDeque<(u64, f64)>,
    rise: Option<Rise>,
}

#[derive(Debug)]
struct Rise {
    excursion: Excursion,
    /// The last maximum that counted as new.
    maximum: f64,
    calm_ticks: u32,
}

impl RiseDetector {
    fn new(threshold: f64) -> Self {
        RiseDetector { threshold, history: VecDeque::with_capacity(LOOKBACK_TICKS), rise: None }
    }

    fn observe(&mut self, time_ns: u64, value: f64) -> Option<Change> {
        let goes_on = self.rise.as_mut().map(|rise| rise.goes_on(time_ns, value, self.threshold));
        let change = match goes_on {
            None => self.begin(time_ns, value),
            Some(true) => None,
            Some(false) => self.finish(),
        };
        if self.history.len() == LOOKBACK_TICKS {
            self.history.pop_front();
        }
        self.history.push_back((time_ns, value));
        change
    }

    fn begin(&mut self, time_ns: u64, value: f64) -> Option<Change> {
        // The latest of the observations from which it is a rise: the tightest window around it.
        let (start_ns, before) =
            self.history.iter().rev().copied().find(|(_, before)| value - before >= self.threshold)?;
        let excursion = Excursion { seen_ns: time_ns, start_ns, before, value, end_ns: time_ns };
        self.rise = Some(Rise { excursion, maximum: value, calm_ticks: 0 });
        Some(Change::Began(excursion))
    }

    /// Ends what goes on.
    fn finish(&mut self) -> Option<Change> {
        let excursion = self.rise.take()?.excursion;
        self.history.retain(|(time_ns, _)| *time_ns >= excursion.end_ns);
        Some(Change::Over(excursion))
    }
}

impl Rise {
    fn goes_on(&mut self, time_ns: u64, value: f64, threshold: f64) -> bool {
        if value > self.excursion.value {
            self.excursion.value = value;
            self.excursion.end_ns = time_ns;
        }
        if value >= self.maximum + threshold * NEW_MAXIMUM_PART {
            self.maximum = value;
            self.calm_ticks = 0;
        } else {
            self.calm_ticks += 1;
        }
        self.calm_ticks < RISE_CALM_TICKS
    }
}

/// Finds times in which a rate is high. It must have been calm before: a program that is busy from the start
/// on has no spike.
#[derive(Debug)]
struct LevelDetector {
    level: f64,
    /// The last calm observation: (time, value).
    calm: Option<(u64, f64)>,
    above: Option<Above>,
}

#[derive(Debug)]
struct Above {
    excursion: Excursion,
    calm_ticks: u32,
}

impl LevelDetector {
    fn new(level: f64) -> Self {
        LevelDetector { level, calm: None, above: None }
    }

    fn observe(&mut self, time_ns: u64, value: f64) -> Option<Change> {
        let is_calm = value < self.level * CALM_PART;
        let mut change = None;
        match self.above.as_mut() {
            Some(above) if is_calm => {
                above.calm_ticks += 1;
                if above.calm_ticks == LEVEL_CALM_TICKS {
                    change = self.finish();
                }
            }
            Some(Above { excursion, calm_ticks }) => {
                *calm_ticks = 0;
                excursion.value = excursion.value.max(value);
                excursion.end_ns = time_ns;
            }
            None if value >= self.level => {
                if let Some((start_ns, before)) = self.calm {
                    let excursion = Excursion { seen_ns: time_ns, start_ns, before, value, end_ns: time_ns };
                    self.above = Some(Above { excursion, calm_ticks: 0 });
                    change = Some(Change::Began(excursion));
                }
            }
            None => {}
        }
        if is_calm {
            self.calm = Some((time_ns, value));
        }
        change
    }

    /// Ends what goes on.
    fn finish(&mut self) -> Option<Change> {
        self.above.take().map(|above| Change::Over(above.excursion))
    }
}

/// The detectors of one process.
pub(crate) struct Spikes {
    process: ProcessId,
    detectors: Vec<Detector>,
}

struct Detector {
    kind: EventKind,
    threshold: Quantity,
    shape: Shape,
    /// Id and metric of the event that goes on.
    open: Option<(u32, &'static str)>,
}

enum Shape {
    Rise(RiseDetector),
    Level(LevelDetector),
}

impl Spikes {
    /// Detectors for `process` by `rules`.
    pub(crate) fn new(process: ProcessId, rules: &SpikeRules) -> Self {
        let detectors = rules
            .thresholds()
            .map(|(kind, threshold)| {
                let shape = match kind {
                    EventKind::CpuSpike | EventKind::SyscallBurst => {
                        Shape::Level(LevelDetector::new(threshold.as_f64()))
                    }
                    _ => Shape::Rise(RiseDetector::new(threshold.as_f64())),
                };
                Detector { kind, threshold, shape, open: None }
            })
            .collect();
        Spikes { process, detectors }
    }

    /// Takes a reading; gives the events that begin or end with it to `emit`. A new event takes its id from
    /// `next_id`.
    pub(crate) fn observe(
        &mut self,
        metrics: &Metrics,
        mut next_id: impl FnMut() -> u32,
        mut emit: impl FnMut(Event),
    ) {
        for detector in &mut self.detectors {
            let Some((metric, value)) = observed(detector.kind, metrics) else { continue };
            let change = match &mut detector.shape {
                Shape::Rise(rise) => rise.observe(metrics.time_ns, value),
                Shape::Level(level) => level.observe(metrics.time_ns, value),
            };
            if let Some(Change::Began(_)) = change {
                detector.open = Some((next_id(), metric));
            }
            change.and_then(|change| detector.event(self.process, change)).map(&mut emit);
        }
    }

    /// Ends what goes on: there will be no more readings.
    pub(crate) fn finish(&mut self, mut emit: impl FnMut(Event)) {
        for detector in &mut self.detectors {
            let change = match &mut detector.shape {
                Shape::Rise(rise) => rise.finish(),
                Shape::Level(level) => level.finish(),
            };
            change.and_then(|change| detector.event(self.process, change)).map(&mut emit);
        }
    }
}

impl Detector {
    fn event(&mut self, process: ProcessId, change: Change) -> Option<Event> {
        let (excursion, end_ns) = match change {
            Change::Began(excursion) => (excursion, None),
            Change::Over(excursion) => (excursion, Some(excursion.end_ns)),
        };
        let (id, metric) = if end_ns.is_none() { self.open } else { self.open.take() }?;
        let quantity = |value: f64| match metric {
            "cpu_ratio" | "syscalls_per_s" | "io_calls_per_s" => Quantity::Fraction(value),
            _ => Quantity::Integer(value as u64),
        };
        Some(Event {
            id,
            time_ns: excursion.seen_ns,
            kind: self.kind,
            process: Some(process),
            metric: Some(metric.to_owned()),
            start_ns: Some(excursion.start_ns),
            end_ns,
            before: Some(quantity(excursion.before)),
            value: Some(quantity(excursion.value)),
            threshold: Some(self.threshold),
            name: None,
            text: None,
            count: None,
            unit: None,
        })
    }
}

/// What an event of this kind looks at: the metric's name and its value, if known.
fn observed(kind: EventKind, metrics: &Metrics) -> Option<(&'static str, f64)> {
    let gauge = |name, value: Option<u64>| Some((name, value? as f64));
    match kind {
        EventKind::MemorySpike => gauge("rss_bytes", metrics.rss_bytes),
        EventKind::CpuSpike => Some(("cpu_ratio", metrics.cpu_ratio?)),
        EventKind::ThreadBurst => gauge("thread_count", metrics.thread_count),
        EventKind::FdGrowth => gauge("open_fd_count", metrics.open_fd_count),
        EventKind::SyscallBurst => {
            let (name, count) = match metrics.syscall_count {
                Some(count) => ("syscalls_per_s", count),
                None => ("io_calls_per_s", metrics.read_call_count? + metrics.write_call_count?),
            };
            let interval_s = metrics.interval_ns as f64 / 1e9;
            (interval_s > 0.0).then(|| (name, count as f64 / interval_s))
        }
        EventKind::Marker | EventKind::Phase | EventKind::Work | EventKind::Budget => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Result<SpikeRules, String> {
        text.parse().map_err(|error: RuleError| error.to_string())
    }

    #[test]
    fn rules() {
        let rules = parsed("memory=10MiB, cpu=150%,threads=off").unwrap();
        let expected = SpikeRules {
            memory_bytes: Some(10 << 20),
            cpu_ratio: Some(1.5),
            thread_count: None,
            ..SpikeRules::default()
        };
        assert_eq!(rules, expected);
        assert_eq!(parsed("off").unwrap(), SpikeRules::OFF);
        assert_eq!(parsed("off,fds=3").unwrap(), SpikeRules { fd_count: Some(3), ..SpikeRules::OFF });
        assert_eq!(SpikeRules::default().to_string(), "memory=5MiB,cpu=80%,threads=8,fds=64,syscalls=20000");
        for text in ["off", "memory=1000B,cpu=12.5%", "memory=3KiB", "memory=2GiB,syscalls=1"] {
            let rules = parsed(text).unwrap();
            assert_eq!(parsed(&rules.to_string()).unwrap(), rules, "{text}");
        }
    }

    #[test]
    fn rules_that_are_none() {
        for (text, message) in [
            ("", "`` is no rule; write for example memory=5MiB,cpu=80%, or off for none"),
            ("memory", "`memory` is no rule; write for example memory=5MiB,cpu=80%, or off for none"),
            ("fds=3,off", "`off` is no rule; write for example memory=5MiB,cpu=80%, or off for none"),
            ("disk=3", "there is no rule `disk`; use one of memory, cpu, threads, fds, syscalls"),
            ("fds=3,fds=4", "fds is given twice"),
            ("fds=0", "fds: 0 would make everything an event; use off"),
            ("fds=-3", "fds: `-3` is not a whole number"),
            ("memory=5", "memory: `5` has no unit; write for example 5MiB"),
            ("memory=0", "memory: 0 would make everything an event; use off"),
            ("cpu=0.8", "cpu: `0.8` has no unit; write for example 80% (of one core)"),
            ("cpu=0%", "cpu: 0% would make everything an event; use off"),
        ] {
            assert_eq!(parsed(text), Err(message.to_owned()));
        }
    }

    #[test]
    fn header() {
        let header = parsed("off,cpu=80%,memory=1MiB").unwrap().header();
        let expected = [("cpu_spike", Quantity::Fraction(0.8)), ("memory_spike", Quantity::Integer(1 << 20))];
        assert_eq!(header, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    /// Name, values one tick apart, and the excursions in them.
    type Case = (&'static str, &'static [f64], &'static [Brief]);
    /// An excursion: (seen, start, before, value, end).
    type Brief = (u64, u64, f64, f64, u64);

    /// Each excursion that is over, from values one tick apart.
    fn over(values: &[f64], mut observe: impl FnMut(u64, f64) -> Option<Change>) -> Vec<Brief> {
        let mut open = None;
        let mut over = Vec::new();
        for (time, &value) in values.iter().enumerate() {
            match observe(time as u64, value) {
                Some(Change::Began(excursion)) => {
                    assert!(open.replace((excursion.seen_ns, excursion.start_ns)).is_none(), "began twice");
                }
                Some(Change::Over(e)) => {
                    assert_eq!(open.take(), Some((e.seen_ns, e.start_ns)), "ended what began");
                    over.push((e.seen_ns, e.start_ns, e.before, e.value, e.end_ns));
                }
                None => {}
            }
        }
        over
    }

    fn rises(values: &[f64]) -> Vec<Brief> {
        let mut detector = RiseDetector::new(8.0);
        over(values, |time, value| detector.observe(time, value))
    }

    #[test]
    fn rises_of_a_gauge() {
        let table: [Case; 9] = [
            ("none", &[2., 2., 3., 2., 9., 2.], &[]),
            ("a jump", &[2., 2., 2., 50., 50., 50., 50.], &[(3, 2, 2., 50., 3)]),
            ("a ramp", &[2., 6., 10., 14., 18., 18., 18., 18.], &[(2, 0, 2., 18., 4)]),
            ("a slow creep is none", &[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.], &[]),
            ("plateaus within a rise", &[2., 20., 20., 20., 30., 30., 30., 30.], &[(1, 0, 2., 30., 4)]),
            (
                "a further rise",
                &[2., 20., 20., 20., 20., 40., 40., 40., 40.],
                &[(1, 0, 2., 20., 1), (5, 4, 20., 40., 5)],
            ),
            (
                "a fall and a new rise",
                &[2., 20., 2., 2., 2., 20., 2., 2., 2.],
                &[(1, 0, 2., 20., 1), (5, 4, 2., 20., 5)],
            ),
            ("noise on the plateau", &[2., 20., 20.5, 20.1, 20.4, 21., 20., 20.], &[(1, 0, 2., 20.5, 2)]),
            ("tightest start", &[2., 1., 3., 2.5, 20., 20., 20., 20.], &[(4, 3, 2.5, 20., 4)]),
        ];
        for (name, values, expected) in table {
            assert_eq!(rises(values), expected, "{name}");
        }
    }

    #[test]
    fn times_above_a_level() {
        let table: [Case; 7] = [
            ("none", &[0.1, 0.7, 0.75, 0.2], &[]),
            ("busy from the start", &[1., 1., 1., 0., 0.], &[]),
            ("a burst", &[0.1, 0.9, 1.2, 0.3, 0.2], &[(1, 0, 0.1, 1.2, 2)]),
            ("a pause is not its end", &[0.1, 0.9, 0.2, 1.0, 0.1, 0.1], &[(1, 0, 0.1, 1.0, 3)]),
            ("between calm and high", &[0.1, 0.7, 0.9, 0.7, 0.7, 0.1, 0.1], &[(2, 0, 0.1, 0.9, 4)]),
            ("two", &[0., 1., 0., 0., 2., 0., 0.], &[(1, 0, 0., 1., 1), (4, 3, 0., 2., 4)]),
            ("exactly the level", &[0., 0.8, 0., 0.], &[(1, 0, 0., 0.8, 1)]),
        ];
        for (name, values, expected) in table {
            let mut detector = LevelDetector::new(0.8);
            assert_eq!(over(values, |time, value| detector.observe(time, value)), expected, "{name}");
        }
    }

    fn metrics(time_ns: u64, rss_bytes: u64, read_calls: u64) -> Metrics {
        Metrics {
            time_ns,
            interval_ns: 100_000_000,
            process: 4,
            cpu_ratio: Some(0.1),
            rss_bytes: Some(rss_bytes),
            read_call_count: Some(read_calls),
            write_call_count: Some(0),
            ..Metrics::default()
        }
    }

    #[test]
    fn events_of_a_process() {
        let mut spikes = Spikes::new(4, &SpikeRules::default());
        let (mut id, mut events) = (6, Vec::new());
        let mut next_id = || {
            id += 1;
            id
        };
        for (time, rss_mib, calls) in [(1, 2, 0), (2, 50, 0), (3, 60, 5_000)] {
            spikes.observe(&metrics(time, rss_mib << 20, calls), &mut next_id, |event| events.push(event));
        }
        spikes.finish(|event| events.push(event));
        spikes.finish(|event| panic!("ended twice: {event:?}"));
        let mut brief = Vec::new();
        for event in &events {
            assert_eq!(event.process, Some(4));
            brief.push((event.id, event.kind, event.time_ns, event.start_ns, event.end_ns));
        }
        let (memory, calls) = (EventKind::MemorySpike, EventKind::SyscallBurst);
        assert_eq!(
            brief,
            [
                (7, memory, 2, Some(1), None),
                (8, calls, 3, Some(2), None),
                (7, memory, 2, Some(1), Some(3)),
                (8, calls, 3, Some(2), Some(3)),
            ]
        );
        assert_eq!(events[2].before, Some(Quantity::Integer(2 << 20)));
        assert_eq!(events[2].value, Some(Quantity::Integer(60 << 20)));
        assert_eq!(events[2].metric.as_deref(), Some("rss_bytes"));
        assert_eq!(events[3].value, Some(Quantity::Fraction(50_000.0)));
        assert_eq!(events[3].metric.as_deref(), Some("io_calls_per_s"));
        assert_eq!(events[3].threshold, Some(Quantity::Integer(20_000)));
    }

    #[test]
    fn what_is_unknown_is_no_event() {
        let mut spikes = Spikes::new(1, &SpikeRules::default());
        for time_ns in 0..10 {
            let nothing = Metrics { time_ns, ..Metrics::default() };
            spikes.observe(&nothing, || panic!("no id is needed"), |event| panic!("{event:?}"));
        }
    }

    proptest! {
        #[test]
        fn excursions_hold_together(values in proptest::collection::vec(0.0..30.0_f64, 0..60)) {
            let mut level = LevelDetector::new(10.0);
            let all = rises(&values).into_iter().chain(over(&values, |time, value| level.observe(time, value)));
            for (seen, start, before, value, end) in all {
                prop_assert!(start < seen && seen <= end && before < value);
                prop_assert_eq!((values[start as usize], before), (before, before));
            }
        }

        #[test]
        fn no_rule_panics(text in "[a-z=,.%0-9 -]{0,30}") {
            let _ = parsed(&text);
        }
    }
}
