//! Whatever comes in whatever order and however often, the row of an order is the right one. The table is one in memory,
//! which evaluates the conditions of the requests as `DynamoDB` does; the end-to-end tests do the same with a real one.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests

mod model;

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use functions::testing::answered_by;
use proptest::prelude::*;
use serde_json::{Value, json};

use model::{Order, Row, deliveries};

type Stored = Arc<Mutex<Option<Value>>>;

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

fn client(row: &Stored) -> Client {
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
        let stored = Stored::default();
        let order = Order { id: "ord-1001".into(), begins: 1_769_860_800 };
        let row = async || {
            let stored = stored.lock().expect("the row");
            let text = |name: &str| stored.as_ref()?[name]["S"].as_str().map(ToOwned::to_owned);
            Row { closed_at: text("closed_at"), respond_by: text("respond_by"), task_token: text("task_token") }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = client(&stored);
        let checked = order.check(&client, "open-orders", deliveries, row);
        runtime.expect("a runtime").block_on(checked)?;
    }
}
