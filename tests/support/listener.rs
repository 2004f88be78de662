//! Queues that receive what the workflow publishes about orders: events, and messages to customers and restaurants.

use order::RestaurantMessage;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::made::{Made, make};
use crate::stack::{DEPLOYED, Stack, named, output};
use crate::wait::poll_until;

/// Queues that receive the events and the customers' messages of a test's orders, and of no others.
pub struct Listener {
    stack: Stack,
    pub(crate) events: String,
    pub(crate) customer: String,
}

impl Listener {
    /// Receives those of every order whose id and customer begin with `prefix`.
    pub async fn to_orders(stack: &Stack, prefix: &str) -> Self {
        let prefix = json!({ "prefix": prefix });
        Self::matching(stack, &prefix, &prefix).await
    }

    /// Receives those of every order whose id and customer match patterns of `EventBridge` and SNS.
    pub(crate) async fn matching(stack: &Stack, order_id: &Value, customer_id: &Value) -> Self {
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
        let filter = Some(("MessageAttributes", json!({ "customer_id": [customer_id] })));
        stack
            .subscribe(&output("UserTopicArn"), &customer_arn, filter)
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
pub(crate) async fn settle() {
    if let Some(deployed) = DEPLOYED.get() {
        sleep(deployed.settle).await;
    }
}

/// A queue that receives the messages to restaurants, as a restaurant's own system would have it.
pub struct RestaurantQueue {
    stack: Stack,
    url: String,
}

impl RestaurantQueue {
    /// Receives the messages to every restaurant whose id begins with `prefix`.
    pub async fn of(stack: &Stack, prefix: &str) -> Self {
        let (url, arn) = stack.queue(&named("restaurant")).await;
        // By the body: the local AWS drops the attributes of what a state machine publishes.
        let filter = json!({ "restaurant_id": [{ "prefix": prefix }] });
        let topic = output("RestaurantTopicArn");
        stack
            .subscribe(&topic, &arn, Some(("MessageBody", filter)))
            .await;
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
