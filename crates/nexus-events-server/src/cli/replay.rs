//! The options of `nexus replay`.

use clap::Args;

use super::Remote;

/// What is replayed, to whom and how.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Where it begins: an offset, a time such as 2026-01-02T03:04:05Z, or 1h for an hour ago
    /// [default: the oldest event that is kept]
    #[arg(long, value_name = "OFFSET|TIME")]
    pub(crate) from: Option<String>,
    /// Where it ends, an offset included, a time not [default: the newest event there is]
    #[arg(long, value_name = "OFFSET|TIME")]
    pub(crate) to: Option<String>,
    /// Only event types that match, such as order.*
    #[arg(long = "type", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// Only events for which this holds, such as `payload.amount > 100`
    #[arg(long)]
    pub(crate) filter: Option<String>,
    /// To this handler alone [default: to all that are meant]
    #[arg(long, value_name = "NAME")]
    pub(crate) handler: Option<String>,
    /// So many times as fast as they were recorded [default: as fast as the handlers go]
    #[arg(long, value_name = "TIMES", value_parser = above_zero, conflicts_with = "rate")]
    pub(crate) speed: Option<f64>,
    /// At most so many events a second
    #[arg(long, value_name = "N", value_parser = above_zero)]
    pub(crate) rate: Option<f64>,
    /// Call no handler, only count what each would be given
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `10` or `10x`.
fn above_zero(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('x').parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("write a number above 0; leave it out for full speed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_above_zero() {
        assert_eq!((above_zero("10x"), above_zero("0.5")), (Ok(10.0), Ok(0.5)));
        for wrong in ["0", "-1", "x", "inf", "NaN"] {
            assert!(above_zero(wrong).is_err(), "{wrong}");
        }
    }
}
