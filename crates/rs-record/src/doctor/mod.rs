//! `rs-record doctor`: what this machine and a target allow, what is missing, and the smallest fix.
//!
//! Whatever can be tried is tried, with the very calls that a recording makes; settings are only read to say
//! why something was refused. Finding out (`*::look`) and judging (`*::findings`) are apart, so that judgements
//! about machines other than this one can be tested.

mod machine;
mod permission;
mod process;
mod program;
mod report;
mod runtimes;
mod surroundings;
mod trials;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use rs_cli::{Exit, Style};

use crate::target::launch;
use crate::target::proc::ProcFs;
use machine::Machine;
use permission::Wanted;
use process::Process;
use program::Program;
use report::{Finding, Outlook, Report};

const CANNOT_LAUNCH: &str = "nothing: the program cannot be launched";

/// Whom to look at, besides the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct DoctorTarget {
    /// A running process.
    pub(crate) pid: Option<i32>,
    /// A program, as one would launch it.
    pub(crate) exe: Option<PathBuf>,
}

/// Why the kernel refused a sampling event, and what would allow it, in one sentence. `user_time` says that not
/// even time in user code was allowed.
pub(crate) fn explain_refusal(error: &io::Error, user_time: bool) -> String {
    let machine = Machine::look();
    let wanted = match (user_time, &machine.user_time) {
        (false, _) => Wanted::KernelTime,
        // We may sample programs of our own, so it is this one that is not.
        (true, Ok(())) => Wanted::Foreign,
        (true, Err(_)) => Wanted::UserTime,
    };
    let permission::Explanation { reason, fix } = permission::explain(trials::errno(error), wanted, &machine);
    match fix {
        Some(fix) => format!("{reason}; to allow it: {fix}"),
        None => format!("{reason}; `rs-record doctor` says more"),
    }
}

/// Looks, and writes what it found. [`Exit::Negative`] when nothing can be sampled.
///
/// # Errors
/// When the report cannot be written, or /proc is missing.
pub(crate) fn run(target: &DoctorTarget, out: &mut impl Write, style: Style) -> Result<Exit> {
    let proc_fs = ProcFs::mounted()?;
    let machine = Machine::look();
    let mut report = Report::default();
    let mut outlook = machine.outlook();
    let mut findings = machine.findings();
    findings.extend(proc_fs.proc_pid(std::process::id() as i32).ok().and_then(surroundings::limits));
    report.section(machine.title(), findings);
    if let Some(pid) = target.pid {
        match process::find(&proc_fs, pid) {
            Ok(proc_pid) => {
                let process = Process::look(&proc_fs, pid, proc_pid);
                let mut findings = process.findings(&machine);
                findings.extend(surroundings::limits(proc_pid));
                report.section(process.title(), findings);
                process.adjust(&mut outlook);
                examine_running(&mut report, &mut outlook, &process, proc_pid);
            }
            Err(finding) => {
                report.section(format!("process {pid}"), vec![finding]);
                outlook = Outlook::nothing("nothing: there is no such process to record");
            }
        }
    } else if let Some(exe) = &target.exe {
        examine_file(&mut report, &mut outlook, exe);
    }
    report.write(out, style)?;
    outlook.write(out, style)?;
    Ok(if outlook.samples() { Exit::Ok } else { Exit::Negative })
}

/// The program of a process, which can be read through /proc also when its file is gone.
fn examine_running(report: &mut Report, outlook: &mut Outlook, process: &Process, proc_pid: i32) {
    // A process of the kernel has none.
    let Some(path) = &process.exe else { return };
    let through = format!("/proc/{proc_pid}/exe");
    let (program, mut findings) = match File::open(through) {
        Ok(file) => Program::read(file, path),
        Err(error) => (None, vec![program::unreadable(&error)]),
    };
    if let Some(program) = &program {
        findings.extend(program.findings());
        program.adjust(outlook);
    }
    findings.extend(runtimes::of_process(process));
    report.section(format!("program {}", path.display()), findings);
}

/// A program that is not running, and whatever interprets it if it is a script.
fn examine_file(report: &mut Report, outlook: &mut Outlook, exe: &Path) {
    let mut next = Some(exe.to_owned());
    // As deep as the kernel follows scripts.
    for _ in 0..5 {
        let Some(exe) = next.take() else { return };
        let (path, findings) = match launch::find(&exe.to_string_lossy()) {
            Some(path) => {
                let (findings, interpreter) = examine_launch(outlook, &path);
                next = interpreter;
                (path, findings)
            }
            None => {
                *outlook = Outlook::nothing(CANNOT_LAUNCH);
                (exe.clone(), vec![program::not_found(&exe)])
            }
        };
        report.section(format!("program {}", path.display()), findings);
    }
}

/// One file, and what interprets it.
fn examine_launch(outlook: &mut Outlook, path: &Path) -> (Vec<Finding>, Option<PathBuf>) {
    let mut findings = Vec::new();
    match program::launch_problem(path) {
        Ok(None) => {}
        Ok(Some(no_samples)) => {
            *outlook = Outlook::nothing("no samples, only metrics");
            findings.push(no_samples);
        }
        Err(problem) => {
            *outlook = Outlook::nothing(CANNOT_LAUNCH);
            return (vec![problem], None);
        }
    }
    // Of what cannot be read, that has been said.
    let Ok(file) = File::open(path) else { return (findings, None) };
    if let Some(interpreter) = program::interpreter(&file) {
        findings.push(program::is_script(&interpreter));
        return (findings, Some(interpreter));
    }
    let (program, problems) = Program::read(file, path);
    findings.extend(problems);
    match &program {
        Some(program) => {
            findings.extend(program.findings());
            program.adjust(outlook);
        }
        None => *outlook = Outlook::nothing(CANNOT_LAUNCH),
    }
    findings.extend(runtimes::of_name(path.file_name().unwrap_or_default()));
    (findings, None)
}

#[cfg(test)]
mod tests;
