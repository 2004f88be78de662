//! `orderctl retry`: orders go on whose execution ended without success. The local AWS has no redrive: what would be
//! redriven is recorded by the proxy. Handing over to a new execution runs for real.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use order::RestaurantMessage;
use serde_json::{Value, json};
use support::{Faults, RestaurantQueue, Session, Stack, TestOrder, aws, output, unique};
use tokio::time::Instant;

use super::people::{anybody, documented, restaurant};
use super::{Done, orderctl, set};

/// An order whose execution waits for the restaurant, and what its restaurant is asked.
struct Placed {
    stack: Stack,
    order: TestOrder,
    restaurant: RestaurantQueue,
    id: String,
    execution: String,
}

impl Placed {
    async fn new(stack: &Stack, state_machine: &str) -> Self {
        let order = TestOrder::new(stack).await;
        let restaurant = RestaurantQueue::of(stack, &order.order.restaurant_id).await;
        let execution = order.place_on(state_machine).await;
        Self {
            stack: stack.clone(),
            restaurant,
            id: order.order.order_id.clone(),
            execution,
            order,
        }
    }

    /// The next message to the restaurant.
    async fn asked(&self) -> RestaurantMessage {
        self.restaurant.next().await
    }

    async fn item(&self) -> Value {
        self.stack.item(&self.id).await.expect("the order")
    }

    async fn accept(&self, message: &RestaurantMessage) {
        self.order.accept(message).await;
    }

    /// Stops the execution while it waits for the restaurant.
    async fn stop(&self) {
        let stop = ["stepfunctions", "stop-execution", "--execution-arn"];
        aws(&[&stop[..], &[&self.execution]].concat()).await;
        let ended = self.stack.end_of(&self.execution).await;
        assert_eq!(ended.status, ExecutionStatus::Aborted);
    }

    /// Makes an execution the order's owner, as a command does that is then interrupted.
    async fn name_owner(&self, execution: &str) {
        let execution = AttributeValue::S(execution.to_owned());
        set(&self.stack, &self.id, "execution_arn", execution).await;
    }

    /// Hands it over to a new execution, though its restaurant may have answered, and accepts there.
    async fn hand_over_and_accept(&self, operator: &Session, before: &Value) {
        let anew = ["--anew", "--ask-again", "--output", "json"];
        let done = retry(operator, &self.id, &anew).await;
        done.assert_code(0);
        let new = done.json()["new_execution_arn"].take();
        self.accept(&self.asked().await).await;
        let new = new.as_str().expect("an execution");
        self.assert_accepted_by(new, before).await;
    }

    /// Fails unless this execution brought the order to ACCEPTED, and nothing else of it changed but its owner.
    async fn assert_accepted_by(&self, execution: &str, before: &Value) {
        let ended = self.stack.end_of(execution).await;
        assert_eq!(
            ended.status,
            ExecutionStatus::Succeeded,
            "{:?} {:?}",
            ended.error(),
            ended.cause()
        );
        let input: Value = serde_json::from_str(ended.input().expect("an input")).expect("JSON");
        assert_eq!(input, json!(self.order.order), "input of the new execution");
        let after = self.item().await;
        let mut expected = before.clone();
        expected["status"] = json!("ACCEPTED");
        expected["execution_arn"] = json!(execution);
        expected["updated_at"] = after["updated_at"].clone();
        assert_eq!(after, expected, "the order after it was handed over");
    }
}

async fn retry(session: &Session, id: &str, more: &[&str]) -> Done {
    orderctl(session, &[&["retry", id][..], more].concat()).await
}

