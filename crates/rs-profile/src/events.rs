//! Event lines to the session's events, phases and work.
//!
//! An event that is sent again under its id replaces what was known of it. Work is only summed, for the session
//! and for the phase it falls into: a program may report it many times a second, so its lines are not kept and
//! do not appear among the events.

use rs_schema::event::{self, EventKind};
use rs_schema::session::{Event, Hot, Phase, Work};
use rustc_hash::FxHashMap;

use crate::facts::Agree;
use crate::names::{NameId, Names};

/// Events that a session keeps, each with its hot lists.
pub(crate) const EVENTS_MAX: usize = 10_000;

/// Events seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventFold {
    row_of: FxHashMap<u32, usize>,
    events: Vec<(event::Event, Option<u32>)>,
    work: WorkSum,
    /// Start, event and work of each phase, by start.
    phases: Vec<PhaseStart>,
}

#[derive(Clone, Debug)]
struct PhaseStart {
    time_ns: u64,
    id: u32,
    work_count: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct WorkSum {
    count: Option<u64>,
    unit: Agree<Option<NameId>>,
}

/// The session's events and what else came of event lines.
pub(crate) struct Happened {
    pub(crate) memory_events: Vec<Event>,
    pub(crate) events: Vec<Event>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) work: Option<Work>,
}

impl EventFold {
    /// Takes a line with the row of its process. False when there are too many events to keep another.
    pub(crate) fn add(&mut self, line: event::Event, process: Option<u32>, names: &mut Names) -> bool {
        if line.kind == EventKind::Work {
            self.add_work(&line, names);
            return true;
        }
        let known = self.row_of.get(&line.id).copied();
        if known.is_none() && self.events.len() >= EVENTS_MAX {
            return false;
        }
        if let Some(phase) = self.phases.iter().position(|phase| phase.id == line.id) {
            self.phases.remove(phase);
        }
        if line.kind == EventKind::Phase {
            let at = self.phases.partition_point(|phase| phase.time_ns <= line.time_ns);
            self.phases.insert(at, PhaseStart { time_ns: line.time_ns, id: line.id, work_count: None });
        }
        match known {
            Some(row) => self.events[row] = (line, process),
            None => {
                self.row_of.insert(line.id, self.events.len());
                self.events.push((line, process));
            }
        }
        true
    }

    fn add_work(&mut self, line: &event::Event, names: &mut Names) {
        let count = line.count.unwrap_or(0);
        self.work.count = Some(self.work.count.unwrap_or(0).saturating_add(count));
        self.work.unit.hear(names.intern_option(line.unit.as_deref()));
        let after = self.phases.partition_point(|phase| phase.time_ns <= line.time_ns);
        if let Some(phase) = after.checked_sub(1).and_then(|at| self.phases.get_mut(at)) {
            phase.work_count = Some(phase.work_count.unwrap_or(0).saturating_add(count));
        }
    }

    /// What came of it, in a session of the given length. An event that is still open ends with the session, a
    /// phase with the next one.
    pub(crate) fn into_happened(self, duration_ns: u64, names: &Names) -> Happened {
        let ends = self.phases.iter().skip(1).map(|next| next.time_ns).chain([duration_ns]);
        let spans: FxHashMap<u32, (u64, Option<u64>)> = (self.phases.iter().zip(ends))
            .map(|(phase, end)| (phase.id, (end.max(phase.time_ns), phase.work_count)))
            .collect();
        let (mut memory_events, mut events, mut phases) = (Vec::new(), Vec::new(), Vec::new());
        for (line, process) in self.events {
            let span = spans.get(&line.id).copied();
            if let Some((end_ns, work_count)) = span {
                let name = line.name.clone().unwrap_or_default();
                phases.push(Phase { name, start_ns: line.time_ns, end_ns, cpu_ns: 0, work_count });
            }
            let list = if line.kind == EventKind::MemorySpike { &mut memory_events } else { &mut events };
            list.push(session_event(line, process, span.map(|span| span.0), duration_ns));
        }
        memory_events.sort_by_key(|event| (event.time_ns, event.id));
        events.sort_by_key(|event| (event.time_ns, event.id));
        phases.sort_by_key(|phase| (phase.start_ns, phase.end_ns));
        let unit = self.work.unit.value().flatten();
        let work = self.work.count.map(|count| Work { count, unit: names.owned(unit) });
        Happened { memory_events, events, phases, work }
    }
}

