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

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rs_cli::{Exit, Style};

use crate::target::launch;
use crate::target::proc::ProcFs;
use machine::Machine;
use process::Process;
use program::Program;
use report::{Finding, Level, Outlook, Report};

/// Whom to look at, besides the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct DoctorTarget {
    /// A running process.
    pub(crate) pid: Option<i32>,
    /// A program, as one would launch it.
    pub(crate) exe: Option<PathBuf>,
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
    report.section(machine.title(), machine.findings());
    if let Some(pid) = target.pid {
        match process::find(&proc_fs, pid) {
            Ok(proc_pid) => {
                let process = Process::look(&proc_fs, pid, proc_pid);
                report.section(process.title(), process.findings(&machine));
                process.adjust(&mut outlook);
                examine_running(&mut report, &mut outlook, &process, proc_pid);
            }
            Err(finding) => {
                report.section(format!("process {pid}"), vec![finding]);
                outlook = Outlook::nothing("there is nothing to record");
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
    // As deep as the kernel follows scripts.
    let mut next = Some(exe.to_owned());
    for _ in 0..5 {
        let Some(exe) = next.take() else { return };
        let Some(path) = launch::find(&exe.to_string_lossy()) else {
            report.section(format!("program {}", exe.display()), vec![program::not_found(&exe)]);
            *outlook = Outlook::nothing("the program cannot be launched");
            return;
        };
        let mut findings: Vec<Finding> = match program::launch_problem(&path) {
            Ok(hindrance) => hindrance.into_iter().collect(),
            Err(finding) => {
                report.section(format!("program {}", path.display()), vec![finding]);
                *outlook = Outlook::nothing("the program cannot be launched");
                return;
            }
        };
        if findings.iter().any(|finding| finding.level == Level::No) {
            *outlook = Outlook::nothing("no samples, only metrics");
        }
        match File::open(&path) {
            Ok(file) => {
                if let Some(interpreter) = program::interpreter(&file) {
                    findings.push(program::is_script(&interpreter));
                    next = Some(interpreter);
                } else {
                    let (program, problems) = Program::read(file, &path);
                    findings.extend(problems);
                    if let Some(program) = &program {
                        findings.extend(program.findings());
                        program.adjust(outlook);
                    } else {
                        *outlook = Outlook::nothing("the program cannot be launched");
                    }
                }
            }
            Err(error) => findings.push(program::unreadable(&error)),
        }
        findings.extend(runtimes::of_name(path.file_name().unwrap_or(OsStr::new(""))));
        report.section(format!("program {}", path.display()), findings);
    }
}

#[cfg(test)]
mod tests;
