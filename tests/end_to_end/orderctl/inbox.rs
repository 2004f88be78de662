//! `orderctl inbox`.

use std::cell::Cell;

use order::Status;
use serde_json::{Value, json};
use support::{Call, Fault, Faults, Stack, TestOrder, poll_until};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::people::restaurant;
use super::{answer, command, next, orderctl};

#[tokio::test]
async fn any_number_of_people_look_at_once_while_orders_come_and_miss_and_hide_nothing() {
    const ORDERS: usize = 12;
    let stack = Stack::connect();
    let session = restaurant().await;
    let order = TestOrder::new(&stack).await.order;
    let restaurant_id = order.restaurant_id.as_str();
    let ids: Vec<_> = (0..ORDERS)
        .map(|number| format!("{}-{number}", order.order_id))
        .collect();
    let placing = async {
        for id in &ids {
            let mut order = order.clone();
            order.order_id.clone_from(id);
            stack.place(&Stack::state_machine(), &order).await;
        }
    };
    // Each looks again and again, also while orders come, until it has seen them all.
    let looking = async || {
        let look = ["inbox", "--restaurant", restaurant_id, "--output", "json"];
        let seen = Cell::new(0);
        poll_until(|| async {
            let done = orderctl(&session, &look).await;
            done.assert_code(0);
            let now = done.json().as_array().map_or(0, Vec::len);
            let before = seen.replace(now);
            assert!(now >= before, "an order is hidden: {now} after {before}");
            let all = (now == ORDERS).then_some(());
            all.ok_or_else(|| format!("{now} of {ORDERS} orders are seen"))
        })
        .await;
    };
    tokio::join!(placing, looking(), looking(), looking());

    // Meanwhile and after it, each can be answered.
    for id in &ids {
        let accept = ["accept", id, "--restaurant", restaurant_id];
        orderctl(&session, &accept).await.assert_code(0);
    }
    let done = orderctl(&session, &["inbox", "--restaurant", restaurant_id]).await;
    done.assert_code(0);
    assert!(done.stderr.contains("No order waits"), "{done:?}");
}

#[tokio::test]
async fn the_watched_inbox_tells_what_comes_and_what_goes() {
    let stack = Stack::connect();
    let session = restaurant().await;
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let watch = [
        "inbox",
        "--watch",
        "--restaurant",
        &order.order.restaurant_id,
        "--output",
        "json",
    ];
    let mut child = command(&session, &watch).spawn().expect("orderctl");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let execution = order.place().await;
    let line: Value = serde_json::from_str(&next(&mut lines).await).expect("JSON");
    assert_eq!(line["order_id"], id);
    assert_eq!(line.get("task_token"), None);
    answer(&session, "accept", &order.order, &[])
        .await
        .assert_code(0);
    let line: Value = serde_json::from_str(&next(&mut lines).await).expect("JSON");
    assert_eq!(line, json!({ "order_id": id, "status": "ACCEPTED" }));
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn an_order_that_a_query_misses_for_a_moment_stays_in_the_watched_inbox() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let through_the_proxy = Faults::session();
    let order = TestOrder::new(&stack).await;
    let (id, whose) = (&order.order.order_id, &order.order.restaurant_id);
    let watch = [
        "inbox",
        "--watch",
        "--restaurant",
        whose,
        "--output",
        "json",
    ];
    let mut child = command(&through_the_proxy, &watch)
        .spawn()
        .expect("orderctl");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let execution = order.place().await;
    let line: Value = serde_json::from_str(&next(&mut lines).await).expect("JSON");
    assert_eq!(line["order_id"], id.as_str());
    faults.arm(whose, Call::Query, Fault::Stale, Some(3));
    // More than the attempts of one read, so that a look fails.
    faults.arm(id, Call::GetItem, Fault::Unavailable, Some(4));
    poll_until(|| async {
        let looked = faults.hits(whose, Call::Query);
        (looked == 3)
            .then_some(())
            .ok_or("the inbox looks no more".to_owned())
    })
    .await;
    assert_eq!(faults.clear(id, Call::GetItem), 4, "no look failed");
    order.accept(&order.restaurant_message().await).await;
    let line: Value = serde_json::from_str(&next(&mut lines).await).expect("JSON");
    assert_eq!(
        line,
        json!({ "order_id": id, "status": "ACCEPTED" }),
        "the order left the inbox before it was answered"
    );
    order.assert_ended(&execution, Status::Accepted, None).await;
}
