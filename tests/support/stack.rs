//! The deployed stack as a test sees it: its clients and its outputs.

use std::collections::HashMap;
use std::env;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpClient};
use tokio::sync::OnceCell;

use crate::proxy::Faults;
use crate::wait::PATIENCE;

/// Clients of the stack under test.
#[derive(Clone)]
pub struct Stack {
    /// Step Functions, as users and restaurants call it.
    pub sfn: aws_sdk_sfn::Client,
    /// `DynamoDB`, which holds the orders.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// `EventBridge`, which carries the events.
    pub events: aws_sdk_eventbridge::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    /// SQS, whose queues receive events and messages for tests.
    pub sqs: aws_sdk_sqs::Client,
}

/// A stack that the program found by its name, instead of one that the environment names.
pub struct Deployed {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub config: SdkConfig,
    /// Its outputs.
    pub outputs: HashMap<String, String>,
    /// What the names of all that is made in it begin with.
    pub prefix: &'static str,
    /// How long a new rule or subscription takes until it delivers.
    pub settle: Duration,
}

pub(crate) static DEPLOYED: OnceLock<Deployed> = OnceLock::new();

/// From now on, this is the stack that [`Stack::connect`] connects to.
pub fn use_deployed(stack: Deployed) {
    assert!(DEPLOYED.set(stack).is_ok(), "one process, one stack");
}

/// The HTTP client of a test. The functions' client would give up on a slow answer, such as that of a queue that waits for
/// messages. This one keeps to its caller's time limits, and uses the proxies that the environment names.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, _| connector(settings.cloned(), true))
}

/// Opens the client's connections; `keep_idle` says whether an idle one is kept for the next call.
pub(crate) fn connector(settings: Option<HttpConnectorSettings>, keep_idle: bool) -> Connector {
    let mut connector = Connector::builder()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .proxy_config(ProxyConfig::from_env());
    connector.set_connector_settings(settings);
    if !keep_idle {
        connector.set_pool_max_idle_per_host(Some(0));
    }
    connector.build()
}

/// A name that nothing else has. Its prefix tells who made the thing.
pub(crate) fn named(kind: &str) -> String {
    let prefix = DEPLOYED.get().map_or("", |deployed| deployed.prefix);
    format!("{prefix}{kind}-{}", unique())
}

/// The value of a stack output, if the stack has it.
fn find_output(name: &str) -> Option<String> {
    match DEPLOYED.get() {
        Some(deployed) => deployed.outputs.get(name).cloned(),
        None => env::var(name).ok(),
    }
}

/// Whether the stack has pages.
#[must_use]
pub fn has_pages() -> bool {
    find_output("WebUrl").is_some()
}

/// The value of a stack output.
#[must_use]
pub fn output(name: &str) -> String {
    find_output(name).unwrap_or_else(|| {
        assert!(DEPLOYED.get().is_none(), "the stack has no output {name}");
        panic!("{name} is not set: run these tests with `make end-to-end`, which deploys a stack for them")
    })
}

/// The account of the stack under test.
#[must_use]
pub fn account() -> String {
    place()[4].clone()
}

/// The region of the stack under test.
pub(crate) fn region() -> String {
    place()[3].clone()
}

/// The ARN of something in the account and region of the stack under test.
#[must_use]
pub fn arn(service: &str, resource: &str) -> String {
    let place = place();
    let (partition, region, account) = (&place[1], &place[3], &place[4]);
    format!("arn:{partition}:{service}:{region}:{account}:{resource}")
}

/// The ARN of a role in the account of the stack under test.
#[must_use]
pub fn arn_of_role(name: &str) -> String {
    let place = place();
    format!("arn:{}:iam::{}:role/{name}", place[1], place[4])
}

/// The parts of an ARN of the stack.
fn place() -> Vec<String> {
    let machine = output("StateMachineArn");
    machine.splitn(6, ':').map(ToOwned::to_owned).collect()
}

/// How to reach the stack under test.
pub(crate) fn config() -> SdkConfig {
    if let Some(deployed) = DEPLOYED.get() {
        return deployed.config.clone();
    }
    let variable = |name: &str| env::var(name).ok();
    let config = functions::aws::config_from(variable, http_client());
    let config = config.expect("an environment for AWS clients");
    // A function gives up early, since the workflow tries again. A test waits for a busy machine.
    let patient = TimeoutConfig::builder()
        .connect_timeout(PATIENCE)
        .operation_timeout(PATIENCE);
    config
        .into_builder()
        .timeout_config(patient.build())
        .build()
}

/// The names of the resources of a stack in the account, by those in its template, and of the pages, if it has them.
pub async fn physical_ids(
    config: &SdkConfig,
    stack: &str,
) -> Result<HashMap<String, String>, String> {
    let cloudformation = aws_sdk_cloudformation::Client::new(config);
    let of = async |stack: &str| {
        let described = cloudformation.describe_stack_resources().stack_name(stack);
        let described = described.send().await.map_err(|error| refusal(&error))?;
        let ids = described.stack_resources().iter().filter_map(|resource| {
            Some((
                resource.logical_resource_id()?.to_owned(),
                resource.physical_resource_id()?.to_owned(),
            ))
        });
        Ok::<HashMap<String, String>, String>(ids.collect())
    };
    let mut ids = of(stack).await?;
    if let Some(pages) = ids.get("WebPages").cloned() {
        ids.extend(of(&pages).await?);
    }
    Ok(ids)
}

/// What a resource of the stack under test, or of its pages, is called in the account.
pub async fn physical_id(logical_id: &str) -> String {
    static IDS: OnceCell<HashMap<String, String>> = OnceCell::const_new();
    let ids = IDS.get_or_init(async || {
        let ids = physical_ids(&config(), "order-workflow").await;
        ids.expect("the stack's resources")
    });
    let id = ids.await.get(logical_id);
    id.unwrap_or_else(|| panic!("the stack has no {logical_id}"))
        .clone()
}

impl Stack {
    /// The stack that [`use_deployed`] named, or else the one whose resources the environment names.
    #[must_use]
    pub fn connect() -> Self {
        if env::var_os("FAULTS_PORT").is_some() {
            Faults::proxy();
        }
        let config = config();
        Self {
            sfn: aws_sdk_sfn::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
        }
    }

    /// The deployed state machine.
    #[must_use]
    pub fn state_machine() -> String {
        output("StateMachineArn")
    }
}

/// Why AWS refused a call.
#[must_use]
pub fn refusal(error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or("no answer");
    format!("{code}: {}", error.message().unwrap_or_default())
}

/// A text that no other test has, fit for names.
#[must_use]
pub fn unique() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!("{nanos:x}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}
