//! What a program's file allows: whether it starts, what its code is called, and whether it can be unwound.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getegid, geteuid};
use rs_symbol::{BinaryFacts, Image};

use super::report::{Finding, Outlook};

/// What was found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    build_id: Option<String>,
    facts: BinaryFacts,
    /// Whether its names are mangled such that they tell everything; `None` for other languages.
    has_v0_names: Option<bool>,
    has_unwind_tables: bool,
    /// Debug information that was packaged apart, found by build id.
    separate_debug: Option<PathBuf>,
    /// Whether the file is no longer what the path names.
    was_replaced: bool,
}

impl Program {
    /// Reads a program, or says why that is none.
    pub(crate) fn read(file: File, path: &Path) -> (Option<Program>, Vec<Finding>) {
        let was_replaced = is_replaced(&file, path);
        match Image::open(file, path) {
            Ok(image) => (Some(Program { was_replaced, ..Program::of_image(&image) }), Vec::new()),
            Err(error) => (None, vec![Finding::no("format", error)]),
        }
    }

    fn of_image(image: &Image) -> Program {
        let facts = image.facts().clone();
        Program {
            build_id: image.build_id().map(str::to_owned),
            has_v0_names: has_v0_names(image),
            // Names of sections end with a zero each, in a list at the end of the file.
            has_unwind_tables: image.bytes().rsplit(|byte| *byte == 0).any(|name| name == b".eh_frame"),
            separate_debug: image.build_id().and_then(separate_debug),
            facts,
            was_replaced: false,
        }
    }

    /// Adds what names there will be, and whether stacks will be whole.
    pub(crate) fn adjust(&self, outlook: &mut Outlook) {
        outlook.unwindable &= self.has_unwind_tables;
        // Without its mappings the process has no names, whatever its file holds.
        outlook.names.get_or_insert(match (self.debuginfo(), self.facts.has_dynsym) {
            ("symbols", _) => "function names from the symbol table, without lines",
            ("stripped", true) => "names of exported functions only",
            ("stripped", false) => "addresses without names",
            _ => "names, lines and inlined functions from debug information",
        });
    }

    fn debuginfo(&self) -> &'static str {
        if self.separate_debug.is_some() { "separate" } else { self.facts.debuginfo.unwrap_or("unknown") }
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.was_replaced {
            let text = "the file was deleted or replaced since it started; it is read through the process";
            findings.push(Finding::ok("file", text));
        }
        let linked = if self.facts.is_static { "statically linked" } else { "dynamically linked" };
        findings.push(match &self.facts.rustc {
            Some(version) => Finding::ok("language", format!("Rust, by rustc {version}, {linked}")),
            None => Finding::ok("language", format!("not Rust, or not known, {linked}")),
        });
        findings.push(self.names());
        if self.has_v0_names == Some(false) {
            let text = "legacy mangling: the module of trait methods is estimated";
            findings.push(
                Finding::limited("mangling", text)
                    .fix("RUSTFLAGS=\"-C symbol-mangling-version=v0\" cargo build --release"),
            );
        }
        findings.push(self.unwinding());
        findings.push(match &self.build_id {
            Some(id) => Finding::ok("build id", id),
            None => Finding::limited(
                "build id",
                "none: separate debug information is not found, and builds are told apart by path only",
            )
            .fix("link with -Wl,--build-id (RUSTFLAGS=\"-C link-arg=-Wl,--build-id\")"),
        });
        findings
    }

    fn names(&self) -> Finding {
        const SUBJECT: &str = "names";
        let is_rust = self.facts.rustc.is_some();
        let fix = |cargo: &str, cc: &str| if is_rust { cargo.to_owned() } else { cc.to_owned() };
        let add_lines = || fix("CARGO_PROFILE_RELEASE_DEBUG=1 cargo build --release", "compile with -g1");
        match (self.debuginfo(), &self.separate_debug) {
            (_, Some(path)) => {
                Finding::ok(SUBJECT, format!("from separate debug information, {}", path.display()))
            }
            ("full" | "limited" | "line-tables-only", None) => Finding::ok(
                SUBJECT,
                format!("functions, lines and inlined calls (debug information: {})", self.debuginfo()),
            ),
            ("symbols", None) => Finding::limited(
                SUBJECT,
                "functions, but no lines and no inlined calls (only a symbol table)",
            )
            .fix(add_lines()),
            ("stripped", None) => {
                let left = if self.facts.has_dynsym { "exported functions only" } else { "none" };
                Finding::limited(SUBJECT, format!("{left}: the program is stripped")).fix(fix(
                    "CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=1 cargo build --release",
                    "link without -s, or install its debug symbols",
                ))
            }
            _ => Finding::ok(SUBJECT, "there is debug information, compressed: how much is not known"),
        }
    }

    fn unwinding(&self) -> Finding {
        if self.has_unwind_tables {
            return Finding::ok("unwinding", "by its tables (.eh_frame)");
        }
        Finding::limited("unwinding", "no tables (.eh_frame): stacks end where frame pointers do").fix(
            if self.facts.rustc.is_some() {
                "RUSTFLAGS=\"-C force-unwind-tables=yes\" cargo build --release"
            } else {
                "compile with -fasynchronous-unwind-tables"
            },
        )
    }
}

