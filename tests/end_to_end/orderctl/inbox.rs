//! `orderctl inbox`.

use std::cell::Cell;

use support::{Stack, TestOrder, poll_until};

use super::orderctl;
use super::people::restaurant;

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
