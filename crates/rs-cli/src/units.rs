//! Numbers with units, as people type and read them.
//!
//! The `parse_` functions are meant for clap: `#[arg(value_parser = rs_cli::units::parse_duration)]`. A
//! number without a unit is an error that says what to write, since `--window 100` could mean seconds to one
//! reader and milliseconds to the next; only 0 needs none. The `show_` functions give three significant
//! digits, enough for a person and no more than a sampled number deserves.

mod parse;
mod show;

pub use parse::{UnitError, parse_duration, parse_percent, parse_positive_duration, parse_rate, parse_size};
pub use show::{show_bytes, show_count, show_duration, show_percent};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        #[test]
        fn whole_durations_are_exact(n in 0..=1_000_000_u64) {
            prop_assert_eq!(parse_duration(&format!("{n}ms")), Ok(Duration::from_millis(n)));
            prop_assert_eq!(parse_duration(&format!("{n} s")), Ok(Duration::from_secs(n)));
        }

        #[test]
        fn a_shown_duration_reads_back_nearly_the_same(nanos in 1..59_000_000_000_u64) {
            let back = parse_duration(&show_duration(Duration::from_nanos(nanos))).unwrap();
            let error = (back.as_nanos() as f64 - nanos as f64).abs() / nanos as f64;
            prop_assert!(error <= 0.006, "{} for {nanos} ns", show_duration(back));
        }

        #[test]
        fn shown_bytes_read_back_nearly_the_same(bytes in 1..u64::MAX / 2) {
            let back = parse_size(&show_bytes(bytes)).unwrap();
            let error = (back as f64 - bytes as f64).abs() / bytes as f64;
            prop_assert!(error <= 0.006, "{} for {bytes}", show_bytes(back));
        }

        #[test]
        fn nothing_typed_panics(text in "\\PC*") {
            let _ = (parse_duration(&text), parse_size(&text), parse_rate(&text), parse_percent(&text));
        }
    }
}
