//! stdin, stdout, files, broken pipes and signals of the filters.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::sys::signal::Signal;
use rs_tests::cmd::{Running, eventually, run};
use rs_tests::process::wait_until_handled;
use rs_tests::streams::stream;

use super::{FILTERS, Filter, LIMIT, files, read, script, streams};

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

#[test]
fn nothing_and_dash_are_stdin_and_stdout() {
    let dir = streams("stdin");
    for filter in FILTERS {
        let line = filter.line();
        let by_path = script(dir.path(), &format!("{line} good")).ok();
        let mut ways = vec![
            format!("cat good | {line}"),
            format!("{line} < good"),
            format!("cat good | {line} -"),
            format!("cat good | {line} /dev/stdin"),
        ];
        if filter.has_output {
            ways.push(format!("cat good | {line} - -o -"));
            ways.push(format!("{line} good -o /dev/stdout"));
        }
        for way in ways {
            let way_out = script(dir.path(), &way).ok();
            assert_eq!(way_out.stdout, by_path.stdout, "{way}");
        }
        assert_eq!(by_path.stdout.is_empty(), filter.name == "rs-schema", "data is on stdout: {line}");
        assert!(by_path.stderr.lines().all(|said| said.starts_with(filter.name)), "{}", by_path.stderr);
    }
}

#[test]
fn the_output_file_appears_whole_and_alone() {
    for filter in FILTERS.iter().filter(|filter| filter.has_output) {
        let dir = streams("output");
        let line = filter.line();
        let to_stdout = script(dir.path(), &format!("{line} good")).ok();
        let to_file = script(dir.path(), &format!("{line} good -o out")).ok();
        assert!(to_file.stdout.is_empty(), "{line}");
        assert_eq!(read(dir.path().join("out")), to_stdout.text(), "{line}");
        assert_eq!(files(dir.path()), ["bad", "good", "long", "out"], "{line}");
        // Nothing is kept of an older one, and the input may be the output.
        fs::write(dir.path().join("out"), "x".repeat(1 << 20)).expect("an old output");
        script(dir.path(), &format!("{line} good -o out && {line} good -o good")).ok();
        assert_eq!(read(dir.path().join("out")), to_stdout.text(), "{line}");
        assert_eq!(read(dir.path().join("good")), to_stdout.text(), "{line}");
    }
    let dir = streams("output");
    script(dir.path(), "rs-schema print events > 1; rs-schema print events -o 2; cmp 1 2").ok();
}

#[test]
fn a_failed_run_leaves_no_file_and_no_temporary() {
    let dir = streams("failed");
    for filter in FILTERS.iter().filter(|filter| filter.has_output) {
        for input in ["bad", "no-such-file", "/"] {
            let line = format!("{} {input} -o out", filter.line());
            let failed = script(dir.path(), &line);
            assert_eq!(failed.status.code(), Some(2), "{line}: {}", failed.stderr);
            assert_eq!(files(dir.path()), ["bad", "good", "long"], "{line}");
            fs::write(dir.path().join("out"), "old").expect("an old output");
            assert_eq!(script(dir.path(), &line).status.code(), Some(2));
            assert_eq!(read(dir.path().join("out")), "old", "{line}: the old one stays");
            fs::remove_file(dir.path().join("out")).expect("it can go");
        }
        let line = format!("{} good -o no-such-dir/out", filter.line());
        let failed = script(dir.path(), &line);
        assert_eq!(failed.status.code(), Some(2), "{line}");
        assert!(failed.stderr.contains("no-such-dir"), "names the place: {}", failed.stderr);
    }
}

#[test]
fn who_reads_no_further_is_no_failure() {
    let dir = streams("broken-pipe");
    for filter in FILTERS {
        // 60 inputs that are no streams give more faults than a pipe holds; validation has no other output.
        let input = if filter.name == "rs-schema" { "bad ".repeat(60) } else { "long".to_owned() };
        let line = filter.line();
        let expected = if filter.name == "rs-schema" { "[01]" } else { "0" };
        for (pipefail, reader) in
            [(true, "true"), (false, "true"), (true, "head -1 >/dev/null"), (false, "head -c 1 >/dev/null")]
        {
            let text = format!(
                r#"bash -c '{}
                {{ sleep 0.1; {line} -q {input}; echo "status $?" >&2; }} | {reader}; echo "all $?"'"#,
                if pipefail { "set -o pipefail" } else { "" },
            );
            let ended = script(dir.path(), &text);
            let said = ended.stderr.trim();
            // The filter itself; a validation that was cut short may have counted a fault before.
            let status =
                said.strip_prefix("status ").unwrap_or_else(|| panic!("{line} | {reader} is quiet: {said}"));
            assert!(expected.contains(status), "{line} | {reader}: {said}");
            assert_eq!(ended.text().trim(), "all 0", "{line} | {reader}");
        }
    }
    let quiet = script(dir.path(), "bash -o pipefail -c 'rs-schema print events | head -1'").ok();
    assert_eq!((quiet.text().as_str(), quiet.stderr.as_str()), ("{\n", ""));
}

