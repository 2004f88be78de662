//! The table of open orders: what a restaurant has to answer, until the order ends.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use order::{ClosedOrder, OpenOrder, Status, indexes};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use support::{Stack, TestOrder, output, unique};

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

#[tokio::test]
async fn a_list_of_open_orders_never_reads_closed_ones() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let restaurant_id = order.order.restaurant_id.as_str();
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let open = rows(&stack, indexes::OPEN, restaurant_id).await;
    let [open] = open.as_slice() else {
        panic!("{restaurant_id} has {} open orders", open.len())
    };
    let open: OpenOrder = serde_json::from_value(open.clone()).expect("an open order");
    assert!(
        open.message == message,
        "the index has another order than the table"
    );
    assert_eq!(rows(&stack, indexes::CLOSED, restaurant_id).await.len(), 0);

    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
    let closed = rows(&stack, indexes::CLOSED, restaurant_id).await;
    let [closed] = closed.as_slice() else {
        panic!("{restaurant_id} has {} closed orders", closed.len())
    };
    let closed: ClosedOrder = serde_json::from_value(closed.clone()).expect("a closed order");
    assert_eq!(closed.order_id, order.order.order_id);
    assert_eq!(rows(&stack, indexes::OPEN, restaurant_id).await.len(), 0);
}

/// The function's own tests do the same with a table in memory.
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
        // From now on, since the table deletes rows that have expired.
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
