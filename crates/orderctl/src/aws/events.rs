//! A rule and a queue that bring the order events of a stack, and live as long as a command.
//!
//! Both carry a lease as a tag, which is renewed while the command runs. The next run removes those whose lease has
//! expired, since their run was killed; it leaves alone what a colleague's run uses.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::types::{Tag, Target};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, QueueAttributeName};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::sleep;

use crate::aws::stack::Stack;
use crate::clock::{now, since};
use crate::failure::{Failure, aws};
use crate::render::parse_time;

/// The tag that says until when the rule and the queue are in use (RFC 3339).
const EXPIRES: &str = "orderctl:expires";
/// The tag that says of which stack they are.
const STACK: &str = "orderctl:stack";
/// How long a lease lasts.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// How long a queue may be unknown to AWS after it was created.
const USABLE: SignedDuration = SignedDuration::from_secs(30);
/// For how many seconds AWS waits for events before it answers that there is none.
pub const WAIT: i32 = 10;
/// The rule's only target.
const TARGET: &str = "queue";

/// A rule and a queue of the same name.
pub struct Subscription {
    name: String,
    /// The queue's URL, once there is a queue: a list of queues may not have it yet.
    queue: OnceLock<String>,
    created: Timestamp,
}

/// How the names of all rules and queues begin that this command makes for a stack. A rule's name has fewer characters than
/// a stack's may have.
fn prefix(stack: &Stack) -> String {
    format!("{:.36}-orderctl-", stack.name)
}

fn expiry() -> String {
    (now() + LEASE).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Subscription {
    /// A pair with a name that no other run has.
    pub fn named(stack: &Stack) -> Self {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        Self {
            name: format!("{}{:x}{nanos:x}", prefix(stack), std::process::id()),
            queue: OnceLock::new(),
            created: now(),
        }
    }

    /// Makes both, and gives the queue's URL. The queue accepts events of this rule only.
    pub async fn create(&self, stack: &Stack, order: Option<&str>) -> Result<String, Failure> {
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

    /// Waits for messages with events, for [`WAIT`] at most. None if the queue is not there any more.
    pub async fn receive(
        &self,
        stack: &Stack,
        queue: &str,
    ) -> Result<Option<Vec<Message>>, Failure> {
        let received = stack
            .sqs
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(10)
            .wait_time_seconds(WAIT)
            .send()
            .await;
        match received {
            Ok(received) => Ok(Some(received.messages.unwrap_or_default())),
            // A new queue can be used only after some time.
            Err(error) if is_gone(&error) && since(self.created) < USABLE => {
                sleep(Duration::from_secs(1)).await;
                Ok(Some(Vec::new()))
            }
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(aws("receiving events")(error)),
        }
    }

    /// Renews the lease. False if the rule is not there any more.
    pub async fn renew(&self, stack: &Stack, queue: &str) -> Result<bool, Failure> {
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
    pub async fn remove(&self, stack: &Stack) -> Result<(), Failure> {
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
pub async fn delete(stack: &Stack, queue: &str, messages: Vec<Message>) -> Result<(), Failure> {
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

/// Removes what killed runs left behind. Gives how many rules and queues that were.
pub async fn remove_leftovers(stack: &Stack) -> Result<usize, Failure> {
    let over = |tags: &HashMap<String, String>| {
        let expires = tags.get(EXPIRES).and_then(|expires| parse_time(expires));
        tags.get(STACK) == Some(&stack.name) && expires.is_some_and(|expires| expires < now())
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
    Ok(removed)
}

/// The rules of this command on the stack's bus, by name, with their ARNs.
async fn rules(stack: &Stack) -> Result<BTreeMap<String, String>, Failure> {
    let mut found = BTreeMap::new();
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
