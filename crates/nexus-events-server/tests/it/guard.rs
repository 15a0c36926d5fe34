//! Who may use the server from a browser.

use hyper::header::ORIGIN;
use hyper::{Method, StatusCode};

use crate::http::{Server, request};

#[tokio::test]
async fn a_page_from_elsewhere_may_not_publish() {
    let server = Server::start().await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let mut request =
            request(Method::POST, "/events", &server.authority, r#"{"event_type":"a"}"#);
        request.headers_mut().insert(ORIGIN, origin.parse().unwrap());
        let answer = server.send(request).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (StatusCode::FORBIDDEN, "foreign_origin"),
            "{origin}"
        );
    }
    assert_eq!(server.bus.stats().events.total_events, 0);
    let mut request = request(Method::POST, "/events", &server.authority, r#"{"event_type":"a"}"#);
    request.headers_mut().insert(ORIGIN, format!("http://{}", server.authority).parse().unwrap());
    assert_eq!(server.send(request).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = Server::start().await;
    for path in ["/", "/stats", "/nothing", "/events?limit=x"] {
        let answer = server.get(path).await;
        for header in [
            "content-security-policy",
            "x-content-type-options",
            "x-frame-options",
            "referrer-policy",
            "cross-origin-resource-policy",
            "cache-control",
        ] {
            assert!(answer.headers.contains_key(header), "{path} {header}");
        }
    }
}
