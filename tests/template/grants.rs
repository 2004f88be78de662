//! What every role and policy of both templates allows: the calls below, and nothing else.
//!
//! The calls of functions and restaurants are made by the end-to-end tests, on a local AWS that refuses what a policy does not
//! allow. The rest is what AWS's pages ask for; the local AWS delivers logs, traces and encrypted messages without it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use serde_norway::Value;

use crate::iam::{ACCOUNT, Call, Named, call, concerns, resolve, resolved};
use crate::{one_or_many, resources, role_statements, statements, whole};

/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>
fn logs(group: &str) -> Vec<Call> {
    ["logs:CreateLogStream", "logs:PutLogEvents"]
        .map(|action| call(action, group))
        .into()
}

/// AWS knows no resources of traces. <https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html>
fn traces() -> Vec<Call> {
    ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        .map(|action| call(action, "*"))
        .into()
}

/// What Lambda does in the function's name. <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
fn polls(queue: &str) -> Vec<Call> {
    let mut calls: Vec<_> = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ]
    .map(|action| call(action, queue))
    .into();
    calls.push(call("kms:Decrypt", "EncryptionKey").by_way_of("sqs"));
    calls
}

/// To an encrypted topic. <https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html>
fn publishes(topic: &str) -> Vec<Call> {
    let mut calls = key("sns", &["kms:GenerateDataKey", "kms:Decrypt"]);
    calls.push(call("sns:Publish", topic));
    calls
}

