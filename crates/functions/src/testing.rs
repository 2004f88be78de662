//! For tests of the functions: the real AWS clients, answered by the test at the HTTP boundary.

use std::{fs, mem};

use aws_smithy_http_client::test_util::{
    NeverClient, ReplayEvent, StaticReplayClient, infallible_client_fn,
};
use aws_smithy_runtime_api::client::http::{HttpClient, SharedHttpClient};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Request;
use crate::aws::{MAX_ATTEMPTS, config_from, http_client};

/// An AWS that gives these answers (HTTP status and body) one after the other, and keeps the requests.
#[derive(Clone, Debug)]
pub struct FakeAws(StaticReplayClient);

impl FakeAws {
    /// Gives these answers and fails whatever is asked after them.
    ///
    /// # Panics
    /// If a status is not one of HTTP.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn answering(answers: &[(u16, &str)]) -> Self {
        let exchange = |(status, body): &(u16, &str)| {
            ReplayEvent::new(
                http::Request::new(SdkBody::empty()),
                http::Response::builder()
                    .status(*status)
                    .body(SdkBody::from(*body))
                    .expect("a valid HTTP status"),
            )
        };
        Self(StaticReplayClient::new(
            answers.iter().map(exchange).collect(),
        ))
    }

    /// The client configuration of the functions, connected to this AWS.
    #[must_use]
    pub fn config(&self) -> SdkConfig {
        config(self.0.clone(), None)
    }

    /// The bodies of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let body = |request: &http::Request<SdkBody>| {
            String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned()
        };
        self.0
            .actual_requests()
            .filter_map(|request| request.try_clone()?.try_into_http1x().ok())
            .map(|request| body(&request))
            .collect()
    }
}

/// The client configuration of the functions, with an AWS that makes an answer (HTTP status and body) of each request's
/// body.
///
/// # Panics
/// If a status is not one of HTTP.
#[must_use]
#[allow(clippy::expect_used)]
pub fn answered_by(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> SdkConfig {
    let client = infallible_client_fn(move |request| {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        let (status, body) = answer(&body);
        http::Response::builder()
            .status(status)
            .body(SdkBody::from(body))
            .expect("a valid HTTP status")
    });
    config(client, None)
}

/// The client configuration of the functions, with an AWS that takes every request and never answers.
fn silent_aws() -> SdkConfig {
    config(NeverClient::new(), None)
}

/// The client configuration of the functions, with no AWS at all: the port is closed.
fn unreachable_aws() -> SdkConfig {
    config(http_client(), Some("http://127.0.0.1:9"))
}

#[allow(clippy::expect_used)]
fn config(client: impl HttpClient + 'static, endpoint: Option<&str>) -> SdkConfig {
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL" => endpoint.map(Into::into),
        "AWS_REGION" => Some("eu-central-1".into()),
        _ => Some("test".into()),
    };
    config_from(variable, SharedHttpClient::new(client)).expect("every variable is given")
}

/// What the state machine of a release sent to a function, and what the function replied.
#[derive(Deserialize)]
pub struct Recorded {
    function: String,
    request: Value,
    reply: Value,
}

impl Recorded {
    /// The request, with a field that only a later definition sends.
    ///
    /// # Panics
    /// If the function does not accept it.
    #[must_use]
    #[allow(clippy::indexing_slicing, clippy::panic)]
    pub fn request<R: Request>(&self) -> R {
        let mut request = self.request.clone();
        request["of_a_later_release"] = "ignored".into();
        serde_json::from_str(&request.to_string())
            .unwrap_or_else(|error| panic!("{request} is not accepted any more: {error}"))
    }

    /// Checks a reply to the request.
    ///
    /// # Panics
    /// If it lacks a field of the recorded reply.
    #[allow(clippy::expect_used)]
    pub fn assert_still_replied(&self, reply: impl Serialize) {
        let reply = serde_json::to_value(reply).expect("JSON");
        assert!(
            has_fields_of(&reply, &self.reply),
            "a definition may read each field of {} and now gets {reply}",
            self.reply
        );
    }
}

fn has_fields_of(value: &Value, recorded: &Value) -> bool {
    match (value, recorded) {
        (Value::Object(value), Value::Object(recorded)) => {
            recorded.iter().all(|(name, recorded)| {
                value
                    .get(name)
                    .is_some_and(|value| has_fields_of(value, recorded))
            })
        }
        (Value::Array(values), Value::Array(recorded)) => {
            values.len() == recorded.len()
                && values
                    .iter()
                    .zip(recorded)
                    .all(|(value, recorded)| has_fields_of(value, recorded))
        }
        (value, recorded) => mem::discriminant(value) == mem::discriminant(recorded),
    }
}

/// What was recorded of a function at each release by `make requests`.
///
/// # Panics
/// If nothing was recorded of the present version.
#[must_use]
#[allow(clippy::expect_used)]
pub fn recorded(function: &str) -> Vec<Recorded> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/requests");
    let files = fs::read_dir(folder).expect("the folder of recorded requests");
    let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(
        files
            .iter()
            .any(|file| file.ends_with(concat!(env!("CARGO_PKG_VERSION"), ".jsonl"))),
        "nothing is recorded of this version: run `make requests`"
    );
    let mut all = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).expect("a file");
        let lines = text.lines();
        all.extend(lines.map(|line| serde_json::from_str(line).expect("a request and its reply")));
    }
    all.retain(|recorded: &Recorded| recorded.function == function);
    assert!(!all.is_empty(), "nothing is recorded of {function}");
    all
}

/// AWS in each state in which a retry may help, with the name of the state. `error` writes an error of the service's protocol
/// from its code.
#[must_use]
pub fn outages(error: fn(&str) -> String) -> Vec<(&'static str, SdkConfig)> {
    let answering = |status, code| {
        let body = error(code);
        FakeAws::answering(&vec![(status, body.as_str()); MAX_ATTEMPTS as usize]).config()
    };
    vec![
        ("throttling", answering(400, "ThrottlingException")),
        ("a throttled key", answering(400, "KMSThrottling")),
        (
            "too many requests",
            answering(429, "TooManyRequestsException"),
        ),
        ("internal error", answering(500, "InternalServerError")),
        ("unavailable", answering(503, "ServiceUnavailable")),
        (
            "an unreadable answer",
            FakeAws::answering(&[(200, "not what AWS sends"); MAX_ATTEMPTS as usize]).config(),
        ),
        ("silent", silent_aws()),
        ("unreachable", unreachable_aws()),
    ]
}

/// AWS when it refuses for a reason that only a person can mend.
#[must_use]
pub fn refusals(error: fn(&str) -> String) -> Vec<(&'static str, SdkConfig)> {
    [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "NotFound",
        "ValidationException",
    ]
    .map(|code| (code, FakeAws::answering(&[(400, &error(code))]).config()))
    .into()
}
