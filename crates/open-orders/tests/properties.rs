//! Whatever comes in whatever order and however often, the row of an order is the right one. The table is one in memory,
//! which evaluates the conditions of the requests as `DynamoDB` does; the end-to-end tests do the same with a real one.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use functions::testing::answered_by;
use open_orders::{Batch, keep};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

/// 2026-01-31T12:00:00Z
const NOON: u64 = 1_769_860_800;
/// How long the workflow waits for an answer.
const WAIT: u64 = 600;

/// What happens to one order, in seconds after noon.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Message {
    /// Its restaurant is asked: the first time, after a retry, a redrive or a handover.
    Offer { sent: u64 },
    /// The final event is published. A repeated attempt to publish it has another time.
    Final { sent: u64 },
}

impl Message {
    fn sent(self) -> u64 {
        match self {
            Self::Offer { sent } | Self::Final { sent } => sent,
        }
    }

    fn body(self) -> Value {
        match self {
            Self::Offer { sent } => json!({
                "order_id": "ord-1001", "restaurant_id": "rest-7", "currency": "EUR", "total_amount": 2500,
                "items": [{ "name": "Margherita", "quantity": 2, "unit_amount": 1250 }],
                "respond_by": time(sent + WAIT, ".000Z"), "task_token": format!("token-{sent}"),
            }),
            Self::Final { sent } => json!({
                "detail-type": "ORDER_ACCEPTED", "source": "order-processing", "time": time(sent, "Z"),
                "detail": { "order_id": "ord-1001", "restaurant_id": "rest-7", "status": "ACCEPTED" },
            }),
        }
    }
}

/// Some seconds after noon, as the workflow and `EventBridge` write times.
fn time(after_noon: u64, end: &str) -> String {
    use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
    let time = DateTime::from_secs((NOON + after_noon).try_into().expect("a time"));
    let time = time.fmt(DateTimeFormat::DateTime).expect("RFC 3339");
    time.trim_end_matches('Z').to_owned() + end
}

/// The messages of one order, each delivered once or more, at any time after it was sent.
fn deliveries() -> impl Strategy<Value = Vec<(u64, Message)>> {
    let offers = prop::collection::vec(0..4000_u64, 1..4);
    (offers, prop::collection::vec(1..900_u64, 0..3)).prop_flat_map(|(sent, ended)| {
        let last = sent.iter().max().copied().unwrap_or_default();
        let offers = sent.into_iter().map(|sent| Message::Offer { sent });
        let finals = ended
            .into_iter()
            .map(move |after| Message::Final { sent: last + after });
        let messages: Vec<_> = offers.chain(finals).collect();
        let repeated: Vec<_> = messages
            .iter()
            .cycle()
            .take(messages.len() * 2)
            .copied()
            .collect();
        let count = repeated.len();
        let late = prop_oneof![3 => 0..30_u64, 1 => 0..700_u64, 1 => 0..9000_u64];
        (
            subsequence(repeated, 1..=count),
            prop::collection::vec(late, count),
        )
            .prop_map(|(messages, late)| {
                let delivered = messages.into_iter().zip(late);
                let mut delivered: Vec<_> = delivered
                    .map(|(message, late)| (message.sent() + late, message))
                    .collect();
                delivered.sort_by_key(|(at, _)| *at);
                delivered
            })
    })
}

type Row = Arc<Mutex<Option<Value>>>;

/// Whether the condition of a request is true of a row: terms that are joined by OR. A comparison with an attribute that
/// the row does not have is false.
fn holds(request: &Value, row: Option<&Value>) -> bool {
    let Some(condition) = request["ConditionExpression"].as_str() else {
        return true;
    };
    condition.split(" OR ").any(|term| {
        if let Some(name) = term.strip_prefix("attribute_not_exists(") {
            return row.is_none_or(|row| row.get(name.trim_end_matches(')')).is_none());
        }
        let [name, operator, value] = term.split(' ').collect::<Vec<_>>()[..] else {
            panic!("say here what {term} means")
        };
        let value = &request["ExpressionAttributeValues"][value];
        let Some(stored) = row.and_then(|row| row.get(name)) else {
            return false;
        };
        let number = |value: &Value| {
            value["N"]
                .as_str()
                .map(|n| n.parse::<u64>().expect("a number"))
        };
        let text = |value: &Value| value["S"].as_str().map(ToOwned::to_owned);
        let order = match (number(stored), number(value)) {
            (Some(stored), Some(value)) => stored.cmp(&value),
            _ => text(stored).expect("text").cmp(&text(value).expect("text")),
        };
        match operator {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            other => panic!("say here what {other} means"),
        }
    })
}

fn client(row: &Row) -> Client {
    let row = Arc::clone(row);
    let config = answered_by(move |request| {
        let request: Value = serde_json::from_str(request).expect("JSON");
        let mut row = row.lock().expect("the row");
        if holds(&request, row.as_ref()) {
            *row = Some(request["Item"].clone());
            return (200, "{}".into());
        }
        let refused = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        (400, json!({ "__type": refused }).to_string())
    });
    Client::new(&config)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_row_is_the_last_outcome_or_else_the_latest_offer(deliveries in deliveries()) {
        let row = Row::default();
        let client = client(&row);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (mut open, mut closed) = (None, None);
        for (at, message) in deliveries {
            match message {
                Message::Offer { sent } if at < sent + WAIT => open = open.max(Some(sent)),
                Message::Offer { .. } => {}
                Message::Final { sent } => closed = Some(sent),
            }
            let batch = json!({ "Records": [{ "messageId": "1", "body": message.body().to_string() }] });
            let batch: Batch = serde_json::from_value(batch).expect("a batch");
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOON + at);
            let failures = runtime.block_on(keep(&client, "open-orders", now, batch));
            prop_assert_eq!(json!(failures), json!({ "batchItemFailures": [] }));

            let row = row.lock().expect("the row");
            let text = |name: &str| row.as_ref().and_then(|row| row[name]["S"].as_str());
            let expected = closed.map(|sent| time(sent, "Z"));
            prop_assert_eq!(text("closed_at"), expected.as_deref(), "the order ended");
            let expected = open.filter(|_| closed.is_none());
            let respond_by = expected.map(|sent| time(sent + WAIT, ".000Z"));
            prop_assert_eq!(text("respond_by"), respond_by.as_deref(), "the latest offer");
            let token = expected.map(|sent| format!("token-{sent}"));
            prop_assert_eq!(text("task_token"), token.as_deref(), "its token, and none of an order that ended");
        }
    }
}