fn key(service: &str, actions: &[&'static str]) -> Vec<Call> {
    let on = |action: &&'static str| call(action, "EncryptionKey").by_way_of(service);
    actions.iter().map(on).collect()
}

/// The calls that each role or managed policy must allow.
fn of_identities() -> BTreeMap<&'static str, Vec<Call>> {
    let stack = "arn:aws:cloudformation:eu-central-1:123456789012:stack/stack-7/*";
    let own = |action, table: &str| call(action, table).tagged("rest-7").of(&["rest-7"]);
    let reads_encrypted = || key("dynamodb", &["kms:Decrypt", "kms:DescribeKey"]);
    let revokes = |link| call("dynamodb:PutItem", "RevocationsTable").of(&[link]);
    let deadline = |table| {
        let attributes = ["order_id", "restaurant_id", "status", "respond_by"];
        call("dynamodb:GetItem", table)
            .saying("dynamodb:Attributes", &attributes)
            .perhaps("dynamodb:Select", "SPECIFIC_ATTRIBUTES")
    };
    let answers = || {
        ["states:SendTaskSuccess", "states:SendTaskFailure"]
            .map(|action| call(action, "OrderStateMachine"))
            .to_vec()
    };
    // AWS knows no resources of these.
    // https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    // https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
    let observed = [
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
    ];
    let all = |parts: Vec<Vec<Call>>| parts.into_iter().flatten().collect::<Vec<_>>();
    BTreeMap::from([
        (
            "OrderStateMachineRole",
            all(vec![
                [
                    "SaveOrderFunction",
                    "UpdateStatusFunction",
                    "NotifyUserFunction",
                ]
                .map(|function| call("lambda:InvokeFunction", function))
                .into(),
                vec![call("events:PutEvents", "OrderEventBus")],
                publishes("RestaurantTopic"),
                observed.map(|action| call(action, "*")).into(),
                traces(),
            ]),
        ),
        (
            "SaveOrderFunctionRole",
            all(vec![
                vec![call("dynamodb:PutItem", "OrdersTable")],
                logs("SaveOrderLogs"),
                traces(),
            ]),
        ),
        (
            "UpdateStatusFunctionRole",
            all(vec![
                vec![call("dynamodb:UpdateItem", "OrdersTable")],
                logs("UpdateStatusLogs"),
                traces(),
            ]),
        ),
        (
            "NotifyUserFunctionRole",
            all(vec![
                publishes("UserTopic"),
                logs("NotifyUserLogs"),
                traces(),
            ]),
        ),
        (
            "OpenOrdersFunctionRole",
            all(vec![
                vec![call("dynamodb:PutItem", "OpenOrdersTable")],
                // What AWS's CDK grants to those who write to a table with a key of the account.
                // https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_dynamodb.Table.html
                key(
                    "dynamodb",
                    &[
                        "kms:Decrypt",
                        "kms:DescribeKey",
                        "kms:Encrypt",
                        "kms:GenerateDataKey",
                        "kms:ReEncryptFrom",
                        "kms:ReEncryptTo",
                    ],
                ),
                polls("OpenOrdersQueue"),
                logs("OpenOrdersLogs"),
                traces(),
            ]),
        ),
        (
            // It signs no link and writes nothing. It is not traced: a trace would hold the link.
            "WebFunctionRole",
            all(vec![
                ["OrdersTable", "OpenOrdersTable", "RevocationsTable"]
                    .map(|table| call("dynamodb:GetItem", table))
                    .into(),
                // Those of open and of closed orders, which are all that the table has.
                vec![call("dynamodb:Query", "OpenOrdersTable/index/*")],
                reads_encrypted(),
                ["RestaurantLinksKey", "CustomerLinksKey"]
                    .map(|key| call("kms:GetPublicKey", key))
                    .into(),
                answers(),
                logs("WebLogs"),
            ]),
        ),
        (
            "WebLinksFunctionRole",
            all(vec![
                vec![call("kms:Sign", "RestaurantLinksKey")],
                publishes("LinksTopic"),
                polls("LinksQueue"),
                logs("WebLinksLogs"),
            ]),
        ),
        (
            "RestaurantPolicy",
            all(vec![
                vec![
                    own("dynamodb:Query", "OpenOrdersTable/index/open"),
                    own("dynamodb:GetItem", "OpenOrdersTable"),
                    call("cloudformation:DescribeStacks", stack),
                ],
                reads_encrypted(),
                answers(),
            ]),
        ),
        (
            "RestaurantLinksPolicy",
            all(vec![
                vec![
                    call("kms:Sign", "RestaurantLinksKey"),
                    revokes("restaurant *"),
                    revokes("order *"),
                    deadline("OrdersTable"),
                    deadline("OpenOrdersTable"),
                    call("cloudformation:DescribeStacks", stack),
                ],
                reads_encrypted(),
            ]),
        ),
        (
            "CustomerLinksPolicy",
            vec![
                call("kms:Sign", "CustomerLinksKey"),
                revokes("customer *"),
                call("cloudformation:DescribeStacks", stack),
            ],
        ),
    ])
}

