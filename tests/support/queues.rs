//! Queues of tests, which receive what topics and rules send.

use std::collections::BTreeSet;
use std::sync::Mutex;

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, QueueAttributeName};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::listener::settle;
use crate::made::{Made, make};
use crate::stack::{Stack, arn, named, output};
use crate::wait::poll_until;

impl Stack {
    /// Makes a queue to which SNS and `EventBridge` may send; gives its URL and ARN.
    pub async fn queue(&self, name: &str) -> (String, String) {
        // In the account and region of the stack, so that its ARN is known before the queue is made.
        let arn = arn("sqs", name);
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": ["sns.amazonaws.com", "events.amazonaws.com"] },
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }],
        });
        let create = self
            .sqs
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::Policy, policy.to_string());
        let url = async {
            let created = create.send().await.expect("a queue");
            created.queue_url.expect("a queue's URL")
        };
        let url = make(url, |url| Made::Queue(url.clone())).await;
        (url, arn)
    }

    /// Subscribes a queue to the messages of a topic, or to those whose attributes, or whose body, have a value.
    pub async fn subscribe(&self, topic: &str, queue_arn: &str, filter: Option<(&str, Value)>) {
        let mut subscribe = self
            .sns
            .subscribe()
            .topic_arn(topic)
            .protocol("sqs")
            .endpoint(queue_arn)
            .attributes("RawMessageDelivery", "true");
        if let Some((scope, filter)) = filter {
            subscribe = subscribe
                .attributes("FilterPolicyScope", scope)
                .attributes("FilterPolicy", filter.to_string());
        }
        let arn = async {
            let subscribed = subscribe.send().await.expect("a subscription");
            subscribed
                .subscription_arn
                .expect("the ARN of a subscription")
        };
        make(arn, |arn| Made::Subscription(arn.clone())).await;
    }

    /// Messages of a queue, until as many different ones came as expected: a queue may deliver a message more than once.
    pub(crate) async fn receive(
        &self,
        queue_url: &str,
        expected: usize,
        what: &str,
    ) -> Vec<Message> {
        let received = Mutex::new(Vec::new());
        poll_until(|| async {
            let came = self.receive_now(queue_url, 1).await;
            let mut received = received.lock().expect("what was received");
            received.extend(came);
            let different: BTreeSet<_> = received.iter().map(Message::body).collect();
            if different.len() < expected {
                return Err(format!("{} of {expected} {what} came", different.len()));
            }
            Ok(std::mem::take(&mut *received))
        })
        .await
    }

    /// Takes messages off a queue for good; their bodies as JSON.
    pub(crate) async fn take<T: DeserializeOwned>(&self, queue_url: &str) -> Vec<T> {
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
    pub(crate) async fn receive_now(&self, queue_url: &str, seconds: i32) -> Vec<Message> {
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

    /// A queue that hears of every execution that fails.
    pub async fn failed_executions_queue(&self) -> String {
        let (url, arn) = self.queue(&named("failed-executions")).await;
        self.subscribe(&output("FailedExecutionsTopicArn"), &arn, None)
            .await;
        settle().await;
        url
    }

    /// All that came to a queue of failed executions until it heard of this one, and what it heard of it.
    pub(crate) async fn told_of(&self, queue_url: &str, execution: &str) -> (Vec<String>, Value) {
        let heard = Mutex::new(Vec::new());
        let told = poll_until(|| async {
            let came = self.receive_now(queue_url, 1).await;
            let mut heard = heard.lock().expect("what was heard");
            heard.extend(came.into_iter().filter_map(|message| message.body));
            let told = heard.iter().find(|text| text.contains(execution));
            told.cloned()
                .ok_or_else(|| format!("nobody was told of {execution}"))
        })
        .await;
        let heard = heard.into_inner().expect("what was heard");
        let told = serde_json::from_str(&told);
        (heard, told.expect("a message that is JSON"))
    }

    /// A queue that receives the links to the orders of a restaurant.
    pub(crate) async fn links_queue(&self, restaurant_id: &str) -> String {
        let (url, arn) = self.queue(&named("links")).await;
        let filter = json!({ "restaurant_id": [restaurant_id] });
        let filter = Some(("MessageAttributes", filter));
        self.subscribe(&output("LinksTopicArn"), &arn, filter).await;
        settle().await;
        url
    }

    /// The text of the first message of a queue, once it came.
    pub(crate) async fn one_text(&self, queue_url: &str) -> String {
        let messages = self.receive(queue_url, 1, "messages").await;
        messages[0].body().unwrap_or_default().to_owned()
    }
}
