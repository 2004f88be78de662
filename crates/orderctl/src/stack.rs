//! The deployed stack: its resources, found by its name, and the clients to use them.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, Region};
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_sdk_sfn::types::HistoryEvent;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures_util::{StreamExt, TryStreamExt, stream};
use order::{Status, StoredOrder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Kind, aws};

/// How long one attempt of a call may take: longer than the longest wait for messages.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an order that is not there is looked for: it may have been placed just now.
pub const UNKNOWN_AFTER: Duration = Duration::from_secs(2);
/// How many reads of the table are made at once.
const READS: usize = 16;

/// Which stack, and with which settings of AWS beside those of the environment.
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
    pub inbox: String,
    pub sfn: aws_sdk_sfn::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub events: aws_sdk_eventbridge::Client,
}

/// What whoever answers for restaurants may read of an order: who it is for and where it stands.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    pub order_id: String,
    pub status: Status,
    pub restaurant_id: String,
    pub status_reason: Option<String>,
    pub updated_at: String,
}

/// The attributes of [`Entry`], to which the restaurant's policy is limited.
const ENTRY: &str = "order_id, #status, restaurant_id, status_reason, updated_at";

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
            inbox: output("RestaurantInboxUrl")?,
            sfn: aws_sdk_sfn::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
        })
    }

    /// What an execution did, without its data: that holds orders and task tokens.
    pub async fn history(&self, execution: &str) -> Result<Vec<HistoryEvent>, Failure> {
        self.sfn
            .get_execution_history()
            .execution_arn(execution)
            .include_execution_data(false)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(aws("reading the history of the execution"))
    }

    /// The read of an order in the table, as it is now.
    pub fn get_item(&self, order_id: &str) -> GetItemFluentBuilder {
        self.dynamodb
            .get_item()
            .table_name(&self.table)
            .key("order_id", AttributeValue::S(order_id.into()))
            .consistent_read(true)
    }

    /// An order with all that is stored of it, if it is stored.
    pub async fn stored(&self, order_id: &str) -> Result<Option<StoredOrder>, Failure> {
        let read = self.get_item(order_id).send().await;
        read_item(read.map_err(aws("reading the order"))?)
    }

    /// The ARN of an execution of the workflow, by its name.
    pub fn execution_arn(&self, name: &str) -> String {
        let executions = self
            .state_machine
            .replacen(":stateMachine:", ":execution:", 1);
        format!("{executions}:{name}")
    }

    /// Where an order stands, if it is stored.
    async fn read(&self, order_id: &str) -> Result<Option<Entry>, Failure> {
        let read = self
            .get_item(order_id)
            .projection_expression(ENTRY)
            .expression_attribute_names("#status", "status")
            .send()
            .await;
        read_item(read.map_err(aws("reading the status of the order"))?)
    }

    /// Where these orders stand, as far as they are stored. One read each: of a batch,
    /// the local AWS cannot tell which attributes it reads, by which the restaurant's policy limits it.
    pub async fn entries(&self, order_ids: Vec<String>) -> Result<HashMap<String, Entry>, Failure> {
        let entries: Vec<_> = stream::iter(order_ids)
            .map(async |order_id| self.read(&order_id).await)
            .buffer_unordered(READS)
            .try_collect()
            .await?;
        let by_id = |entry: Entry| (entry.order_id.clone(), entry);
        Ok(entries.into_iter().flatten().map(by_id).collect())
    }

    /// Where an order stands. Looks for some time for one that is not there: it may have been placed just now.
    pub async fn entry(&self, order_id: &str) -> Result<Entry, Failure> {
        let begun = Instant::now();
        loop {
            if let Some(entry) = self.read(order_id).await? {
                return Ok(entry);
            }
            if begun.elapsed() > UNKNOWN_AFTER {
                return Err(unknown(order_id, &self.name));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// What a read of an order found, if anything.
pub fn read_item<T: DeserializeOwned>(read: GetItemOutput) -> Result<Option<T>, Failure> {
    let order = |item| {
        serde_dynamo::from_item(item).map_err(|error| {
            Failure::other(format!("the order in the table cannot be read: {error}"))
        })
    };
    read.item.map(order).transpose()
}

/// There is no such order.
pub fn unknown(order_id: &str, stack: &str) -> Failure {
    Failure::new(
        Kind::UnknownOrder,
        format!(
            "the stack {stack} has no order {order_id}: check the id, --stack, --profile and --region"
        ),
    )
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
        // The code of an unknown name; also of a name that is not one.
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

/// The HTTP client of the functions (rustls with ring), which here also honours the proxies that the environment names.
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