/// The calls that the policy of a topic, queue or key must allow to those who have no policy of their own for them.
fn of_resources() -> BTreeMap<&'static str, Vec<Call>> {
    let root = "arn:aws:iam::123456789012:root";
    let tls = |call: Call| call.perhaps("aws:SecureTransport", "true");
    let publish = |topic: &str| tls(call("sns:Publish", topic));
    let send = |queue: &str, service: &str, source: &str| {
        let service = format!("{service}.amazonaws.com");
        let send = call("sqs:SendMessage", queue).by_service(&service);
        tls(send.saying("aws:SourceArn", &[source]))
    };
    let service =
        |action, service: &str| call(action, "*").by_service(&format!("{service}.amazonaws.com"));
    let here = |call: Call| call.saying("aws:SourceAccount", &[ACCOUNT]);
    let administered = || call("kms:*", "*").by(root);
    let mut key = vec![administered()];
    for action in ["kms:GenerateDataKey*", "kms:Decrypt"] {
        let topic = "arn:aws:sns:eu-central-1:123456789012:any";
        let queue = "arn:aws:sqs:eu-central-1:123456789012:any";
        key.extend([
            here(service(action, "sns")),
            here(service(action, "cloudwatch")),
            service(action, "events").saying("kms:EncryptionContext:aws:sns:topicArn", &[topic]),
            service(action, "events").saying("kms:EncryptionContext:aws:sqs:arn", &[queue]),
        ]);
    }
    BTreeMap::from([
        (
            "RestaurantTopicPolicy",
            vec![publish("RestaurantTopic").by("OrderStateMachineRole")],
        ),
        (
            "UserTopicPolicy",
            vec![publish("UserTopic").by("NotifyUserFunctionRole")],
        ),
        (
            "LinksTopicPolicy",
            vec![publish("LinksTopic").by("WebLinksFunctionRole")],
        ),
        (
            "OperationsTopicPolicy",
            vec![here(
                publish("OperationsTopic").by_service("cloudwatch.amazonaws.com"),
            )],
        ),
        // EventBridge's guide allows no condition here.
        // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        (
            "FailedExecutionsTopicPolicy",
            vec![publish("FailedExecutionsTopic").by_service("events.amazonaws.com")],
        ),
        (
            "OpenOrdersQueuePolicy",
            vec![
                send("OpenOrdersQueue", "sns", "RestaurantTopic"),
                send("OpenOrdersQueue", "events", "FinalEventsRule"),
            ],
        ),
        (
            "OpenOrdersDeadLettersPolicy",
            vec![
                send("OpenOrdersDeadLetters", "sns", "RestaurantTopic"),
                send("OpenOrdersDeadLetters", "events", "FinalEventsRule"),
            ],
        ),
        (
            "OperationsDeadLettersPolicy",
            vec![
                send("OperationsDeadLetters", "events", "FailedExecutionRule"),
                send("OperationsDeadLetters", "sns", "OperationsTopic"),
            ],
        ),
        (
            "LinksQueuePolicy",
            vec![
                send("LinksQueue", "sns", "RestaurantTopic"),
                send("LinksDeadLetters", "sns", "RestaurantTopic"),
            ],
        ),
        ("EncryptionKey", key),
        ("RestaurantLinksKey", vec![administered()]),
        ("CustomerLinksKey", vec![administered()]),
    ])
}

/// Who may take each role: the service that runs it, and the state machine's for this account alone.
fn of_roles() -> BTreeMap<&'static str, Vec<Call>> {
    let roles = of_identities()
        .into_keys()
        .filter(|name| name.ends_with("Role"));
    let taken = |role: &'static str| {
        let call = call("sts:AssumeRole", role);
        match role {
            "OrderStateMachineRole" => call
                .by_service("states.amazonaws.com")
                .saying("aws:SourceAccount", &[ACCOUNT]),
            _ => call.by_service("lambda.amazonaws.com"),
        }
    };
    roles.map(|role| (role, vec![taken(role)])).collect()
}

/// Each policy of a template: whose it is, what its statements are, and that no other has been forgotten here.
fn policies(template: &Value, document: &str, kinds: &[&str]) -> BTreeMap<String, Vec<Value>> {
    let found = kinds.iter().flat_map(|kind| resources(template, kind));
    found
        .map(|(name, properties)| (name.to_owned(), statements(properties, document).to_vec()))
        .collect()
}

/// What statements name in a field, in the made-up stack.
fn named(statements: &[impl Borrow<Value>], field: &str) -> BTreeSet<String> {
    let values = statements
        .iter()
        .map(Borrow::borrow)
        .flat_map(|statement| one_or_many(&statement[field]));
    values.map(resolve).collect()
}

