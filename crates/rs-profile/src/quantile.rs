//! Quantiles and means of values that hold for different lengths of time.

/// A value and its weight.
pub(crate) type Weighted = (f64, u64);

/// The smallest value at or below which at least `ratio` of the weight lies; `None` without weight.
/// `values` must be in ascending order.
pub(crate) fn quantile(values: &[Weighted], ratio: f64) -> Option<f64> {
    let total: f64 = values.iter().map(|&(_, weight)| weight as f64).sum();
    let mut below = 0.0;
    for &(value, weight) in values {
        below += weight as f64;
        // A hair of tolerance: 0.95 * 20 is 19.000000000000004 to a double.
        if below >= ratio * total * (1.0 - 1e-12) && weight > 0 {
            return Some(value);
        }
    }
    values.iter().rev().find(|value| value.1 > 0).map(|value| value.0)
}

/// The weighted mean; `None` without weight.
pub(crate) fn mean(values: &[Weighted]) -> Option<f64> {
    let total: f64 = values.iter().map(|&(_, weight)| weight as f64).sum();
    (total > 0.0).then(|| values.iter().map(|&(value, weight)| value * weight as f64).sum::<f64>() / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_decides() {
        let values = [(1.0, 90), (2.0, 5), (9.0, 5)];
        assert_eq!(quantile(&values, 0.9), Some(1.0));
        assert_eq!(quantile(&values, 0.95), Some(2.0));
        assert_eq!(quantile(&values, 0.99), Some(9.0));
        assert_eq!(mean(&values), Some(1.45));
        let twenty: Vec<Weighted> = (1..=20).map(|n| (f64::from(n), 1)).collect();
        assert_eq!(quantile(&twenty, 0.95), Some(19.0));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[(1.0, 0)], 0.5), None);
        assert_eq!(mean(&[(1.0, 0)]), None);
    }
}
