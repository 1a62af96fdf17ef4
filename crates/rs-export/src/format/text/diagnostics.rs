//! How far the figures can be trusted, and what it cost to get them.

use rs_schema::event::KernelTime;
use rs_schema::session::{Fidelity, FidelityLevel, ProfileSession, SamplingDiagnostics};

use super::layout::{Line, Look, Style, flow, wrap};
use super::names::file_name;
use super::notes::Notes;
use super::numbers::{
    percent_of, plural, show_bytes, show_count, show_fraction, show_ns, show_percent, show_ratio,
};

/// The section.
pub(super) fn lines(session: &ProfileSession, look: Look, limit: usize, notes: &mut Notes<'_>) -> Vec<Line> {
    let diagnostics = &session.sampling_diagnostics;
    let mut first = vec![verdict(&diagnostics.fidelity)];
    first.extend(samples(diagnostics, notes));
    let mut lines = flow("fidelity", first, look.width, limit);
    lines.extend(reasons(&diagnostics.fidelity, look, limit));
    lines.extend(flow("losses", losses(session, notes), look.width, limit));
    lines.extend(flow("no symbols", unnamed(session), look.width, limit));
    lines.extend(flow("recorder", recorder(diagnostics, session.session.complete, notes), look.width, limit));
    lines.extend(flow("input", warnings(diagnostics), look.width, limit));
    lines
}

/// The verdict and its reasons alone, for the view of a window.
pub(super) fn verdict_lines(fidelity: &Fidelity, look: Look, limit: usize) -> Vec<Line> {
    let whole = Line::new().plain("of the whole session");
    let mut lines = flow("fidelity", vec![verdict(fidelity), whole], look.width, 1);
    lines.extend(reasons(fidelity, look, limit));
    lines
}

fn verdict(fidelity: &Fidelity) -> Line {
    let (word, style) = match fidelity.level {
        FidelityLevel::High => ("HIGH", Style::Strong),
        FidelityLevel::Medium => ("MEDIUM", Style::Warn),
        FidelityLevel::Low => ("LOW", Style::Bad),
        FidelityLevel::None => ("NONE", Style::Bad),
    };
    Line::new().with(style, word)
}

fn reasons(fidelity: &Fidelity, look: Look, limit: usize) -> Vec<Line> {
    if fidelity.reasons.is_empty() {
        return Vec::new();
    }
    wrap("because", Style::Warn, &fidelity.reasons.join("; "), look.width, limit + 1)
}

/// How much of the CPU time was seen, and how much of that has a name.
fn samples(diagnostics: &SamplingDiagnostics, notes: &mut Notes<'_>) -> Vec<Line> {
    if diagnostics.backend.is_none() {
        return vec![Line::new().plain("no sampler")];
    }
    let mark = notes.sampled_mark();
    let sampled = diagnostics.sampled_cpu_ns;
    let seen = match diagnostics.process_cpu_ns {
        Some(used) => {
            let share = percent_of(sampled, used).map_or_else(String::new, show_percent);
            format!("{mark}{share} of {} CPU", show_ns(used))
        }
        None => {
            let absent = notes.unknown("CPU used", &["process_cpu_ns"], "not counted");
            format!("{mark}{} of {absent} CPU", show_ns(sampled))
        }
    };
    let mut items =
        vec![Line::new().plain(&format!("{}, {seen}", plural(diagnostics.sample_count, "sample")))];
    items.push(ratio("symbolised", "symbolised_ratio", diagnostics.symbolised_ratio, notes));
    // Unknown without Rust code, and then nobody misses it.
    if let Some(attributed) = diagnostics.attributed_ratio.filter(|&attributed| attributed < 1.0) {
        items.push(ratio("with a crate", "attributed_ratio", Some(attributed), notes));
    }
    items
}

fn losses(session: &ProfileSession, notes: &mut Notes<'_>) -> Vec<Line> {
    let diagnostics = &session.sampling_diagnostics;
    if diagnostics.backend.is_none() {
        return Vec::new();
    }
    // Without the stream's end there may be losses that nobody told.
    let least = if session.session.complete { "" } else { "≥" };
    let all = diagnostics.sample_count;
    let loss = |count: u64, what: &str, of: u64| {
        let share = percent_of(count, of).filter(|&share| share > 0.0);
        let share = share.map(|share| format!(" ({})", show_percent(share))).unwrap_or_default();
        let style = if count > 0 { Style::Warn } else { Style::Plain };
        Line::new().with(style, &format!("{least}{} {what}{share}", show_count(count)))
    };
    let (lost, dropped) = (diagnostics.lost_count, diagnostics.dropped_count);
    let mut items = vec![
        loss(lost, "lost", all.saturating_add(lost)),
        loss(dropped, "dropped", all.saturating_add(dropped)),
        loss(diagnostics.truncated_count, "truncated", all),
    ];
    if diagnostics.stackless_count > 0 {
        items.push(loss(diagnostics.stackless_count, "without stack", all));
    }
    items.push(ratio("stacks complete", "complete_stack_ratio", diagnostics.complete_stack_ratio, notes));
    items
}

