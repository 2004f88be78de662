//! For tests of the functions: the real AWS clients, answered by the test at the HTTP boundary.

use aws_smithy_http_client::test_util::{
    NeverClient, ReplayEvent, StaticReplayClient, infallible_client_fn,
};
use aws_smithy_runtime_api::client::http::{HttpClient, SharedHttpClient};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;

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
