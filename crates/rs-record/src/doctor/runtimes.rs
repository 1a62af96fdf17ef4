//! Runtimes that make code while they run. Its names are known only if the runtime writes them down, in a file
//! that several profilers read (`perf-PID.map`), and each has a flag of its own for that.

use std::ffi::OsStr;
use std::fs;

use rs_cli::units::show_bytes;

use super::process::Process;
use super::report::Finding;

struct Runtime {
    name: &'static str,
    /// Beginnings of the names of its executables.
    programs: &'static [&'static str],
    /// Beginning of the name of the library that other programs embed it with.
    library: &'static str,
    /// What makes it write the names.
    fix: &'static str,
}

const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: "node",
        programs: &["node", "nodejs"],
        library: "libnode.so",
        fix: "node --perf-basic-prof ...",
    },
    Runtime {
        name: "java",
        programs: &["java"],
        library: "libjvm.so",
        fix: "java -XX:+PreserveFramePointer ..., and while it runs: jcmd PID Compiler.perfmap",
    },
    Runtime {
        name: "python",
        programs: &["python"],
        library: "libpython3",
        fix: "python3 -X perf ... (3.12 and newer)",
    },
    Runtime {
        name: ".NET",
        programs: &["dotnet"],
        library: "libcoreclr.so",
        fix: "DOTNET_PerfMapEnabled=1 dotnet ...",
    },
    Runtime { name: "ruby", programs: &["ruby"], library: "libruby", fix: "ruby --yjit --yjit-perf=map ..." },
    Runtime {
        name: "erlang",
        programs: &["beam"],
        library: "beam.smp",
        fix: "ERL_FLAGS=\"+JPperf map\" ...",
    },
];

/// The runtime of a program that is not running yet.
pub(crate) fn of_name(file_name: &OsStr) -> Option<Finding> {
    let runtime = by_program(&file_name.to_string_lossy())?;
    Some(missing(runtime))
}

/// The runtime of a process, and whether it writes names down.
pub(crate) fn of_process(process: &Process) -> Option<Finding> {
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let exe = process.exe.as_ref().and_then(|exe| by_program(&file_name(&exe.to_string_lossy())));
    let runtime = exe.or_else(|| {
        let maps = process.maps.as_ref().ok()?;
        maps.iter().filter(|line| line.executable).find_map(|line| by_library(&file_name(&line.path)))
    })?;
    match fs::metadata(&process.perf_map) {
        Ok(map) => {
            let text = format!(
                "{}: names in {} ({})",
                runtime.name,
                process.perf_map.display(),
                show_bytes(map.len())
            );
            Some(Finding::ok("run-time code", text))
        }
        Err(_) => Some(missing(runtime)),
    }
}

fn by_program(name: &str) -> Option<&'static Runtime> {
    // python3.12, ruby3.1
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches(".smp");
    RUNTIMES.iter().find(|runtime| runtime.programs.contains(&stem))
}

fn by_library(name: &str) -> Option<&'static Runtime> {
    RUNTIMES.iter().find(|runtime| name.starts_with(runtime.library))
}

fn missing(runtime: &Runtime) -> Finding {
    let text = format!("{}: functions of programs that it runs have no names", runtime.name);
    Finding::limited("run-time code", text).fix(format!("start it so: {}", runtime.fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_known_by_their_names() {
        let name = |program| by_program(program).map(|runtime| runtime.name);
        assert_eq!(name("python3.12"), Some("python"));
        assert_eq!(name("beam.smp"), Some("erlang"));
        assert_eq!(name("node"), Some("node"));
        assert_eq!(name("node_exporter"), None);
        assert_eq!(name("javac-helper"), None);
        assert_eq!(by_library("libjvm.so").map(|runtime| runtime.name), Some("java"));
        assert!(of_name(OsStr::new("java")).unwrap().fix.unwrap().contains("jcmd"));
    }
}
