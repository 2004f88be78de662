//! `orderctl` as people and scripts use it: the built binary against the deployed stack, with the permissions of whoever
//! would run it, in a real pseudo-terminal where it draws on one.

use std::cell::Cell;
use std::collections::HashMap;
use std::process::Stdio;

use aws_sdk_dynamodb::types::AttributeValue;
use order::Status;
use serde_json::{Value, json};
use support::{
    Call, Fault, Faults, PATIENCE, Session, Stack, Terminal, TestOrder, assume, aws,
    orderctl_binary, output, poll_until, unique,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

/// Somebody who may do everything.
pub(super) fn anybody() -> Session {
    HashMap::new()
}

/// Permissions that the local AWS demands and AWS does not. The local AWS does not know to which state machine a token
/// belongs, nor which rule gets a target or has tags, and demands a permission of its own for a batch of deletions.
fn local_extra() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": ["states:SendTaskSuccess", "states:SendTaskFailure"], "Resource": "*" },
            { "Effect": "Allow", "Action": [
                "events:PutTargets", "events:RemoveTargets", "events:TagResource", "events:ListTagsForResource",
            ], "Resource": "*" },
            { "Effect": "Allow", "Action": "sqs:DeleteMessageBatch", "Resource": "*" },
        ],
    })
}

/// Somebody with these policies and nothing else, one of the stack's or one in JSON.
async fn somebody_with(name: &str, policy_arn: Option<&str>, policy: Option<Value>) -> Session {
    let role = format!("{name}-{}", unique());
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }],
    })
    .to_string();
    let created = aws(&[
        "iam",
        "create-role",
        "--role-name",
        &role,
        "--assume-role-policy-document",
        &trust,
    ])
    .await;
    if let Some(arn) = policy_arn {
        aws(&[
            "iam",
            "attach-role-policy",
            "--role-name",
            &role,
            "--policy-arn",
            arn,
        ])
        .await;
    }
    for (name, policy) in [("documented", policy), ("local", Some(local_extra()))] {
        let Some(policy) = policy.map(|policy| policy.to_string()) else {
            continue;
        };
        let put = ["iam", "put-role-policy", "--role-name", &role];
        aws(&[
            &put[..],
            &["--policy-name", name, "--policy-document", &policy],
        ]
        .concat())
        .await;
    }
    let arn = created["Role"]["Arn"].as_str().expect("an ARN");
    assume(arn).await
}

/// Somebody who answers for restaurants, with the policy that the stack has for them and nothing else.
pub(super) async fn restaurant() -> Session {
    static SESSION: OnceCell<Session> = OnceCell::const_new();
    SESSION
        .get_or_init(async || {
            somebody_with("restaurant", Some(&output("RestaurantPolicyArn")), None).await
        })
        .await
        .clone()
}

/// Somebody with the policy that `docs/orderctl.md` gives for a group of commands.
pub(super) async fn documented(group: &str) -> Session {
    let account = output("StateMachineArn")
        .split(':')
        .nth(4)
        .expect("an account")
        .to_owned();
    let resource = ["cloudformation", "describe-stack-resource", "--stack-name"];
    let resource = [&resource[..], &["order-workflow", "--logical-resource-id"]].concat();
    let key = aws(&[&resource[..], &["EncryptionKey"]].concat()).await;
    let key = key["StackResourceDetail"]["PhysicalResourceId"]
        .as_str()
        .expect("the stack's key")
        .to_owned();
    let page = include_str!("../../docs/orderctl.md");
    let (_, after) = page
        .split_once(&format!("<!-- policy: {group} -->"))
        .expect("the policy's mark");
    let policy = after
        .split("```")
        .nth(1)
        .expect("the policy")
        .trim_start_matches("json");
    let policy = policy
        .replace("${Region}", &std::env::var("AWS_REGION").expect("a region"))
        .replace("${Account}", &account)
        .replace(
            "${StateMachineName}",
            output("StateMachineArn")
                .rsplit(':')
                .next()
                .expect("a name"),
        )
        .replace("${OrdersTableName}", &output("OrdersTableName"))
        .replace("${OpenOrdersTableName}", &output("OpenOrdersTableName"))
        .replace("${EncryptionKeyId}", &key);
    let policy = serde_json::from_str(&policy).expect("a policy that is JSON");
    somebody_with(group, None, Some(policy)).await
}

/// What came of a command.
#[derive(Debug)]
pub(super) struct Done {
    code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Done {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(super) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "exit code of {self:?}");
    }
}

