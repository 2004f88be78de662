//! What the name of an error does that a restaurant reports: docs/reference.md has the table that this test sees.

use futures_util::{StreamExt, stream};
use order::{Failure, Status};
use serde_json::{Value, json};
use support::{Definition, RestaurantQueue, Stack, TestOrder, Transition, root};

/// How many orders wait at once: each looks for messages all the time.
const AT_ONCE: usize = 4;

/// Names that the definition does not retry: AWS's own, names that nobody documents, and none.
const OTHERS: [Option<&str>; 9] = [
    None,
    Some("RestaurantUnavailable"),
    Some("InvalidOrder"),
    Some("States.TaskFailed"),
    Some("States.Timeout"),
    Some("States.Permissions"),
    Some("States.Runtime"),
    Some("States.DataLimitExceeded"),
    Some("SNS.SomethingNew"),
];

/// What came of an order whose restaurant reports the same error whenever it is asked.
#[derive(PartialEq)]
struct Came {
    asked: usize,
    status: Status,
    counted: Option<&'static str>,
}

async fn reported(stack: &Stack, name: Option<&str>) -> Came {
    let order = TestOrder::new(stack).await;
    let queue = RestaurantQueue::of(stack, &order.order.restaurant_id).await;
    let execution = order.place().await;
    let mut asked = 0;
    let ended = loop {
        tokio::select! {
            ended = stack.end_of(&execution) => break ended,
            message = queue.next() => {
                asked += 1;
                order.fail(&message.task_token, name, Some("a test")).await;
            }
        }
    };
    let output: Value = serde_json::from_str(ended.output().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{name:?} fails the execution: {:?}", ended.error()));
    let status: Status = serde_json::from_value(output["status"].clone()).expect("a status");
    let reason = output["status_reason"].as_str();
    order.assert_ended(&execution, status, reason).await;
    // By what update-status counts it.
    let failure = serde_json::to_string(&json!({ "Error": name })).expect("JSON");
    let failure: Failure = serde_json::from_str(&failure).expect("a failure");
    let counted = match status {
        Status::Failed if failure.is_of_aws() => Some("RestaurantNotReached"),
        Status::Failed => Some("RestaurantFailures"),
        _ => None,
    };
    Came {
        asked,
        status,
        counted,
    }
}

#[tokio::test]
async fn the_reference_has_what_each_error_name_does() {
    let stack = Stack::connect();
    let definition = Definition::read();
    let of_definition = definition
        .transitions()
        .into_iter()
        .filter_map(|transition| match transition {
            Transition::Retry(state, error) if state == "Notify restaurant" => Some(error),
            _ => None,
        });
    let others = OTHERS.map(|name| name.map(ToOwned::to_owned)).into_iter();
    let names = others.chain(of_definition.map(Some));
    let orders = stream::iter(names).map(|name| async {
        let came = reported(&stack, name.as_deref()).await;
        (name, came)
    });
    let mut orders = orders.buffered(AT_ONCE);
    let mut rows: Vec<(Vec<String>, Came)> = Vec::new();
    while let Some((name, came)) = orders.next().await {
        let name = name.map_or_else(|| "none".to_owned(), |name| format!("`{name}`"));
        match rows.iter_mut().find(|(_, other)| *other == came) {
            Some((names, _)) => names.push(name),
            None => rows.push((vec![name], came)),
        }
    }
    let table: Vec<_> = rows
        .iter()
        .map(|(names, came)| {
            let asked = match came.asked {
                1 => "once".to_owned(),
                times => format!("{times} times"),
            };
            let counted = came.counted.map(|metric| format!("`{metric}`"));
            let counted = counted.unwrap_or_else(|| "–".into());
            let names = names.join(", ");
            format!("| {names} | {asked} | `{}` | {counted} |", came.status)
        })
        .collect();
    let table = table.join("\n");
    let page = std::fs::read_to_string(root().join("docs/reference.md")).expect("the reference");
    assert!(
        page.contains(&table),
        "docs/reference.md has another table than:\n{table}"
    );
}
