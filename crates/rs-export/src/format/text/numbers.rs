//! Figures as people read them, beyond what `rs_cli::units` has.

use std::time::Duration;

pub(super) use rs_cli::units::{show_bytes, show_count, show_percent};

/// A length of time.
pub(super) fn show_ns(ns: u64) -> String {
    rs_cli::units::show_duration(Duration::from_nanos(ns))
}

/// A point of the session's time, in seconds and without a blank: what is read off one page is pasted behind
/// `--from` for the next.
pub(crate) fn show_time(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    if seconds < 1000.0 { format!("{seconds:.2}s") } else { format!("{seconds:.1}s") }
}

/// A mean, rate or number of cores: three digits, and thousands whole.
pub(super) fn show_fraction(value: f64) -> String {
    match value.abs() {
        small if small < 9.995 => format!("{value:.2}"),
        middle if middle < 99.95 => format!("{value:.1}"),
        _ => show_count(value.round().max(0.0) as u64),
    }
}

/// A part in percent; `None` of nothing, since a share of nothing is unknown and not zero.
pub(super) fn percent_of(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

/// A ratio of a session, in percent. What is not all of it never shows as 100 %.
pub(super) fn show_ratio(ratio: f64) -> String {
    if (0.9995..1.0).contains(&ratio) { ">99.9%".to_owned() } else { show_percent(ratio * 100.0) }
}

/// A number and its noun.
pub(super) fn plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", show_count(count))
}

/// Start of the recording for people: `2026-11-23 11:36:48 UTC`; what has another form stays as it is.
pub(super) fn show_start(rfc3339: &str) -> String {
    match date_and_clock(rfc3339) {
        Some((date, [hour, minute, second])) => format!("{date} {hour:02}:{minute:02}:{second:02} UTC"),
        None => rfc3339.to_owned(),
    }
}

/// Time of day at a point of the session: who was woken by a graph knows the clock, not the offset.
pub(super) fn clock_at(rfc3339: &str, ns: u64) -> Option<String> {
    let (_, [hour, minute, second]) = date_and_clock(rfc3339)?;
    // The fraction of the start's second counts too, or every clock would be up to a second early.
    let fraction = rfc3339.get(19..)?.trim_end_matches('Z').parse::<f64>().unwrap_or(0.0);
    let seconds = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    let seconds = seconds + (fraction + ns as f64 / 1e9) as u64;
    Some(format!("{:02}:{:02}:{:02} UTC", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60))
}

/// Date, and hour, minute, second, of an RFC 3339 time in UTC.
fn date_and_clock(rfc3339: &str) -> Option<(&str, [u32; 3])> {
    let date = rfc3339.get(..10)?;
    let clock = rfc3339.strip_suffix('Z')?.get(10..19)?.strip_prefix('T')?;
    let mut parts = clock.split(':').map(|part| part.parse().ok());
    let clock = [parts.next()??, parts.next()??, parts.next()??];
    Some((date, clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_follow_the_offset() {
        let start = "2026-11-23T23:59:48.620000000Z";
        assert_eq!(show_start(start), "2026-11-23 23:59:48 UTC");
        assert_eq!(clock_at(start, 0).as_deref(), Some("23:59:48 UTC"));
        assert_eq!(clock_at(start, 11_400_000_000).as_deref(), Some("00:00:00 UTC"));
        assert_eq!(clock_at("yesterday", 0), None);
        assert_eq!(show_start("2026-11-23T23:59:48+01:00"), "2026-11-23T23:59:48+01:00");
        assert_eq!(clock_at("2026-11-23Tüüüüü", 0), None);
    }

    #[test]
    fn figures() {
        assert_eq!(show_time(11_400_000_000), "11.40s");
        assert_eq!(show_time(3_671_400_000_000), "3671.4s");
        assert_eq!(show_fraction(1.984), "1.98");
        assert_eq!(show_fraction(123_456.0), "123,456");
        assert_eq!(plural(1, "sample"), "1 sample");
        assert_eq!(percent_of(0, 0), None);
    }
}
