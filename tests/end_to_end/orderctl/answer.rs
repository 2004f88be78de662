//! `orderctl accept`, `reject` and `fail`.

use order::Status;
use support::{Call, Fault, Faults, Stack, TestOrder};

use super::answer;
use super::people::restaurant;

#[tokio::test]
async fn two_answers_at_once_have_one_winner_and_the_other_is_told() {
    let stack = Stack::connect();
    let session = restaurant().await;
    for _ in 0..3 {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        order.restaurant_message().await;
        let (accepted, rejected) = tokio::join!(
            answer(&session, "accept", &order.order, &[]),
            answer(&session, "reject", &order.order, &[])
        );
        let status = match (accepted.code, rejected.code) {
            (Some(0), Some(3)) => Status::Accepted,
            (Some(3), Some(0)) => Status::Rejected,
            _ => panic!("not one winner: {accepted:?} {rejected:?}"),
        };
        order.assert_ended(&execution, status, None).await;
    }
}

#[tokio::test]
async fn an_answer_whose_receipt_is_lost_counts_once_and_is_told_as_taken() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let through_the_proxy = Faults::session();
    for fault in Fault::ALL {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        let token = order.restaurant_message().await.task_token;
        faults.arm(&token, Call::SendTaskSuccess, fault, Some(1));
        let id = order.order.order_id.as_str();
        let accepted = answer(&through_the_proxy, "accept", &order.order, &[]).await;
        assert_eq!(
            faults.clear(&token, Call::SendTaskSuccess),
            1,
            "{fault:?} met no call"
        );
        assert_eq!(accepted.code, Some(0), "{fault:?}: {accepted:?}");
        assert_eq!(accepted.stdout, format!("{id}  ACCEPTED\n"), "{fault:?}");
        order.assert_ended(&execution, Status::Accepted, None).await;
    }
}
