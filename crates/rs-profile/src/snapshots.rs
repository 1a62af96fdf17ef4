//! What was hot each second, and how much CPU time each phase took.

use rs_schema::ProfileSession;
use rs_schema::session::{HotCrate, HotFunction, HotModule, HotspotSnapshot};

use crate::hot::{Range, TOP, cells, window_start};
use crate::index::Index;
use crate::sums::cell_cpu_ns;

/// Length of a snapshot, unless there would be more than [`SNAPSHOTS_MAX`].
const SNAPSHOT_NS: u64 = 1_000_000_000;
/// Snapshots of a session: an hour of seconds.
const SNAPSHOTS_MAX: u64 = 3600;

/// The hottest of each second, or of longer stretches in a session of more than an hour.
pub(crate) fn snapshots(session: &mut ProfileSession, index: &Index) {
    let mut snapshots = Vec::new();
    if let Some(windows) = &session.windows {
        let a_second = (SNAPSHOT_NS / windows.interval_ns.max(1)).max(1);
        let step = a_second * windows.count.div_ceil(a_second).div_ceil(SNAPSHOTS_MAX).max(1);
        let mut range = Range::new(session, index);
        let mut from = 0;
        while from < windows.count {
            let to = from.saturating_add(step).min(windows.count);
            range.sum(windows, (from, to), None);
            let (start_ns, end_ns) = (window_start(windows, from), window_start(windows, to));
            let end_ns = end_ns.min(session.session.duration_ns).max(start_ns);
            snapshots.push(snapshot(&mut range, start_ns, end_ns - start_ns));
            from = to;
        }
    }
    session.hotspot_snapshots = snapshots;
}

fn snapshot(range: &mut Range<'_>, time_ns: u64, duration_ns: u64) -> HotspotSnapshot {
    let (functions, modules, crates) =
        (range.functions.top(TOP), range.modules.top(TOP), range.crates.top(TOP));
    HotspotSnapshot {
        time_ns,
        duration_ns,
        functions: functions
            .into_iter()
            .map(|(function, self_ns)| HotFunction { function, self_ns })
            .collect(),
        modules: (modules.into_iter())
            .map(|(row, self_ns)| HotModule { module: range.module(row), self_ns })
            .collect(),
        crates: (crates.into_iter())
            .map(|(row, self_ns)| HotCrate { crate_name: range.crate_name(row), self_ns })
            .collect(),
    }
}

/// The phases' CPU time: that of the windows which begin in them.
pub(crate) fn phases(session: &mut ProfileSession) {
    let Some(windows) = &session.windows else { return };
    let period_ns = session.sampling_diagnostics.period_ns.unwrap_or(0);
    for phase in &mut session.session.phases {
        let window = |time_ns: u64| time_ns.div_ceil(windows.interval_ns.max(1)).min(windows.count);
        let cells = cells(&windows.cpu.offset, window(phase.start_ns), window(phase.end_ns));
        phase.cpu_ns =
            cells.fold(0u64, |sum, cell| sum.saturating_add(cell_cpu_ns(windows, period_ns, cell)));
    }
}
