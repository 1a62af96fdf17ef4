//! Reading what a person typed.

use std::time::Duration;

/// Why a value is not taken, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No number in front.
    #[error("`{text}` is not a number with a unit; write for example {example}")]
    NotANumber {
        /// As typed.
        text: String,
        /// Something that would be taken.
        example: &'static str,
    },
    /// A number alone.
    #[error("`{text}` has no unit; write for example {text}{unit}")]
    NoUnit {
        /// As typed.
        text: String,
        /// The unit most likely meant.
        unit: &'static str,
    },
    /// A unit of something else.
    #[error("`{unit}` is not a unit here; use one of {known}")]
    UnknownUnit {
        /// As typed.
        unit: String,
        /// All that are taken.
        known: &'static str,
    },
    /// A right unit, but no sensible amount of it.
    #[error("`{text}` is {why}")]
    OutOfRange {
        /// As typed.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// `500ms`, `5s`, `1.5s`, `2m`, `1h`; also `ns`, `us`, `µs`, `min` and `d`. To the nanosecond.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text, "500ms or 5s")?;
    let nanos = match unit {
        "ns" => 1,
        // The micro sign and the Greek letter look the same and are both typed.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "" if is_zero(number) => 0,
        "" => return Err(UnitError::NoUnit { text: number.to_owned(), unit: "s" }),
        _ => return Err(unknown(unit, "ns, us, ms, s, m, h, d")),
    };
    scaled(number, nanos).map(Duration::from_nanos).ok_or_else(|| too_large(text))
}

/// Like [`parse_duration`], but not zero: for windows, intervals and limits.
pub fn parse_positive_duration(text: &str) -> Result<Duration, UnitError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(UnitError::OutOfRange { text: text.to_owned(), why: "no time at all" }),
        duration => Ok(duration),
    }
}

/// `5MiB`, `10MB`, `512KiB`, `64k`, `100B`, in bytes, upper or lower case: `KiB MiB GiB TiB` and the single
/// letters count in 1024, `KB MB GB TB` in 1000, as GNU tools have it.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text, "5MiB or 64k")?;
    let bytes = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "p" | "pib" => 1 << 50,
        "e" | "eib" => 1 << 60,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "" if is_zero(number) => 0,
        "" => return Err(UnitError::NoUnit { text: number.to_owned(), unit: "MiB" }),
        _ => return Err(unknown(unit, "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB")),
    };
    scaled(number, bytes).ok_or_else(|| too_large(text))
}

/// `997`, `997hz`, `1.5kHz`: times a second. A rate means nothing else, so it may go without unit.
pub fn parse_rate(text: &str) -> Result<u32, UnitError> {
    let (number, unit) = split(text, "997")?;
    let hertz = match unit.to_ascii_lowercase().as_str() {
        "" | "hz" => 1,
        "khz" => 1_000,
        _ => return Err(unknown(unit, "hz, khz")),
    };
    let rate =
        scaled(number, hertz).and_then(|rate| u32::try_from(rate).ok()).ok_or_else(|| too_large(text))?;
    match rate {
        0 => Err(UnitError::OutOfRange { text: text.to_owned(), why: "no rate; the least is 1" }),
        rate => Ok(rate),
    }
}

/// `80%` or `80`, also `2.5%` and more than 100: gives 80.0.
pub fn parse_percent(text: &str) -> Result<f64, UnitError> {
    let (number, unit) = split(text, "80%")?;
    match (unit, number.parse::<f64>()) {
        ("" | "%", Ok(percent)) if percent.is_finite() => Ok(percent),
        ("" | "%", _) => Err(too_large(text)),
        _ => Err(unknown(unit, "%")),
    }
}

/// Splits into a plain decimal number and the unit behind it.
fn split<'a>(text: &'a str, example: &'static str) -> Result<(&'a str, &'a str), UnitError> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    // Also turns away "", "." and "1.2.3".
    if number.parse::<f64>().is_err() {
        return Err(UnitError::NotANumber { text: text.to_owned(), example });
    }
    Ok((number, unit.trim_start()))
}

fn is_zero(number: &str) -> bool {
    number.chars().all(|c| c == '0' || c == '.')
}

/// The number times the unit, rounded; in integers, so that `0.1s` is 100 ms and not a nanosecond off. `None`
/// if it does not fit.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Beyond 18 digits is less than the smallest amount of any unit, and would overflow.
    let fraction = &fraction[..fraction.len().min(18)];
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let scale = 10_u128.pow(fraction.len() as u32);
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let rest = (parts * u128::from(unit) + scale / 2) / scale;
    u64::try_from(whole.checked_mul(unit.into())?.checked_add(rest)?).ok()
}

fn unknown(unit: &str, known: &'static str) -> UnitError {
    UnitError::UnknownUnit { unit: unit.to_owned(), known }
}

fn too_large(text: &str) -> UnitError {
    UnitError::OutOfRange { text: text.to_owned(), why: "too large" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let millis = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("500ms"), Ok(500));
        assert_eq!(millis("1.5s"), Ok(1500));
        assert_eq!(millis(".1s"), Ok(100));
        assert_eq!(millis("2m"), Ok(120_000));
        assert_eq!(millis("1h"), Ok(3_600_000));
        assert_eq!(millis("0"), Ok(0));
        assert_eq!(parse_duration("3\u{b5}s"), Ok(Duration::from_micros(3)));
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = |text| parse_duration(text).unwrap_err().to_string();
        assert_eq!(error("5"), "`5` has no unit; write for example 5s");
        assert_eq!(error("5x"), "`x` is not a unit here; use one of ns, us, ms, s, m, h, d");
        assert_eq!(error("soon"), "`soon` is not a number with a unit; write for example 500ms or 5s");
        assert_eq!(error("1.2.3s"), "`1.2.3s` is not a number with a unit; write for example 500ms or 5s");
        assert_eq!(error("-5s"), "`-5s` is not a number with a unit; write for example 500ms or 5s");
        assert_eq!(error("99999999999h"), "`99999999999h` is too large");
        assert_eq!(parse_positive_duration("0ms").unwrap_err().to_string(), "`0ms` is no time at all");
        assert_eq!(parse_size("64").unwrap_err().to_string(), "`64` has no unit; write for example 64MiB");
        assert_eq!(parse_rate("0").unwrap_err().to_string(), "`0` is no rate; the least is 1");
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("5MiB"), Ok(5 << 20));
        assert_eq!(parse_size("10MB"), Ok(10_000_000));
        assert_eq!(parse_size("64k"), Ok(64 << 10));
        assert_eq!(parse_size("1.5 gib"), Ok(3 << 29));
        assert_eq!(parse_size("100B"), Ok(100));
        assert!(parse_size("99999999TiB").is_err());
    }

    #[test]
    fn rates_and_percents() {
        assert_eq!(parse_rate("997"), Ok(997));
        assert_eq!(parse_rate("997Hz"), Ok(997));
        assert_eq!(parse_rate("1.5khz"), Ok(1500));
        assert_eq!(parse_percent("80%"), Ok(80.0));
        assert_eq!(parse_percent("2.5"), Ok(2.5));
        assert!(parse_percent("nan").is_err());
        assert!(parse_percent("5s").is_err());
    }
}
