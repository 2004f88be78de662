//! The deployed stack as a test sees it.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::operation::send_task_success::{SendTaskSuccessError, SendTaskSuccessOutput};
use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sfn::types::HistoryEvent;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, QueueAttributeName};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use order::{Decision, Item, Order, RestaurantMessage, Status};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{OnceCell, RwLock};
use tokio::time::sleep;

use crate::proxy::Faults;
use crate::terminal::Session;
use crate::wait::{PATIENCE, poll, poll_until};

/// How long the end of a cancelled order may take.
const TO_END: Duration = Duration::from_secs(30);
/// How many seconds the impatient state machine waits for the restaurant.
pub const SHORT_TIMEOUT: u32 = 3;

/// Clients of the stack under test.
#[derive(Clone)]
pub struct Stack {
    /// Step Functions, as users and restaurants call it.
    pub sfn: aws_sdk_sfn::Client,
    /// `DynamoDB`, which holds the orders.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// `EventBridge`, which carries the events.
    pub events: aws_sdk_eventbridge::Client,
    sns: aws_sdk_sns::Client,
    /// SQS, on whose queues tests hear what is said.
    pub sqs: aws_sdk_sqs::Client,
}

/// A stack that the program found by its name, instead of one that the environment names.
pub struct Deployed {
    /// How to reach it.
    pub config: SdkConfig,
    /// Its outputs.
    pub outputs: HashMap<String, String>,
    /// What the names of all that is made in it begin with.
    pub prefix: &'static str,
    /// How long new rules and subscriptions take until they hear what is said.
    pub settle: Duration,
}

static DEPLOYED: OnceLock<Deployed> = OnceLock::new();

/// From now on, this is the stack that [`Stack::connect`] connects to.
pub fn use_deployed(stack: Deployed) {
    assert!(DEPLOYED.set(stack).is_ok(), "one process, one stack");
}

/// The HTTP client of a test. That of the functions would give up a slow answer, or ask a queue again that waits; this one
/// goes by its caller's time limits, and by the proxies that the environment names.
#[must_use]
pub fn http_client() -> SharedHttpClient {
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

/// A name that nothing else has, by which it is seen who made what it names.
fn named(kind: &str) -> String {
    let prefix = DEPLOYED.get().map_or("", |deployed| deployed.prefix);
    format!("{prefix}{kind}-{}", unique())
}

/// What was made in the account, to be removed at the end.
enum Made {
    /// An order, which may have been refused.
    Order(String),
    Queue(String),
    Subscription(String),
    Rule {
        bus: String,
        name: String,
    },
    StateMachine(String),
}

static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());
/// Held for reading while something is being made.
static MAKING: RwLock<()> = RwLock::const_new(());

fn made(what: Made) {
    MADE.lock().expect("the list of what was made").push(what);
}

/// Makes something and notes it to be removed. An interruption meanwhile does not stop this halfway: what AWS made would
/// not be known.
async fn make<T: Send + 'static>(
    making: impl Future<Output = T> + Send + 'static,
    what: impl FnOnce(&T) -> Made + Send + 'static,
) -> T {
    let busy = MAKING.read().await;
    let task = tokio::spawn(async move {
        let _busy = busy;
        let it = making.await;
        made(what(&it));
        it
    });
    match task.await {
        Ok(it) => it,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The value of a stack output.
#[must_use]
pub fn output(name: &str) -> String {
    if let Some(deployed) = DEPLOYED.get() {
        let value = deployed.outputs.get(name);
        return value
            .unwrap_or_else(|| panic!("the stack has no output {name}"))
            .clone();
    }
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run these tests with `make end-to-end`, which deploys a stack for them")
    })
}

impl Stack {
    /// The stack that [`use_deployed`] named, or else the one whose resources the environment names.
    #[must_use]
    pub fn connect() -> Self {
        if env::var_os("FAULTS_PORT").is_some() {
            Faults::proxy();
        }
        let from_environment = || {
            let variable = |name: &str| std::env::var(name).ok();
            let config = functions::aws::config_from(variable, http_client());
            let config = config
                .expect("an environment for AWS clients")
                .into_builder();
            // A function gives up early, to be tried again; a test waits for a busy machine.
            let patient = TimeoutConfig::builder()
                .connect_timeout(PATIENCE)
                .operation_timeout(PATIENCE);
            config.timeout_config(patient.build()).build()
        };
        let config = DEPLOYED.get().map(|deployed| deployed.config.clone());
        let config = config.unwrap_or_else(from_environment);
        Self {
            sfn: aws_sdk_sfn::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
        }
    }