fn ratio(what: &str, field: &str, ratio: Option<f64>, notes: &mut Notes<'_>) -> Line {
    match ratio {
        Some(ratio) => Line::new().plain(&format!("{} {what}", show_ratio(ratio))),
        None => Line::new().plain(&format!("{what} {}", notes.unknown(what, &[field], "no such samples"))),
    }
}

/// Binaries without symbols, by what they hide.
fn unnamed(session: &ProfileSession) -> Vec<Line> {
    const SHOWN: usize = 4;
    let diagnostics = &session.sampling_diagnostics;
    let mut rows: Vec<_> = diagnostics.mappings_without_symbols.iter().collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.sample_count), row.mapping));
    let item = |(name, count): (&str, u64)| {
        let share = percent_of(count, diagnostics.sample_count).map(show_percent).unwrap_or_default();
        Line::new().with(Style::Warn, &format!("{name} hides {share} of the samples ({})", show_count(count)))
    };
    let name =
        |mapping: u32| session.mappings.get(mapping as usize).map_or("?", |found| file_name(&found.path));
    let mut items: Vec<Line> =
        rows.iter().take(SHOWN).map(|row| item((name(row.mapping), row.sample_count))).collect();
    if rows.len() > SHOWN {
        items.push(Line::new().with(Style::Dim, &format!("{} more", rows.len() - SHOWN)));
    }
    items
}

/// How the samples were taken and what that cost.
fn recorder(diagnostics: &SamplingDiagnostics, complete: bool, notes: &mut Notes<'_>) -> Vec<Line> {
    let mut items = Vec::new();
    if let Some(backend) = diagnostics.backend.as_deref() {
        // The clock is what everybody expects.
        let event = diagnostics.event.as_deref().filter(|&event| event != "cpu-clock");
        let event = event.map(|event| format!(" {event}")).unwrap_or_default();
        let asked = match diagnostics.rate_hz {
            Some(rate) => show_fraction(rate),
            None => notes.unknown("rate asked for", &["rate_hz"], "not told").to_owned(),
        };
        let delivered = match diagnostics.delivered_hz {
            Some(rate) => show_fraction(rate),
            None => notes.unknown("rate delivered", &["delivered_hz"], "CPU used is unknown").to_owned(),
        };
        items.push(Line::new().plain(&format!("{backend}{event} {delivered}/{asked} Hz")));
        items.push(match diagnostics.kernel_time {
            Some(KernelTime::Folded) => Line::new().plain("kernel folded"),
            Some(KernelTime::Expanded) => Line::new().plain("kernel named"),
            Some(KernelTime::Excluded) => Line::new().with(Style::Warn, "KERNEL NOT SAMPLED"),
            None => Line::new()
                .plain(&format!("kernel {}", notes.unknown("kernel time", &["kernel_time"], "not told"))),
        });
    }
    let otherwise = if complete { "it did not tell" } else { "the stream was cut" };
    let cpu = match diagnostics.recorder_cpu_ns {
        Some(own) => match diagnostics.process_cpu_ns.and_then(|used| percent_of(own, used)) {
            Some(share) => format!("+{} CPU", show_percent(share)),
            None => format!("{} CPU", show_ns(own)),
        },
        None => format!("CPU {}", notes.unknown("recorder's CPU", &["recorder_cpu_ns"], otherwise)),
    };
    let memory = match diagnostics.recorder_peak_rss_bytes {
        Some(peak) => show_bytes(peak),
        None => format!("RSS {}", notes.unknown("its RSS", &["recorder_peak_rss_bytes"], otherwise)),
    };
    items.push(Line::new().plain(&format!("cost {cpu}, {memory}")));
    items
}

fn warnings(diagnostics: &SamplingDiagnostics) -> Vec<Line> {
    let warnings = &diagnostics.input_warnings;
    let Some(first) = warnings.first() else { return Vec::new() };
    let count = plural(warnings.len() as u64, "warning");
    vec![Line::new().with(Style::Warn, &format!("{count}: {first}"))]
}