/// Tries all actions on all resources, with all that the needed calls say, and with one thing in it left out or other.
fn assert_exact(expected: &BTreeMap<&str, Vec<Call>>, found: &BTreeMap<String, Vec<Value>>) {
    let names = |keys: Vec<&str>| {
        keys.into_iter()
            .map(ToOwned::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        names(found.keys().map(String::as_str).collect()),
        names(expected.keys().copied().collect()),
        "policies of the templates (left), those whose calls are known (right)"
    );
    let all = || found.values().flatten().collect::<Vec<_>>();
    let calls = || expected.values().flatten();
    let actions: BTreeSet<_> = calls()
        .map(|call| call.action.clone())
        .chain(named(&all(), "Action"))
        .collect();
    let mut targets: BTreeSet<_> = calls().map(|call| call.resource.clone()).collect();
    targets.extend(
        all()
            .into_iter()
            .filter(|statement| statement.get("Resource").is_some())
            .flat_map(|statement| named(&[statement], "Resource")),
    );
    targets.insert("SomethingElse".into());
    let others = Named::by(&all());
    for (who, calls) in expected {
        let policy: Vec<_> = found[*who].iter().map(resolved).collect();
        for call in calls {
            assert!(call.is_allowed_by(&policy), "{who} may not {call}");
        }
        let variants = calls.iter().flat_map(|call| call.variants(&others));
        let variants: BTreeMap<_, _> = variants.map(|call| (call.said(), call)).collect();
        for action in &actions {
            for target in &targets {
                let concerned = policy
                    .iter()
                    .filter(|statement| concerns(statement, action, target));
                let concerned: Vec<_> = concerned.collect();
                if concerned.is_empty() {
                    continue; // nothing is allowed
                }
                for said in variants.values() {
                    let tried = said.with(action, target);
                    let needed = calls.iter().any(|call| call.covers(&tried));
                    let allowed = tried.is_allowed_by(&concerned);
                    assert!(
                        needed || !allowed,
                        "nobody needs what {who} allows: {tried}"
                    );
                    assert!(allowed || !needed, "{who} may not {tried}");
                }
            }
        }
    }
}

#[test]
fn each_role_and_policy_allows_the_calls_that_are_made_and_no_other() {
    let whole = whole();
    let mut found = policies(&whole, "PolicyDocument", &["AWS::IAM::ManagedPolicy"]);
    for (role, properties) in resources(&whole, "AWS::IAM::Role") {
        assert!(
            properties.get("ManagedPolicyArns").is_none(),
            "{role} has a policy of AWS's"
        );
        found.insert(
            role.into(),
            role_statements(&whole, role).into_iter().cloned().collect(),
        );
    }
    assert_exact(&of_identities(), &found);
}

#[test]
fn topics_queues_and_keys_take_the_calls_that_are_made_and_no_other() {
    let whole = whole();
    let mut found = policies(
        &whole,
        "PolicyDocument",
        &["AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"],
    );
    found.extend(policies(&whole, "KeyPolicy", &["AWS::KMS::Key"]));
    assert_exact(&of_resources(), &found);
}

#[test]
fn a_role_is_taken_by_the_service_that_runs_it_and_by_nobody_else() {
    let mut found = policies(&whole(), "AssumeRolePolicyDocument", &["AWS::IAM::Role"]);
    for (role, statements) in &mut found {
        // The policy is the role's own, and so names no resource.
        for statement in statements {
            statement["Resource"] = role.as_str().into();
        }
    }
    assert_exact(&of_roles(), &found);
}

/// The API calls the function by this permission, and nothing else may.
#[test]
fn the_pages_function_is_called_by_their_api_and_no_function_by_anybody_else() {
    let whole = whole();
    let permissions = resources(&whole, "AWS::Lambda::Permission");
    let found: Vec<_> = permissions
        .iter()
        .map(|(_, permission)| {
            let property = |name| resolve(&permission[name]);
            (
                property("Action"),
                property("FunctionName"),
                property("Principal"),
                property("SourceArn"),
            )
        })
        .collect();
    let expected = [
        "lambda:InvokeFunction",
        "WebFunction",
        "apigateway.amazonaws.com",
        "arn:aws:execute-api:eu-central-1:123456789012:Api/*",
    ];
    let [action, function, principal, source] = expected.map(ToOwned::to_owned);
    assert_eq!(found, [(action, function, principal, source)]);
    let integrations = resources(&whole, "AWS::ApiGatewayV2::Integration");
    let called: Vec<_> = integrations
        .iter()
        .map(|(_, integration)| resolve(&integration["IntegrationUri"]))
        .collect();
    assert_eq!(called, ["WebFunction"], "what the API calls");
}
