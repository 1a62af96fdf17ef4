//! Plays the phases in order, with quiet between them, and says when each was.

use std::thread;
use std::time::{Duration, Instant};

use crate::marks::Marks;

pub(crate) struct Stage {
    begin: Instant,
    gap: Duration,
    marks: Marks,
    phases: Vec<(&'static str, Instant, Instant)>,
}

impl Stage {
    pub(crate) fn new(gap: Duration) -> Stage {
        let mut stage = Stage { begin: Instant::now(), gap, marks: Marks::open(), phases: Vec::new() };
        stage.rest();
        stage
    }

    pub(crate) fn play(&mut self, name: &'static str, phase: impl FnOnce(&mut Marks)) {
        self.announce(name);
        let begin = Instant::now();
        phase(&mut self.marks);
        self.phases.push((name, begin, Instant::now()));
        self.rest();
    }

    fn rest(&mut self) {
        self.announce("idle");
        thread::sleep(self.gap);
    }

    fn announce(&mut self, name: &str) {
        eprintln!("[{:8.3} s] {name}", self.begin.elapsed().as_secs_f64());
        self.marks.phase(name);
    }

    /// The end. Times are in nanoseconds of the program's own monotonic clock, from its start.
    pub(crate) fn close(self, json: bool) {
        eprintln!("[{:8.3} s] done", self.begin.elapsed().as_secs_f64());
        if json {
            let since = |at: Instant| at.duration_since(self.begin).as_nanos();
            let phase = |(name, begin, end): &(&str, Instant, Instant)| {
                format!(r#"{{"name":"{name}","start_ns":{},"end_ns":{}}}"#, since(*begin), since(*end))
            };
            let phases: Vec<String> = self.phases.iter().map(phase).collect();
            println!(r#"{{"program":"stress_demo","phases":[{}]}}"#, phases.join(","));
        }
    }
}
