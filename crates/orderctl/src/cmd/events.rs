//! The stack's order events as they happen, through a rule and a queue that live as long as the command.
//!
//! Both carry a lease as a tag, which is renewed while the command runs. The next run removes those whose lease has
//! expired, since their run was killed; it leaves alone what a colleague's run uses.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::types::{Tag, Target};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, QueueAttributeName};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::aws::stack::{Stack, StackArgs};
use crate::cmd::{Perseverance, order_id};
use crate::failure::{Failure, aws};
use crate::render::{Output, clean, money, pad, parse_time, ready, time_of_day};

/// The tag that says until when the rule and the queue are in use (RFC 3339).
const EXPIRES: &str = "orderctl:expires";
/// The tag that says of which stack they are.
const STACK: &str = "orderctl:stack";
/// How long a lease lasts.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// How often the lease is renewed.
const RENEWAL: Duration = Duration::from_mins(1);
/// How long a queue may be unknown to AWS after it was created.
const USABLE: Duration = Duration::from_secs(30);
/// The rule's only target.
const TARGET: &str = "queue";

/// Print the order events of the stack as they happen
///
/// It makes a rule and a queue, and removes them when it ends.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl events
  orderctl events --order ord-2001 --count 2
  orderctl events --output json | jq -r .detail.status")]
pub struct Events {
    /// Only the events of this order
    #[arg(long, value_name = "ORDER_ID", value_parser = order_id)]
    order: Option<String>,
    /// End after this many events
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Events {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find(stack).await?;
        let count = self
            .count
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        events(&stack, self.order.as_deref(), count, output).await
    }
}

/// Prints as many events as asked for, or until it is interrupted. Removes what it made in either case.
async fn events(
    stack: &Stack,
    order: Option<&str>,
    count: Option<usize>,
    output: Output,
) -> Result<(), Failure> {
    let signals = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .map(signal);
    let [interrupt, terminate, hangup] = signals;
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);

    remove_leftovers(stack, output).await?;
    let subscription = Subscription::named(stack);
    let printed = async {
        let queue = subscription.create(stack, order).await?;
        output.hint("Listening for events; Ctrl-C ends it");
        subscription.print(stack, &queue, count, output).await
    };
    let ended = tokio::select! {
        printed = printed => printed,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    };
    let removed = subscription.remove(stack).await;
    ended.and(removed)
}

/// A rule and a queue of the same name.
struct Subscription {
    name: String,
    /// The queue's URL, once there is a queue: a list of queues may not have it yet.
    queue: OnceLock<String>,
}

/// How the names of all rules and queues begin that this command makes for a stack. A rule's name has fewer characters than
/// a stack's may have.
fn prefix(stack: &Stack) -> String {
    format!("{:.36}-orderctl-", stack.name)
}

