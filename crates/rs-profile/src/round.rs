//! Fractions as the session writes them: short, and the same on every machine.

/// Six digits behind the point, for ratios and rates.
pub(crate) fn rounded(value: f64) -> f64 {
    round_to(value, 1e6)
}

/// `part` in percent of `whole`, with four digits behind the point; 0 of nothing is 0.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { round_to(part as f64 / whole as f64 * 100.0, 1e4) }
}

/// `part` of `whole` as a fraction; `None` of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64))
}

/// A count a second; `None` over no time.
pub(crate) fn per_second(count: u64, duration_ns: u64) -> Option<f64> {
    (duration_ns > 0).then(|| rounded(count as f64 / duration_ns as f64 * 1e9))
}

fn round_to(value: f64, steps: f64) -> f64 {
    let scaled = (value * steps).round();
    if scaled.is_finite() { scaled / steps } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_short() {
        assert_eq!(percent(1, 3), 33.3333);
        assert_eq!(percent(1, 0), 0.0);
        assert_eq!(ratio(2, 3), Some(0.666667));
        assert_eq!(per_second(5, 2_000_000_000), Some(2.5));
        assert_eq!(rounded(f64::MAX), f64::MAX);
    }
}