#[tokio::test]
async fn an_order_is_handed_over_to_one_new_execution_and_its_restaurant_asked_again() {
    let stack = Stack::connect();
    let operator = documented("operators").await;
    let order = Placed::new(&stack, &Stack::state_machine()).await;
    let id = order.id.as_str();
    let first = order.asked().await;

    let done = retry(&operator, id, &[]).await;
    done.assert_code(0);
    assert!(done.stdout.contains("goes on already"), "{done:?}");
    let done = retry(&operator, id, &["--anew"]).await;
    done.assert_code(10);
    assert!(done.stderr.contains("stop-execution"), "{done:?}");

    order.stop().await;
    let before = order.item().await;
    // The order expires soon. A handover keeps it.
    let in_2100 = AttributeValue::N("4102444800".into());
    set(&stack, id, "expires_at", in_2100).await;
    let dry_run = retry(&operator, id, &["--anew", "--dry-run"]).await;
    dry_run.assert_code(0);
    assert!(
        dry_run.stdout.contains("would be handed over"),
        "{dry_run:?}"
    );
    let mut as_it_was = order.item().await;
    assert!(
        as_it_was
            .as_object_mut()
            .is_some_and(|item| item.remove("expires_at").is_some())
    );
    assert_eq!(as_it_was, before, "a dry run changed the order");

    let anew = ["--anew", "--output", "json"];
    let (one, other) = tokio::join!(retry(&operator, id, &anew), retry(&operator, id, &anew));
    let mut news = Vec::new();
    for done in [&one, &other] {
        done.assert_code(0);
        let json = done.json();
        // The second may come when all is done.
        let new = match json["result"].as_str() {
            Some("running") => &json["execution_arn"],
            _ => &json["new_execution_arn"],
        };
        news.push(new.as_str().expect("an execution").to_owned());
    }
    let new = order.item().await["execution_arn"]
        .as_str()
        .expect("an owner")
        .to_owned();
    assert_eq!(news, [new.clone(), new.clone()], "{one:?} {other:?}");
    let name = new.rsplit(':').next().expect("a name");
    let hash = name.strip_prefix(&format!("{id}-"));
    assert_eq!(hash.map(str::len), Some(16), "{name}");

    let second = order.asked().await;
    assert!(
        first.task_token != second.task_token,
        "the restaurant has no new token"
    );
    let again = retry(&operator, id, &["--anew"]).await;
    again.assert_code(0);
    assert!(again.stdout.contains("goes on already"), "{again:?}");

    // The local AWS takes the token of a stopped execution, too, and does nothing with it; AWS refuses it.
    order.accept(&second).await;
    order.assert_accepted_by(&new, &before).await;
    let more = order.restaurant.messages().await.len();
    assert_eq!(more, 0, "the restaurant is asked once more");

    let done = retry(&operator, id, &["--anew"]).await;
    done.assert_code(10);
    assert!(
        done.stderr.contains("ACCEPTED") && done.stderr.contains("docs/runbook.md"),
        "{done:?}"
    );
    let done = retry(&operator, id, &[]).await;
    done.assert_code(10);
    assert!(done.stderr.contains("SUCCEEDED"), "{done:?}");
}

#[tokio::test]
async fn a_handover_that_was_interrupted_is_continued_by_the_same_command() {
    let stack = Stack::connect();
    let operator = documented("operators").await;
    let order = Placed::new(&stack, &Stack::state_machine()).await;
    let id = order.id.as_str();
    order.asked().await;
    order.stop().await;
    let before = order.item().await;

    let dry_run = retry(&operator, id, &["--anew", "--dry-run", "--output", "json"]).await;
    let new = dry_run.json()["new_execution_arn"]
        .as_str()
        .expect("an execution")
        .to_owned();
    order.name_owner(&new).await;

    let done = retry(&operator, id, &[]).await;
    done.assert_code(10);
    assert!(done.stderr.contains("--anew"), "{done:?}");
    let done = retry(&operator, id, &["--anew", "--output", "json"]).await;
    done.assert_code(0);
    assert_eq!(done.json()["new_execution_arn"], new.as_str(), "{done:?}");
    order.accept(&order.asked().await).await;
    order.assert_accepted_by(&new, &before).await;
}

