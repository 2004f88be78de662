//! What must have come of an order: in tables, events, messages and its execution.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::Message;
use order::{Decision, Status};
use serde_json::{Value, json};

use crate::test_order::TestOrder;

impl TestOrder {
    /// The event of the placing, and that of the end; fails if there are others. `EventBridge` may deliver an event more than
    /// once, with the same id, and a queue in any order.
    async fn events(&self) -> [Value; 2] {
        let queue = &self.listener.events;
        let mut messages = self.stack.receive(queue, 2, "events").await;
        messages.extend(self.stack.receive_now(queue, 0).await);
        let event = |message: &Message| -> Value {
            serde_json::from_str(message.body().unwrap_or_default()).expect("an event")
        };
        let events = messages.iter().map(event);
        let events: BTreeMap<_, _> = events
            .map(|event| (event["id"].to_string(), event))
            .collect();
        let mut events: Vec<_> = events.into_values().collect();
        events.sort_by_key(|event| event["detail-type"] != Status::Placed.event());
        <[Value; 2]>::try_from(events).unwrap_or_else(|events| panic!("not two events: {events:?}"))
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
        let events = self.events().await;
        let undecided = Decision {
            status: Status::Placed,
            status_reason: None,
            ready_at: None,
        };
        for (event, decision) in events.iter().zip([&undecided, decision]) {
            self.assert_event(event, placed_by, decision, &placed_at);
        }
        self.assert_customer_message(decision).await;
        self.assert_closed(decision, &events[1]["time"]).await;
    }

    /// Fails unless the table of open orders says how the order ended, when, for when it was accepted or why it was rejected or
    /// cancelled, and nothing more.
    async fn assert_closed(&self, decision: &Decision, closed_at: &Value) {
        let order = &self.order;
        let mut row = self
            .stack
            .row(&order.restaurant_id, &order.order_id, false)
            .await;
        // Before any message that would show it.
        let token = row.as_object_mut().and_then(|row| row.remove("task_token"));
        assert!(token.is_none(), "a closed order has its task token still");
        let mut expected = json!({
            "restaurant_id": order.restaurant_id,
            "order_id": order.order_id,
            "status": decision.status,
            "closed_at": closed_at,
            "expires_at": row_expires_at(closed_at.as_str().unwrap_or_default()),
        });
        if let Some(ready_at) = &decision.ready_at {
            expected["ready_at"] = json!(ready_at);
        }
        if [Status::Rejected, Status::Cancelled].contains(&decision.status)
            && let Some(reason) = &decision.status_reason
        {
            expected["status_reason"] = json!(reason);
        }
        assert_eq!(row, expected, "row of the closed order");
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
        // A message may come more than once: SNS took it and did not confirm it, or not in time on a busy machine.
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

/// When a row of the table of open orders expires, from its deadline or from when it was closed.
pub(crate) fn row_expires_at(time: &str) -> i64 {
    let time = DateTime::from_str(time, DateTimeFormat::DateTime).expect("a time in RFC 3339");
    time.secs() + i64::try_from(order::KEPT).expect("an hour")
}

/// Checks what the workflow emits against the schema that the project publishes of it.
pub(crate) fn assert_schema(name: &str, value: &Value) {
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
