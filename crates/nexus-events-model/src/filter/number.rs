//! Numbers that compare exactly, whichever of JSON's number forms they came in.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The first power of two that does not fit the whole form.
const WHOLE_END: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// A JSON number. Comparison is exact: whole numbers are never rounded to a float, and `1`, `1.0`
/// and `10e-1` are the same number.
///
/// ```
/// use nexus_events_model::filter_ast::Number;
/// let (odd, even) = (Number::from(9_007_199_254_740_993_i64), Number::from(9_007_199_254_740_992_i64));
/// assert_ne!(odd, even);
/// assert!(odd > Number::from_f64(9_007_199_254_740_992.0).unwrap());
/// assert_eq!(Number::from(1_i64), Number::from_f64(1.0).unwrap());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(Repr);

/// Every number has one form only, so equal numbers are equal in form.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Repr {
    Whole(i128),
    /// Has a fraction, or is at least 2^127 in size; never NaN, never infinite.
    Float(f64),
}

use Repr::{Float, Whole};

impl Number {
    /// The number of a finite float.
    #[must_use]
    pub fn from_f64(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        let whole = number.fract() == 0.0 && number.abs() < WHOLE_END;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        Some(Self(if whole { Whole(number as i128) } else { Float(number) }))
    }

    /// The nearest float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self.0 {
            #[expect(clippy::cast_precision_loss, reason = "the nearest is asked for")]
            Whole(number) => number as f64,
            Float(number) => number,
        }
    }

    pub(crate) fn from_json(number: &serde_json::Number) -> Option<Self> {
        match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Some(number.into()),
            (None, Some(number)) => Some(number.into()),
            (None, None) => Self::from_f64(number.as_f64()?),
        }
    }

    /// The number, when it counts something.
    pub(crate) fn to_count(self) -> Option<u64> {
        match self.0 {
            Whole(number) => u64::try_from(number).ok(),
            Float(_) => None,
        }
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(Whole(number.into()))
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(Whole(number.into()))
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Whole(number) => number.hash(state),
            Float(number) => number.to_bits().hash(state),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Whole(a), Whole(b)) => a.cmp(&b),
            (Float(a), Float(b)) => a.total_cmp(&b),
            (Whole(a), Float(b)) => cmp_whole(a, b),
            (Float(a), Whole(b)) => cmp_whole(b, a).reverse(),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The two are never equal, because a float that is whole has the whole form.
fn cmp_whole(whole: i128, float: f64) -> Ordering {
    if float.abs() >= WHOLE_END {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    let floor = float.floor() as i128;
    if whole <= floor { Ordering::Less } else { Ordering::Greater }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Whole(number) if i64::try_from(number).is_ok() || u64::try_from(number).is_ok() => {
                write!(f, "{number}")
            }
            Float(number) if (1e-5..1e16).contains(&number.abs()) => write!(f, "{number}"),
            Whole(_) | Float(_) => write!(f, "{:e}", self.to_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(number: f64) -> Number {
        Number::from_f64(number).unwrap()
    }

    #[test]
    fn compares_exactly() {
        let rising = [
            float(f64::MIN),
            float(-1e30),
            Number::from(i64::MIN),
            float(-1.5),
            float(-1.0),
            Number::from(0_i64),
            float(5e-324),
            float(301.8),
            Number::from(9_007_199_254_740_992_i64),
            Number::from(9_007_199_254_740_993_i64),
            Number::from(i64::MAX),
            float(9_223_372_036_854_775_808.0),
            Number::from(u64::MAX),
            float(18_446_744_073_709_551_616.0),
            float(f64::MAX),
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a} and {b}");
                assert_eq!(a == b, i == j, "{a} and {b}");
            }
        }
        assert_eq!(float(-0.0), Number::from(0_i64));
        assert_eq!(Number::from_f64(f64::NAN), None);
    }
}