    /// Removes the orders, queues, subscriptions, rules and state machines that this process made; gives what could not be
    /// removed, and why.
    pub async fn remove_all_made(&self) -> Vec<String> {
        let _nothing_is_made = MAKING.write().await;
        let all = std::mem::take(&mut *MADE.lock().expect("the list of what was made"));
        let mut left = Vec::new();
        // The last first: a rule and a subscription before the queue that they feed.
        for what in all.iter().rev() {
            let (name, removed) = match what {
                Made::Order(id) => (id, self.remove_order(id).await),
                Made::Queue(url) => {
                    let removed = self.sqs.delete_queue().queue_url(url).send().await;
                    (url, removed.map(drop).map_err(|error| refusal(&error)))
                }
                Made::Subscription(arn) => {
                    let removed = self.sns.unsubscribe().subscription_arn(arn).send().await;
                    (arn, removed.map(drop).map_err(|error| refusal(&error)))
                }
                Made::Rule { bus, name } => {
                    let targets = self.events.remove_targets().rule(name).event_bus_name(bus);
                    let _ = targets.ids("queue").send().await;
                    let rule = self.events.delete_rule().name(name).event_bus_name(bus);
                    let removed = rule.send().await;
                    (name, removed.map(drop).map_err(|error| refusal(&error)))
                }
                Made::StateMachine(arn) => {
                    let machine = self.sfn.delete_state_machine().state_machine_arn(arn);
                    let removed = machine.send().await;
                    (arn, removed.map(drop).map_err(|error| refusal(&error)))
                }
            };
            if let Err(why) = removed {
                left.push(format!("{name}: {why}"));
            }
        }
        left
    }

    /// Removes an order from both tables. One that still waits is cancelled first: without its item, its execution would
    /// fail, and call a person.
    async fn remove_order(&self, order_id: &str) -> Result<(), String> {
        let orders = output("OrdersTableName");
        let key = AttributeValue::S(order_id.into());
        let get = self.dynamodb.get_item().table_name(&orders);
        let found = get.key("order_id", key.clone()).consistent_read(true);
        let found = found.send().await.map_err(|error| refusal(&error))?;
        let text = |name| found.item()?.get(name)?.as_s().ok();
        let (Some(execution), Some(restaurant_id)) = (text("execution_arn"), text("restaurant_id"))
        else {
            return Ok(());
        };
        self.end(execution, restaurant_id, order_id).await?;
        let delete = self.dynamodb.delete_item().table_name(orders);
        let deleted = delete.key("order_id", key.clone()).send().await;
        deleted.map_err(|error| refusal(&error))?;
        let delete = self
            .dynamodb
            .delete_item()
            .table_name(output("OpenOrdersTableName"))
            .key("restaurant_id", AttributeValue::S(restaurant_id.clone()))
            .key("order_id", key);
        let deleted = delete.send().await;
        deleted.map(drop).map_err(|error| refusal(&error))
    }