fn command(session: &Session, arguments: &[&str]) -> Command {
    let mut command = Command::new(orderctl_binary());
    command
        .args(arguments)
        .envs(session)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(super) async fn orderctl(session: &Session, arguments: &[&str]) -> Done {
    orderctl_with_input(session, arguments, "").await
}

async fn orderctl_with_input(session: &Session, arguments: &[&str], input: &str) -> Done {
    let mut child = command(session, arguments).spawn().expect("orderctl");
    let mut stdin = child.stdin.take().expect("its standard input");
    // It may end without reading.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let what = format!("the end of orderctl {arguments:?}");
    let done = within(child.wait_with_output(), &what).await;
    let done = done.expect("its end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done {
        code: done.status.code(),
        stdout: text(done.stdout),
        stderr: text(done.stderr),
    }
}

/// The open orders of a restaurant, once there is one: a moment after it was placed.
async fn inbox_of(session: &Session, restaurant_id: &str, more: &[&str]) -> Done {
    let look = ["inbox", "--restaurant", restaurant_id];
    poll_until(|| async {
        let done = orderctl(session, &[&look[..], more].concat()).await;
        done.assert_code(0);
        if done.stdout.contains(restaurant_id) {
            return Ok(done);
        }
        Err(format!("{restaurant_id} has no order: {done:?}"))
    })
    .await
}

#[tokio::test]
async fn place_inbox_accept_and_show_work_one_after_the_other() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let (customer, restaurant) = (documented("customer").await, restaurant().await);
    let input = json!(order.order).to_string();

    let placed = orderctl_with_input(&customer, &["place", "-"], &input).await;
    placed.assert_code(0);
    let execution = placed
        .stdout
        .trim()
        .rsplit(' ')
        .next()
        .expect("an ARN")
        .to_owned();
    let again = orderctl_with_input(&customer, &["place", "-"], &input).await;
    // AWS gives the running execution again, the local AWS refuses.
    assert!(matches!(again.code, Some(0 | 8)), "{again:?}");

    let token = order.restaurant_message().await.task_token;
    let listed = inbox_of(&restaurant, &order.order.restaurant_id, &[]).await;
    assert!(
        listed
            .stdout
            .contains("2 × Margherita, 1 × Tiramisù  EUR 31.50  9:"),
        "{listed:?}"
    );
    let listed = inbox_of(
        &restaurant,
        &order.order.restaurant_id,
        &["--output", "json"],
    )
    .await;
    assert!(
        !listed.stdout.contains(&token) && !listed.stdout.contains("task_token"),
        "a token is shown unasked"
    );
    let entry = &listed.json()[0];
    assert_eq!(entry["order_id"], id);
    assert_eq!(entry["total"], "EUR 31.50");
    let with_token = ["--output", "json", "--show-token"];
    let listed = inbox_of(&restaurant, &order.order.restaurant_id, &with_token).await;
    assert!(
        listed.json()[0]["task_token"] == token.as_str(),
        "the token is not the order's"
    );

    let accepted = orderctl(
        &restaurant,
        &["accept", id, "--restaurant", &order.order.restaurant_id],
    )
    .await;
    accepted.assert_code(0);
    assert_eq!(accepted.stdout, format!("{id}  ACCEPTED\n"));
    order.assert_ended(&execution, Status::Accepted, None).await;

    let shown = orderctl(&customer, &["show", id]).await;
    shown.assert_code(0);
    for part in [
        &format!("{id}  ACCEPTED"),
        "2 × Margherita",
        "EUR 25.00",
        "EUR 31.50",
        "Notify restaurant",
        "SUCCEEDED",
    ] {
        assert!(
            shown.stdout.contains(part),
            "{part} is not in {}",
            shown.stdout
        );
    }
    let shown = orderctl(&customer, &["show", id, "--output", "json"])
        .await
        .json();
    assert_eq!(shown["order"], stack.item(id).await.expect("the order"));
    assert_eq!(
        shown["execution"]["history"].as_array().map(Vec::len),
        Some(7)
    );

    let late = orderctl(&restaurant, &["reject", id, "--output", "json"]).await;
    late.assert_code(3);
    let error: Value = serde_json::from_str(&late.stderr).expect("an error as JSON");
    assert_eq!(error["exit_code"], 3, "{error}");
    orderctl_with_input(&customer, &["place", "-"], &input)
        .await
        .assert_code(8);
}

