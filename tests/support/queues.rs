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

    /// Subscribes a queue to the messages of a topic whose attributes, or whose body, have a value.
    pub async fn subscribe(&self, topic: &str, queue_arn: &str, scope: &str, filter: Value) {
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

    /// A queue on which a test hears what operations are told of an execution, by its name.
    pub async fn operations_queue(&self, execution: &str) -> String {
        let (url, arn) = self.queue(&named("operations")).await;
        let filter = json!({ "order": [execution] });
        self.subscribe(&output("OperationsTopicArn"), &arn, "MessageBody", filter)
            .await;
        settle().await;
        url
    }

    /// A queue that receives the links to the orders of a restaurant.
    pub(crate) async fn links_queue(&self, restaurant_id: &str) -> String {
        let (url, arn) = self.queue(&named("links")).await;
        let filter = json!({ "restaurant_id": [restaurant_id] });
        self.subscribe(&output("LinksTopicArn"), &arn, "MessageAttributes", filter)
            .await;
        settle().await;
        url
    }

    /// The text of the first message of a queue, once it came.
    pub(crate) async fn one_text(&self, queue_url: &str) -> String {
        let messages = self.receive(queue_url, 1, "messages").await;
        messages[0].body().unwrap_or_default().to_owned()
    }

    /// The first message of a queue, once it came, as JSON.
    pub async fn one_message(&self, queue_url: &str) -> Value {
        serde_json::from_str(&self.one_text(queue_url).await).expect("a message that is JSON")
    }
}
