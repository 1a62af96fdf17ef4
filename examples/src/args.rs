//! Command lines: `--name VALUE` and `--name`, nothing more.

use std::process;

/// One option of a program.
pub struct Flag {
    name: &'static str,
    default: Option<f64>,
    help: &'static str,
}

impl Flag {
    /// `--name N`
    pub const fn number(name: &'static str, default: f64, help: &'static str) -> Flag {
        Flag { name, default: Some(default), help }
    }

    /// `--name`
    pub const fn switch(name: &'static str, help: &'static str) -> Flag {
        Flag { name, default: None, help }
    }
}

/// The options as given.
pub struct Args {
    values: Vec<(&'static str, f64)>,
}

impl Args {
    /// Reads the command line; ends the program on `--help` and on what it does not know.
    pub fn parse(about: &str, flags: &[Flag]) -> Args {
        let mut values: Vec<_> = flags.iter().map(|flag| (flag.name, flag.default.unwrap_or(0.0))).collect();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--help" || word == "-h" {
                help(about, flags);
            }
            let Some(index) = flags.iter().position(|flag| word.strip_prefix("--") == Some(flag.name)) else {
                fail(&format!("unknown option {word}; see --help"));
            };
            values[index].1 = match flags[index].default {
                None => 1.0,
                Some(_) => match words.next().and_then(|value| value.parse::<f64>().ok()) {
                    Some(value) if value.is_finite() && value >= 0.0 => value,
                    _ => fail(&format!("{word} needs a number")),
                },
            };
        }
        Args { values }
    }

    /// The value of a number; 0 for an option the program never declared.
    pub fn number(&self, name: &str) -> f64 {
        self.values.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, value)| *value)
    }

    /// The value of a number, whole.
    pub fn count(&self, name: &str) -> u64 {
        self.number(name) as u64
    }

    /// Whether a switch was given.
    pub fn switch(&self, name: &str) -> bool {
        self.number(name) != 0.0
    }
}

fn help(about: &str, flags: &[Flag]) -> ! {
    println!("{about}\n");
    for flag in flags {
        match flag.default {
            Some(default) => println!("  --{} N   {} [{default}]", flag.name, flag.help),
            None => println!("  --{}   {}", flag.name, flag.help),
        }
    }
    process::exit(0);
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    process::exit(2);
}