#[tokio::test]
async fn a_rejection_and_a_failure_are_recorded_with_what_was_said() {
    let stack = Stack::connect();
    let session = restaurant().await;
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let id = order.order.order_id.as_str();
    let done = orderctl(&session, &["reject", id, "--reason", " Out of dough "]).await;
    done.assert_code(0);
    assert_eq!(done.stdout, format!("{id}  REJECTED  (Out of dough)\n"));
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;

    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let id = order.order.order_id.as_str();
    let fail = [
        "fail",
        id,
        "--error",
        "RestaurantUnavailable",
        "--cause",
        "The oven is broken",
        "--output",
        "json",
    ];
    let done = orderctl(&session, &fail).await;
    done.assert_code(0);
    let reason = "RestaurantUnavailable: The oven is broken";
    assert_eq!(done.json()["status_reason"], reason);
    order
        .assert_ended(&execution, Status::Failed, Some(reason))
        .await;
}

#[tokio::test]
async fn whoever_cannot_answer_is_told_why() {
    let stack = Stack::connect();
    let session = restaurant().await;
    orderctl(&session, &["accept", &unique()])
        .await
        .assert_code(5);
    orderctl(&session, &["accept", "x", "--stack", "no-such-stack"])
        .await
        .assert_code(1);

    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let id = order.order.order_id.as_str();
    let other = orderctl(&session, &["accept", id, "--restaurant", "rest-other"]).await;
    other.assert_code(6);
    orderctl(&session, &["accept", id]).await.assert_code(0);
    order.assert_ended(&execution, Status::Accepted, None).await;

    let order = TestOrder::new(&stack).await;
    let execution = order.place_on(&stack.impatient_state_machine().await).await;
    order.assert_ended(&execution, Status::TimedOut, None).await;
    let late = orderctl(&session, &["accept", &order.order.order_id]).await;
    late.assert_code(4);
    assert!(late.stderr.contains("too late"), "{late:?}");
}

#[tokio::test]
async fn two_answers_at_once_have_one_winner_and_the_other_is_told() {
    let stack = Stack::connect();
    let session = restaurant().await;
    for _ in 0..3 {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        order.restaurant_message().await;
        let id = order.order.order_id.as_str();
        let (accept, reject) = (["accept", id], ["reject", id]);
        let (accepted, rejected) =
            tokio::join!(orderctl(&session, &accept), orderctl(&session, &reject));
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
        let accepted = orderctl(&through_the_proxy, &["accept", id]).await;
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

#[tokio::test]
async fn an_answer_is_given_although_aws_is_silent_for_longer_than_one_round_of_attempts() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let through_the_proxy = Faults::session();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let token = order.restaurant_message().await.task_token;
    faults.arm(&token, Call::SendTaskSuccess, Fault::Unavailable, Some(6));
    let id = order.order.order_id.as_str();
    let accepted = orderctl(&through_the_proxy, &["accept", id]).await;
    let met = faults.clear(&token, Call::SendTaskSuccess);
    assert!(met > 4, "the outage was over after {met} attempts");
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    assert_eq!(accepted.stdout, format!("{id}  ACCEPTED\n"));
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn placing_an_order_that_another_execution_placed_follows_the_new_execution_to_its_failure() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let input = json!(order.order).to_string();
    let first = stack
        .start(&Stack::state_machine(), &format!("first-{id}"), &input)
        .await;
    order.accept(&order.restaurant_message().await).await;
    stack.end_of(&first).await;

    let placed = orderctl_with_input(&anybody(), &["place", "-", "--watch"], &input).await;
    placed.assert_code(7);
    assert!(!placed.stdout.contains("ACCEPTED"), "{placed:?}");
    assert!(placed.stderr.contains("DuplicateOrder"), "{placed:?}");
}

#[tokio::test]
async fn each_group_of_commands_may_do_its_own_and_no_more() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let (id, input) = (
        order.order.order_id.as_str(),
        json!(order.order).to_string(),
    );
    let (customer, restaurant, support, engineer) = (
        documented("customer").await,
        restaurant().await,
        documented("support").await,
        documented("events").await,
    );
    for (who, session, refused) in [
        (
            "a customer",
            &customer,
            [vec!["inbox", "--all"], vec!["events"]],
        ),
        (
            "a restaurant",
            &restaurant,
            [vec!["inbox", "--all"], vec!["events"]],
        ),
        ("support", &support, [vec!["show", id], vec!["events"]]),
        (
            "a restaurant",
            &restaurant,
            [vec!["show", id], vec!["events"]],
        ),
        (
            "an engineer",
            &engineer,
            [vec!["inbox", "--all"], vec!["show", id]],
        ),
    ] {
        for arguments in refused {
            let done = orderctl(session, &arguments).await;
            done.assert_code(1);
            assert!(
                done.stderr.contains("AccessDenied"),
                "{who}, {arguments:?}: {done:?}"
            );
        }
    }
    for session in [&restaurant, &support, &engineer] {
        orderctl_with_input(session, &["place", "-"], &input)
            .await
            .assert_code(1);
    }
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
}

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
        orderctl(&session, &["accept", id]).await.assert_code(0);
    }
    let done = orderctl(&session, &["inbox", "--restaurant", restaurant_id]).await;
    done.assert_code(0);
    assert!(done.stderr.contains("No order waits"), "{done:?}");
}

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
    let (restaurant, support) = (restaurant().await, documented("support").await);
    for _ in 0..3 {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        order.restaurant_message().await;
        let id = order.order.order_id.as_str();
        let (accept, cancel) = (["accept", id], ["cancel", id]);
        let (accepted, cancelled) =
            tokio::join!(orderctl(&restaurant, &accept), orderctl(&support, &cancel));
        let status = match (accepted.code, cancelled.code) {
            (Some(0), Some(3)) => Status::Accepted,
            (Some(3), Some(0)) => Status::Cancelled,
            _ => panic!("not one winner: {accepted:?} {cancelled:?}"),
        };
        order.assert_ended(&execution, status, None).await;
    }
}

