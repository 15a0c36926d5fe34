//! The form that a request to publish has.

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};

use crate::http::error::ApiError;

/// The form that a request says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Lines,
    /// It does not say, or says what command-line clients send when told nothing.
    Unsaid,
}

impl Form {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        check_encoding(headers)?;
        let Some(said) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Unsaid) };
        let said = String::from_utf8_lossy(said.as_bytes()).to_ascii_lowercase();
        let (media_type, parameters) = said.split_once(';').unwrap_or((&said, ""));
        let form = match media_type.trim() {
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/ndjson" => Self::Lines,
            "" | "application/x-www-form-urlencoded" => Self::Unsaid,
            other => {
                return Err(unsupported(
                    format!("content type `{other}` is not understood"),
                    "send application/json (one event, or an array) or application/x-ndjson (one event a line)",
                ));
            }
        };
        check_charset(parameters).map(|()| form)
    }
}

fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let said = headers.get_all(header::CONTENT_ENCODING).iter();
    for value in said.map(|value| String::from_utf8_lossy(value.as_bytes())) {
        for encoding in value.split(',').map(str::trim).filter(|encoding| !encoding.is_empty()) {
            if !encoding.eq_ignore_ascii_case("identity") {
                return Err(unsupported(
                    format!("content encoding `{encoding}` is not understood"),
                    "send the events as they are, not compressed",
                ));
            }
        }
    }
    Ok(())
}

fn check_charset(parameters: &str) -> Result<(), ApiError> {
    for (name, value) in parameters.split(';').filter_map(|one| one.split_once('=')) {
        let charset = value.trim().trim_matches('"');
        if name.trim() == "charset" && !matches!(charset, "utf-8" | "utf8") {
            return Err(unsupported(
                format!("charset `{charset}` is not understood"),
                "send the events as UTF-8",
            ));
        }
    }
    Ok(())
}

fn unsupported(message: String, help: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(content_type: &str, encoding: &str) -> Result<Form, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        Form::of(&headers).map_err(|error| {
            assert_eq!(error.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
            error.to_json()["message"].to_string()
        })
    }

    #[test]
    fn a_form_is_named_by_its_content_type() {
        assert_eq!(form("Application/JSON; charset=utf-8", ""), Ok(Form::Json));
        assert_eq!(form("application/x-ndjson", "identity"), Ok(Form::Lines));
        assert_eq!(form("application/x-www-form-urlencoded", ""), Ok(Form::Unsaid));
        assert_eq!(Form::of(&HeaderMap::new()).unwrap(), Form::Unsaid);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (content_type, encoding, named) in [
            ("text/plain", "", "content type `text/plain`"),
            ("application/json", "gzip", "content encoding `gzip`"),
            ("application/json", "identity, br", "content encoding `br`"),
            ("application/json;charset=ISO-8859-1", "", "charset `iso-8859-1`"),
            ("application/json; a=b; charset=\"utf-16\"", "", "charset `utf-16`"),
        ] {
            let refused = form(content_type, encoding).unwrap_err();
            assert!(refused.contains(named), "{named} in {refused}");
        }
    }
}
