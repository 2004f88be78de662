//! Every fault on every AWS call of the functions: while it lasts, the execution stops with the right error at worst. Once
//! it is gone, the order reaches its outcome, and has changed only once.

use std::io::Write;

use aws_sdk_sfn::types::ExecutionStatus;
use order::Status;
use serde_json::{Value, json};
use support::{Call, Fault, Faults, Stack, TestOrder, unique};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// How many calls a passing fault hits: more than the SDK tries in one step, so that the workflow's retry is needed.
const PASSING: u32 = functions::aws::MAX_ATTEMPTS + 1;

/// How often the workflow retries while a fault lasts.
const FEW_RETRIES: u32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn every_order_survives_every_fault_on_every_call() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let mut cells = JoinSet::new();
    for call in Call::ALL {
        for fault in Fault::ALL {
            let passing = stack.clone();
            cells.spawn(async move {
                recovers_by_itself(&passing, faults, call, fault).await;
                (call, fault, false, "goes on by itself".to_owned())
            });
            let lasting = stack.clone();
            cells.spawn(async move {
                let error = stops_and_goes_on(&lasting, faults, call, fault).await;
                (call, fault, true, format!("{error}, goes on when mended"))
            });
        }
    }
    let mut matrix: Vec<_> = cells.join_all().await;
    matrix.sort_by_key(|(call, fault, lasts, _)| (*call as u8, *fault as u8, *lasts));
    // Not by `println!`, which the test runner shows of failed tests only: the matrix is a result.
    let mut out = std::io::stderr().lock();
    let _ = writeln!(
        out,
        "\n{:<11} {:<14} {:<8} the order",
        "call", "fault", "lasts"
    );
    for (call, fault, lasts, result) in matrix {
        let (call, fault) = (format!("{call:?}"), format!("{fault:?}"));
        let _ = writeln!(out, "{call:<11} {fault:<14} {lasts:<8} {result}");
    }
}

async fn recovers_by_itself(stack: &Stack, faults: &Faults, call: Call, fault: Fault) {
    let order = TestOrder::new(stack).await;
    faults.arm(&order.order.order_id, call, fault, Some(PASSING));
    let execution = order.place_and_answer(r#"{"isAccepted": true}"#).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
    let hits = faults.clear(&order.order.order_id, call);
    assert_eq!(
        hits, PASSING,
        "{call:?} {fault:?}: calls that the fault hit"
    );
}

/// The deployed definition with fewer retries, as another state machine: so a fault stops an execution within seconds and
/// not after a quarter of an hour. `mocks.rs` shows how often the deployed definition retries each error.
async fn state_machine_with_few_retries(stack: &Stack) -> String {
    static ARN: OnceCell<String> = OnceCell::const_new();
    let fewer = |definition: &str| {
        let mut definition: Value = serde_json::from_str(definition).expect("a definition");
        let states = definition["States"].as_object_mut().expect("states");
        for retrier in states
            .values_mut()
            .filter_map(|state| state.get_mut("Retry")?.as_array_mut())
            .flatten()
        {
            retrier["MaxAttempts"] = json!(FEW_RETRIES);
        }
        definition.to_string()
    };
    let name = format!("few-retries-{}", unique());
    ARN.get_or_init(async || stack.variant(&name, fewer).await)
        .await
        .clone()
}

async fn stops_and_goes_on(stack: &Stack, faults: &Faults, call: Call, fault: Fault) -> String {
    let order = TestOrder::new(stack).await;
    let order_id = &order.order.order_id;
    faults.arm(order_id, call, fault, None);
    let machine = state_machine_with_few_retries(stack).await;
    let execution = order.place_on(&machine).await;
    if call != Call::PutItem {
        let message = order.restaurant_message().await;
        order.accept(&message).await;
    }
    let stopped = stack.end_of(&execution).await;
    assert_eq!(
        stopped.status,
        ExecutionStatus::Failed,
        "{call:?} {fault:?}"
    );
    let (step, error) = match call {
        Call::PutItem => ("Save order", "StoreUnavailable"),
        Call::UpdateItem => ("Update order status", "StoreUnavailable"),
        Call::Publish => ("Notify user", "NotificationUnavailable"),
        Call::SendTaskSuccess => panic!("no function makes this call: {call:?}"),
    };
    assert_eq!(
        stopped.error(),
        Some(error),
        "{call:?} {fault:?}: {:?}",
        stopped.cause()
    );

    let hits = faults.clear(order_id, call);
    assert_eq!(
        hits,
        (1 + FEW_RETRIES) * functions::aws::MAX_ATTEMPTS,
        "{call:?} {fault:?}: calls that the fault hit"
    );
    let stored = stack.item(order_id).await;
    let resumed = resume(stack, &order, &execution, step).await;
    if call == Call::PutItem {
        let message = order.restaurant_message().await;
        order.accept(&message).await;
    }
    order
        .assert_ended_by(&execution, &resumed, Status::Accepted, None)
        .await;
    // Whether the status was recorded, though the function may not have heard of it.
    let done = match call {
        Call::PutItem => false,
        Call::UpdateItem => matches!(fault, Fault::CutInHalf | Fault::Late),
        _ => true,
    };
    let ended = stack.item(order_id).await;
    assert!(
        !done || stored == ended,
        "{call:?} {fault:?}: the order changed again: {stored:?} {ended:?}"
    );
    error.to_owned()
}

/// Does what `redrive-execution` does on AWS, which the local AWS lacks: runs the failed step again, and the steps
/// after it, with the variables of the execution and in its name. Gives the execution that did it.
async fn resume(stack: &Stack, order: &TestOrder, execution: &str, step: &str) -> String {
    // Where `Save order` runs again, nothing is stored, and it needs no variables.
    let placed_at = match stack.item(&order.order.order_id).await {
        Some(item) => item["placed_at"].as_str().expect("a time").to_owned(),
        None if step == "Save order" => String::new(),
        None => panic!("{} is not stored", order.order.order_id),
    };
    let placed = order.order.clone();
    let placed = placed.placed(placed_at.clone(), execution.to_owned());
    let variables = json!({
        "order_id": order.order.order_id,
        "summary": placed.summary(),
        "offer": placed.offer(),
        "status": "ACCEPTED",
        "asked_at": placed_at,
        "answered_at": placed_at,
        "decision": { "status": "ACCEPTED" },
    });
    let change = |definition: &str| {
        let id = "$states.context.Execution.Id";
        assert!(definition.contains(id), "{id} is not in the definition");
        let in_its_name = definition.replace(id, &format!("'{execution}'"));
        let mut definition: Value = serde_json::from_str(&in_its_name).expect("a definition");
        if step != "Save order" {
            definition["StartAt"] = json!("Resume");
            definition["States"]["Resume"] =
                json!({ "Type": "Pass", "Assign": variables, "Next": step });
        }
        definition.to_string()
    };
    let machine = stack.variant(&format!("resume-{}", unique()), change).await;
    order.place_on(&machine).await
}