#[tokio::test]
async fn an_order_is_accepted_with_the_time_at_which_it_is_ready() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let id = order.order.order_id.as_str();
    let mut session = restaurant().await;
    // A zone that needs no files.
    session.insert("TZ", "XYZ-05:30".into());
    let accept = ["accept", id, "--ready-in", "25m", "--output", "json"];
    let done = orderctl(&session, &accept).await;
    done.assert_code(0);
    let sent = done.json()["ready_at"].as_str().expect("a time").to_owned();
    stack.end_of(&execution).await;
    let item = stack.item(id).await.expect("the order");
    assert_eq!(item["ready_at"], sent.as_str(), "what was sent is stored");
    assert!(sent.ends_with("+05:30"), "not the time of here: {sent}");
    let utc = |local: &str| support::seconds(&format!("{local}Z")) - 5.5 * 3600.0;
    let ready = utc(sent.get(..19).expect("a time"));
    let answered = support::seconds(item["updated_at"].as_str().expect("a time"));
    let minutes = (ready - answered) / 60.0;
    assert!((24.0..26.0).contains(&minutes), "in {minutes} minutes");
    let mut customer = documented("customer").await;
    customer.insert("TZ", "XYZ-05:30".into());
    for (command, part) in [("show", "ready at"), ("watch", "ACCEPTED  (ready at ")] {
        let done = orderctl(&customer, &[command, id]).await;
        done.assert_code(0);
        let time = sent.get(11..16).expect("a time of day");
        assert!(
            done.stdout
                .lines()
                .any(|line| line.contains(part) && line.contains(time)),
            "{time} is not in {done:?}"
        );
    }
}

/// Sets an attribute of an order in the table.
pub(super) async fn set(stack: &Stack, order_id: &str, attribute: &str, value: &str) {
    stack
        .dynamodb
        .update_item()
        .table_name(output("OrdersTableName"))
        .key("order_id", AttributeValue::S(order_id.to_owned()))
        .update_expression("SET #attribute = :value")
        .expression_attribute_names("#attribute", attribute)
        .expression_attribute_values(":value", AttributeValue::S(value.to_owned()))
        .send()
        .await
        .expect("another value");
}

