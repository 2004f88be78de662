//! The table of open orders: what a restaurant has to answer, until the order ends.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use order::{ClosedOrder, KEPT, OpenOrder, Status, indexes};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use support::{Stack, TestOrder, output, seconds, unique};
use tokio::time::sleep;

use crate::model::{Order, Row, deliveries};

/// The rows of a restaurant in an index, as its people and programs read them.
async fn rows(stack: &Stack, index: &str, restaurant_id: &str) -> Vec<Value> {
    let found = stack
        .dynamodb
        .query()
        .table_name(output("OpenOrdersTableName"))
        .index_name(index)
        .key_condition_expression("restaurant_id = :restaurant")
        .expression_attribute_values(":restaurant", AttributeValue::S(restaurant_id.into()))
        .send()
        .await
        .expect("a query of the open orders");
    serde_dynamo::from_items(found.items.unwrap_or_default()).expect("rows that are JSON")
}

/// The one row of a restaurant in an index, once it is there.
async fn row(stack: &Stack, index: &str, restaurant_id: &str) -> Value {
    let begun = std::time::Instant::now();
    loop {
        match rows(stack, index, restaurant_id).await.as_slice() {
            [row] => return row.clone(),
            [] => assert!(
                begun.elapsed() < support::PATIENCE,
                "{restaurant_id} has no {index} order"
            ),
            more => panic!("{restaurant_id} has {} {index} orders", more.len()),
        }
        sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_restaurant_reads_in_the_table_what_it_is_sent_until_the_order_ends() {
    let stack = Stack::connect();
    for (answer, status) in [
        (r#"{"isAccepted": true}"#, Status::Accepted),
        (r#"{"isAccepted": false}"#, Status::Rejected),
        (r#"{"isAccepted": "malformed"}"#, Status::Failed),
    ] {
        let order = TestOrder::new(&stack).await;
        let restaurant_id = order.order.restaurant_id.as_str();
        let execution = order.place().await;
        let message = order.restaurant_message().await;
        let open = row(&stack, indexes::OPEN, restaurant_id).await;
        let open: OpenOrder = serde_json::from_value(open).expect("an open order");
        assert!(
            open.message == message,
            "what is in the table is not what the restaurant was sent"
        );
        assert_eq!(open.expires_at, whole_seconds(&message.respond_by) + KEPT);

        order.answer(&message.task_token, answer).await;
        stack.end_of(&execution).await;
        let closed = row(&stack, indexes::CLOSED, restaurant_id).await;
        assert_eq!(
            rows(&stack, indexes::OPEN, restaurant_id).await,
            [Value::Null; 0],
            "an order that ended is still open"
        );
        let fields = closed.as_object().map(|row| row.keys().cloned().collect());
        let kept: ClosedOrder = serde_json::from_value(closed).expect("a closed order");
        assert_eq!(kept.order_id, order.order.order_id);
        assert_eq!(kept.status, status);
        assert_eq!(kept.expires_at, whole_seconds(&kept.closed_at) + KEPT);
        let mut expected = [
            "restaurant_id",
            "order_id",
            "status",
            "closed_at",
            "expires_at",
        ];
        let mut fields: Vec<String> = fields.unwrap_or_default();
        expected.sort_unstable();
        fields.sort_unstable();
        assert_eq!(fields, expected, "what is left of an order that ended");
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole_seconds(time: &str) -> u64 {
    seconds(time) as u64
}

/// The same as the tests of the function do with a table in memory.
#[test]
fn whatever_comes_in_whatever_order_the_row_is_the_right_one() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stack = runtime.block_on(async { Stack::connect() });
    let table = output("OpenOrdersTableName");
    let mut runner = TestRunner::new(Config {
        cases: 60,
        // Each case is an order of its own, so that a smaller one would be another.
        failure_persistence: None,
        ..Config::default()
    });
    let checked = runner.run(&deliveries(), |deliveries| {
        // From now on, since the table takes away what has expired.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let order = Order {
            id: format!("ord-{}", unique()),
            begins: now.expect("a time").as_secs(),
        };
        let row = async || {
            let found = stack
                .dynamodb
                .get_item()
                .table_name(&table)
                .key("restaurant_id", AttributeValue::S("rest-7".into()))
                .key("order_id", AttributeValue::S(order.id.clone()))
                .consistent_read(true)
                .send()
                .await
                .expect("a read of the open orders");
            let item = found.item.unwrap_or_default();
            let text = |name: &str| item.get(name)?.as_s().ok().cloned();
            Row {
                closed_at: text("closed_at"),
                respond_by: text("respond_by"),
                task_token: text("task_token"),
            }
        };
        runtime.block_on(order.check(&stack.dynamodb, &table, deliveries, row))
    });
    if let Err(failed) = checked {
        panic!("{failed}");
    }
}
