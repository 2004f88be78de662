//! `orderctl cancel`.

use order::Status;
use support::{Stack, TestOrder, poll_until, unique};

use super::people::{documented, restaurant};
use super::{answer, orderctl};

#[tokio::test]
async fn support_sees_the_orders_of_all_restaurants_and_cancels() {
    let stack = Stack::connect();
    let support = documented("support").await;
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    order.restaurant_message().await;
    let id = order.order.order_id.as_str();
    poll_until(|| async {
        let listed = orderctl(&support, &["inbox", "--all"]).await;
        let found = listed.stdout.contains(id).then_some(());
        found.ok_or_else(|| format!("{id} is not in {listed:?}"))
    })
    .await;
    let done = orderctl(&support, &["cancel", id, "--reason", "Ordered twice"]).await;
    done.assert_code(0);
    assert_eq!(done.stdout, format!("{id}  CANCELLED  (Ordered twice)\n"));
    order
        .assert_ended(&execution, Status::Cancelled, Some("Ordered twice"))
        .await;
    let again = orderctl(&support, &["cancel", id]).await;
    again.assert_code(3);
    assert!(again.stderr.contains("CANCELLED"), "{again:?}");
    orderctl(&support, &["cancel", &unique()])
        .await
        .assert_code(5);
}

#[tokio::test]
async fn an_acceptance_and_a_cancellation_at_once_have_one_winner() {
    let stack = Stack::connect();
    let (restaurant, shop) = (restaurant().await, documented("cancel").await);
    for _ in 0..3 {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        order.restaurant_message().await;
        let cancel = ["cancel", &order.order.order_id];
        let (accepted, cancelled) = tokio::join!(
            answer(&restaurant, "accept", &order.order, &[]),
            orderctl(&shop, &cancel)
        );
        let status = match (accepted.code, cancelled.code) {
            (Some(0), Some(3)) => Status::Accepted,
            (Some(3), Some(0)) => Status::Cancelled,
            _ => panic!("not one winner: {accepted:?} {cancelled:?}"),
        };
        order.assert_ended(&execution, status, None).await;
    }
}
