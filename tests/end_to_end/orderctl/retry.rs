//! `orderctl retry`: orders go on whose execution ended without success. The local AWS has no redrive: what would be
//! redriven is recorded by the proxy.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use support::{Faults, Session, Stack, TestOrder, aws, output, unique};
use tokio::time::Instant;

use super::people::{anybody, documented, restaurant};
use super::{Done, orderctl};

async fn retry(session: &Session, id: &str, more: &[&str]) -> Done {
    orderctl(session, &[&["retry", id][..], more].concat()).await
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "all of it shares one recorder of redrives"
)]
async fn what_ended_without_success_is_redriven_unless_its_caller_must_act() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let mut operator = documented("operators").await;
    operator.extend(Faults::session());
    let begun = Instant::now();
    let placed = async || {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        let message = order.restaurant_message().await;
        (order, execution, message)
    };

    // Its item is deleted while it waits: it fails as OrderNotFound.
    let (failed, failed_execution, message) = placed().await;
    let failed_id = failed.order.order_id.as_str();
    stack
        .dynamodb
        .delete_item()
        .table_name(output("OrdersTableName"))
        .key("order_id", AttributeValue::S(failed_id.to_owned()))
        .send()
        .await
        .expect("the order deleted");
    failed.accept(&message).await;
    // It waits, and is stopped.
    let (aborted, aborted_execution, _) = placed().await;
    let aborted_id = aborted.order.order_id.as_str();
    let stop = ["stepfunctions", "stop-execution", "--execution-arn"];
    aws(&[&stop[..], &[&aborted_execution]].concat()).await;
    // It waits; another execution for the same order fails as DuplicateOrder.
    let (waiting, waiting_execution, waits) = placed().await;
    let waiting_id = waiting.order.order_id.as_str();
    let machine = Stack::state_machine();
    let input = json!(waiting.order).to_string();
    let duplicate = format!("duplicate-{waiting_id}");
    let duplicate = stack.start(&machine, &duplicate, &input).await;
    let invalid_id = format!("retry-invalid-{}", unique());
    let input = json!({ "order_id": invalid_id }).to_string();
    let invalid = stack.start(&machine, &invalid_id, &input).await;
    for (execution, error) in [
        (&failed_execution, "OrderNotFound"),
        (&duplicate, "DuplicateOrder"),
        (&invalid, "InvalidOrder"),
    ] {
        let ended = stack.end_of(execution).await;
        assert_eq!(ended.error(), Some(error), "{execution}");
    }
    stack.end_of(&aborted_execution).await;
    let redriven = || -> Vec<String> {
        let mine = [
            &failed_execution,
            &aborted_execution,
            &waiting_execution,
            &duplicate,
            &invalid,
        ];
        let redriven = faults.redrives().into_iter();
        redriven.filter(|one| mine.contains(&one)).collect()
    };

    // Since this test began, so that it looks at few executions of other tests.
    let age = begun.elapsed().as_secs() + 5;
    let since = format!("{age}s");
    let all = ["retry", "--all-failed", "--since", &since];
    let dry_run = ["--dry-run", "--output", "json"];
    let done = orderctl(&operator, &[&all[..], &dry_run].concat()).await;
    done.assert_code(0);
    let line = |line: &str| serde_json::from_str(line).expect("a line that is JSON");
    let lines: Vec<Value> = done.stdout.lines().map(line).collect();
    for (execution, result) in [
        (&failed_execution, Some("redriven")),
        (&duplicate, Some("left")),
        (&invalid, Some("left")),
        (&aborted_execution, Some("left")),
        (&waiting_execution, None),
    ] {
        let line = lines
            .iter()
            .find(|line| line["execution_arn"] == *execution);
        let said = line.and_then(|line| line["result"].as_str());
        assert_eq!(said, result, "{execution}: {done:?}");
        if let Some(line) = line {
            let said = line["age_seconds"].as_u64();
            assert!(said.is_some_and(|said| said <= age), "{line}");
            if execution != &aborted_execution {
                assert_eq!(line["status"], Value::Null, "stored by none of these");
            }
        }
    }
    assert_eq!(lines.last().expect("a summary")["dry_run"], true);
    assert_eq!(redriven(), [""; 0], "a dry run redrove something");

    // All at once, with the executions of other tests.
    let done = orderctl(&operator, &all).await;
    let said = done.stdout.lines().find(|line| line.contains(failed_id));
    let said = said.expect("the line of the order");
    assert!(
        said.contains("s ago, redriven (its restaurant is asked now): "),
        "{said}"
    );
    assert!(
        done.stdout
            .lines()
            .last()
            .expect("a summary")
            .contains(" redriven, "),
        "{done:?}"
    );
    assert_eq!(redriven(), std::slice::from_ref(&failed_execution));

    // One by one. The proxy says that the first one runs, since it was redriven above.
    let done = retry(&operator, failed_id, &[]).await;
    done.assert_code(10);
    assert!(
        done.stderr.contains("Execution is RUNNING") && done.stderr.contains("14 days"),
        "{done:?}"
    );
    let done = retry(&operator, aborted_id, &["--dry-run"]).await;
    done.assert_code(0);
    for part in [
        "would be redriven",
        "its restaurant is asked now, unless it has answered",
        &aborted_execution,
    ] {
        assert!(done.stdout.contains(part), "{part}: {done:?}");
    }
    let done = retry(&operator, aborted_id, &["--output", "json"]).await;
    done.assert_code(0);
    let said = done.json();
    assert_eq!(said["result"], "redriven", "{said}");
    assert_eq!(said["status"], "PLACED", "{said}");
    let done = retry(&operator, waiting_id, &[]).await;
    done.assert_code(0);
    assert!(done.stdout.contains("goes on already"), "{done:?}");
    let done = retry(&operator, &invalid_id, &[]).await;
    done.assert_code(10);
    assert!(done.stderr.contains("InvalidOrder"), "{done:?}");
    retry(&operator, &unique(), &[]).await.assert_code(5);
    assert_eq!(redriven(), [failed_execution, aborted_execution]);

    // An order that has its outcome, and whose execution succeeded.
    waiting.accept(&waits).await;
    stack.end_of(&waiting_execution).await;
    let done = retry(&operator, waiting_id, &[]).await;
    done.assert_code(10);
    assert!(done.stderr.contains("SUCCEEDED"), "{done:?}");

    // The operators' policy allows `retry` and nothing else, and no other policy allows it.
    let done = orderctl(&operator, &["inbox", "--all"]).await;
    done.assert_code(1);
    assert!(done.stderr.contains("AccessDenied"), "{done:?}");
    let done = retry(&restaurant().await, aborted_id, &[]).await;
    done.assert_code(1);
    assert!(done.stderr.contains("AccessDenied"), "{done:?}");
}

#[tokio::test]
async fn an_execution_that_has_the_name_of_an_order_and_is_about_another_is_left_alone() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let taken = format!("ord-{}", unique());
    let input = json!({ "order_id": format!("other-{taken}") }).to_string();
    let execution = stack.start(&Stack::state_machine(), &taken, &input).await;
    stack.end_of(&execution).await;
    let mut operator = anybody();
    operator.extend(Faults::session());
    retry(&operator, &taken, &[]).await.assert_code(5);
    assert!(!faults.redrives().contains(&execution));
}
