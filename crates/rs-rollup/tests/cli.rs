//! The program as it is used: by path, by stdin, with good and bad input.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use rs_schema::ProfileSession;

const STREAM: &str = r#"{"type":"header","schema":"rustscope.events","schema_version":1,"session_id":"s1","tool":"rs-record","tool_version":"1","start_time":"2026-11-23T11:36:48Z","clock":{"id":"monotonic"},"sampler":{"backend":"perf_event","rate_hz":1000.0,"period_ns":1000000,"kernel_time":"folded"}}
{"type":"process","id":1,"time_ns":0,"event":"start","pid":7,"name":"demo"}
{"type":"thread","id":1,"time_ns":0,"event":"start","process":1,"tid":7,"name":"demo"}
{"type":"mapping","id":1,"time_ns":0,"process":1,"start":"0x1000","end":"0x2000","file_offset":0,"path":"/app/demo"}
{"type":"frame","id":1,"kind":"user","mapping":1,"address":"0x10","function":"demo::main","crate":"demo","module":"demo","language":"rust"}
{"type":"stack","id":1,"parent":null,"frame":1}
{"type":"sample","time_ns":12000000,"thread":1,"stack":1}
{"type":"sample","time_ns":112000000,"thread":1,"stack":1}
{"type":"end","time_ns":200000000,"reason":"exit","exit_code":0,"signal":null,"sample_count":2,"lost_count":0,"dropped_count":0,"truncated_count":0,"unresolved_frame_count":0}
"#;

fn rollup() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rs-rollup"))
}

fn session(text: &[u8]) -> ProfileSession {
    ProfileSession::from_json(text).expect("a session")
}

fn write(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("a temporary directory that can be written");
    path
}

#[test]
fn by_path_and_by_stdin_it_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "run.ndjson", STREAM);
    let by_path = rollup().arg(&path).assert().success();
    let by_stdin = rollup().write_stdin(STREAM).assert().success();
    let text = &by_path.get_output().stdout;
    assert_eq!(text, &by_stdin.get_output().stdout);
    assert!(text.ends_with(b"}\n") && text.iter().filter(|&&byte| byte == b'\n').count() == 1);
    let session = session(text);
    assert_eq!((session.sampling_diagnostics.sample_count, session.session.complete), (2, true));
    let said = String::from_utf8_lossy(&by_path.get_output().stderr).into_owned();
    assert_eq!(said, "rs-rollup: 200 ms, 2 samples in 1 thread, 1 function; fidelity low: only 2 samples\n");
}

#[test]
fn the_output_file_and_the_window_are_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("session.json");
    let run =
        rollup().args(["-q", "--window", "10ms", "-o"]).arg(&target).write_stdin(STREAM).assert().success();
    assert!(run.get_output().stdout.is_empty() && run.get_output().stderr.is_empty());
    let session = session(&fs::read(&target).unwrap());
    assert_eq!(session.windows.unwrap().interval_ns, 10_000_000);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_cut_stream_is_told_and_written() {
    let cut = &STREAM[..STREAM.len() - 40];
    let run = rollup().write_stdin(cut).assert().success();
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(
        said.contains("rs-rollup: <stdin>: line 9: the stream was cut in the middle of this line"),
        "{said}"
    );
    assert!(said.contains("the stream has no end"), "{said}");
    let session = session(&run.get_output().stdout);
    assert!(!session.session.complete);
    assert_eq!(session.sampling_diagnostics.sample_count, 2);
}

#[test]
fn what_is_not_a_stream_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    for (text, part) in [
        ("", "the input is empty"),
        ("hello\n", "line 1: this is not a RustScope event stream: it begins with \"hello\""),
        ("{\"schema\":\"rustscope.session\",\"schema_version\":1}\n", "its schema is \"rustscope.session\""),
        ("{\"schema\":\"rustscope.events\",\"schema_version\":2}\n", "version 2"),
    ] {
        let path = write(dir.path(), "bad", text);
        let target = dir.path().join("session.json");
        let run = rollup().arg(&path).arg("-o").arg(&target).assert().code(2);
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(said.contains(part) && said.contains("bad: ") && said.lines().count() == 1, "{said}");
        assert!(!target.exists());
    }
    rollup().arg("/no/such/file").assert().code(2);
    rollup().args(["--window", "0ms"]).write_stdin(STREAM).assert().code(2);
}