/// A program that is nowhere.
pub(crate) fn not_found(exe: &Path) -> Finding {
    let finding = Finding::no("file", format!("there is no program {} in PATH", exe.display()));
    if exe.exists() { finding.fix(format!("./{}", exe.display())) } else { finding }
}

/// A file that may be executed but not read.
pub(crate) fn unreadable(error: &io::Error) -> Finding {
    Finding::limited("file", format!("cannot be read, so its functions have no names: {error}"))
}

/// A script; what runs is its interpreter.
pub(crate) fn is_script(interpreter: &Path) -> Finding {
    let text = format!("a script: samples show {}, which runs it", interpreter.display());
    Finding::limited("format", text)
}

/// Why a file cannot be launched, as an error, or launched but not sampled, as a finding.
pub(crate) fn launch_problem(path: &Path) -> Result<Option<Finding>, Finding> {
    const SUBJECT: &str = "file";
    let metadata = fs::metadata(path).map_err(|error| Finding::no(SUBJECT, format!("{error}")))?;
    if !metadata.is_file() {
        return Err(Finding::no(SUBJECT, "not a file"));
    }
    if access(path, AccessFlags::X_OK).is_err() {
        return Err(Finding::no(SUBJECT, "not executable").fix(format!("chmod +x {}", path.display())));
    }
    let mode = metadata.permissions().mode();
    let is_root = geteuid().is_root();
    // The kernel ends sampling wherever an exec brings other rights, or a file that its user may not read.
    let becomes_user = mode & 0o4000 != 0 && metadata.uid() != geteuid().as_raw();
    let becomes_group = mode & 0o2000 != 0 && metadata.gid() != getegid().as_raw();
    let text = if becomes_user || becomes_group {
        "setuid or setgid: the kernel ends sampling when it starts"
    } else if !is_root && has_file_capabilities(path) {
        "has file capabilities: the kernel ends sampling when it starts"
    } else if access(path, AccessFlags::R_OK).is_err() {
        "may not be read: the kernel ends sampling when it starts"
    } else {
        return Ok(None);
    };
    let as_root_it_stays = !becomes_group && (!becomes_user || metadata.uid() == 0);
    let fix = if as_root_it_stays && !is_root {
        format!("sudo rs-record -- {}", path.display())
    } else {
        let name = path.file_name().unwrap_or_default().display();
        format!("start it, and then: sudo rs-record --pid $(pidof -s {name})")
    };
    Ok(Some(Finding::no(SUBJECT, text).fix(fix)))
}

/// The interpreter that the first line of a script names; behind `env` it is what `env` would look for.
pub(crate) fn interpreter(mut file: &File) -> Option<PathBuf> {
    let mut start = Vec::new();
    // As much as the kernel looks at.
    file.by_ref().take(256).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    let behind_env = words.find(|word| !word.starts_with('-') && !word.contains('='));
    match behind_env {
        Some(name) if first.ends_with("/env") => Some(PathBuf::from(name)),
        _ => Some(PathBuf::from(first)),
    }
}

fn is_replaced(file: &File, path: &Path) -> bool {
    let identity = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|file| (file.dev(), file.ino()));
    identity(file.metadata()) != identity(fs::metadata(path))
}

fn has_file_capabilities(path: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both strings end with a zero, and with a size of 0 nothing is written.
    let size =
        unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    size > 0
}

