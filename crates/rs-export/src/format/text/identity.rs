//! What was recorded, on which machine, of which build, and how it ended.

use rs_schema::event::{Build, EndReason, Host};
use rs_schema::session::{ProfileSession, Session};

use super::layout::{Line, Look, Style, flow};
use super::names::{command_line, cut_middle};
use super::notes::Notes;
use super::numbers::{show_bytes, show_count, show_fraction, show_ns, show_start, show_time};

/// The first line: name, command, pid.
pub(super) fn title(session: &Session, look: Look) -> Line {
    let mut line = Line::new();
    let pid = session.pid.map(|pid| format!(" · pid {pid}")).unwrap_or_default();
    let command = command_line(&session.command);
    let name = session.name.as_deref().filter(|name| !name.is_empty());
    match (name, command.is_empty()) {
        (Some(name), true) => line.push(Style::Strong, name),
        (Some(name), false) => {
            line.push(Style::Strong, &cut_middle(name, look.width / 3));
            line.push(Style::Plain, " · ");
            let room = look.width.saturating_sub(line.width() + pid.len());
            line.push(Style::Plain, &fitted(&command, room));
        }
        (None, false) => line.push(Style::Strong, &fitted(&command, look.width.saturating_sub(pid.len()))),
        (None, true) => line.push(Style::Strong, &format!("session {}", session.id)),
    }
    line.push(Style::Plain, &pid);
    line
}

/// Cleaned before it is cut, so that what is counted is what is shown.
fn fitted(text: &str, columns: usize) -> String {
    cut_middle(&super::names::clean(text), columns).into_owned()
}

/// The lines under the title.
pub(super) fn lines(session: &ProfileSession, look: Look, limit: usize, notes: &mut Notes<'_>) -> Vec<Line> {
    let recording = &session.session;
    let mut lines = vec![title(recording, look)];
    // What matters least is last, so it may be cut.
    lines.extend(flow("started", machine(recording), look.width, 1));
    lines.extend(flow("build", build(&recording.build, notes), look.width, limit));
    lines.extend(flow("ran", ending(recording), look.width, limit));
    lines.extend(flow("phases", phases(session, notes), look.width, limit));
    lines
}

fn machine(recording: &Session) -> Vec<Line> {
    let Host { os, kernel, arch, cpu_count, cpu_model, memory_bytes, hostname } = &recording.host;
    let mut start = show_start(&recording.start_time);
    if let Some(hostname) = hostname {
        start = format!("{start} on {hostname}");
    }
    let system: Vec<&str> = [os, kernel, arch].into_iter().flatten().map(String::as_str).collect();
    let cpus = match (cpu_count, cpu_model) {
        (Some(count), Some(model)) => format!("{count} × {model}"),
        (Some(count), None) => format!("{count} CPUs"),
        (None, Some(model)) => model.clone(),
        (None, None) => String::new(),
    };
    let memory = memory_bytes.map(show_bytes).unwrap_or_default();
    [start, system.join(" "), memory, cpus].iter().map(|item| Line::new().plain(item)).collect()
}

fn build(build: &Build, notes: &mut Notes<'_>) -> Vec<Line> {
    let mut fact = |what: &str, value: &Option<String>| match value {
        Some(value) => format!("{what} {value}"),
        None => format!("{what} {}", notes.unknown(what, &[what], "not found for this binary")),
    };
    let mut facts = vec![build.profile.clone().unwrap_or_else(|| fact("profile", &None))];
    facts.push(fact("debuginfo", &build.debuginfo));
    facts.push(fact("rustc", &build.rustc));
    let commit = fact("commit", &build.git_commit.as_ref().map(|commit| commit.chars().take(12).collect()));
    let source = build.git_commit_source.as_deref().filter(|_| build.git_commit.is_some());
    facts.push(match source {
        Some(source) => format!("{commit} (from {})", source.replace('_', " ")),
        None => commit,
    });
    facts.iter().map(|item| Line::new().plain(item)).collect()
}

fn phases(session: &ProfileSession, notes: &mut Notes<'_>) -> Vec<Line> {
    let was_sampled = session.sampling_diagnostics.backend.is_some();
    let mut items = Vec::new();
    let mut last_end_ns = 0;
    for phase in &session.session.phases {
        // Phases follow each other, so where one begins goes without saying.
        let from = match phase.start_ns {
            start_ns if start_ns == last_end_ns => String::new(),
            start_ns => format!(" from {}", show_time(start_ns)),
        };
        last_end_ns = phase.end_ns;
        let work = phase.work_count.map(|count| format!(", {} done", show_count(count))).unwrap_or_default();
        // Their CPU time is that of the samples.
        let cpu = match was_sampled {
            true => format!(": {}{} CPU", notes.sampled_mark(), show_ns(phase.cpu_ns)),
            false => String::new(),
        };
        let told = format!("{from} to {}{cpu}{work}", show_time(phase.end_ns));
        items.push(Line::new().with(Style::Strong, &phase.name).plain(&told));
    }
    items
}

fn ending(recording: &Session) -> Vec<Line> {
    let took = show_ns(recording.duration_ns);
    let mut end = Line::new().plain(&format!("{took}, "));
    match &recording.end {
        Some(found) => match (found.reason, found.exit_code, found.signal) {
            (_, _, Some(signal)) => end.push(Style::Bad, &format!("killed by {}", signal_name(signal))),
            (_, Some(0), _) => end.push(Style::Plain, "exit status 0"),
            (_, Some(code), _) => end.push(Style::Warn, &format!("exit status {code}")),
            (EndReason::Exit, None, None) => end.push(Style::Plain, "the program ended"),
            (EndReason::Signal, ..) => end.push(Style::Plain, "recording stopped by a signal"),
            (EndReason::Duration, ..) => end.push(Style::Plain, "the time asked for was over"),
            (EndReason::Detached, ..) => end.push(Style::Plain, "recorder detached, the program ran on"),
            (EndReason::StoppedDownstream, ..) => end.push(Style::Plain, "stopped by a reader of the stream"),
        },
        None if recording.complete => end.push(Style::Plain, "it is not said how it ended"),
        None => end.push(Style::Bad, "THE STREAM WAS CUT: what came after is missing"),
    }
    let mut items = vec![end];
    if let Some(work) = &recording.work {
        let unit = work.unit.as_deref().unwrap_or("units of several kinds");
        let rate = work.count as f64 / (recording.duration_ns.max(1) as f64 / 1e9);
        items.push(Line::new().plain(&format!(
            "work {} {unit} ({}/s)",
            show_count(work.count),
            show_fraction(rate)
        )));
    }
    if recording.members.len() > 1 {
        let count = recording.members.len();
        items.push(Line::new().with(Style::Warn, &format!("merged from {count} recordings")));
    }
    for (key, value) in &recording.tags {
        items.push(Line::new().plain(&format!("{key}={value}")));
    }
    items
}

/// The signals that end programs, by name: nobody knows 6 from 9 at night.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL (out of memory?)",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}