    /// Cancels an order, if its execution still runs, and waits for the end.
    async fn end(
        &self,
        execution: &str,
        restaurant_id: &str,
        order_id: &str,
    ) -> Result<(), String> {
        let look = || async {
            let describe = self.sfn.describe_execution().execution_arn(execution);
            match describe.send().await {
                Err(error) => return Ok(Err(refusal(&error))),
                Ok(found) if found.status != ExecutionStatus::Running => return Ok(Ok(())),
                Ok(_) => {}
            }
            let row = self.open_row(restaurant_id, order_id).await;
            if let Some(token) = row.as_ref().and_then(|row| row["task_token"].as_str()) {
                // Whoever answered before has the same effect.
                drop(self.answer(token, r#"{"isCancelled": true}"#).await);
            }
            Err("its execution still runs, so it stays in the table".to_owned())
        };
        poll(Duration::from_secs(1), TO_END, look).await.flatten()
    }

    /// The deployed state machine.
    #[must_use]
    pub fn state_machine() -> String {
        output("StateMachineArn")
    }

    /// The deployed definition with a shorter wait for the restaurant, as a second state machine.
    pub async fn impatient_state_machine(&self) -> String {
        static ARN: OnceCell<String> = OnceCell::const_new();
        let name = format!("impatient-{}", unique());
        let shorter = |definition: &str| {
            let mut definition: Value = serde_json::from_str(definition).expect("a definition");
            let notify = &mut definition["States"]["Notify restaurant"];
            // The restaurant is told a deadline that is computed from the same number.
            let deadline = |seconds: &Value| format!("{seconds} * 1000");
            let (long, short) = (notify["TimeoutSeconds"].take(), json!(SHORT_TIMEOUT));
            let message = notify["Arguments"]["Message"].as_str();
            let message = message.expect("an expression of the message to the restaurant");
            notify["Arguments"]["Message"] =
                replaced(message, &deadline(&long), &deadline(&short)).into();
            notify["TimeoutSeconds"] = short;
            definition.to_string()
        };
        ARN.get_or_init(async || self.variant(&name, shorter).await)
            .await
            .clone()
    }

    /// The deployed definition, changed, as another state machine.
    pub async fn variant(&self, name: &str, change: impl FnOnce(&str) -> String) -> String {
        let deployed = self
            .sfn
            .describe_state_machine()
            .state_machine_arn(Self::state_machine())
            .send()
            .await
            .expect("the deployed state machine");
        let create = self
            .sfn
            .create_state_machine()
            .name(name)
            .role_arn(deployed.role_arn())
            .definition(change(deployed.definition()));
        let arn = async {
            let created = create.send().await.expect("another state machine");
            created.state_machine_arn
        };
        make(arn, |arn| Made::StateMachine(arn.clone())).await
    }

    /// What Step Functions recorded of an execution.
    pub async fn history(&self, execution_arn: &str) -> Vec<HistoryEvent> {
        self.sfn
            .get_execution_history()
            .execution_arn(execution_arn)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .expect("the history of an execution")
    }

    /// Starts an execution with any input and gives its ARN.
    pub async fn start(&self, state_machine: &str, name: &str, input: &str) -> String {
        self.sfn
            .start_execution()
            .state_machine_arn(state_machine)
            .name(name)
            .input(input)
            .send()
            .await
            .expect("a started execution")
            .execution_arn
    }

    /// Places an order on a state machine; gives the execution, which is named by the order's id.
    pub async fn place(&self, state_machine: &str, order: &Order) -> String {
        let input = serde_json::to_string(order).expect("an order as JSON");
        self.start(state_machine, &order.order_id, &input).await
    }

    /// Answers for a restaurant, or tries to.
    pub async fn answer(
        &self,
        token: &str,
        output: &str,
    ) -> Result<SendTaskSuccessOutput, SdkError<SendTaskSuccessError>> {
        let answer = self.sfn.send_task_success().task_token(token);
        answer.output(output).send().await
    }

    /// Waits until an execution ends.
    pub async fn end_of(&self, execution_arn: &str) -> DescribeExecutionOutput {
        // An account has 10 to 15 DescribeExecution calls a second for all that runs in it.
        let on_aws = DEPLOYED.get().is_some_and(|stack| !stack.settle.is_zero());
        let every = Duration::from_millis(if on_aws { 3000 } else { 100 });
        let look = || async {
            let describe = self.sfn.describe_execution().execution_arn(execution_arn);
            let execution = describe.send().await.expect("the execution");
            if execution.status == ExecutionStatus::Running {
                return Err(format!("{execution_arn} did not end within {PATIENCE:?}"));
            }
            Ok(execution)
        };
        let ended = poll(every, PATIENCE, look).await;
        ended.unwrap_or_else(|missed| panic!("{missed}"))
    }

    /// The order's item in the table, attribute by attribute.
    pub async fn item(&self, order_id: &str) -> Option<Value> {
        let key = [("order_id", order_id)];
        self.read(&output("OrdersTableName"), &key).await
    }

    /// The order's row in the table of open orders, attribute by attribute.
    pub async fn open_row(&self, restaurant_id: &str, order_id: &str) -> Option<Value> {
        let key = [("restaurant_id", restaurant_id), ("order_id", order_id)];
        self.read(&output("OpenOrdersTableName"), &key).await
    }

    async fn read(&self, table: &str, key: &[(&str, &str)]) -> Option<Value> {
        let key = key
            .iter()
            .map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())));
        let found = self
            .dynamodb
            .get_item()
            .table_name(table)
            .set_key(Some(key.collect()))
            .consistent_read(true)
            .send()
            .await
            .expect("a read of the table");
        let value = |item| serde_dynamo::from_item(item).expect("an item that is JSON");
        found.item.map(value)
    }

    async fn queue(&self, name: &str) -> (String, String) {
        let create = self.sqs.create_queue().queue_name(name);
        let url = async {
            let created = create.send().await.expect("a queue");
            created.queue_url.expect("a queue's URL")
        };
        let url = make(url, |url| Made::Queue(url.clone())).await;
        let attributes = self
            .sqs
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .expect("a queue's attributes");
        let arn = attributes
            .attributes
            .and_then(|mut all| all.remove(&QueueAttributeName::QueueArn))
            .expect("a queue's ARN");
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": ["sns.amazonaws.com", "events.amazonaws.com"] },
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }],
        });
        self.sqs
            .set_queue_attributes()
            .queue_url(&url)
            .attributes(QueueAttributeName::Policy, policy.to_string())
            .send()
            .await
            .expect("a queue's policy");
        (url, arn)
    }

    /// Subscribes a queue to the messages of a topic whose attributes, or whose body, have a value.
    async fn subscribe(&self, topic: &str, queue_arn: &str, scope: &str, filter: Value) {
        let subscribe = self
            .sns
            .subscribe()
            .topic_arn(topic)
            .protocol("sqs")
            .endpoint(queue_arn)
            .attributes("RawMessageDelivery", "true")
            .attributes("FilterPolicyScope", scope)
            .attributes("FilterPolicy", filter.to_string());
        let arn = async {
            let subscribed = subscribe.send().await.expect("a subscription");
            subscribed
                .subscription_arn
                .expect("the ARN of a subscription")
        };
        make(arn, |arn| Made::Subscription(arn.clone())).await;
    }

    /// Messages of a queue, until there are as many as expected.
    async fn receive(&self, queue_url: &str, expected: usize, what: &str) -> Vec<Message> {
        let received = Mutex::new(Vec::new());
        poll_until(|| async {
            let came = self.receive_now(queue_url, 1).await;
            let mut received = received.lock().expect("what was received");
            received.extend(came);
            if received.len() < expected {
                return Err(format!("{} of {expected} {what} came", received.len()));
            }
            Ok(std::mem::take(&mut *received))
        })
        .await
    }

    /// Takes messages off a queue for good; their bodies as JSON.
    async fn take<T: DeserializeOwned>(&self, queue_url: &str) -> Vec<T> {
        let messages = self.receive_now(queue_url, 1).await;
        if !messages.is_empty() {
            let entry = |(id, message): (usize, &Message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
                entry
                    .set_receipt_handle(message.receipt_handle.clone())
                    .build()
                    .expect("an entry")
            };
            self.sqs
                .delete_message_batch()
                .queue_url(queue_url)
                .set_entries(Some(messages.iter().enumerate().map(entry).collect()))
                .send()
                .await
                .expect("messages taken off a queue");
        }
        let body = |message: &Message| serde_json::from_str(message.body().unwrap_or_default());
        messages
            .iter()
            .map(|message| body(message).expect("a message as promised"))
            .collect()
    }

    /// Takes what comes to a queue within some seconds.
    async fn receive_now(&self, queue_url: &str, seconds: i32) -> Vec<Message> {
        self.sqs
            .receive_message()
            .queue_url(queue_url)
            .max_number_of_messages(10)
            .wait_time_seconds(seconds)
            .message_attribute_names("All")
            .send()
            .await
            .expect("a receive from a queue")
            .messages
            .unwrap_or_default()
    }

    /// A queue on which a test hears what operations are told of an execution, by its name.
    pub async fn operations_queue(&self, execution: &str) -> String {
        let (url, arn) = self.queue(&named("operations")).await;
        let filter = json!({ "order": [execution] });
        self.subscribe(&output("OperationsTopicArn"), &arn, "MessageBody", filter)
            .await;
        url
    }

    /// The one message of a queue, once it came.
    pub async fn one_message(&self, queue_url: &str) -> Value {
        let messages = self.receive(queue_url, 1, "messages").await;
        serde_json::from_str(messages[0].body().unwrap_or_default())
            .expect("a message that is JSON")
    }

    /// Waits for the order's row in the table of open orders to be open, or closed; gives it.
    async fn row(&self, restaurant_id: &str, order_id: &str, open: bool) -> Value {
        let sort_key = if open { "respond_by" } else { "closed_at" };
        poll_until(|| async {
            let row = self.open_row(restaurant_id, order_id).await;
            let row = row.filter(|row| row[sort_key].is_string());
            row.ok_or_else(|| format!("{order_id} has no {sort_key} in the table of open orders"))
        })
        .await
    }
}