fn expiry() -> String {
    (Timestamp::now() + LEASE)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

impl Subscription {
    /// A pair with a name that no other run has.
    fn named(stack: &Stack) -> Self {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        Self {
            name: format!("{}{:x}{nanos:x}", prefix(stack), std::process::id()),
            queue: OnceLock::new(),
        }
    }

    /// Makes both, and gives the queue's URL. The queue accepts events of this rule only.
    async fn create(&self, stack: &Stack, order: Option<&str>) -> Result<String, Failure> {
        let mut pattern = json!({ "source": [order::EVENT_SOURCE] });
        if let (Some(order), Some(pattern)) = (order, pattern.as_object_mut()) {
            pattern.insert("detail".into(), json!({ "order_id": [order] }));
        }
        let rule = stack
            .events
            .put_rule()
            .name(&self.name)
            .event_bus_name(&stack.bus)
            .description("orderctl events, while it runs")
            .event_pattern(pattern.to_string())
            .tags(tag(EXPIRES, &expiry())?)
            .tags(tag(STACK, &stack.name)?)
            .send()
            .await
            .map_err(aws("making a rule for events"))?;
        let rule = rule.rule_arn.unwrap_or_default();

        let queue = self.queue_arn(&rule);
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "events.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": { "ArnEquals": { "aws:SourceArn": rule } },
            }],
        });
        let url = stack
            .sqs
            .create_queue()
            .queue_name(&self.name)
            .attributes(QueueAttributeName::Policy, policy.to_string())
            .attributes(QueueAttributeName::MessageRetentionPeriod, "3600")
            .attributes(QueueAttributeName::SqsManagedSseEnabled, "true")
            .tags(EXPIRES, expiry())
            .tags(STACK, &stack.name)
            .send()
            .await
            .map_err(aws("making a queue for events"))?
            .queue_url
            .unwrap_or_default();
        let url = self.queue.get_or_init(|| url);

        let target = Target::builder().id(TARGET).arn(queue).build();
        let target = target.map_err(|error| Failure::other(format!("a rule's target: {error}")))?;
        let put = stack
            .events
            .put_targets()
            .rule(&self.name)
            .event_bus_name(&stack.bus)
            .targets(target)
            .send()
            .await
            .map_err(aws("sending events to a queue"))?;
        if let Some(failed) = put.failed_entries().first() {
            let why = failed.error_message().unwrap_or("no reason given");
            return Err(Failure::other(format!("sending events to a queue: {why}")));
        }
        Ok(url.clone())
    }

    /// The queue is in the region and account of the rule.
    fn queue_arn(&self, rule: &str) -> String {
        let mut parts = rule.split(':');
        let mut part = |index| parts.nth(index).unwrap_or_default().to_owned();
        let (partition, region, account) = (part(1), part(1), part(0));
        format!("arn:{partition}:sqs:{region}:{account}:{}", self.name)
    }

    /// Prints events as they come.
    async fn print(
        &self,
        stack: &Stack,
        queue: &str,
        count: Option<usize>,
        output: Output,
    ) -> Result<(), Failure> {
        let created = Instant::now();
        let mut renewed = Instant::now();
        let mut printed = 0;
        let mut perseverance = Perseverance::default();
        loop {
            if renewed.elapsed() >= RENEWAL {
                match self.renew(stack, queue).await {
                    Ok(true) => renewed = Instant::now(),
                    Ok(false) => return Err(removed()),
                    Err(failure) => {
                        perseverance.failed(failure).await?;
                        continue;
                    }
                }
            }
            let received = stack
                .sqs
                .receive_message()
                .queue_url(queue)
                .max_number_of_messages(10)
                .wait_time_seconds(10)
                .send()
                .await;
            let messages = match received {
                Ok(received) => received.messages.unwrap_or_default(),
                // A new queue can be used only after some time.
                Err(error) if is_gone(&error) && created.elapsed() < USABLE => {
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Err(error) if is_gone(&error) => return Err(removed()),
                Err(error) => {
                    perseverance.failed(aws("receiving events")(error)).await?;
                    continue;
                }
            };
            perseverance.succeeded();
            let body = |message: &Message| serde_json::from_str(message.body()?).ok();
            let mut events: Vec<Value> = messages.iter().filter_map(body).collect();
            events.sort_by_key(|event| field(event, "/time").to_owned());
            for event in events {
                output.line(|| line(&event), || event.clone())?;
                printed += 1;
                if count == Some(printed) {
                    return Ok(());
                }
            }
            // Events that could not be deleted are printed once more.
            if let Err(failure) = done_with(stack, queue, messages).await {
                perseverance.failed(failure).await?;
            }
        }
    }

    /// Renews the lease; fails if the rule is gone.
    async fn renew(&self, stack: &Stack, queue: &str) -> Result<bool, Failure> {
        let rules = rules(stack).await?;
        let Some(rule) = rules.get(&self.name) else {
            return Ok(false);
        };
        stack
            .events
            .tag_resource()
            .resource_arn(rule)
            .tags(tag(EXPIRES, &expiry())?)
            .send()
            .await
            .map_err(aws("renewing the rule's lease"))?;
        stack
            .sqs
            .tag_queue()
            .queue_url(queue)
            .tags(EXPIRES, expiry())
            .send()
            .await
            .map_err(aws("renewing the queue's lease"))?;
        Ok(true)
    }

    /// Removes rule and queue, as far as they were made.
    async fn remove(&self, stack: &Stack) -> Result<(), Failure> {
        let rule = remove_rule(stack, &self.name).await;
        let queues = match self.queue.get() {
            Some(url) => vec![url.clone()],
            None => queues(stack, &self.name).await?,
        };
        for url in queues {
            remove_queue(stack, &url).await?;
        }
        rule
    }
}

fn tag(key: &str, value: &str) -> Result<Tag, Failure> {
    let tag = Tag::builder().key(key).value(value).build();
    tag.map_err(|error| Failure::other(format!("a tag: {error}")))
}

/// Deletes messages from the queue: at most ten, the limit of a batch.
async fn done_with(stack: &Stack, queue: &str, messages: Vec<Message>) -> Result<(), Failure> {
    if messages.is_empty() {
        return Ok(());
    }
    let entries: Result<Vec<_>, _> = messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .set_receipt_handle(message.receipt_handle)
                .build()
        })
        .collect();
    let entries =
        entries.map_err(|error| Failure::other(format!("a message's receipt: {error}")))?;
    let deleted = stack
        .sqs
        .delete_message_batch()
        .queue_url(queue)
        .set_entries(Some(entries))
        .send()
        .await
        .map_err(aws("deleting events from the queue"))?;
    match deleted.failed().first() {
        Some(failed) => Err(Failure::other(format!(
            "deleting events from the queue: {}",
            failed.code()
        ))),
        None => Ok(()),
    }
}

