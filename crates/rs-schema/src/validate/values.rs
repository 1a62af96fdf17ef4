//! Checks of single values that streams and sessions have in common.

use crate::units::{Capability, Quantity, Status};

/// Ratios and rates are never negative. JSON cannot say infinite or not a number; lines made in memory can.
pub(super) fn is_ratio(ratio: Option<f64>) -> bool {
    ratio.is_none_or(|ratio| ratio.is_finite() && ratio >= 0.0)
}

pub(super) fn is_quantity(quantity: Option<Quantity>) -> bool {
    is_ratio(quantity.map(Quantity::as_f64))
}

/// The first quantity that is not simply measured and does not say why.
pub(super) fn without_reason<'a>(
    mut capabilities: impl Iterator<Item = (&'a String, &'a Capability)>,
) -> Option<&'a String> {
    capabilities
        .find(|(_, capability)| capability.status != Status::Measured && capability.reason.is_none())
        .map(|(name, _)| name)
}

/// Whether `text` has the shape of `2026-11-23T11:36:48.120000000Z`. Calendars are not our business.
pub(super) fn looks_like_rfc3339(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let Some((date, rest)) = text.as_bytes().split_at_checked(SHAPE.len()) else { return false };
    let fits =
        |(&byte, &shape): (&u8, &u8)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    let fraction = rest.strip_suffix(b"Z").or_else(|| rest.strip_suffix(b"+00:00"));
    date.iter().zip(SHAPE).all(fits)
        && match fraction {
            Some([]) => true,
            Some([b'.', digits @ ..]) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}