/// A text with one part replaced; fails unless it has that part just once. Where a test changes an expression of the
/// definition, an expression that was written otherwise meanwhile would go unchanged.
#[must_use]
pub fn replaced(text: &str, part: &str, with: &str) -> String {
    assert_eq!(
        text.matches(part).count(),
        1,
        "{part} is not just once in {text}"
    );
    text.replace(part, with)
}

/// Why AWS refused a call.
#[must_use]
pub fn refusal(error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or("no answer");
    format!("{code}: {}", error.message().unwrap_or_default())
}

/// Runs the AWS CLI, for what no other client here does; gives what it prints, if it prints anything.
pub async fn aws(arguments: &[&str]) -> Value {
    let done = Command::new("aws")
        .args(arguments)
        .args(["--output", "json"])
        .output()
        .await
        .expect("the AWS CLI");
    assert!(
        done.status.success(),
        "aws {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    if done.stdout.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&done.stdout).expect("JSON from the AWS CLI")
}

/// The variables of somebody's environment by which AWS clients take on a role.
pub async fn assume(role_arn: &str) -> Session {
    let assume = ["sts", "assume-role", "--role-session-name", "test"];
    let session = aws(&[&assume[..], &["--role-arn", role_arn]].concat()).await;
    let credential = |name: &str| {
        let value = session["Credentials"][name].as_str();
        value.expect("a credential").to_owned()
    };
    Session::from([
        ("AWS_ACCESS_KEY_ID", credential("AccessKeyId")),
        ("AWS_SECRET_ACCESS_KEY", credential("SecretAccessKey")),
        ("AWS_SESSION_TOKEN", credential("SessionToken")),
    ])
}

/// Something that no other test has, fit for names.
#[must_use]
pub fn unique() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!("{nanos:x}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Queues on which a test hears what is said of its orders, and nobody else does.
pub struct Listener {
    stack: Stack,
    events: String,
    customer: String,
}

impl Listener {
    /// Hears of every order whose id and customer begin with `prefix`.
    pub async fn to_orders(stack: &Stack, prefix: &str) -> Self {
        let prefix = json!({ "prefix": prefix });
        Self::matching(stack, &prefix, &prefix).await
    }

    /// Hears of every order whose id and customer match patterns of `EventBridge` and SNS.
    async fn matching(stack: &Stack, order_id: &Value, customer_id: &Value) -> Self {
        let (events, events_arn) = stack.queue(&named("events")).await;
        let (customer, customer_arn) = stack.queue(&named("customer")).await;
        let (bus, rule) = (output("EventBusName"), named("rule"));
        let pattern =
            json!({ "source": [order::EVENT_SOURCE], "detail": { "order_id": [order_id] } });
        let target = aws_sdk_eventbridge::types::Target::builder()
            .id("queue")
            .arn(events_arn)
            .build();
        let put = stack
            .events
            .put_rule()
            .name(&rule)
            .event_bus_name(&bus)
            .event_pattern(pattern.to_string());
        let to_remove = Made::Rule {
            bus: bus.clone(),
            name: rule.clone(),
        };
        make(async { put.send().await.expect("a rule") }, |_| to_remove).await;
        stack
            .events
            .put_targets()
            .rule(&rule)
            .event_bus_name(&bus)
            .targets(target.expect("a target"))
            .send()
            .await
            .expect("a target of the rule");
        let filter = json!({ "customer_id": [customer_id] });
        stack
            .subscribe(
                &output("UserTopicArn"),
                &customer_arn,
                "MessageAttributes",
                filter,
            )
            .await;
        settle().await;
        Self {
            stack: stack.clone(),
            events,
            customer,
        }
    }

    /// Takes the events that came.
    pub async fn events(&self) -> Vec<Value> {
        self.stack.take(&self.events).await
    }

    /// Takes the messages that came to customers.
    pub async fn customer_messages(&self) -> Vec<Value> {
        self.stack.take(&self.customer).await
    }
}

/// Waits until a new rule or subscription works.
async fn settle() {
    if let Some(deployed) = DEPLOYED.get() {
        sleep(deployed.settle).await;
    }
}

/// A queue that hears what restaurants are sent, as a restaurant's own system would.
pub struct RestaurantQueue {
    stack: Stack,
    url: String,
}

impl RestaurantQueue {
    /// Hears what is sent to every restaurant whose id begins with `prefix`.
    pub async fn of(stack: &Stack, prefix: &str) -> Self {
        let (url, arn) = stack.queue(&named("restaurant")).await;
        // By the body: the local AWS drops the attributes of what a state machine publishes.
        let filter = json!({ "restaurant_id": [{ "prefix": prefix }] });
        let topic = output("RestaurantTopicArn");
        stack.subscribe(&topic, &arn, "MessageBody", filter).await;
        settle().await;
        Self {
            stack: stack.clone(),
            url,
        }
    }

    /// Takes the messages that came.
    pub async fn messages(&self) -> Vec<RestaurantMessage> {
        self.stack.take(&self.url).await
    }

    /// Waits for a message. Fails where messages with different tokens come at once: then a restaurant was asked twice.
    pub async fn next(&self) -> RestaurantMessage {
        let mut messages = poll_until(|| async {
            let messages = self.messages().await;
            let none = "a queue on the restaurants' topic got nothing";
            (!messages.is_empty())
                .then_some(messages)
                .ok_or_else(|| none.to_owned())
        })
        .await;
        messages.dedup_by(|one, other| one.task_token == other.task_token);
        assert_eq!(messages.len(), 1, "a restaurant is asked twice at once");
        messages.remove(0)
    }
}

/// One order of a test, with ears on all that is said of it.
pub struct TestOrder {
    stack: Stack,
    /// The order, placed or not.
    pub order: Order,
    listener: Listener,
}

impl TestOrder {
    /// An order that no other test has, not yet placed.
    pub async fn new(stack: &Stack) -> Self {
        let order = Order {
            order_id: named("ord"),
            customer_id: named("cust"),
            restaurant_id: named("rest"),
            currency: serde_json::from_value(json!("EUR")).expect("a currency"),
            items: vec![
                Item {
                    name: "Margherita".into(),
                    quantity: 2,
                    unit_amount: 1250,
                },
                Item {
                    name: "Tiramisù".into(),
                    quantity: 1,
                    unit_amount: 650,
                },
            ],
            note: Some("No basil, please".into()),
        };
        Self::listening(stack, order).await
    }

    /// The same for an order that the test made up.
    pub async fn listening(stack: &Stack, order: Order) -> Self {
        made(Made::Order(order.order_id.clone()));
        let exactly = |text: &str| json!(text);
        let (id, customer) = (exactly(&order.order_id), exactly(&order.customer_id));
        let listener = Listener::matching(stack, &id, &customer).await;
        Self {
            stack: stack.clone(),
            order,
            listener,
        }
    }

    /// Places the order; gives the execution.
    pub async fn place(&self) -> String {
        self.place_on(&Stack::state_machine()).await
    }

    /// Places the order on a state machine; gives the execution.
    pub async fn place_on(&self, state_machine: &str) -> String {
        self.stack.place(state_machine, &self.order).await
    }

    /// Places the order and answers for the restaurant; gives the execution.
    pub async fn place_and_answer(&self, output: &str) -> String {
        let execution = self.place().await;
        let message = self.restaurant_message().await;
        self.answer(&message.task_token, output).await;
        execution
    }

    /// What the restaurant is sent, as the table of open orders has it.
    pub async fn restaurant_message(&self) -> RestaurantMessage {
        let order = &self.order;
        let mut row = self
            .stack
            .row(&order.restaurant_id, &order.order_id, true)
            .await;
        let expires_at = row.as_object_mut().and_then(|row| row.remove("expires_at"));
        let respond_by = row["respond_by"].as_str().unwrap_or_default();
        assert_eq!(
            expires_at,
            Some(json!(row_expires_at(respond_by))),
            "expires_at of the open order, whose respond_by is {respond_by}"
        );
        assert_schema("restaurant-message", &row);
        serde_json::from_value(row).expect("the message to the restaurant, and nothing else")
    }

    /// Accepts for the restaurant.
    pub async fn accept(&self, message: &RestaurantMessage) {
        self.answer(&message.task_token, r#"{"isAccepted": true}"#)
            .await;
    }

    /// Answers for the restaurant.
    pub async fn answer(&self, token: &str, output: &str) {
        let answered = self.stack.answer(token, output).await;
        answered.expect("an answer that Step Functions takes");
    }

    /// Reports a failure for the restaurant.
    pub async fn fail(&self, token: &str, error: Option<&str>, cause: Option<&str>) {
        self.stack
            .sfn
            .send_task_failure()
            .task_token(token)
            .set_error(error.map(Into::into))
            .set_cause(cause.map(Into::into))
            .send()
            .await
            .expect("a failure that Step Functions takes");
    }

    /// The events of the order, in the order in which they came; fails unless they are this many.
    async fn events(&self, expected: usize) -> Vec<Value> {
        let mut messages = self
            .stack
            .receive(&self.listener.events, expected, "events")
            .await;
        messages.extend(self.stack.receive_now(&self.listener.events, 0).await);
        assert_eq!(
            messages.len(),
            expected,
            "more events than expected: {messages:?}"
        );
        let event = |message: &Message| serde_json::from_str(message.body().unwrap_or_default());
        messages
            .iter()
            .map(|message| event(message).expect("an event"))
            .collect()
    }

    /// Fails if anybody has been told anything of the order, or it is stored.
    pub async fn assert_left_no_trace(&self) {
        for (queue, who) in [
            (&self.listener.events, "subscribers of events"),
            (&self.listener.customer, "the customer"),
        ] {
            let heard = self.stack.receive_now(queue, 1).await;
            assert!(
                heard.is_empty(),
                "{who} heard of an order that was refused: {heard:?}"
            );
        }
        let (restaurant_id, order_id) = (&self.order.restaurant_id, &self.order.order_id);
        assert!(
            self.stack.item(order_id).await.is_none(),
            "a refused order is in the table"
        );
        assert!(
            self.stack.open_row(restaurant_id, order_id).await.is_none(),
            "a refused order is in the table of open orders"
        );
    }

    /// Fails unless tables, events, customer and execution all say that the order ended like this, and nothing more.
    pub async fn assert_ended(&self, execution_arn: &str, status: Status, reason: Option<&str>) {
        self.assert_ended_by(execution_arn, execution_arn, status, reason)
            .await;
    }

    /// The same for an order that another execution brought to its end.
    pub async fn assert_ended_by(
        &self,
        placed_by: &str,
        ended_by: &str,
        status: Status,
        reason: Option<&str>,
    ) {
        let decision = Decision {
            status,
            status_reason: reason.map(Into::into),
            ready_at: None,
        };
        self.assert_decided(placed_by, ended_by, &decision).await;
    }

    /// The same for all that can be decided of an order.
    pub async fn assert_decided(&self, placed_by: &str, ended_by: &str, decision: &Decision) {
        let ended = self.stack.end_of(ended_by).await;
        self.assert_output(&ended, decision);
        let placed = self.stack.end_of(placed_by).await;
        let starts = [&placed, &ended].map(|execution| execution.start_date.as_secs_f64());
        let placed_at = self.assert_item(placed_by, starts, decision).await;
        let events = self.events(2).await;
        let undecided = Decision {
            status: Status::Placed,
            status_reason: None,
            ready_at: None,
        };
        for (event, decision) in events.iter().zip([&undecided, decision]) {
            self.assert_event(event, placed_by, decision, &placed_at);
        }
        self.assert_customer_message(decision).await;
        self.assert_closed(decision.status, &events[1]["time"])
            .await;
    }

    /// Fails unless the table of open orders says how the order ended and when, and nothing more.
    async fn assert_closed(&self, status: Status, closed_at: &Value) {
        let order = &self.order;
        let mut row = self
            .stack
            .row(&order.restaurant_id, &order.order_id, false)
            .await;
        // Before any message that would show it.
        let token = row.as_object_mut().and_then(|row| row.remove("task_token"));
        assert!(token.is_none(), "a closed order has its task token still");
        assert_eq!(
            row,
            json!({
                "restaurant_id": order.restaurant_id,
                "order_id": order.order_id,
                "status": status,
                "closed_at": closed_at,
                "expires_at": row_expires_at(closed_at.as_str().unwrap_or_default()),
            }),
            "row of the closed order"
        );
    }

    fn assert_output(&self, execution: &DescribeExecutionOutput, decision: &Decision) {
        assert_eq!(
            execution.status,
            ExecutionStatus::Succeeded,
            "execution: {:?} {:?}",
            execution.error(),
            execution.cause()
        );
        let output: Value =
            serde_json::from_str(execution.output().unwrap_or_default()).expect("an output");
        let expected = json!({ "order_id": self.order.order_id });
        assert_eq!(
            output,
            decided(expected, decision),
            "output of the execution"
        );
    }

    /// Also checks the times against those at which executions started, and gives the one at which the order was placed.
    async fn assert_item(
        &self,
        execution_arn: &str,
        starts: [f64; 2],
        decision: &Decision,
    ) -> String {
        let order = &self.order;
        let item = self
            .stack
            .item(&order.order_id)
            .await
            .expect("the order in the table");
        let time = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let (placed_at, updated_at) = (time("placed_at"), time("updated_at"));
        let mut expected = json!({
            "order_id": order.order_id,
            "customer_id": order.customer_id,
            "restaurant_id": order.restaurant_id,
            "items": order.items,
            "currency": order.currency,
            "total_amount": order.total_amount(),
            "placed_at": placed_at,
            "updated_at": updated_at,
            "execution_arn": execution_arn,
        });
        if let Some(note) = &order.note {
            expected["note"] = json!(note);
        }
        assert_eq!(item, decided(expected, decision), "item in the table");
        let placed = seconds(&placed_at);
        assert!(
            starts.iter().any(|start| (start - placed).abs() < 0.002),
            "placed_at {placed_at} is not when an execution began"
        );
        assert!(
            seconds(&updated_at) > seconds(&placed_at),
            "updated_at {updated_at} is not after placed_at {placed_at}"
        );
        placed_at
    }

    fn assert_event(
        &self,
        event: &Value,
        execution_arn: &str,
        decision: &Decision,
        placed_at: &str,
    ) {
        let (order, status) = (&self.order, decision.status);
        assert_eq!(event["detail-type"], status.event(), "DetailType");
        assert_eq!(
            event["source"],
            order::EVENT_SOURCE,
            "source of {}",
            status.event()
        );
        assert_eq!(
            event["resources"][0],
            execution_arn,
            "resources of {}",
            status.event()
        );
        let expected = json!({
            "order_id": order.order_id,
            "customer_id": order.customer_id,
            "restaurant_id": order.restaurant_id,
            "currency": order.currency,
            "total_amount": order.total_amount(),
            "placed_at": placed_at,
        });
        assert_eq!(
            event["detail"],
            decided(expected, decision),
            "detail of {}",
            status.event()
        );
        assert_schema("order-event", &event["detail"]);
    }

    async fn assert_customer_message(&self, decision: &Decision) {
        let (order, status) = (&self.order, decision.status);
        let for_customer = Decision {
            // What went wrong technically is not for customers.
            status_reason: (decision.status_reason.clone()).filter(|_| status != Status::Failed),
            ..decision.clone()
        };
        let messages = self
            .stack
            .receive(&self.listener.customer, 1, "messages to the customer")
            .await;
        // The same may come more than once: SNS took a message and did not confirm it, or not in time on a busy machine.
        let bodies: BTreeSet<_> = messages.iter().map(Message::body).collect();
        assert_eq!(
            bodies.len(),
            1,
            "the customer was told different things: {bodies:?}"
        );
        let message = &messages[0];
        let body: Value = serde_json::from_str(message.body().unwrap_or_default())
            .expect("JSON for the customer");
        assert_eq!(
            body,
            decided(
                json!({
                    "order_id": order.order_id,
                    "customer_id": order.customer_id,
                    "restaurant_id": order.restaurant_id,
                    "message": status.customer_message(),
                }),
                &for_customer
            ),
            "message to the customer"
        );
        assert_schema("customer-message", &body);
        let attribute = |name| message.message_attributes()?.get(name)?.string_value();
        assert_eq!(
            attribute("customer_id"),
            Some(order.customer_id.as_str()),
            "attribute customer_id"
        );
        assert_eq!(
            attribute("status"),
            Some(status.as_str()),
            "attribute status"
        );
    }
}

/// What is said of an order, with what was decided of it.
fn decided(mut value: Value, decision: &Decision) -> Value {
    value["status"] = json!(decision.status);
    for (name, text) in [
        ("status_reason", &decision.status_reason),
        ("ready_at", &decision.ready_at),
    ] {
        if let Some(text) = text {
            value[name] = json!(text);
        }
    }
    value
}

/// When a row of the table of open orders expires that has this deadline, or was closed then.
fn row_expires_at(time: &str) -> i64 {
    let time = DateTime::from_str(time, DateTimeFormat::DateTime).expect("a time in RFC 3339");
    time.secs() + i64::try_from(order::KEPT).expect("an hour")
}

/// Checks what the workflow emits against the schema that the project publishes of it.
fn assert_schema(name: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../schemas/{name}.schema.json"));
    let schema = std::fs::read_to_string(path).expect("a schema");
    let schema: Value = serde_json::from_str(&schema).expect("a schema that is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    // The first error without the value, which may hold a task token.
    let error = validator
        .iter_errors(value)
        .next()
        .map(|error| error.masked().to_string());
    assert_eq!(error, None, "{name} is not what its schema says");
}

/// A time in RFC 3339 as seconds since 1970.
#[must_use]
pub fn seconds(time: &str) -> f64 {
    DateTime::from_str(time, DateTimeFormat::DateTime)
        .expect("a time in RFC 3339")
        .as_secs_f64()
}