#[tokio::test]
async fn an_order_whose_second_execution_may_be_forgotten_is_handed_over_only_on_demand() {
    let stack = Stack::connect();
    let operator = documented("operators").await;
    let order = Placed::new(&stack, &Stack::state_machine()).await;
    let id = order.id.as_str();
    order.asked().await;
    order.stop().await;
    // It was handed over long ago: that execution may have run, and its restaurant may have answered.
    order
        .name_owner(&format!("{}-0123456789abcdef", order.execution))
        .await;
    let then = AttributeValue::S("2026-01-01T12:00:00.000Z".into());
    set(&stack, id, "placed_at", then).await;
    let before = order.item().await;
    for more in [&[][..], &["--anew"]] {
        let done = retry(&operator, id, more).await;
        done.assert_code(10);
        assert!(done.stderr.contains("--anew --ask-again"), "{done:?}");
    }
    assert_eq!(order.item().await, before, "the order was handed over");
    order.hand_over_and_accept(&operator, &before).await;
}

#[tokio::test]
async fn an_order_whose_restaurant_answered_is_handed_over_only_on_demand() {
    let stack = Stack::connect();
    // The operators' policy is for executions of the deployed state machine.
    let operator = anybody();
    let broken = |definition: &str| {
        let mut definition: Value = serde_json::from_str(definition).expect("a definition");
        definition["States"]["Update order status"] =
            json!({ "Type": "Fail", "Error": "Misconfigured", "Cause": "a test" });
        definition.to_string()
    };
    let machine = stack.variant(&format!("broken-{}", unique()), broken).await;
    let order = Placed::new(&stack, &machine).await;
    let id = order.id.as_str();
    order.accept(&order.asked().await).await;
    let ended = stack.end_of(&order.execution).await;
    assert_eq!(ended.error(), Some("Misconfigured"));
    let before = order.item().await;

    let done = retry(&operator, id, &["--anew"]).await;
    done.assert_code(10);
    assert!(done.stderr.contains("--ask-again"), "{done:?}");
    assert_eq!(order.item().await, before, "the order was handed over");

    order.hand_over_and_accept(&operator, &before).await;
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
    let machine = Stack::state_machine();
    let begun = Instant::now();

    // Its item is deleted while it waits: it fails as OrderNotFound.
    let failed = Placed::new(&stack, &machine).await;
    let message = failed.asked().await;
    stack
        .dynamodb
        .delete_item()
        .table_name(output("OrdersTableName"))
        .key("order_id", AttributeValue::S(failed.id.clone()))
        .send()
        .await
        .expect("the order deleted");
    failed.accept(&message).await;
    // It waits, and is stopped.
    let aborted = Placed::new(&stack, &machine).await;
    aborted.asked().await;
    aborted.stop().await;
    // It waits; another execution for the same order fails as DuplicateOrder.
    let waiting = Placed::new(&stack, &machine).await;
    let waits = waiting.asked().await;
    let duplicate = format!("duplicate-{}", waiting.id);
    let input = json!(waiting.order.order).to_string();
    let duplicate = stack.start(&machine, &duplicate, &input).await;
    let invalid_id = format!("retry-invalid-{}", unique());
    let input = json!({ "order_id": invalid_id }).to_string();
    let invalid = stack.start(&machine, &invalid_id, &input).await;
    // It failed as it should, but its order belongs to another execution by now.
    let replaced = Placed::new(&stack, &machine).await;
    let message = replaced.asked().await;
    replaced
        .name_owner(&format!("{}-other", replaced.execution))
        .await;
    replaced.accept(&message).await;
    // The same, but the other execution is one to which it was handed over, and was never started.
    let unstarted = Placed::new(&stack, &machine).await;
    let message = unstarted.asked().await;
    let new = format!("{}-0123456789abcdef", unstarted.execution);
    unstarted.name_owner(&new).await;
    unstarted.accept(&message).await;
    for (execution, error) in [
        (&failed.execution, "OrderNotFound"),
        (&duplicate, "DuplicateOrder"),
        (&invalid, "InvalidOrder"),
        (&replaced.execution, "StatusConflict"),
        (&unstarted.execution, "StatusConflict"),
    ] {
        let ended = stack.end_of(execution).await;
        assert_eq!(ended.error(), Some(error), "{execution}");
    }
    let redriven = || -> Vec<String> {
        let mine = |execution: &String| {
            [&failed.execution, &aborted.execution, &duplicate, &invalid]
                .into_iter()
                .chain([&replaced.execution, &unstarted.execution])
                .chain([&waiting.execution])
                .any(|mine| mine == execution)
        };
        faults.redrives().into_iter().filter(mine).collect()
    };

    // Since this test began, so that it looks at few executions of other tests.
    let since = format!("{}s", begun.elapsed().as_secs() + 5);
    let all = [
        "retry",
        "--all-failed",
        "--since",
        &since,
        "--output",
        "json",
    ];
    let done = orderctl(&operator, &[&all[..], &["--dry-run"]].concat()).await;
    done.assert_code(10);
    let results = |stdout: &str| -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).expect("a line that is JSON");
        stdout.lines().map(line).collect()
    };
    let lines = results(&done.stdout);
    for (execution, result) in [
        (&failed.execution, Some("redriven")),
        (&duplicate, Some("left")),
        (&invalid, Some("left")),
        (&replaced.execution, Some("left")),
        (&unstarted.execution, Some("refused")),
        (&aborted.execution, None),
        (&waiting.execution, None),
    ] {
        let line = lines
            .iter()
            .find(|line| line["execution_arn"] == *execution);
        let said = line.and_then(|line| line["result"].as_str());
        assert_eq!(said, result, "{execution}: {done:?}");
    }
    assert_eq!(lines.last().expect("a summary")["dry_run"], true);
    assert_eq!(redriven(), [""; 0], "a dry run redrove something");

    // All at once, with the executions of other tests.
    let done = orderctl(&operator, &all[..4]).await;
    assert!(
        done.stdout.contains(&format!("{}  redriven: ", failed.id)),
        "{done:?}"
    );
    assert!(
        done.stdout
            .lines()
            .last()
            .expect("a summary")
            .contains(" redriven, "),
        "{done:?}"
    );
    assert_eq!(redriven(), std::slice::from_ref(&failed.execution));

    // One by one. The proxy says that the first one runs, since it was redriven above.
    let done = retry(&operator, &failed.id, &[]).await;
    done.assert_code(10);
    assert!(
        done.stderr.contains("Execution is RUNNING") && done.stderr.contains("14 days"),
        "{done:?}"
    );
    let dry_run = retry(&operator, &aborted.id, &["--dry-run"]).await;
    dry_run.assert_code(0);
    assert!(dry_run.stdout.contains("would be redriven"), "{dry_run:?}");
    let done = retry(&operator, &aborted.id, &[]).await;
    done.assert_code(0);
    assert!(done.stdout.contains(&aborted.execution), "{done:?}");
    assert_eq!(
        redriven(),
        [failed.execution.clone(), aborted.execution.clone()]
    );
    for (id, part) in [(&invalid_id, "InvalidOrder"), (&failed.id, "not stored")] {
        let more: &[&str] = if part == "not stored" {
            &["--anew"]
        } else {
            &[]
        };
        let done = retry(&operator, id, more).await;
        done.assert_code(10);
        assert!(done.stderr.contains(part), "{done:?}");
    }
    retry(&operator, &unique(), &[]).await.assert_code(5);
    // The operators' policy allows `retry` and nothing else.
    let done = orderctl(&operator, &["inbox", "--all"]).await;
    done.assert_code(1);
    assert!(done.stderr.contains("AccessDenied"), "{done:?}");
    let done = retry(&restaurant().await, &waiting.id, &[]).await;
    done.assert_code(1);
    assert!(done.stderr.contains("AccessDenied"), "{done:?}");
    retry(&anybody(), &waiting.id, &[]).await.assert_code(0);
    waiting.accept(&waits).await;
}
