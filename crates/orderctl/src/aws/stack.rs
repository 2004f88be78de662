//! The deployed stack: its resources, found by its name, and the clients to use them.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use http::Uri;

use crate::aws::credentials::provider;
use crate::aws::events::WAIT;
use crate::clock;
use crate::failure::{Failure, aws};
use crate::render::Output;

/// How long one attempt of a call may take: longer than AWS itself waits for events.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const _: () = assert!(ATTEMPT_TIMEOUT.as_secs() > WAIT.unsigned_abs() as u64);

/// Which stack to use, and the AWS settings that replace those of the environment.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "General options")]
pub struct StackArgs {
    /// Name of the deployed stack
    #[arg(
        long,
        global = true,
        env = "ORDERCTL_STACK",
        default_value = "order-workflow"
    )]
    pub stack: String,
    /// AWS profile, instead of `AWS_DEFAULT_PROFILE` or `AWS_PROFILE`
    #[arg(long, global = true)]
    pub profile: Option<String>,
    /// AWS region, instead of `AWS_REGION` or the profile's
    #[arg(long, global = true)]
    pub region: Option<String>,
}

/// The web pages, where the stack has them.
#[derive(Clone, Debug)]
pub struct Web {
    pub url: String,
    pub epoch: String,
    pub restaurants_key: String,
    pub customers_key: String,
    pub revocations: String,
}

/// The stack's resources and the clients of the services that they belong to.
#[derive(Clone, Debug)]
pub struct Stack {
    pub name: String,
    /// The account and the region; none for an AWS on this computer.
    pub place: Option<String>,
    pub state_machine: String,
    pub table: String,
    pub bus: String,
    pub open_orders: String,
    web: Option<Web>,
    pub sfn: aws_sdk_sfn::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub events: aws_sdk_eventbridge::Client,
    pub kms: aws_sdk_kms::Client,
}

impl Stack {
    /// Finds the stack by its name.
    pub async fn find(args: &StackArgs) -> Result<Self, Failure> {
        let client = http_client();
        let mut config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(client.clone())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            );
        if let Ok(name) = AppName::new("orderctl") {
            config = config.app_name(name);
        }
        // The AWS CLI reads both variables, this one first; the SDK only the other.
        let default_profile = std::env::var("AWS_DEFAULT_PROFILE").ok();
        if let Some(profile) = args.profile.as_ref().or(default_profile.as_ref()) {
            config = config.profile_name(profile);
        }
        if let Some(region) = &args.region {
            config = config.region(Region::new(region.clone()));
        }
        let config = config.load().await;
        let credentials = provider(
            args.profile.as_deref(),
            default_profile.as_deref(),
            &config,
            client,
        )
        .await?;
        let mut config = config.into_builder();
        config.set_credentials_provider(credentials);
        let config = config.build();
        if config.region().is_none() {
            return Err(Failure::other(
                "no AWS region is set: give --region, or set AWS_REGION or a profile's region",
            ));
        }
        let outputs = outputs(&aws_sdk_cloudformation::Client::new(&config), &args.stack).await?;
        let output = |name: &str| {
            outputs.get(name).cloned().ok_or_else(|| {
                Failure::other(format!(
                    "the stack {} has no output {name}: it is not a stack of this workflow, or one of another version",
                    args.stack
                ))
            })
        };
        let state_machine = output("StateMachineArn")?;
        Ok(Self {
            name: args.stack.clone(),
            place: place(&config, &state_machine),
            state_machine,
            table: output("OrdersTableName")?,
            bus: output("EventBusName")?,
            open_orders: output("OpenOrdersTableName")?,
            web: outputs
                .get("WebUrl")
                .map(|url| {
                    Ok::<_, Failure>(Web {
                        url: url.clone(),
                        // Empty until somebody sets one.
                        epoch: outputs.get("LinkEpoch").cloned().unwrap_or_default(),
                        restaurants_key: output("RestaurantLinksKeyArn")?,
                        customers_key: output("CustomerLinksKeyArn")?,
                        revocations: output("RevocationsTableName")?,
                    })
                })
                .transpose()?,
            sfn: aws_sdk_sfn::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            kms: aws_sdk_kms::Client::new(&config),
        })
    }
}

impl Stack {
    /// Finds the stack for a command that changes something there, and says in which account and region that is.
    pub async fn find_to_change(args: &StackArgs, output: Output) -> Result<Self, Failure> {
        let stack = Self::find(args).await?;
        if let Some(place) = &stack.place {
            output.hint(&format!("{} in {place}", stack.name));
        }
        Ok(stack)
    }

    /// The stack's web pages.
    pub fn web(&self) -> Result<&Web, Failure> {
        self.web.as_ref().ok_or_else(|| {
            Failure::other(format!(
                "the stack {} has no web pages: it was deployed without Web=true",
                self.name
            ))
        })
    }
}

/// The account and the region, by the ARN of the state machine; none for an AWS on this computer.
fn place(config: &SdkConfig, state_machine: &str) -> Option<String> {
    let endpoint: Option<Uri> = config.endpoint_url().and_then(|url| url.parse().ok());
    let host = endpoint.as_ref().and_then(Uri::host);
    if host.is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host)) {
        return None;
    }
    let mut parts = state_machine.split(':').skip(3);
    let (region, account) = (parts.next()?, parts.next()?);
    Some(format!("account {account}, region {region}"))
}

async fn outputs(
    cloudformation: &aws_sdk_cloudformation::Client,
    stack: &str,
) -> Result<HashMap<String, String>, Failure> {
    use aws_sdk_cloudformation::error::ProvideErrorMetadata;

    let described = cloudformation
        .describe_stacks()
        .stack_name(stack)
        .send()
        .await;
    let described = described.map_err(|error| {
        // CloudFormation's code for an unknown name, and for an invalid one.
        if error.code() == Some("ValidationError") {
            Failure::other(format!(
                "there is no stack {stack} in this account and region: name it with --stack, or check --profile and --region"
            ))
        } else {
            aws("finding the stack")(error)
        }
    })?;
    let outputs = described
        .stacks
        .unwrap_or_default()
        .pop()
        .and_then(|stack| stack.outputs);
    Ok(outputs
        .unwrap_or_default()
        .into_iter()
        .filter_map(|output| Some((output.output_key?, output.output_value?)))
        .collect())
}

/// The HTTP client of the functions (rustls with ring); here it also uses the proxies that the environment names.
fn http_client() -> SharedHttpClient {
    clock::learning_from(
        Builder::new().build_with_connector_fn(|settings, components| {
            let mut connector = Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                connector.set_sleep_impl(components.sleep_impl());
            }
            connector.build()
        }),
    )
}
