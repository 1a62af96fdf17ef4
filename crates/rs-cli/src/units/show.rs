//! Writing numbers for a person.

use std::time::Duration;

/// `842 ns`, `12.3 ms`, `1.50 s`, `2 m 05 s`, `1 h 02 m`.
pub fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0 s".to_owned();
    }
    if nanos < 1_000 {
        return format!("{nanos} ns");
    }
    // Each unit ends where its three digits would round up into the next one.
    for (factor, unit, end) in [(1e3, "\u{b5}s", 999.5), (1e6, "ms", 999.5), (1e9, "s", 59.95)] {
        let value = nanos as f64 / factor;
        if value < end {
            return format!("{} {unit}", three_digits(value));
        }
    }
    let seconds = (nanos + 500_000_000) / 1_000_000_000;
    if seconds < 3_600 {
        return format!("{} m {:02} s", seconds / 60, seconds % 60);
    }
    let minutes = (seconds + 30) / 60;
    format!("{} h {:02} m", minutes / 60, minutes % 60)
}

/// `512 B`, `48.0 MiB`.
pub fn show_bytes(bytes: u64) -> String {
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1_023.5 {
            return format!("{} {unit}", three_digits(value));
        }
        value /= 1_024.0;
    }
    format!("{} EiB", three_digits(value))
}

/// `1,234,567`.
pub fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.3%` of a value that is already in percent; a trace is `<0.1%`, which zero is not.
pub fn show_percent(percent: f64) -> String {
    if percent > 0.0 && percent < 0.05 { "<0.1%".to_owned() } else { format!("{percent:.1}%") }
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_into_the_next_unit() {
        let show = |nanos| show_duration(Duration::from_nanos(nanos));
        assert_eq!(show(0), "0 s");
        assert_eq!(show(842), "842 ns");
        assert_eq!(show(12_345_678), "12.3 ms");
        assert_eq!(show(999_600_000), "1.00 s");
        assert_eq!(show(1_500_000_000), "1.50 s");
        assert_eq!(show(59_960_000_000), "1 m 00 s");
        assert_eq!(show(125_000_000_000), "2 m 05 s");
        assert_eq!(show(3_599_600_000_000), "1 h 00 m");
    }

    #[test]
    fn bytes_counts_percents() {
        assert_eq!(show_bytes(1_023), "1023 B");
        assert_eq!(show_bytes(48 << 20), "48.0 MiB");
        assert_eq!(show_bytes((1 << 20) - 1), "1.00 MiB");
        assert_eq!(show_bytes(u64::MAX), "16.0 EiB");
        assert_eq!(show_count(0), "0");
        assert_eq!(show_count(999), "999");
        assert_eq!(show_count(1_234_567), "1,234,567");
        assert_eq!(show_percent(12.34), "12.3%");
        assert_eq!(show_percent(0.01), "<0.1%");
        assert_eq!(show_percent(0.0), "0.0%");
    }
}