#[tokio::test]
async fn an_order_whose_execution_aws_has_forgotten_is_shown() {
    let stack = Stack::connect();
    let customer = documented("customer").await;
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let execution = order.place_and_answer(r#"{"isAccepted": true}"#).await;
    stack.end_of(&execution).await;
    set(&stack, id, "execution_arn", &format!("{execution}-gone")).await;
    let shown = orderctl(&customer, &["show", id]).await;
    shown.assert_code(0);
    for part in [
        "ACCEPTED",
        "2 × Margherita",
        "AWS knows its execution no more",
    ] {
        assert!(shown.stdout.contains(part), "{part} is not in {shown:?}");
    }
    let shown = orderctl(&customer, &["show", id, "--output", "json"]).await;
    assert_eq!(shown.json()["order"]["status"], "ACCEPTED");
    assert_eq!(shown.json()["execution"], Value::Null);
    let watched = orderctl(&customer, &["watch", id]).await;
    watched.assert_code(1);
    assert!(watched.stderr.contains("no more"), "{watched:?}");
}

#[tokio::test]
async fn an_answer_that_is_taken_and_not_recorded_yet_is_told_as_such() {
    let stack = Stack::connect();
    let slow = |definition: &str| {
        let mut definition: Value = serde_json::from_str(definition).expect("a definition");
        // It waits for what nobody answers.
        let mut waits = definition["States"]["Notify restaurant"].clone();
        waits["Arguments"] = json!({
            "TopicArn": output("UserTopicArn"),
            "Message": "{% $states.context.Task.Token %}",
        });
        waits["Next"] = definition["States"]["Update order status"]["Next"].clone();
        waits.as_object_mut().expect("a state").remove("Catch");
        definition["States"]["Update order status"] = waits;
        definition.to_string()
    };
    let machine = stack.variant(&format!("slow-{}", unique()), slow).await;
    let order = TestOrder::new(&stack).await;
    let execution = order.place_on(&machine).await;
    order.restaurant_message().await;
    let id = order.order.order_id.as_str();
    let done = orderctl(&anybody(), &["accept", id]).await;
    done.assert_code(11);
    assert!(done.stderr.contains("not recorded yet"), "{done:?}");
    // The loser of a race is not told that it won.
    let done = orderctl(&anybody(), &["reject", id]).await;
    done.assert_code(4);
    let stop = ["stepfunctions", "stop-execution", "--execution-arn"];
    aws(&[&stop[..], &[&execution]].concat()).await;
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
    orderctl(&session, &["accept", id]).await.assert_code(0);
    let line: Value = serde_json::from_str(&next(&mut lines).await).expect("JSON");
    assert_eq!(line, json!({ "order_id": id, "status": "ACCEPTED" }));
    order.assert_ended(&execution, Status::Accepted, None).await;
}

type Lines<R> = tokio::io::Lines<BufReader<R>>;

async fn next<R: tokio::io::AsyncRead + Unpin>(lines: &mut Lines<R>) -> String {
    let line = within(lines.next_line(), "a line of a command").await;
    line.expect("a line that can be read")
        .expect("a line before the end")
}

/// What comes of something that must not take for ever.
async fn within<T>(future: impl Future<Output = T>, what: &str) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|_| panic!("{what} does not come within {PATIENCE:?}"))
}

#[tokio::test]
async fn watch_follows_an_order_in_plain_lines() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let customer = documented("customer").await;
    let mut watch = command(&customer, &["place", "-", "--watch"])
        .spawn()
        .expect("orderctl");
    let mut input = watch.stdin.take().expect("its input");
    let order_as_json = json!(order.order).to_string();
    input
        .write_all(order_as_json.as_bytes())
        .await
        .expect("an input");
    drop(input);
    let mut printed = BufReader::new(watch.stdout.take().expect("its output")).lines();
    let mut lines = Vec::new();
    // The restaurant answers once the watch has seen the order wait for it.
    while !lines
        .last()
        .is_some_and(|line: &String| line.contains("until "))
    {
        lines.push(next(&mut printed).await);
    }
    order.accept(&order.restaurant_message().await).await;
    while let Some(line) = within(printed.next_line(), "a line of the watch")
        .await
        .expect("a line")
    {
        lines.push(line);
    }
    let ended = within(watch.wait(), "the end of the watch").await;
    let ended = ended.expect("its end");
    assert!(ended.success(), "{ended:?}");
    let states = [
        "placed: arn:",
        "Save order",
        "Publish ORDER_PLACED event",
        "Notify restaurant            until ",
        "Notify restaurant ",
        "Restaurant decision",
        "Update order status",
        "Publish status event",
        "Notify user",
        "ACCEPTED",
    ];
    assert_eq!(lines.len(), states.len(), "{lines:#?}");
    for (line, state) in lines.iter().zip(states) {
        assert!(line.contains(state), "{state} is not in {line}");
    }
    assert!(
        !lines.concat().contains('\u{1b}'),
        "a pipe gets control sequences"
    );
}

