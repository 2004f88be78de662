//! The deployed stack: its resources, found by its name, and the clients to use them.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, Region};
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::failure::{Failure, aws};

/// How long one attempt of a call may take: longer than the longest wait for messages.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Which stack to use, and the AWS settings that replace those of the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct StackArgs {
    /// Name of the deployed stack
    #[arg(
        long,
        global = true,
        env = "ORDERCTL_STACK",
        default_value = "order-workflow"
    )]
    pub stack: String,
    /// AWS profile, instead of `AWS_PROFILE`
    #[arg(long, global = true)]
    pub profile: Option<String>,
    /// AWS region, instead of `AWS_REGION` or the profile's
    #[arg(long, global = true)]
    pub region: Option<String>,
}

/// The stack's resources and the clients of the services that they belong to.
#[derive(Clone, Debug)]
pub struct Stack {
    pub name: String,
    pub state_machine: String,
    pub table: String,
    pub bus: String,
    pub open_orders: String,
    pub sfn: aws_sdk_sfn::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub events: aws_sdk_eventbridge::Client,
}

impl Stack {
    /// Finds the stack by its name.
    pub async fn find(args: &StackArgs) -> Result<Self, Failure> {
        let mut config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            );
        if let Ok(name) = AppName::new("orderctl") {
            config = config.app_name(name);
        }
        if let Some(profile) = &args.profile {
            config = config.profile_name(profile);
        }
        if let Some(region) = &args.region {
            config = config.region(Region::new(region.clone()));
        }
        let config = config.load().await;
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
        Ok(Self {
            name: args.stack.clone(),
            state_machine: output("StateMachineArn")?,
            table: output("OrdersTableName")?,
            bus: output("EventBusName")?,
            open_orders: output("OpenOrdersTableName")?,
            sfn: aws_sdk_sfn::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
        })
    }
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
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}
