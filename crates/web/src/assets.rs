//! The stylesheet and the script of the pages.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use crate::http::Response;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The stylesheet, for the query of its address.
pub fn style(query: &str) -> Response {
    versioned(query, "text/css; charset=utf-8", STYLE)
}

/// The script, for the query of its address.
pub fn script(query: &str) -> Response {
    versioned(query, "text/javascript; charset=utf-8", SCRIPT)
}

/// What a browser may keep, if its address has the version.
fn versioned(query: &str, content_type: &str, body: &str) -> Response {
    let response = Response::new(200, content_type, body.into());
    if query.strip_prefix("v=") == Some(version()) {
        response.with("cache-control", "max-age=31536000, immutable")
    } else {
        response
    }
}

/// Of stylesheet and script. It is in their addresses: a page that has been open since before a deployment sees by it that
/// it is out of date.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        (STYLE, SCRIPT).hash(&mut hasher);
        format!("{:08x}", hasher.finish() >> 32)
    });
    &VERSION
}
