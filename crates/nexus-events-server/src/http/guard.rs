//! What every request and answer passes: no page of another site may read or publish here.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

use crate::http::error::ApiError;

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds the headers that a route has not set itself.
pub(crate) async fn with_security_headers(mut response: Response) -> Response {
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Refuses a browser page that comes from elsewhere; programs other than browsers send no origin.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    match foreign_origin(request.headers()) {
        None => next.run(request).await,
        Some(origin) => {
            let message = format!("a page of {origin} may not use this server");
            let help = "open the console of this very address, or put both behind one name";
            ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", message, help).into_response()
        }
    }
}

fn foreign_origin(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => None,
        _ => Some(String::from_utf8_lossy(origin.as_bytes()).into_owned()),
    }
}

/// Refuses requests that name another machine, which a page can send by having its own name
/// resolve to this one (DNS rebinding).
pub(crate) fn for_this_machine_only(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if host.is_none_or(is_this_machine) {
            return next.run(request).await;
        }
        let message = "the request names a host that is not this machine";
        let help = "use 127.0.0.1 or localhost, or bind the server to an address of its own";
        with_security_headers(
            ApiError::new(StatusCode::FORBIDDEN, "foreign_host", message, help).into_response(),
        )
        .await
    }))
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_this_host_or_foreign() {
        let check = |origin: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            headers.insert(header::HOST, host.parse().unwrap());
            foreign_origin(&headers)
        };
        assert_eq!(check("http://127.0.0.1:7878", "127.0.0.1:7878"), None);
        assert_eq!(check("https://Events.example", "events.example"), None);
        assert_eq!(
            check("https://evil.example", "127.0.0.1:7878").as_deref(),
            Some("https://evil.example")
        );
        assert_eq!(check("null", "127.0.0.1:7878").as_deref(), Some("null"));
        assert_eq!(foreign_origin(&HeaderMap::new()), None);
    }

    #[test]
    fn names_of_this_machine() {
        for host in ["localhost:1", "LOCALHOST", "127.0.0.1:7878", "127.9.9.9", "[::1]:7878"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["evil.example:7878", "127.0.0.1.evil.example", "192.168.0.1", ""] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