#[test]
fn closed_and_full_streams_are_no_bugs() {
    let dir = streams("closed");
    for filter in FILTERS {
        let line = filter.line();
        for redirection in [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"] {
            let ended = script(dir.path(), &format!("{line} good {redirection}"));
            let said = ended.stderr;
            assert!(
                matches!(ended.status.code(), Some(0 | 2)),
                "{line} {redirection}: {} {said}",
                ended.status
            );
            assert!(
                !said.contains("internal error") && !said.contains("panicked"),
                "{line} {redirection}: {said}"
            );
        }
        let input = if filter.name == "rs-schema" { "bad" } else { "good" };
        let full = script(dir.path(), &format!("{line} {input} > /dev/full"));
        assert_eq!(full.status.code(), Some(2), "{line}: {}", full.stderr);
        assert!(full.stderr.contains("No space left"), "{line}: {}", full.stderr);
        let mute = script(dir.path(), &format!("{line} good 2> /dev/full"));
        assert_eq!(mute.status.code(), Some(0), "{line}");
    }
}

#[test]
fn same_bytes_in_same_bytes_out() {
    let dir = streams("same");
    for filter in FILTERS {
        for input in ["good", "long"] {
            let line = filter.line();
            let first = script(dir.path(), &format!("{line} {input}")).ok();
            // Another time, place, environment and way in.
            let text = format!("cat {input} | env -i TZ=Asia/Tokyo LC_ALL=C COLUMNS=7 PATH=\"$PATH\" {line}");
            let again = script(dir.path(), &text).ok();
            assert!(first.stdout == again.stdout, "{line} {input}");
        }
    }
    let print = || script(dir.path(), "rs-schema print events; rs-schema print session").ok().stdout;
    assert_eq!(print(), print());
}

/// A filter in the middle of reading a stream from a pipe.
struct Reading {
    filter: Running,
    stdin: std::process::ChildStdin,
    rest: String,
}

impl Reading {
    #[track_caller]
    fn start(filter: &Filter, directory: &std::path::Path) -> Reading {
        let mut command = filter.command();
        command.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if filter.has_output {
            command.args(["-o", "out"]);
        }
        let mut filter = Running::start(&mut command);
        let mut stdin = filter.child().stdin.take().expect("piped");
        wait_until_handled(filter.pid(), Signal::SIGINT);
        wait_until_handled(filter.pid(), Signal::SIGHUP);
        let text = stream(20);
        let (first, rest) = text.split_at(text.len() / 2);
        stdin.write_all(first.as_bytes()).expect("it reads");
        Reading { filter, stdin, rest: rest.to_owned() }
    }

    /// Two signals sent at once would arrive as one.
    fn signal(&mut self, signal: Signal) {
        self.filter.signal(signal);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn the_first_signal_lets_a_filter_drain_its_pipe() {
    for filter in FILTERS {
        for signal in SIGNALS {
            let dir = streams("drain");
            let mut reading = Reading::start(filter, dir.path());
            reading.signal(signal);
            let Reading { filter: mut running, mut stdin, rest } = reading;
            stdin
                .write_all(rest.as_bytes())
                .unwrap_or_else(|error| panic!("{} after {signal}: {error}", filter.name));
            drop(stdin);
            let status = running.wait(LIMIT).expect("it ends");
            assert_eq!(status.code(), Some(0), "{} after {signal}", filter.name);
            if filter.has_output {
                let whole = run(filter.command().arg(dir.path().join("good")), LIMIT).ok();
                assert_eq!(read(dir.path().join("out")), whole.text(), "{} after {signal}", filter.name);
            }
        }
    }
}

/// The shell hands the hang-up of its terminal on to its jobs, and the kernel tells the foreground group once more.
#[test]
fn a_closing_terminal_may_hang_up_twice() {
    for filter in FILTERS {
        let dir = streams("hang-up");
        let mut reading = Reading::start(filter, dir.path());
        for _ in 0..3 {
            reading.signal(Signal::SIGHUP);
        }
        let Reading { filter: mut running, mut stdin, rest } = reading;
        stdin.write_all(rest.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", filter.name));
        drop(stdin);
        assert_eq!(running.wait(LIMIT).expect("it ends").code(), Some(0), "{}", filter.name);
    }
}

#[test]
fn the_second_signal_kills_and_leaves_no_file() {
    for filter in FILTERS {
        for (first, second) in [(Signal::SIGINT, Signal::SIGINT), (Signal::SIGHUP, Signal::SIGTERM)] {
            let dir = streams("second");
            let mut reading = Reading::start(filter, dir.path());
            if filter.has_output {
                let begun = eventually(LIMIT, || (files(dir.path()).len() == 4).then_some(()));
                assert!(begun.is_some(), "{}: the output is begun beside its place", filter.name);
            }
            reading.signal(first);
            assert!(reading.filter.is_alive());
            reading.signal(second);
            let status = reading.filter.wait(LIMIT).expect("it ends");
            assert_eq!(status.signal(), Some(second as i32), "{}: {status}", filter.name);
            assert_eq!(files(dir.path()), ["bad", "good", "long"], "{}", filter.name);
        }
    }
}

#[test]
fn what_a_filter_was_started_to_ignore_it_ignores() {
    for filter in FILTERS {
        let dir = streams("nohup");
        let text = format!(
            "trap '' HUP; {{ head -c 3000 good; sleep 0.4; tail -c +3001 good; }} | \
             {{ sh -c 'echo $$ > pid; exec {}' > out; }} & \
             sleep 0.2; kill -HUP $(cat pid); sleep 0.02; kill -HUP $(cat pid); wait $!",
            filter.line()
        );
        let ended = script(dir.path(), &text).ok();
        let whole = run(filter.command().arg(dir.path().join("good")), LIMIT).ok();
        assert_eq!(read(dir.path().join("out")), whole.text(), "{}: {}", filter.name, ended.stderr);
    }
}
