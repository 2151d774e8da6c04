//! Numbers as they are written, exactly.

use super::why;

/// A number: `unscaled * 10^-scale`, `unscaled` without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) negative: bool,
    pub(super) unscaled: u128,
    pub(super) scale: i64,
    /// Significant digits.
    pub(super) digits: u32,
    /// Whether it is written with an exponent, as floats are.
    pub(super) exponent: bool,
    /// Whether it is written without exponent, and with nothing but zeros after the point.
    pub(super) whole: bool,
    /// Whether it has more digits than `unscaled` can hold, and `unscaled` and `scale` say nothing.
    pub(super) overflow: bool,
}

/// Up to here, the shortest text that means a double tells its exact value.
const EXACT: u128 = 10_u128.pow(16);
/// The most significant digits that are kept.
const MAX_DIGITS: u32 = 38;

/// Reads `-12`, `+1.50`, `.5`, `1e-3`; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Number> {
    let bytes = text.as_bytes();
    let (negative, start) = match bytes.first()? {
        b'-' => (true, 1),
        b'+' => (false, 1),
        _ => (false, 0),
    };
    let (mut unscaled, mut digits, mut zeros, mut overflow) = (0_u128, 0_u32, 0_u32, false);
    let (mut any, mut point, mut fraction, mut tail, mut at) = (false, false, 0_i64, false, start);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                any = true;
                fraction += i64::from(point);
                if *byte == b'0' {
                    zeros += u32::from(unscaled != 0);
                } else {
                    tail |= point;
                    digits = if unscaled == 0 { 1 } else { digits.saturating_add(zeros).saturating_add(1) };
                    overflow |= digits > MAX_DIGITS;
                    if !overflow {
                        unscaled = unscaled * 10_u128.pow(zeros + u32::from(unscaled != 0))
                            + u128::from(byte - b'0');
                    }
                    zeros = 0;
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' if any => break,
            _ => return None,
        }
        at += 1;
    }
    if !any {
        return None;
    }
    let exponent = at < bytes.len();
    let power = match exponent {
        true => power(&bytes[at + 1..])?,
        false => 0,
    };
    let scale = if unscaled == 0 { 0 } else { fraction - i64::from(zeros) - power };
    Some(Number { negative, unscaled, scale, digits, exponent, whole: !tail && !exponent, overflow })
}

/// The number after an `e`; very large ones are cut, which is far out of every range.
fn power(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value =
        digits.iter().fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1_000_000));
    Some(if negative { -value } else { value })
}

impl Number {
    /// The integer that it is.
    pub(super) fn integer(&self) -> Result<i128, &'static str> {
        self.shifted(0).map_err(|fault| if fault == why::SCALE { why::FRACTION } else { fault })
    }

    /// `self * 10^digits`, if that is an integer.
    pub(super) fn shifted(&self, digits: i64) -> Result<i128, &'static str> {
        if self.overflow {
            // More than 38 digits: it has no place whether some of them are after the point or not.
            return Err(why::RANGE);
        }
        if self.exponent && self.beyond_exact() {
            return Err(why::FLOAT);
        }
        let power = digits - self.scale;
        if power < 0 {
            return Err(why::SCALE);
        }
        let power = u32::try_from(power).ok().and_then(|power| 10_u128.checked_pow(power));
        let value = match (self.unscaled, power) {
            (0, _) => Some(0),
            (unscaled, Some(power)) => unscaled.checked_mul(power),
            (_, None) => None,
        };
        let value = value.and_then(|value| i128::try_from(value).ok()).ok_or(why::RANGE)?;
        Ok(if self.negative { -value } else { value })
    }

    /// Whether it is greater than what the text of a float tells exactly.
    fn beyond_exact(&self) -> bool {
        if self.scale <= 0 {
            let power = u32::try_from(-self.scale).ok().and_then(|power| 10_u128.checked_pow(power));
            return self.unscaled != 0
                && power
                    .and_then(|power| self.unscaled.checked_mul(power))
                    .is_none_or(|value| value > EXACT);
        }
        let power = u32::try_from(self.scale).ok().and_then(|power| 10_u128.checked_pow(power));
        power.is_some_and(|power| self.unscaled / power > EXACT)
    }

    /// Whether a text is this very number.
    pub(super) fn equals(&self, text: &str) -> bool {
        parse(text).is_some_and(|other| {
            !(self.overflow || other.overflow)
                && (self.negative, self.unscaled, self.scale) == (other.negative, other.unscaled, other.scale)
        })
    }

    /// The unscaled value of a decimal.
    pub(super) fn decimal(&self, precision: u8, scale: i8) -> Result<i128, &'static str> {
        let value = self.shifted(i64::from(scale))?;
        let limit = 10_i128.checked_pow(precision.into()).unwrap_or(i128::MAX);
        if value.abs() < limit { Ok(value) } else { Err(why::RANGE) }
    }
}
