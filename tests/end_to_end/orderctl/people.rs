//! Who runs `orderctl`, and what each group of commands may do.

use std::collections::HashMap;

use order::Status;
use serde_json::{Value, json};
use support::{Session, Stack, TestOrder, account, output, physical_id, somebody_with};
use tokio::sync::OnceCell;

use super::{orderctl, orderctl_with_input};

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

/// Somebody who answers for restaurants, with the policy that the stack has for them and nothing else.
pub(super) async fn restaurant() -> Session {
    static SESSION: OnceCell<Session> = OnceCell::const_new();
    SESSION
        .get_or_init(async || {
            let policy = output("RestaurantPolicyArn");
            somebody_with("restaurant", Some(&policy), &[("local", &local_extra())]).await
        })
        .await
        .clone()
}

/// Somebody with the policy under `docs/policies` for a group of commands.
pub(super) async fn documented(group: &str) -> Session {
    let key = physical_id("EncryptionKey").await;
    let file = support::root().join(format!("docs/policies/{group}.json"));
    let policy = std::fs::read_to_string(file).expect("the policy");
    let policy = policy
        .replace("${Region}", &std::env::var("AWS_REGION").expect("a region"))
        .replace("${Account}", &account())
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
    let policy: Value = serde_json::from_str(&policy).expect("a policy that is JSON");
    let policies = [("documented", &policy), ("local", &local_extra())];
    somebody_with(group, None, &policies).await
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
    let (backend, restaurant, canceller, support, engineer) = (
        documented("backend").await,
        restaurant().await,
        documented("cancel").await,
        documented("support").await,
        documented("engineers").await,
    );
    for (who, session, refused) in [
        (
            "a shop's backend",
            &backend,
            [vec!["inbox", "--all"], vec!["events"]],
        ),
        (
            "a restaurant",
            &restaurant,
            [vec!["inbox", "--all"], vec!["events"]],
        ),
        (
            "who cancels",
            &canceller,
            [vec!["inbox", "--all"], vec!["show", id]],
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
            [vec!["inbox", "--all"], vec!["cancel", id]],
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