#[tokio::test]
async fn an_execution_that_needs_a_person_is_told_by_the_exit_code() {
    let stack = Stack::connect();
    let id = format!("ord-{}", unique());
    let execution = stack
        .start(&Stack::state_machine(), &id, r#"{"order_id": 1}"#)
        .await;
    stack.end_of(&execution).await;
    let customer = documented("customer").await;
    let watched = orderctl(&customer, &["watch", &id]).await;
    watched.assert_code(7);
    assert!(watched.stderr.contains("InvalidOrder"), "{watched:?}");
    let shown = orderctl(&customer, &["show", &id]).await;
    shown.assert_code(0);
    assert!(shown.stdout.contains("is not stored"), "{shown:?}");
    orderctl(&customer, &["watch", &unique()])
        .await
        .assert_code(5);
}

/// The rule and the queue that `events` made for an order and that are there now: the rule's ARN and the queue's URL.
async fn subscription(stack: &Stack, order_id: &str) -> Option<(String, String)> {
    let prefix = "order-workflow-orderctl-";
    let rules = stack
        .events
        .list_rules()
        .event_bus_name(output("EventBusName"))
        .name_prefix(prefix);
    let rules = rules.send().await.expect("rules").rules.unwrap_or_default();
    let of_order = |rule: &aws_sdk_eventbridge::types::Rule| {
        let pattern = rule.event_pattern().unwrap_or_default();
        pattern.contains(order_id)
    };
    let rule = rules.into_iter().find(of_order)?;
    // Both have one name.
    let queues = stack
        .sqs
        .list_queues()
        .queue_name_prefix(rule.name.expect("a name"));
    let queues = queues.send().await.expect("queues").queue_urls;
    let queue = queues.unwrap_or_default().pop();
    Some((
        rule.arn.expect("an ARN"),
        queue.expect("a queue beside the rule"),
    ))
}

/// Whether a queue is there.
async fn exists(stack: &Stack, queue_url: &str) -> bool {
    let get = stack.sqs.get_queue_attributes().queue_url(queue_url);
    get.send().await.is_ok()
}

/// Starts `events` and waits until it listens.
async fn listen(session: &Session, arguments: &[&str]) -> Child {
    let mut all = vec!["events"];
    all.extend(arguments);
    let mut child = command(session, &all).spawn().expect("orderctl");
    let mut said = BufReader::new(child.stderr.as_mut().expect("its standard error")).lines();
    loop {
        let line = next(&mut said).await;
        assert!(!line.starts_with("error"), "{line}");
        if line.starts_with("Listening") {
            return child;
        }
    }
}

#[tokio::test]
async fn events_are_printed_as_they_happen_and_nothing_is_left_behind() {
    let stack = Stack::connect();
    let engineer = documented("events").await;

    // Killed outright: what it made stays, and is nobody else's business while its lease runs.
    let of_killed = format!("killed-{}", unique());
    let mut killed = listen(&engineer, &["--order", &of_killed]).await;
    killed.kill().await.expect("a kill");
    let left = subscription(&stack, &of_killed).await;
    let (rule, queue) = left.clone().expect("what the killed command made");

    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let child = listen(&engineer, &["--order", id, "--count", "2"]).await;
    let execution = order
        .place_and_answer(r#"{"isAccepted": false, "reason": "Out of dough"}"#)
        .await;
    let done = within(child.wait_with_output(), "the end of two events").await;
    let done = done.expect("an end");
    assert!(done.status.success(), "{done:?}");
    let printed = String::from_utf8(done.stdout).expect("UTF-8");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    for (line, parts) in lines.iter().zip([
        ["ORDER_PLACED", id, "EUR 31.50"],
        ["ORDER_REJECTED", id, "Out of dough"],
    ]) {
        assert!(
            parts.iter().all(|part| line.contains(part)),
            "{parts:?} are not in {line}"
        );
    }
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;
    assert_eq!(subscription(&stack, id).await, None, "left behind");
    assert_eq!(
        subscription(&stack, &of_killed).await,
        left,
        "a colleague's run was not left alone"
    );

    let past = "2020-01-01T00:00:00Z";
    let tag = aws_sdk_eventbridge::types::Tag::builder()
        .key("orderctl:expires")
        .value(past)
        .build();
    let tagged = stack
        .events
        .tag_resource()
        .resource_arn(rule)
        .tags(tag.expect("a tag"));
    tagged.send().await.expect("an aged rule");
    let tagged = stack
        .sqs
        .tag_queue()
        .queue_url(&queue)
        .tags("orderctl:expires", past);
    tagged.send().await.expect("an aged queue");
    for signal in ["-INT", "-TERM"] {
        let order_id = format!("signal-{}", unique());
        let mut child = listen(&engineer, &["--order", &order_id, "--output", "text"]).await;
        let made = subscription(&stack, &order_id).await;
        let (_, made) = made.expect("what the command made");
        assert_eq!(
            (
                subscription(&stack, &of_killed).await,
                exists(&stack, &queue).await
            ),
            (None, false),
            "the leftovers are still there"
        );
        let pid = child.id().expect("a process").to_string();
        let sent = Command::new("kill")
            .args([signal, &pid])
            .status()
            .await
            .expect("kill");
        assert!(sent.success());
        let ended = within(child.wait(), "an end").await.expect("an end");
        assert!(ended.success(), "{signal}: {ended:?}");
        assert_eq!(
            (
                subscription(&stack, &order_id).await,
                exists(&stack, &made).await
            ),
            (None, false),
            "left behind after {signal}"
        );
    }
}

#[tokio::test]
async fn a_desk_shows_orders_as_they_come_and_answers_with_a_key() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.order.restaurant_id],
    );
    desk.wait_for("No order waits").await;
    let execution = order.place().await;
    let token = order.restaurant_message().await.task_token;
    desk.wait_for("1 order waits").await;
    // Nothing is selected, so nothing is answered.
    desk.press("a");
    desk.press("j");
    desk.wait_for("a accept").await;
    for part in [
        order.order.order_id.as_str(),
        "EUR 31.50",
        "Note: No basil, please",
        "a accept",
    ] {
        assert!(
            desk.contents().contains(part),
            "{part} is not on the screen:\n{}",
            desk.contents()
        );
    }
    let shown: String = desk.contents().split_whitespace().collect();
    assert!(
        !shown.contains(token.get(..40).unwrap_or(&token)),
        "a token is on the screen"
    );

    desk.press("r");
    desk.wait_for(" rejected?").await;
    desk.press("no\u{1b}");
    desk.wait_for("a accept").await;
    desk.press("a");
    desk.wait_for(" ready?").await;
    desk.press("soon\r");
    desk.wait_for("minutes are a whole number").await;
    desk.press("\u{1b}");
    desk.wait_for("a accept").await;
    desk.press("r");
    desk.wait_for(" rejected?").await;
    // The cursor moves: Home, and back over what is there.
    desk.press("t of dough\u{1b}[HOuu\u{7f}\r");
    desk.wait_for("REJECTED  (Out of dough)").await;
    desk.wait_for("No order waits").await;
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
    assert!(desk.is_given_back(), "the terminal is not given back");
}

