//! The demonstration plays its phases, tells of them where asked, and is never held up by who listens.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PHASES: [&str; 5] = ["cpu", "memory", "threads", "fds", "files"];

fn demo(marks: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stress_demo"));
    command
        .args(["--scale", "0.05", "--memory-mib", "24", "--fds", "64", "--json"])
        .env_remove("RUSTSCOPE_MARKS");
    if let Some(path) = marks {
        command.env("RUSTSCOPE_MARKS", path);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", output.status);
    output
}

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn fifo(name: &str) -> PathBuf {
    let path = scratch(name);
    let c_path = CString::new(path.to_str().expect("UTF-8")).expect("no zero byte");
    // SAFETY: a terminated string; mkfifo keeps no reference to it.
    assert_eq!(unsafe { libc::mkfifo(c_path.as_ptr(), 0o600) }, 0);
    path
}

#[test]
fn phases_in_order() {
    let output = demo(None);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let phases = json["phases"].as_array().expect("phases");
    let mut last = 0;
    for (phase, name) in phases.iter().zip(PHASES) {
        assert_eq!(phase["name"], name);
        let (start, end) =
            (phase["start_ns"].as_u64().expect("start"), phase["end_ns"].as_u64().expect("end"));
        assert!(last < start && start < end, "{json}");
        last = end;
    }
    assert_eq!(phases.len(), PHASES.len());

    let talk = String::from_utf8(output.stderr).expect("UTF-8");
    let told: Vec<&str> = talk.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(
        told,
        ["idle", "cpu", "idle", "memory", "idle", "threads", "idle", "fds", "idle", "files", "idle", "done"]
    );
}

#[test]
fn marks_reach_the_fifo() {
    let path = fifo("marks");
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .expect("the FIFO opens");
    demo(Some(&path));
    let mut buffer = [0; 4096];
    let length = reader.read(&mut buffer).expect("marks were written");
    let marks = std::str::from_utf8(&buffer[..length]).expect("UTF-8");
    for name in PHASES {
        assert!(marks.contains(&format!("phase {name}\n")), "{marks}");
    }
    let work = marks.lines().find(|line| line.starts_with("work ")).expect("work");
    let words: Vec<&str> = work.split(' ').collect();
    assert!(
        matches!(words[..], ["work", count, "block"] if count.parse::<u64>().is_ok_and(|count| count > 0)),
        "{work}"
    );
    let _ = fs::remove_file(path);
}

#[test]
fn nobody_listening_holds_nothing_up() {
    let unread = fifo("unread");
    demo(Some(&unread));
    demo(Some(Path::new("/nonexistent/fifo")));
    // A file that is no FIFO is left alone.
    let file = scratch("file");
    fs::write(&file, "mine").expect("written");
    demo(Some(&file));
    assert_eq!(fs::read_to_string(&file).expect("read"), "mine");
    let _ = fs::remove_file(unread);
    let _ = fs::remove_file(file);
}

#[test]
#[cfg(target_os = "linux")]
fn planted_functions_have_symbols() {
    use object::{Object, ObjectSymbol};

    let data = fs::read(env!("CARGO_BIN_EXE_stress_demo")).expect("readable");
    let file = object::File::parse(&*data).expect("an object file");
    let names: Vec<String> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .collect();
    for function in [
        "cpu::burst",
        "cpu::burn",
        "memory::spike",
        "memory::fill",
        "threads::storm",
        "threads::work",
        "fds::hoard",
        "fds::index",
        "files::churn",
        "files::checksum",
    ] {
        let name = format!("stress_demo::{function}");
        assert!(names.contains(&name), "no {name}");
    }
}