/// Where distributions put debug information.
fn separate_debug(build_id: &str) -> Option<PathBuf> {
    let (directory, name) = build_id.split_at_checked(2)?;
    let path = Path::new("/usr/lib/debug/.build-id").join(directory).join(format!("{name}.debug"));
    path.is_file().then_some(path)
}

/// Whether the function that calls `main` has a newly mangled name. It is generic, so the program's own mangling
/// shows in it, while the standard library may come with the other one.
fn has_v0_names(image: &Image) -> Option<bool> {
    const FUNCTION: &[u8] = b"3std2rt10lang_start";
    let contains = |name: &[u8]| name.windows(FUNCTION.len()).any(|part| part == FUNCTION);
    let mut names = image.bytes().rsplit(|byte| *byte == 0);
    let name = names.find(|name| (name.starts_with(b"_R") || name.starts_with(b"_ZN")) && contains(name))?;
    Some(name.starts_with(b"_R"))
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    fn finding(program: &Program, subject: &str) -> Finding {
        program.findings().into_iter().find(|finding| finding.subject == subject).unwrap()
    }

    fn names(program: &Program) -> &'static str {
        let mut outlook = Outlook::of_machine(true, true, true, String::new());
        program.adjust(&mut outlook);
        outlook.names.unwrap()
    }

    #[test]
    fn names_by_what_there_is() {
        let with = |debuginfo, rustc: Option<&str>| Program {
            facts: BinaryFacts {
                debuginfo: Some(debuginfo),
                rustc: rustc.map(str::to_owned),
                ..BinaryFacts::default()
            },
            ..Program::default()
        };
        let symbols = with("symbols", Some("1.95.0"));
        assert_eq!(names(&symbols), "function names from the symbol table, without lines");
        assert!(finding(&symbols, "names").fix.unwrap().starts_with("CARGO_PROFILE_RELEASE_DEBUG=1 "));
        let stripped = with("stripped", None);
        assert_eq!(names(&stripped), "addresses without names");
        assert!(finding(&stripped, "names").fix.unwrap().starts_with("link without -s"));
        let packaged = Program { separate_debug: Some("/usr/lib/debug/x".into()), ..stripped };
        assert_eq!(finding(&packaged, "names").level, Level::Ok);
        assert!(names(&packaged).contains("lines"));
        assert_eq!(finding(&with("full", None), "names").level, Level::Ok);
    }

    #[test]
    fn this_program() {
        let path = std::env::current_exe().unwrap();
        let (program, problems) = Program::read(File::open(&path).unwrap(), &path);
        let program = program.unwrap();
        assert_eq!(problems, Vec::new());
        assert!(
            program.facts.rustc.is_some() && program.has_unwind_tables && !program.was_replaced,
            "{program:?}"
        );
        assert_eq!(
            program.has_v0_names,
            Some(false),
            "until rustc makes v0 the default: {:?}",
            program.facts.rustc
        );
        assert_eq!(finding(&program, "unwinding").level, Level::Ok);
    }

    #[test]
    fn scripts_name_their_interpreter() {
        let temporary = tempfile::tempdir().unwrap();
        let interpreter_of = |text: &str| {
            let path = temporary.path().join("script");
            fs::write(&path, text).unwrap();
            interpreter(&File::open(path).unwrap())
        };
        assert_eq!(interpreter_of("#!/bin/sh -e\nls\n"), Some("/bin/sh".into()));
        assert_eq!(interpreter_of("#! /usr/bin/env python3\n"), Some("python3".into()));
        assert_eq!(interpreter_of("#!/usr/bin/env -S A=1 node --x\n"), Some("node".into()));
        assert_eq!(interpreter_of("#!\n"), None);
        assert_eq!(interpreter_of("\x7fELF"), None);
    }

    #[test]
    fn what_cannot_be_launched() {
        let temporary = tempfile::tempdir().unwrap();
        assert_eq!(launch_problem(temporary.path()).unwrap_err().text, "not a file");
        let file = temporary.path().join("app");
        fs::write(&file, "").unwrap();
        let problem = launch_problem(&file).unwrap_err();
        assert_eq!(problem.text, "not executable");
        assert!(problem.fix.unwrap().starts_with("chmod +x /"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(launch_problem(&file), Ok(None));
        let (program, problems) = Program::read(File::open(&file).unwrap(), &file);
        assert!(program.is_none() && problems[0].level == Level::No);
    }
}