fn session_event(
    line: event::Event,
    process: Option<u32>,
    phase_end_ns: Option<u64>,
    duration_ns: u64,
) -> Event {
    let start_ns = line.start_ns.unwrap_or(line.time_ns);
    let end_ns = match line.kind {
        EventKind::Marker | EventKind::Work => line.end_ns.unwrap_or(start_ns),
        EventKind::Phase => phase_end_ns.unwrap_or(start_ns),
        _ => line.end_ns.unwrap_or(duration_ns.max(line.time_ns)),
    };
    Event {
        id: line.id,
        kind: line.kind,
        time_ns: line.time_ns,
        start_ns,
        end_ns: end_ns.max(start_ns),
        process,
        metric: line.metric,
        before: line.before,
        value: line.value,
        threshold: line.threshold,
        name: line.name,
        text: line.text,
        count: line.count,
        unit: line.unit,
        hot: Hot::default(),
        allocated: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u32, time_ns: u64, kind: EventKind) -> event::Event {
        event::Event {
            id,
            time_ns,
            kind,
            process: None,
            metric: None,
            start_ns: None,
            end_ns: None,
            before: None,
            value: None,
            threshold: None,
            name: Some(format!("n{id}")),
            text: None,
            count: None,
            unit: None,
        }
    }

    fn work(time_ns: u64, count: u64, unit: &str) -> event::Event {
        event::Event { count: Some(count), unit: Some(unit.into()), ..line(99, time_ns, EventKind::Work) }
    }

    #[test]
    fn work_counts_for_its_phase() {
        let (mut fold, mut names) = (EventFold::default(), Names::default());
        for line in [
            work(5, 1, "request"),
            line(1, 10, EventKind::Phase),
            work(12, 2, "request"),
            line(2, 20, EventKind::Phase),
            work(15, 4, "request"),
            work(25, 8, "request"),
        ] {
            assert!(fold.add(line, None, &mut names));
        }
        let happened = fold.clone().into_happened(30, &names);
        let phases: Vec<_> = (happened.phases.iter())
            .map(|phase| (phase.name.as_str(), phase.start_ns, phase.end_ns, phase.work_count))
            .collect();
        assert_eq!(phases, [("n1", 10, 20, Some(6)), ("n2", 20, 30, Some(8))]);
        assert_eq!(happened.work, Some(Work { count: 15, unit: Some("request".into()) }));
        assert_eq!(happened.events.len(), 2);
        fold.add(work(26, 1, "byte"), None, &mut names);
        assert_eq!(fold.into_happened(30, &names).work, Some(Work { count: 16, unit: None }));
    }

    #[test]
    fn the_last_line_of_an_event_wins() {
        let (mut fold, mut names) = (EventFold::default(), Names::default());
        fold.add(line(7, 10, EventKind::MemorySpike), Some(0), &mut names);
        let open = fold.clone().into_happened(100, &names);
        assert_eq!((open.memory_events[0].start_ns, open.memory_events[0].end_ns), (10, 100));
        let closed =
            event::Event { start_ns: Some(4), end_ns: Some(40), ..line(7, 10, EventKind::MemorySpike) };
        fold.add(closed, Some(0), &mut names);
        let happened = fold.into_happened(100, &names);
        assert_eq!(happened.memory_events.len(), 1);
        assert_eq!((happened.memory_events[0].start_ns, happened.memory_events[0].end_ns), (4, 40));
    }
}
