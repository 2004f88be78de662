//! The request that an HTTP API sends to the function, and the response, in payload format 2.0.
//!
//! `lambda_http` is not used: it panics if a path or query is not what a URI may hold. So anybody could raise the alarm on
//! errors, and would get a response without our headers.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use order::escaped_json;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest body that is read, in bytes: a reason of 500 percent-encoded characters and the other fields fit.
const MAX_BODY: usize = 16 * 1024;

/// The headers of every answer.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    // Not `no-referrer`: a form would send `Origin: null`.
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    (
        "strict-transport-security",
        "max-age=63072000; includeSubDomains",
    ),
    ("x-robots-tag", "noindex"),
];

/// What the API sends. It holds a link, so it has no `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The path, decoded by the API.
    pub raw_path: String,
    /// The query, as the client sent it.
    #[serde(default)]
    pub raw_query_string: String,
    /// By name in lower case; repeated ones joined by commas.
    #[serde(default)]
    pub headers: HashMap<String, String>,
    /// What the API says of the request.
    pub request_context: Context,
    /// The body, where there is one.
    #[serde(default)]
    pub body: Option<String>,
    /// Whether the body is in Base64.
    #[serde(default)]
    pub is_base64_encoded: bool,
}

/// What the API says of a request.
#[derive(Deserialize)]
pub struct Context {
    /// The request line.
    pub http: FirstLine,
}

/// The request line, as far as it is needed here.
#[derive(Deserialize)]
pub struct FirstLine {
    /// Such as `GET`.
    pub method: String,
}

impl Request {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.request_context.http.method
    }

    /// Whether it asks for a change.
    #[must_use]
    pub fn is_post(&self) -> bool {
        self.method() == "POST"
    }

    /// A header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Whether the answer is wanted as JSON.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        self.header("accept")
            .is_some_and(|accept| accept.contains("application/json"))
    }

    /// Whether a browser sent this from another site's page, or from none. A program sends neither header.
    #[must_use]
    pub fn is_from_elsewhere(&self, origin: &str) -> bool {
        self.header("origin").is_some_and(|from| from != origin)
            || self
                .header("sec-fetch-site")
                .is_some_and(|site| site != "same-origin")
    }

    /// The fields of the form. None if it is too long, is not the Base64 that it should be, or has a field twice.
    #[must_use]
    pub fn form(&self) -> Option<HashMap<String, String>> {
        let body = self.body.as_deref().unwrap_or_default();
        if body.len() > MAX_BODY {
            return None;
        }
        let bytes = if self.is_base64_encoded {
            STANDARD.decode(body).ok()?
        } else {
            body.as_bytes().to_vec()
        };
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(&bytes) {
            if fields.insert(name.into(), value.into()).is_some() {
                return None;
            }
        }
        Some(fields)
    }
}

/// The response to the API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The status.
    pub status_code: u16,
    /// By name in lower case.
    pub headers: HashMap<&'static str, String>,
    /// The body.
    pub body: String,
}

impl Response {
    /// A response with a content type.
    #[must_use]
    pub fn new(status_code: u16, content_type: &str, body: String) -> Self {
        let mut headers: HashMap<_, _> = HEADERS
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        headers.insert("content-type", content_type.to_owned());
        Self {
            status_code,
            headers,
            body,
        }
    }

    /// JSON.
    #[must_use]
    pub fn json(status_code: u16, body: &Value) -> Self {
        let body = escaped_json(&body.to_string());
        Self::new(status_code, "application/json", body)
    }

    /// A page.
    #[must_use]
    pub fn html(status_code: u16, body: String) -> Self {
        Self::new(status_code, "text/html; charset=utf-8", body)
    }

    /// A redirect to another address.
    #[must_use]
    pub fn see_other(location: String) -> Self {
        Self::new(303, "text/plain; charset=utf-8", String::new()).with("location", location)
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }
}
