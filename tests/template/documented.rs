//! The policies under `docs/policies`, for groups of commands of `orderctl`. The local AWS evaluates no condition on what a rule's
//! target is or which attributes are read.

use serde_norway::Value;
use support::root;

use crate::iam::{Call, call};

/// The statements of a group's policy, for the stack `orders`.
fn documented(group: &str) -> Vec<Value> {
    let file = root().join(format!("docs/policies/{group}.json"));
    let policy = std::fs::read_to_string(file).expect("the policy");
    let policy = policy
        .replace("${Region}", "eu-central-1")
        .replace("${Account}", "123456789012");
    let policy: Value = serde_norway::from_str(&policy).expect("a policy that is JSON");
    policy["Statement"]
        .as_sequence()
        .expect("statements")
        .clone()
}

const GROUPS: [&str; 5] = ["backend", "cancel", "support", "engineers", "operators"];

/// Those of the groups whose policies allow a call.
fn allowed(call: &Call) -> Vec<&'static str> {
    let allows = |group: &&str| call.is_allowed_by(&documented(group));
    GROUPS.into_iter().filter(allows).collect()
}

const ORDERS: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/${OrdersTableName}";
const OPEN_ORDERS: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/${OpenOrdersTableName}";
const MACHINE: &str = "arn:aws:states:eu-central-1:123456789012:stateMachine:${StateMachineName}";
const EXECUTION: &str =
    "arn:aws:states:eu-central-1:123456789012:execution:${StateMachineName}:ord-1001";

#[test]
fn each_group_reads_what_the_page_says_and_only_engineers_read_histories() {
    let of_order = |attributes: &[&str]| {
        call("dynamodb:GetItem", ORDERS).saying("dynamodb:Attributes", attributes)
    };
    let whole = call("dynamodb:GetItem", ORDERS).saying("dynamodb:Select", &["ALL_ATTRIBUTES"]);
    for (call, groups) in [
        (
            call("states:GetExecutionHistory", EXECUTION),
            ["engineers"].as_slice(),
        ),
        (whole, &["backend", "engineers", "operators"]),
        (
            of_order(&["order_id", "customer_id"]),
            &["backend", "engineers", "operators"],
        ),
        (of_order(&["order_id", "status", "restaurant_id"]), &GROUPS),
        (
            call("states:DescribeExecution", EXECUTION),
            &["backend", "engineers", "operators"],
        ),
        (
            call("dynamodb:GetItem", OPEN_ORDERS),
            &["cancel", "support"],
        ),
        (call("dynamodb:Scan", OPEN_ORDERS), &["support"]),
        (call("dynamodb:Scan", ORDERS), &[]),
        (
            call("states:SendTaskSuccess", MACHINE),
            &["cancel", "support"],
        ),
        (call("states:StartExecution", MACHINE), &["backend"]),
        (call("states:RedriveExecution", EXECUTION), &["operators"]),
    ] {
        assert_eq!(allowed(&call), groups, "who may {call:?}");
    }
}

#[test]
fn an_engineers_rule_has_no_target_but_a_queue_of_orderctl() {
    let rule = "arn:aws:events:eu-central-1:123456789012:rule/order-workflow-orders/order-workflow-orderctl-1";
    let put = || call("events:PutTargets", rule);
    let to = |targets: &[&str]| put().saying("events:TargetArn", targets);
    let queue = "arn:aws:sqs:eu-central-1:123456789012:order-workflow-orderctl-1";
    let topic = "arn:aws:sns:eu-central-1:123456789012:operations";
    assert_eq!(allowed(&to(&[queue])), ["engineers"]);
    for refused in [
        to(&[topic]),
        to(&[queue, topic]),
        to(&["arn:aws:sqs:eu-central-1:123456789012:other"]),
        put(),
    ] {
        assert_eq!(allowed(&refused), [""; 0], "{refused:?}");
    }
}
