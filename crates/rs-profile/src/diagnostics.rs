//! How good the samples are: ratios from the base columns, and the verdict.

use rs_schema::ProfileSession;
use rs_schema::event::FrameKind;
use rs_schema::session::{Function, MappingWithoutSymbols, Row};
use rustc_hash::FxHashMap;

use crate::blame::is_truncation_mark;
use crate::fidelity;
use crate::index::Index;
use crate::round::{per_second, ratio};
use crate::sums::Sums;

/// Fills the derived part of the diagnostics.
pub(crate) fn fill(session: &mut ProfileSession, index: &Index, sums: &Sums) {
    let counts = Counts::new(session, index, sums);
    let diagnostics = &mut session.sampling_diagnostics;
    diagnostics.sample_count = sums.all.samples;
    diagnostics.sampled_cpu_ns = sums.all.cpu_ns;
    diagnostics.stackless_count = sums.stackless_samples;
    let with_stack = sums.all.samples.saturating_sub(sums.stackless_samples);
    // Recorders mark cut stacks; for one that does not, what its end says is all there is.
    diagnostics.truncated_count = match counts.truncated {
        0 => diagnostics.truncated_count.min(with_stack),
        counted => counted,
    };
    diagnostics.spliced_count = diagnostics.spliced_count.map(|count| count.min(with_stack));
    diagnostics.delivered_hz =
        diagnostics.process_cpu_ns.and_then(|cpu_ns| per_second(diagnostics.sample_count, cpu_ns));
    diagnostics.complete_stack_ratio = ratio(with_stack - diagnostics.truncated_count, with_stack);
    diagnostics.symbolised_ratio = ratio(counts.named, with_stack);
    diagnostics.attributed_ratio = ratio(counts.attributed, counts.rust);
    diagnostics.mappings_without_symbols = counts.nameless_by_mapping;
    session.sampling_diagnostics.fidelity = fidelity::judge(session);
}

/// Samples by what is known of their innermost frame.
#[derive(Default)]
struct Counts {
    truncated: u64,
    named: u64,
    rust: u64,
    attributed: u64,
    nameless_by_mapping: Vec<MappingWithoutSymbols>,
}

impl Counts {
    fn new(session: &ProfileSession, index: &Index, sums: &Sums) -> Self {
        let mut counts = Counts::default();
        let mut nameless: FxHashMap<Row, u64> = FxHashMap::default();
        let mut cut: Vec<bool> = Vec::with_capacity(index.function.len());
        for (stack, &function) in index.function.iter().enumerate() {
            let function = &session.functions[function as usize];
            cut.push(match usize::try_from(session.stacks.parent[stack]) {
                Ok(parent) => cut[parent],
                Err(_) => is_truncation_mark(function),
            });
            let samples = sums.own[stack].samples;
            if cut[stack] {
                counts.truncated = counts.truncated.saturating_add(samples);
            }
            if is_named(function) {
                counts.named = counts.named.saturating_add(samples);
                if is_user_rust(function) {
                    counts.rust = counts.rust.saturating_add(samples);
                    if is_attributed(function) {
                        counts.attributed = counts.attributed.saturating_add(samples);
                    }
                }
            } else if let Some(mapping) = session.frames.mapping[session.stacks.frame[stack] as usize]
                && samples > 0
            {
                let sum = nameless.entry(mapping).or_default();
                *sum = sum.saturating_add(samples);
            }
        }
        counts.nameless_by_mapping = (nameless.into_iter())
            .map(|(mapping, sample_count)| MappingWithoutSymbols { mapping, sample_count })
            .collect();
        counts
            .nameless_by_mapping
            .sort_unstable_by_key(|row| (std::cmp::Reverse(row.sample_count), row.mapping));
        counts
    }
}

/// Whether a function stands for itself and not for nameless code. The kernel as a whole is a name;
/// `[app]+0x1aa90` is only where an unnamed function of `app` begins.
fn is_named(function: &Function) -> bool {
    let is_boundary = |name: &str| name.starts_with('[') && name.contains("]+0x");
    function.kind == FrameKind::Kernel
        || !(is_bracketed(&function.function) || is_boundary(&function.function))
}

fn is_bracketed(name: &str) -> bool {
    name.starts_with('[') && name.ends_with(']')
}

fn is_user_rust(function: &Function) -> bool {
    function.kind == FrameKind::User && function.language.as_deref() == Some("rust")
}

fn is_attributed(function: &Function) -> bool {
    let known = |name: &Option<String>| name.as_deref().is_some_and(|name| !is_bracketed(name));
    known(&function.crate_name) && known(&function.module)
}
