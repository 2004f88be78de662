//! Every error name that the definition retries, thrown by the local AWS in place of the service: an error that outlasts
//! the retries stops the execution under its name, and is never taken for a business outcome.
//!
//! The local AWS's mocks throw on every attempt. `faults.rs` shows that a retry helps.

use aws_sdk_sfn::types::ExecutionStatus;
use support::{Definition, Stack, TestOrder, Transition};

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_longer_than_every_retry_stops_the_execution() {
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
            let ended = stack.end_of(&execution).await;
            assert_eq!(
                ended.status,
                ExecutionStatus::Failed,
                "{state} with {error}"
            );
            // The one state that catches errors asserts that this one is not the restaurant's.
            let expected = match (state.as_str(), error.as_str()) {
                ("Notify restaurant", _) => "States.QueryEvaluationError",
                (_, "States.ALL") => "EventBridge.FailedEntry",
                (_, error) => error,
            };
            assert_eq!(
                ended.error(),
                Some(expected),
                "{state} with {error}: {:?}",
                ended.cause()
            );
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
