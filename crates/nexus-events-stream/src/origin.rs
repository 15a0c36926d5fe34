//! Which web pages may connect.
//!
//! A browser says in `Origin` which site a page is from, and sends that site's own credentials
//! wherever the page connects; so a page from elsewhere is refused.

use axum::http::{HeaderMap, Uri, header};

use crate::error::{Error, ErrorKind, Result};

/// An origin on the allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowedOrigin {
    scheme: String,
    /// Without the `*`, with the dot, when every host below is meant.
    authority: String,
    below: bool,
}

impl AllowedOrigin {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!(
                "origin `{text}` is not understood; write it like https://app.example.com or https://*.example.com"
            );
            Error::new(ErrorKind::InvalidOption, message)
        };
        let (scheme, authority) = split(text).ok_or_else(wrong)?;
        let below = authority.starts_with("*.");
        let authority = authority.strip_prefix('*').unwrap_or(&authority);
        if authority.contains('*') || authority.len() < 2 {
            return Err(wrong());
        }
        Ok(Self { authority: authority.to_owned(), scheme, below })
    }

    fn allows(&self, scheme: &str, authority: &str) -> bool {
        self.scheme == scheme
            && if self.below {
                authority.ends_with(&self.authority)
            } else {
                authority == self.authority
            }
    }
}

/// Whether a request may open a connection.
pub(crate) fn is_allowed(headers: &HeaderMap, uri: &Uri, allowed: &[AllowedOrigin]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    if origins.next().is_some() {
        return false;
    }
    let Some((scheme, authority)) = origin.to_str().ok().and_then(split) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    host.is_some_and(|host| normal(&scheme, host) == authority)
        || allowed.iter().any(|origin| origin.allows(&scheme, &authority))
}

/// Scheme and authority, in lower case, without the scheme's own port.
fn split(origin: &str) -> Option<(String, String)> {
    let (scheme, authority) = origin.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_graphic() && !"/?#@\\\"<>".contains(c);
    if authority.is_empty() || !authority.chars().all(plain) || scheme.is_empty() {
        return None;
    }
    let authority = normal(&scheme, authority);
    Some((scheme, authority))
}

fn normal(scheme: &str, authority: &str) -> String {
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, origin: Option<&str>, allowed: &[&str], expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let allowed: Vec<_> =
            allowed.iter().map(|origin| AllowedOrigin::parse(origin).unwrap()).collect();
        assert_eq!(
            is_allowed(&headers, &Uri::from_static("/ws"), &allowed),
            expected,
            "{origin:?} at {host}"
        );
    }

    #[test]
    fn a_page_of_this_host_or_of_the_list_may_connect() {
        check("localhost:8080", None, &[], true);
        check("localhost:8080", Some("http://localhost:8080"), &[], true);
        check("Example.com", Some("https://example.COM"), &[], true);
        check("example.com", Some("http://example.com:80"), &[], true);
        check("example.com:443", Some("https://example.com"), &[], true);
        check("a.de", Some("https://b.de"), &["https://b.de:443"], true);
        check("a.de", Some("https://x.b.de"), &["https://*.b.de"], true);
        check("a.de", Some("http://[::1]:90"), &["http://[::1]:90"], true);
    }

    #[test]
    fn any_other_page_may_not() {
        check("localhost:8080", Some("http://localhost:8081"), &[], false);
        check("localhost:8080", Some("https://evil.example"), &[], false);
        check("localhost:8080", Some("null"), &[], false);
        check("localhost:8080", Some(""), &[], false);
        check("a.de", Some("http://b.de"), &["https://b.de"], false);
        check("a.de", Some("https://b.de"), &["https://*.b.de"], false);
        check("a.de", Some("https://evilb.de"), &["https://*.b.de"], false);
        check("a.de", Some("https://a.de@evil.de"), &[], false);
        check("a.de", Some("https://a.de/"), &[], false);
    }

    #[test]
    fn two_origins_are_none() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "a.de".parse().unwrap());
        headers.append(header::ORIGIN, "http://a.de".parse().unwrap());
        assert!(is_allowed(&headers, &Uri::from_static("/ws"), &[]));
        headers.append(header::ORIGIN, "http://a.de".parse().unwrap());
        assert!(!is_allowed(&headers, &Uri::from_static("/ws"), &[]));
    }

    #[test]
    fn a_malformed_entry_is_refused() {
        for wrong in ["", "*", "null", "a.de", "https://", "https://a.de/x", "https://a.*.de"] {
            assert!(AllowedOrigin::parse(wrong).is_err(), "{wrong}");
        }
    }
}