#[tokio::test]
async fn of_two_desks_that_race_for_an_order_one_wins_and_the_other_is_told() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let session = restaurant().await;
    let desk = || {
        Terminal::run(
            &session,
            &["desk", "--restaurant", &order.order.restaurant_id],
        )
    };
    let (mut one, mut other) = (desk(), desk());
    let execution = order.place().await;
    one.wait_for("1 order waits").await;
    other.wait_for("1 order waits").await;
    other.press("jr");
    other.wait_for(" rejected?").await;
    one.press("ja");
    one.wait_for(" ready?").await;
    one.press("\r");
    other.press("\r");

    let id = order.order.order_id.as_str();
    let told = |screen: &str| screen.contains(&format!("{id} was answered already"));
    let won = |screen: &str| {
        screen.contains(&format!("{id}  ACCEPTED")) || screen.contains(&format!("{id}  REJECTED"))
    };
    for desk in [&one, &other] {
        desk.wait_until("the outcome", |screen| told(screen) || won(screen))
            .await;
    }
    let status = match [&one, &other].map(|desk| told(&desk.contents())) {
        [false, true] => Status::Accepted,
        [true, false] => Status::Rejected,
        _ => panic!("not one winner:\n{}\n{}", one.contents(), other.contents()),
    };
    order.assert_ended(&execution, status, None).await;
    for desk in [&mut one, &mut other] {
        desk.wait_for("No order waits").await;
        desk.press("q");
        assert_eq!(desk.end().await, 0);
    }
}

#[tokio::test]
async fn a_desk_that_races_with_a_cancellation_is_told_who_won() {
    let stack = Stack::connect();
    let support = documented("support").await;
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.order.restaurant_id],
    );
    let execution = order.place().await;
    desk.wait_for("1 order waits").await;
    desk.press("ja");
    desk.wait_for(" ready?").await;
    desk.press("25\r");
    let cancelled = orderctl(&support, &["cancel", id]).await;
    let (told, won) = (
        format!("{id} was answered already: CANCELLED"),
        format!("{id}  ACCEPTED  (ready at "),
    );
    desk.wait_until("the outcome", |screen| {
        screen.contains(&told) || screen.contains(&won)
    })
    .await;
    match cancelled.code {
        Some(0) => {
            desk.wait_for(&told).await;
            order
                .assert_ended(&execution, Status::Cancelled, None)
                .await;
        }
        Some(3) => {
            desk.wait_for(&won).await;
            stack.end_of(&execution).await;
            let item = stack.item(id).await.expect("the order");
            assert_eq!(item["status"], "ACCEPTED");
        }
        _ => panic!("not one winner: {cancelled:?}\n{}", desk.contents()),
    }
    desk.wait_for("No order waits").await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
}

