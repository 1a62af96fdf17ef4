//! Functions by module and by crate.

use rs_schema::ProfileSession;
use rs_schema::session::{CrateRollup, Function, ModuleRollup};

use crate::facts::Agree;
use crate::index::{Index, Level, NONE};
use crate::origin;
use crate::round::percent;
use crate::sums::Sums;
use crate::tables::sort_rows;

/// Fills the table of modules.
pub(crate) fn modules(session: &mut ProfileSession, index: &mut Index, sums: &Sums) {
    let figures = sums.figures(index, &index.modules);
    let members = members(&session.functions, &index.modules);
    let mut table: Vec<ModuleRollup> = (members.iter().zip(&figures))
        .map(|(members, figures)| ModuleRollup {
            module: members.first().and_then(|function| function.module.clone()).unwrap_or_default(),
            crate_name: members.first().and_then(|function| function.crate_name.clone()),
            function_count: members.len() as u64,
            self_ns: figures.own.cpu_ns,
            total_ns: figures.total.cpu_ns,
            self_samples: figures.own.samples,
            total_samples: figures.total.samples,
            self_pct: percent(figures.own.cpu_ns, sums.all.cpu_ns),
            total_pct: percent(figures.total.cpu_ns, sums.all.cpu_ns),
            blame_ns: figures.blame_ns,
            self_waited_ns: figures.own.waited_ns,
        })
        .collect();
    let new_row = sort_rows(&mut table, |a, b| {
        (b.self_ns, b.total_ns)
            .cmp(&(a.self_ns, a.total_ns))
            .then_with(|| a.module.cmp(&b.module))
            .then_with(|| a.crate_name.cmp(&b.crate_name))
    });
    index.modules.renumber(&new_row);
    session.module_rollups = table;
}

/// Fills the table of crates.
pub(crate) fn crates(session: &mut ProfileSession, index: &mut Index, sums: &Sums) {
    let figures = sums.figures(index, &index.crates);
    let members = members(&session.functions, &index.crates);
    let mut table: Vec<CrateRollup> = (members.iter().zip(&figures))
        .map(|(members, figures)| {
            let name = members.first().and_then(|function| function.crate_name.clone()).unwrap_or_default();
            let version = version(members);
            CrateRollup {
                crate_version: version.map(|(version, _)| version.to_string()),
                crate_version_source: version.and_then(|(_, source)| source.map(str::to_string)),
                origin: origin::of_crate(&name, members, session).map(str::to_string),
                crate_name: name,
                function_count: members.len() as u64,
                self_ns: figures.own.cpu_ns,
                total_ns: figures.total.cpu_ns,
                self_samples: figures.own.samples,
                total_samples: figures.total.samples,
                self_pct: percent(figures.own.cpu_ns, sums.all.cpu_ns),
                total_pct: percent(figures.total.cpu_ns, sums.all.cpu_ns),
                blame_ns: figures.blame_ns,
                self_waited_ns: figures.own.waited_ns,
            }
        })
        .collect();
    let new_row = sort_rows(&mut table, |a, b| {
        (b.self_ns, b.total_ns).cmp(&(a.self_ns, a.total_ns)).then_with(|| a.crate_name.cmp(&b.crate_name))
    });
    index.crates.renumber(&new_row);
    session.crate_rollups = table;
}

/// The functions of each group.
fn members<'a>(functions: &'a [Function], level: &Level) -> Vec<Vec<&'a Function>> {
    let mut members = vec![Vec::new(); level.len];
    for (function, &group) in functions.iter().zip(&level.of_function) {
        if group != NONE {
            members[group as usize].push(function);
        }
    }
    members
}

/// The version that all functions which know one agree on, and where it is from.
fn version<'a>(members: &[&'a Function]) -> Option<(&'a str, Option<&'a str>)> {
    let mut agree = Agree::Open;
    let mut source = None;
    for function in members {
        if let Some(version) = function.crate_version.as_deref() {
            agree.hear(version);
            source = source.or(function.crate_version_source.as_deref());
        }
    }
    agree.value().map(|version| (version, source))
}
