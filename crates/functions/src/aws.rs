//! How the functions reach AWS: one client configuration, and what each failure means to the workflow.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use tokio::time::timeout;

use crate::Error;

/// How long opening a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one attempt of a call may take, its connection included.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_500);
/// How many attempts a call has, the first included.
pub const MAX_ATTEMPTS: u32 = 3;
/// The longest pause before the second attempt. It doubles before each later attempt.
pub const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
/// How long a call may take with all its attempts and the pauses between them. It is less than the functions' `Timeout`
/// in `template.yaml`, so that a function answers with an error name before Lambda ends it.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// Errors that come as HTTP 400 and yet are worth a retry, beside those that the SDK lists.
/// SNS: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors>,
/// `DynamoDB`: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const PASSING_ERRORS: &[&str] = &[
    "KMSThrottling",
    "KMSThrottlingException",
    "ReplicatedWriteConflictException",
    "Throttled",
    "TransactionConflictException",
];

/// The certificate authorities that sign for AWS's endpoints: <https://www.amazontrust.com/repository/>. With these
/// five, a function starts sooner than with all that the system trusts (docs/performance.md has the figures).
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The configuration of a client of one service, from the variables that Lambda sets: region, credentials, and
/// `AWS_ENDPOINT_URL` for the local AWS. The connection to the service is opened before, so that no order waits for it. If
/// that fails, the first request tries again.
///
/// Lambda gives a function its credentials in its environment and nowhere else, so the provider chain of
/// `aws-config` is left out, and with it a third of the binary.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
pub async fn connect(service: &str) -> Result<SdkConfig, Error> {
    connect_from(service, |name| std::env::var(name).ok()).await
}

/// [`connect`] with the environment as a parameter, for tests.
pub async fn connect_from(
    service: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<SdkConfig, Error> {
    let endpoint = variable("AWS_ENDPOINT_URL").unwrap_or_else(|| {
        let region = variable("AWS_REGION").unwrap_or_default();
        format!("https://{service}.{region}.amazonaws.com")
    });
    // The client panics at a certificate that it is given and cannot read, so a file is read as the system's are.
    let trusted = match variable("SSL_CERT_FILE") {
        Some(_) => TrustStore::default(),
        None => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
    };
    let mut connector = connector(trusted);
    let greeted = timeout(ATTEMPT_TIMEOUT, greet(&connector, &endpoint)).await;
    if let Err(error) = greeted.unwrap_or_else(|elapsed| Err(elapsed.to_string())) {
        tracing::warn!(
            service,
            error,
            "no connection to AWS yet; the first request tries again, with the system's certificate authorities"
        );
        // Another authority may sign here: that of a company's proxy, or of another partition of AWS. The system may trust it.
        connector = self::connector(TrustStore::default());
    }
    config_from(variable, http_client_of(connector))
}

/// Opens the connection by a request that needs no credentials and changes nothing. Any answer will do: the connection then
/// stays open for the next request.
async fn greet(connector: &SharedHttpConnector, endpoint: &str) -> Result<(), String> {
    let request = HttpRequest::get(endpoint).map_err(|error| causes(&error))?;
    let answer = connector.call(request).await;
    let answer = answer.map_err(|error| causes(&error))?;
    let body = ByteStream::new(answer.into_body()).collect().await;
    body.map(drop).map_err(|error| causes(&error))
}

/// What an error and each of its causes say, the outermost first. Connection errors name addresses and certificates,
/// never a request, so nothing in them is a secret.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        let cause = cause.to_string();
        if said.last() != Some(&cause) {
            said.push(cause);
        }
    }
    said.join(": ")
}

/// The configuration of every AWS client, for this environment and HTTP client.
pub fn config_from(
    variable: impl Fn(&str) -> Option<String>,
    http_client: SharedHttpClient,
) -> Result<SdkConfig, Error> {
    let required = |name: &str| {
        variable(name).ok_or_else(|| Error::Misconfigured(format!("{name} is not set")))
    };
    let credentials = Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(required("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(MAX_ATTEMPTS)
                .with_initial_backoff(INITIAL_BACKOFF),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        );
    Ok(match variable("AWS_ENDPOINT_URL") {
        Some(url) => config.endpoint_url(url).build(),
        None => config.build(),
    })
}

/// An HTTP client that trusts the system's certificate authorities.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    http_client_of(connector(TrustStore::default()))
}

fn http_client_of(connector: SharedHttpConnector) -> SharedHttpClient {
    http_client_fn(move |_, _| connector.clone())
}

/// What opens connections and keeps them: rustls with ring, which starts faster and is smaller than the default.
fn connector(trust: TrustStore) -> SharedHttpConnector {
    let builder = Connector::builder()
        .connector_settings(
            HttpConnectorSettings::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
        .sleep_impl(TokioSleep::new())
        .tls_provider(Provider::Rustls(CryptoMode::Ring));
    let builder = match TlsContext::builder().with_trust_store(trust).build() {
        Ok(context) => builder.tls_context(context),
        Err(error) => {
            tracing::warn!(error = causes(&error), "TLS is set up with defaults");
            builder
        }
    };
    SharedHttpConnector::new(builder.build())
}

/// What a failed call means to the workflow: `unavailable` if a retry may help, `Misconfigured` if a person must change the
/// deployment.
pub fn failure<E>(
    call: &str,
    error: &SdkError<E, HttpResponse>,
    unavailable: fn(String) -> Error,
) -> Error
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::TimeoutError(_) => unavailable(format!("{call} timed out")),
        SdkError::DispatchFailure(failed) => {
            let why = failed.as_connector_error().map(|error| causes(error));
            let why = why.unwrap_or_else(|| "no reason given".into());
            unavailable(format!("{call} could not reach AWS: {why}"))
        }
        SdkError::ResponseError(_) => {
            unavailable(format!("{call} got an answer that cannot be read"))
        }
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("unknown error");
            let status = service.raw().status().as_u16();
            // What AWS says of a value that it refuses may quote the value, which may be an order's.
            let may_quote = ["Invalid", "Validation", "Serialization"]
                .iter()
                .any(|begin| code.starts_with(begin));
            let detail = if may_quote {
                "AWS's text is left out, since it may quote the order"
            } else {
                service.err().message().unwrap_or("no detail given")
            };
            // Every other status counts as an outage, also a success whose body cannot be read.
            let refused = (400..500).contains(&status)
                && status != 429
                && !THROTTLING_ERRORS.contains(&code)
                && !TRANSIENT_ERRORS.contains(&code)
                && !PASSING_ERRORS.contains(&code);
            let message = format!("{call} failed with {code} (HTTP {status}): {detail}");
            if refused {
                Error::Misconfigured(message)
            } else {
                unavailable(message)
            }
        }
        _ => Error::Misconfigured(format!("{call} could not be made")),
    }
}
