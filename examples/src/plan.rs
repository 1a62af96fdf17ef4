//! Dividing a thread's CPU time between planted functions.

use std::hint::black_box;

use crate::clock::thread_cpu_ns;
use crate::truth::{Site, Truth};

/// Planted functions and the share of the time each is to get.
#[derive(Default)]
pub struct Plan {
    planted: Vec<Planted>,
}

struct Planted {
    site: Site,
    share: f64,
    run: Box<dyn Fn(u64) -> u64>,
    /// Rounds of the next turn, adapted so that a turn takes about as long as asked.
    rounds: u64,
    self_ns: u64,
}

impl Plan {
    /// A plan of nothing yet.
    pub fn new() -> Plan {
        Plan::default()
    }

    /// Plants a function. `run` does the given number of rounds in it, and nothing else that costs time.
    pub fn plant(mut self, share: f64, site: Site, run: impl Fn(u64) -> u64 + 'static) -> Plan {
        self.planted.push(Planted { site, share, run: Box::new(run), rounds: 1_000, self_ns: 0 });
        self
    }

    /// Spends `seconds` of the calling thread's CPU time in turns of a millisecond, and tells where they went.
    pub fn run(self, seconds: f64) -> Truth {
        // Short programs get shorter turns, so that the shares still come out.
        self.run_in_turns(seconds, (seconds * 1e9 / 200.0).clamp(20_000.0, 1_000_000.0) as u64)
    }

    /// The same with turns of the given length.
    pub fn run_in_turns(mut self, seconds: f64, turn_ns: u64) -> Truth {
        let budget_ns = (seconds * 1e9) as u64;
        let mut spent_ns = 0;
        while spent_ns < budget_ns {
            let behind = self.planted.iter_mut().min_by(|a, b| a.progress().total_cmp(&b.progress()));
            let Some(planted) = behind else { break };
            spent_ns += planted.turn(turn_ns);
        }
        let share_sum: f64 = self.planted.iter().map(|planted| planted.share).sum();
        let mut truth = Truth::default();
        for planted in self.planted {
            truth.add(planted.site, planted.self_ns, planted.share / share_sum * seconds * 1e9);
        }
        truth
    }
}

impl Planted {
    fn progress(&self) -> f64 {
        self.self_ns as f64 / self.share
    }

    fn turn(&mut self, turn_ns: u64) -> u64 {
        let begin = thread_cpu_ns();
        black_box((self.run)(black_box(self.rounds)));
        let spent = thread_cpu_ns() - begin;
        self.self_ns += spent;
        let wanted = self.rounds as f64 * turn_ns as f64 / spent.max(1) as f64;
        self.rounds = wanted.clamp(self.rounds as f64 / 4.0, self.rounds as f64 * 4.0).max(100.0) as u64;
        spent
    }
}
