//! Every error name that the definition retries, thrown by the local AWS in place of the service: an error that outlasts
//! the retries stops the execution under its name. Where the restaurant cannot be asked, the order fails, and its customer is
//! told.
//!
//! The local AWS's mocks throw on every attempt. `faults.rs` shows that a retry helps.

use aws_sdk_sfn::types::ExecutionStatus;
use order::Status;
use support::{Definition, Stack, TestOrder, Transition};

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_longer_than_every_retry_stops_the_execution_or_fails_the_order() {
    let stack = Stack::connect();
    let machine = stack.variant("mocked", str::to_owned).await;
    let definition = Definition::read();
    let mut cases = tokio::task::JoinSet::new();
    for transition in definition.transitions() {
        let Transition::Retry(state, error) = transition else {
            continue;
        };
        let (stack, machine) = (stack.clone(), machine.clone());
        let retries = definition.retries(&state, &error);
        cases.spawn(async move {
            let order = TestOrder::new(&stack).await;
            // The name of the mock's case, see `mocks` in local/stack.py.
            let case = format!("{machine}#{state}: {error}");
            let execution = order.place_on(&case).await;
            if !matches!(
                state.as_str(),
                "Save order" | "Publish ORDER_PLACED event" | "Notify restaurant"
            ) {
                let message = order.restaurant_message().await;
                order.accept(&message).await;
            }
            if state == "Notify restaurant" {
                let reason = format!("{error}: a mock");
                order
                    .assert_ended(&execution, Status::Failed, Some(&reason))
                    .await;
            } else {
                let ended = stack.end_of(&execution).await;
                let expected = match error.as_str() {
                    "States.ALL" => "EventBridge.FailedEntry",
                    error => error,
                };
                assert_eq!(
                    (&ended.status, ended.error()),
                    (&ExecutionStatus::Failed, Some(expected)),
                    "{state} with {error}: {:?}",
                    ended.cause()
                );
            }
            let tries = stack
                .history(&execution)
                .await
                .iter()
                .filter(|event| event.task_failed_event_details().is_some())
                .count();
            assert_eq!(
                tries,
                1 + retries,
                "{state} with {error} was not tried 1 + {retries} times"
            );
        });
    }
    cases.join_all().await;
}