#[tokio::test]
async fn what_is_pasted_at_a_desk_is_text_and_answers_nothing() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let mut other = order.order.clone();
    other.order_id = format!("{}-other", other.order_id);
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.order.restaurant_id],
    );
    let execution = order.place().await;
    desk.wait_for("1 order waits").await;
    let other_execution = stack.place(&Stack::state_machine(), &other).await;
    desk.wait_for("2 orders wait").await;
    desk.press("j");
    desk.wait_for("a accept").await;
    let paste = |text: &str| format!("\u{1b}[200~{text}\u{1b}[201~");
    desk.press(&paste("a\r"));
    desk.wait_for("what was pasted is left out").await;
    desk.press("r");
    desk.wait_for(" rejected?").await;
    // By keys, this would reject the order, select the other one, and accept it.
    desk.press(&paste("Out of dough\rja\r"));
    desk.wait_for("rejected? Out of dough ja").await;
    desk.wait_for("2 orders wait").await;
    desk.press("\u{1b}[D\u{7f}\u{7f}\u{1b}[3~\r");
    desk.wait_for("REJECTED  (Out of dough)").await;
    desk.wait_for("1 order waits").await;
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
    orderctl(&anybody(), &["accept", &other.order_id])
        .await
        .assert_code(0);
    stack.end_of(&other_execution).await;
}

#[tokio::test]
async fn a_desk_shows_all_of_an_order_its_note_first() {
    let stack = Stack::connect();
    let mut order = TestOrder::new(&stack).await.order;
    let item = order.items[0].clone();
    order.items = (1..=30)
        .map(|number| order::Item {
            name: format!("寿司 no. {number:02}"),
            ..item.clone()
        })
        .collect();
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.restaurant_id],
    );
    let execution = stack.place(&Stack::state_machine(), &order).await;
    desk.wait_for("1 order waits").await;
    desk.press("j");
    desk.wait_for("Note: No basil, please").await;
    desk.wait_for("no. 01  EUR 25.00").await;
    desk.wait_until("that there is more", |screen| screen.contains("Page Down"))
        .await;
    for _ in 0..12 {
        desk.press("\u{1b}[6~");
    }
    desk.wait_for("no. 30  EUR 25.00").await;
    desk.wait_for("↓ 0 lines").await;
    assert!(!desk.contents().contains("Note:"), "it does not scroll");
    for _ in 0..12 {
        desk.press("\u{1b}[5~");
    }
    desk.wait_for("Note: No basil, please").await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
    orderctl(&anybody(), &["accept", &order.order_id])
        .await
        .assert_code(0);
    stack.end_of(&execution).await;
}

#[tokio::test]
async fn a_desk_whose_keys_cannot_be_read_ends_and_says_so() {
    let mut desk = Terminal::without_keys(&["desk", "--restaurant", &unique()]);
    assert_eq!(desk.end().await, 1);
    assert!(desk.is_given_back(), "the terminal is not given back");
    desk.wait_for("error: the terminal or a file failed").await;
}

#[tokio::test]
async fn a_desk_that_is_terminated_gives_the_terminal_back() {
    let mut desk = Terminal::run(&anybody(), &["desk", "--restaurant", &unique()]);
    desk.wait_for("No order waits").await;
    let pid = desk.process();
    let sent = Command::new("kill").arg(&pid).status().await.expect("kill");
    assert!(sent.success());
    desk.end().await;
    assert!(desk.is_given_back(), "the terminal is not given back");
}

#[tokio::test]
async fn watch_counts_down_on_a_terminal() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let mut watch = Terminal::run(&anybody(), &["watch", id]);
    watch.wait_for(" left").await;
    let left = |screen: &str| {
        screen
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_suffix(" left").map(str::to_owned))
    };
    let before = left(&watch.contents());
    watch
        .wait_until("less time", |screen| left(screen) != before)
        .await;
    order.accept(&message).await;
    watch.wait_for(&format!("{id}  ACCEPTED")).await;
    assert_eq!(watch.end().await, 0);
    let screen = watch.contents();
    assert!(!screen.contains(" left"), "the countdown stays:\n{screen}");
    assert_eq!(screen.matches("Notify restaurant").count(), 1, "{screen}");
    order.assert_ended(&execution, Status::Accepted, None).await;
}