/// If a lease has expired, another run assumes that this run was killed.
fn removed() -> Failure {
    Failure::other(
        "this run paused for so long that another one removed its rule and queue: start it again",
    )
}

/// Removes what killed runs left behind.
async fn remove_leftovers(stack: &Stack, output: Output) -> Result<(), Failure> {
    let over = |tags: &HashMap<String, String>| {
        let expires = tags.get(EXPIRES).and_then(|expires| parse_time(expires));
        tags.get(STACK) == Some(&stack.name)
            && expires.is_some_and(|expires| expires < Timestamp::now())
    };
    let mut removed = 0;
    for (name, arn) in rules(stack).await? {
        let listed = stack
            .events
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await;
        let tags = match listed {
            Ok(listed) => listed.tags.unwrap_or_default(),
            // Another run has just removed it.
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(aws("reading the tags of a rule")(error)),
        };
        if over(&tags.into_iter().map(|tag| (tag.key, tag.value)).collect()) {
            remove_rule(stack, &name).await?;
            removed += 1;
        }
    }
    for url in queues(stack, &prefix(stack)).await? {
        let tags = match stack.sqs.list_queue_tags().queue_url(&url).send().await {
            Ok(listed) => listed.tags.unwrap_or_default(),
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(aws("reading the tags of a queue")(error)),
        };
        if over(&tags) {
            remove_queue(stack, &url).await?;
            removed += 1;
        }
    }
    if removed > 0 {
        output.hint(&format!(
            "Removed {removed} rules and queues that an earlier run had left behind"
        ));
    }
    Ok(())
}

/// The rules of this command on the stack's bus, by name, with their ARNs.
async fn rules(stack: &Stack) -> Result<HashMap<String, String>, Failure> {
    let mut found = HashMap::new();
    let mut next = None;
    loop {
        let page = stack
            .events
            .list_rules()
            .event_bus_name(&stack.bus)
            .name_prefix(prefix(stack))
            .set_next_token(next)
            .send()
            .await
            .map_err(aws("listing rules"))?;
        let rule = |rule: aws_sdk_eventbridge::types::Rule| Some((rule.name?, rule.arn?));
        found.extend(page.rules.unwrap_or_default().into_iter().filter_map(rule));
        next = page.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
}

async fn queues(stack: &Stack, prefix: &str) -> Result<Vec<String>, Failure> {
    stack
        .sqs
        .list_queues()
        .queue_name_prefix(prefix)
        .max_results(1000)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .map_err(aws("listing queues"))
}

async fn remove_rule(stack: &Stack, name: &str) -> Result<(), Failure> {
    let targets = stack
        .events
        .remove_targets()
        .rule(name)
        .event_bus_name(&stack.bus)
        .ids(TARGET)
        .send()
        .await;
    match targets {
        Err(error) if !is_gone(&error) => return Err(aws("removing the rule's target")(error)),
        _ => {}
    }
    let rule = stack
        .events
        .delete_rule()
        .name(name)
        .event_bus_name(&stack.bus)
        .send()
        .await;
    match rule {
        Err(error) if !is_gone(&error) => Err(aws("removing the rule")(error)),
        _ => Ok(()),
    }
}

async fn remove_queue(stack: &Stack, url: &str) -> Result<(), Failure> {
    match stack.sqs.delete_queue().queue_url(url).send().await {
        Err(error) if !is_gone(&error) => Err(aws("removing the queue")(error)),
        _ => Ok(()),
    }
}

/// Whether a call failed because the rule or queue is not there any more.
fn is_gone(error: &impl ProvideErrorMetadata) -> bool {
    error.code().is_some_and(|code| {
        code == "ResourceNotFoundException"
            || code == "QueueDoesNotExist"
            || code.ends_with("NonExistentQueue")
    })
}

fn field<'event>(event: &'event Value, pointer: &str) -> &'event str {
    event
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// An event on one line.
fn line(event: &Value) -> String {
    let time = parse_time(field(event, "/time")).map_or_else(String::new, time_of_day);
    let currency = iso_currency::Currency::from_code(field(event, "/detail/currency"));
    let amount = event
        .pointer("/detail/total_amount")
        .and_then(Value::as_u64);
    let total = currency
        .zip(amount)
        .map_or_else(String::new, |(currency, amount)| money(currency, amount));
    let mut more = clean(field(event, "/detail/status_reason"));
    if let Some(ready_at) = event.pointer("/detail/ready_at").and_then(Value::as_str) {
        more = format!("ready at {}", ready(ready_at));
    }
    let line = format!(
        "{time}  {:<15}  {}  {}  {total:>12}  {more}",
        clean(field(event, "/detail-type")),
        pad(&clean(field(event, "/detail/order_id")), 20),
        pad(&clean(field(event, "/detail/restaurant_id")), 12),
    );
    line.trim_end().to_owned()
}
