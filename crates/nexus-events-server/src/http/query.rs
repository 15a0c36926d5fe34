//! What a URL asks for: its query read, and the next page's written.

use std::fmt::Display;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::Uri;
use nexus_events_model::{Filter, Pattern};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::http::error::ApiError;
use crate::limits::{LOG_ANSWER_DEFAULT, LOG_ANSWER_MAX};

/// The query of a request; the help says which parameters there are.
pub(crate) fn read<T>(
    query: Result<Query<T>, QueryRejection>,
    help: &'static str,
) -> Result<T, ApiError> {
    let refused =
        |error: QueryRejection| ApiError::bad_request("invalid_query", error.body_text(), help);
    query.map(|Query(query)| query).map_err(refused)
}

/// How many are asked for.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(LOG_ANSWER_DEFAULT),
        Some(limit) if (1..=LOG_ANSWER_MAX).contains(&limit) => Ok(limit),
        Some(limit) => {
            let message = format!("limit is 1 to {LOG_ANSWER_MAX}, not {limit}");
            let help = "ask for less, and follow `next` in the answer";
            Err(ApiError::bad_request("invalid_query", message, help))
        }
    }
}

/// One pattern, or several with commas between them.
pub(crate) fn patterns(text: Option<&str>) -> Result<Vec<Pattern>, ApiError> {
    let patterns = text.into_iter().flat_map(|text| text.split(','));
    Ok(patterns.map(|text| Pattern::new(text.trim())).collect::<Result<_, _>>()?)
}

pub(crate) fn filter(text: Option<&str>) -> Result<Option<Filter>, ApiError> {
    Ok(text.map(Filter::parse).transpose()?)
}

/// A time with its offset from UTC.
pub(crate) fn time(name: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    // In a query a plus stands for a space, where nobody has written it as %2B.
    OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).map(Some).map_err(|_| {
        let message = format!("`{name}` is no time: `{text}`");
        let help = "write it as 2026-01-02T03:04:05Z";
        ApiError::bad_request("invalid_query", message, help)
    })
}

/// The same address with this parameter instead.
pub(crate) fn with(uri: &Uri, name: &str, value: impl Display) -> String {
    // An id may have anything in it.
    let mut written = String::new();
    for byte in value.to_string().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                written.push(byte.into());
            }
            _ => written += &format!("%{byte:02X}"),
        }
    }
    let others = uri.query().unwrap_or_default().split('&').filter(|pair| {
        !pair.is_empty() && pair.split_once('=').map_or(*pair, |(name, _)| name) != name
    });
    let pairs = others.map(str::to_owned).chain([format!("{name}={written}")]);
    format!("{}?{}", uri.path(), pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_takes_the_place_of_another() {
        for (uri, expected) in [
            ("/log", "/log?after=7"),
            ("/log?after=3&type=a.*", "/log?type=a.*&after=7"),
            ("/log?type=a.*&after=3&after=4", "/log?type=a.*&after=7"),
            ("/log?after&afterwards=1", "/log?afterwards=1&after=7"),
        ] {
            assert_eq!(with(&uri.parse().unwrap(), "after", 7), expected);
        }
    }

    #[test]
    fn a_time_may_have_lost_its_plus() {
        let read = |text| time("since", Some(text));
        assert_eq!(
            read("2026-01-02T03:04:05+00:00").unwrap(),
            read("2026-01-02T03:04:05 00:00").unwrap()
        );
        assert!(read("noon").unwrap_err().to_json()["message"].as_str().unwrap().contains("noon"));
    }

    #[test]
    fn a_limit_is_neither_nothing_nor_everything() {
        assert_eq!(limit(None).unwrap(), LOG_ANSWER_DEFAULT);
        assert_eq!(limit(Some(1)).unwrap(), 1);
        assert!(limit(Some(0)).is_err() && limit(Some(LOG_ANSWER_MAX + 1)).is_err());
    }
}
