//! What the policy of a person or system that answers for a restaurant allows. The local AWS cannot
//! tell: it evaluates neither the keys of a read nor the tags of the reader.

use serde_norway::Value;

use crate::iam::{Call, call};
use crate::{resources, statements, template};

/// Whether the policy allows a call.
fn allows(template: &Value, call: &Call) -> bool {
    let policies = resources(template, "AWS::IAM::ManagedPolicy");
    let policy = policies
        .iter()
        .find(|(name, _)| *name == "RestaurantPolicy");
    let (_, policy) = policy.expect("the policy");
    call.is_allowed_by(statements(policy, "PolicyDocument"))
}

#[test]
fn a_restaurant_reads_its_own_open_orders_and_no_others() {
    let template = template();
    let table = "OpenOrdersTable/index/open";
    let query = || call("dynamodb:Query", table);
    for id in ["rest-7", "Zum Löwen", "a_b.c:d/e=f+g-h@i"] {
        assert!(
            allows(&template, &query().tagged(id).of(&[id])),
            "{id} may not read its own orders from {table}"
        );
    }
    for (who, refused) in [
        (
            "another restaurant",
            query().tagged("rest-8").of(&["rest-7"]),
        ),
        (
            "a tag that differs in case",
            query().tagged("Rest-7").of(&["rest-7"]),
        ),
        (
            "a tag with a wildcard",
            query().tagged("rest-*").of(&["rest-7"]),
        ),
        ("an empty tag", query().tagged("").of(&["rest-7"])),
        ("nobody's tag", query().of(&["rest-7"])),
        ("a tag and no key", query().tagged("rest-7")),
        ("no tag and no key", query()),
        (
            "two keys, one of them another's",
            query().tagged("rest-7").of(&["rest-7", "rest-8"]),
        ),
    ] {
        assert!(!allows(&template, &refused), "{who} may query {table}");
    }
    for action in [
        "dynamodb:Scan",
        "dynamodb:PartiQLSelect",
        "dynamodb:BatchGetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:PartiQLUpdate",
    ] {
        for refused in [
            call(action, table).tagged("rest-7").of(&["rest-7"]),
            call(action, table).tagged("rest-7"),
        ] {
            assert!(!allows(&template, &refused), "{action} on {table}");
        }
    }
    let get = || call("dynamodb:GetItem", "OpenOrdersTable");
    assert!(allows(&template, &get().tagged("rest-7").of(&["rest-7"])));
    assert!(!allows(&template, &get().tagged("rest-8").of(&["rest-7"])));
    for table in [
        "OrdersTable",
        "OrdersTable/index/open",
        "OtherTable",
        "OpenOrdersTable2",
    ] {
        for action in ["dynamodb:Query", "dynamodb:GetItem"] {
            let other = call(action, table).tagged("rest-7").of(&["rest-7"]);
            assert!(!allows(&template, &other), "{action} on {table}");
        }
    }
}

#[test]
fn a_restaurant_answers_and_reads_no_table_but_that_of_open_orders() {
    let template = template();
    let machine = "OrderStateMachine";
    let key =
        |action, service: &str| call(action, "EncryptionKey").saying("kms:ViaService", &[service]);
    let read = |attributes: &[&str]| {
        call("dynamodb:GetItem", "OrdersTable")
            .of(&["ord-1001"])
            .saying("dynamodb:Attributes", attributes)
    };
    let stack = |name| {
        let arn = format!("arn:aws:cloudformation:eu-central-1:123456789012:stack/{name}/1");
        call("cloudformation:DescribeStacks", &arn)
    };
    let dynamodb = "dynamodb.eu-central-1.amazonaws.com";
    for allowed in [
        call("states:SendTaskSuccess", machine),
        call("states:SendTaskFailure", machine),
        key("kms:Decrypt", dynamodb),
        key("kms:DescribeKey", dynamodb),
        stack("stack-7"),
    ] {
        assert!(allows(&template, &allowed), "refused: {allowed:?}");
    }
    for refused in [
        call("states:SendTaskSuccess", "Other"),
        call("states:StartExecution", machine),
        key("kms:Decrypt", "dynamodb.eu-west-1.amazonaws.com"),
        key("kms:Decrypt", "sqs.eu-central-1.amazonaws.com"),
        call("kms:Decrypt", "EncryptionKey"),
        call("kms:Decrypt", "Other").saying("kms:ViaService", &[dynamodb]),
        key("kms:Encrypt", dynamodb),
        read(&["status"]),
        read(&["status"]).tagged("rest-7"),
        call("dynamodb:GetItem", "OrdersTable").of(&["ord-1001"]),
        call("dynamodb:GetItem", "OrdersTable"),
        call("states:DescribeExecution", machine),
        call("states:GetExecutionHistory", machine),
        stack("stack-72"),
    ] {
        assert!(!allows(&template, &refused), "allowed: {refused:?}");
    }
}
