//! From `--event` or `--from`/`--to` to the part of the session that is meant.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Result, bail};
use rs_profile::{Selection, View, select};
use rs_schema::session::{Event, ProfileSession};

use crate::args::SelectionArgs;
use crate::format::show_time;

/// The part of a session that was asked for.
pub(crate) struct Chosen<'a> {
    /// The windows.
    pub(crate) view: View,
    /// The same selection over all windows, to compare with.
    pub(crate) whole: Cow<'a, ProfileSession>,
    /// The event whose windows these are.
    pub(crate) event: Option<&'a Event>,
}

impl<'a> Chosen<'a> {
    /// Finds it; `None` when the whole session is meant.
    pub(crate) fn find(session: &'a ProfileSession, args: &SelectionArgs) -> Result<Option<Self>> {
        let (selection, event) = match (args.event, args.from, args.to) {
            (None, None, None) => return Ok(None),
            (Some(id), ..) => {
                let event = find_event(session, id)?;
                (Selection::of_event(event), Some(event))
            }
            (None, from, to) => (span(session, from, to)?, None),
        };
        if session.windows.as_ref().is_none_or(|windows| windows.count == 0) {
            let why = session.capabilities.get("windows").and_then(|found| found.reason.as_deref());
            bail!(
                "this session has no windows ({}), so no part of it can be told from the rest; \
                 use the stream or session that it was made from",
                why.unwrap_or("a merge of several recordings drops them")
            );
        }
        let over_time = Selection { from_ns: None, to_ns: None, ..selection.clone() };
        let whole = if over_time == Selection::default() {
            Cow::Borrowed(session)
        } else {
            Cow::Owned(select(session, &over_time)?.session)
        };
        Ok(Some(Chosen { view: select(session, &selection)?, whole, event }))
    }
}

fn find_event(session: &ProfileSession, id: u32) -> Result<&Event> {
    let all = || session.memory_events.iter().chain(&session.events);
    if let Some(event) = all().find(|event| event.id == id) {
        return Ok(event);
    }
    const LISTED: usize = 8;
    let mut known: Vec<(u32, String)> = all()
        .map(|event| {
            (event.id, format!("{} ({} at {})", event.id, event.kind.as_str(), show_time(event.time_ns)))
        })
        .collect();
    known.sort();
    let more = known.len().saturating_sub(LISTED);
    let listed: Vec<String> = known.into_iter().take(LISTED).map(|(_, text)| text).collect();
    match (listed.is_empty(), more) {
        (true, _) => bail!("there is no event {id}: this session has no events"),
        (false, 0) => bail!("there is no event {id}; there are {}", listed.join(", ")),
        (false, more) => bail!("there is no event {id}; there are {} and {more} more", listed.join(", ")),
    }
}

fn span(session: &ProfileSession, from: Option<Duration>, to: Option<Duration>) -> Result<Selection> {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (from_ns, to_ns) = (from.map(ns), to.map(ns));
    let end_ns = session.session.duration_ns;
    if let (Some(from_ns), Some(to_ns)) = (from_ns, to_ns)
        && from_ns >= to_ns
    {
        bail!("--from {} is not before --to {}", show_time(from_ns), show_time(to_ns));
    }
    if to_ns == Some(0) {
        bail!("--to 0s leaves nothing: the session begins at 0s");
    }
    // An end behind the session's is taken for its end: "to 20s" of a session of 19.99 s is no mistake.
    if let Some(from_ns) = from_ns.filter(|&from_ns| from_ns >= end_ns) {
        bail!("--from {} is outside the session, which ends at {}", show_time(from_ns), show_time(end_ns));
    }
    Ok(Selection { from_ns, to_ns, ..Selection::default() })
}
