//! The verdict on a session's samples, with a figure for each reason.
//!
//! | reason | medium | low |
//! |---|---|---|
//! | few samples | below 500 | below 100 |
//! | samples lost or shed | above 1 % | above 10 % |
//! | stacks cut | above 5 % | above 50 % |
//! | samples without a stack | above 5 % | above 50 % |
//! | samples in one binary without names | above 5 % | above 50 % |
//! | samples without names in all | above 10 % | above 50 % |
//! | Rust samples without crate and module | above 10 % | above 50 % |
//! | sampled CPU off the kernel's count, from a hundred samples on | above 10 % | above 30 % |
//! | kernel time excluded, stream cut, input faulty | always | never |
//!
//! Without samples the level is `none`.

use rs_schema::ProfileSession;
use rs_schema::event::KernelTime;
use rs_schema::session::{Fidelity, FidelityLevel};

/// Below these a figure of a few percent is noise.
const FEW_SAMPLES: [u64; 2] = [500, 100];
/// Below this many samples' worth of CPU time, chance alone explains a difference.
const MIN_PERIODS: u64 = 100;

/// Judges a session whose other diagnostics are filled.
pub(crate) fn judge(session: &ProfileSession) -> Fidelity {
    let diagnostics = &session.sampling_diagnostics;
    let mut verdict = Verdict { level: FidelityLevel::High, reasons: Vec::new() };
    let samples = diagnostics.sample_count;
    if samples == 0 {
        verdict.lower(FidelityLevel::None, "no samples".into());
    } else if samples < FEW_SAMPLES[0] {
        let low = samples < FEW_SAMPLES[1];
        let plural = if samples == 1 { "" } else { "s" };
        verdict.lower(level(low), format!("only {samples} sample{plural}"));
    }
    let missing = diagnostics.lost_count.saturating_add(diagnostics.dropped_count);
    verdict.part(missing, samples.saturating_add(missing), [0.01, 0.1], |pct| format!("losses {pct}"));
    let with_stack = samples.saturating_sub(diagnostics.stackless_count);
    let cut = diagnostics.truncated_count;
    verdict.part(cut, with_stack, [0.05, 0.5], |pct| format!("{pct} of stacks are cut"));
    let stackless = diagnostics.stackless_count;
    verdict.part(stackless, samples, [0.05, 0.5], |pct| format!("{pct} of samples without a stack"));
    names(session, with_stack, &mut verdict);
    sampled_against_counted(session, &mut verdict);
    if diagnostics.kernel_time == Some(KernelTime::Excluded) && samples > 0 {
        verdict.lower(FidelityLevel::Medium, "kernel time excluded".into());
    }
    if !session.session.complete {
        verdict.lower(FidelityLevel::Medium, "stream cut: no end".into());
    }
    if !diagnostics.input_warnings.is_empty() {
        let reason = format!("faulty input: {}", diagnostics.input_warnings.join("; "));
        verdict.lower(FidelityLevel::Medium, reason);
    }
    Fidelity { level: verdict.level, reasons: verdict.reasons }
}

struct Verdict {
    level: FidelityLevel,
    reasons: Vec<String>,
}

impl Verdict {
    fn lower(&mut self, level: FidelityLevel, reason: String) {
        self.level = self.level.min(level);
        self.reasons.push(reason);
    }

    /// Lowers the level when `part` of `whole` is above the first limit, and further above the second.
    fn part(
        &mut self,
        part: u64,
        whole: u64,
        [medium, low]: [f64; 2],
        reason: impl FnOnce(String) -> String,
    ) {
        let ratio = if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        if ratio > medium {
            self.lower(level(ratio > low), reason(percent(ratio)));
        }
    }
}

fn level(low: bool) -> FidelityLevel {
    if low { FidelityLevel::Low } else { FidelityLevel::Medium }
}

/// `3.1 %`, `25 %`.
fn percent(ratio: f64) -> String {
    let pct = ratio * 100.0;
    if pct < 10.0 { format!("{pct:.1} %") } else { format!("{pct:.0} %") }
}

/// Binaries without symbols, names that are missing elsewhere, and names that could not be attributed.
fn names(session: &ProfileSession, with_stack: u64, verdict: &mut Verdict) {
    let diagnostics = &session.sampling_diagnostics;
    let before = verdict.reasons.len();
    for bare in &diagnostics.mappings_without_symbols {
        let Some(mapping) = session.mappings.get(bare.mapping as usize) else { continue };
        let name = mapping.path.rsplit('/').next().unwrap_or(&mapping.path);
        verdict.part(bare.sample_count, with_stack, [0.05, 0.5], |pct| {
            format!("{pct} of samples in {name} without symbols")
        });
    }
    if let Some(symbolised) = diagnostics.symbolised_ratio {
        let nameless = 1.0 - symbolised;
        let level = level(nameless > 0.5);
        // Binaries that were named already need no second sentence unless all together are worse.
        if nameless > 0.1 && (verdict.reasons.len() == before || level < verdict.level) {
            verdict.lower(level, format!("{} of samples without a name", percent(nameless)));
        }
    }
    if let Some(attributed) = diagnostics.attributed_ratio
        && attributed < 0.9
    {
        let reason = format!("{} of Rust samples without crate and module", percent(1.0 - attributed));
        verdict.lower(level(attributed < 0.5), reason);
    }
}

/// The samples' weight against what the kernel counted for the target.
fn sampled_against_counted(session: &ProfileSession, verdict: &mut Verdict) {
    let diagnostics = &session.sampling_diagnostics;
    let (Some(counted_ns), Some(period_ns)) = (diagnostics.process_cpu_ns, diagnostics.period_ns) else {
        return;
    };
    if diagnostics.sample_count == 0 || counted_ns < period_ns.saturating_mul(MIN_PERIODS) {
        return;
    }
    let sampled_ns = diagnostics.sampled_cpu_ns;
    let side = if sampled_ns < counted_ns { "below" } else { "above" };
    verdict.part(sampled_ns.abs_diff(counted_ns), counted_ns, [0.1, 0.3], |pct| {
        format!("sampled CPU is {pct} {side} the kernel's count")
    });
}
