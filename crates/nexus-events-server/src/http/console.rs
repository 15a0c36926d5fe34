//! The console page: files compiled into the binary, served so that a browser runs nothing else.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// What the page may load and run: its own files, nothing inline, nothing from elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'none'";

/// A file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal: $content_type:ident,)*) => {
        &[$(Asset {
            path: concat!("/console/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../console/", $name)),
        }),*]
    };
}

const PAGE: Asset =
    Asset { path: "/", content_type: HTML, bytes: include_bytes!("../console/index.html") };

const ASSETS: &[Asset] = assets![
    "app.js": JAVASCRIPT,
    "connection.js": JAVASCRIPT,
    "details.js": JAVASCRIPT,
    "dom.js": JAVASCRIPT,
    "filter.js": JAVASCRIPT,
    "format.js": JAVASCRIPT,
    "handlers.js": JAVASCRIPT,
    "history.js": JAVASCRIPT,
    "icon.svg": SVG,
    "plot.js": JAVASCRIPT,
    "rates.js": JAVASCRIPT,
    "ring.js": JAVASCRIPT,
    "style.css": CSS,
    "tail.js": JAVASCRIPT,
    "vendor/uPlot.iife.min.js": JAVASCRIPT,
    "vendor/uPlot.min.css": CSS,
];

/// The routes of the console.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().chain([&PAGE]).fold(Router::new(), |router, asset| {
        let etag = etag(asset.bytes);
        router.route(asset.path, get(async move |headers: HeaderMap| asset.serve(&etag, &headers)))
    })
}

/// Changes with the content, so that a browser asks again and gets the bytes only once.
fn etag(bytes: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()))
        .expect("a quoted hexadecimal number is a header value")
}

impl Asset {
    fn serve(&self, etag: &HeaderValue, request: &HeaderMap) -> Response {
        let headers: [(HeaderName, HeaderValue); 5] = [
            (header::ETAG, etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        if is_known(etag, request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        (content_type, headers, self.bytes).into_response()
    }
}

fn is_known(etag: &HeaderValue, request: &HeaderMap) -> bool {
    let known = request.get_all(header::IF_NONE_MATCH);
    let etag = etag.to_str().unwrap_or_default();
    known.iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == etag)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn text(asset: &Asset) -> &'static str {
        std::str::from_utf8(asset.bytes).unwrap()
    }

    fn own_scripts() -> impl Iterator<Item = &'static Asset> {
        ASSETS.iter().filter(|asset| asset.path.ends_with(".js") && !asset.path.contains("vendor"))
    }

    /// Everything between `start` and `end`.
    fn between<'a>(text: &'a str, start: &'a str, end: char) -> impl Iterator<Item = &'a str> {
        text.split(start).skip(1).map(move |rest| rest.split(end).next().unwrap_or_default())
    }

    #[test]
    fn serves_every_file_of_the_page() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console");
        let mut files = BTreeSet::new();
        for inner in ["", "vendor/"] {
            for file in folder.join(inner).read_dir().unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                if [".js", ".css", ".svg"].iter().any(|end| name.ends_with(end)) {
                    files.insert(format!("/console/{inner}{name}"));
                }
            }
        }
        let served: BTreeSet<_> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(served, files);
    }

    #[test]
    fn the_page_names_only_files_that_are_served() {
        let mut named: BTreeSet<String> = BTreeSet::new();
        for attribute in ["src=\"", "href=\"console"] {
            for path in between(text(&PAGE), attribute, '"') {
                named.insert(format!("/console{}", path.trim_start_matches("console")));
            }
        }
        for script in own_scripts() {
            for path in between(text(script), "from \"./", '"') {
                named.insert(format!("/console/{path}"));
            }
        }
        assert!(named.len() > 10, "{named:?}");
        for path in named {
            assert!(ASSETS.iter().any(|asset| asset.path == path), "{path} is not served");
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_is_parsed_as_html() {
        let page = text(&PAGE);
        for script in between(page, "<script", '>') {
            assert!(script.contains(" src=\"console/"), "<script{script}> is inline");
        }
        for forbidden in
            ["<style", " style=", " onclick=", " onload=", "javascript:", "http://", "https://"]
        {
            assert!(!page.contains(forbidden), "the page contains {forbidden}");
        }
        for script in own_scripts() {
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text(script).contains(forbidden), "{} uses {forbidden}", script.path);
            }
        }
    }

    #[test]
    fn a_browser_that_has_a_file_does_not_get_it_again() {
        let mut request = HeaderMap::new();
        let tag = etag(PAGE.bytes);
        assert_eq!(PAGE.serve(&tag, &request).status(), StatusCode::OK);
        request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"0000000000000000\""));
        assert_eq!(PAGE.serve(&tag, &request).status(), StatusCode::OK);
        let list = format!("\"x\", W/{}", tag.to_str().unwrap());
        request.insert(header::IF_NONE_MATCH, list.parse().unwrap());
        let answer = PAGE.serve(&tag, &request);
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer.headers()[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
    }
}
