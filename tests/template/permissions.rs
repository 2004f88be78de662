//! What the roles of the workflow may do, and who may take them. What each function's role allows is tried end to end.

use std::collections::BTreeSet;

use serde_norway::Value;
use support::Definition;

use crate::iam::{ACCOUNT, call};
use crate::{logical_id, one_or_many, resources, role_statements, statements, template, whole};

#[test]
fn the_state_machine_may_do_what_its_definition_does_and_nothing_else() {
    let template = template();
    let machine = &template["Resources"]["OrderStateMachine"]["Properties"];
    let substitution = |text: &serde_json::Value| {
        let name = text
            .as_str()
            .expect("a name")
            .trim_start_matches("${")
            .trim_end_matches('}')
            .to_owned();
        logical_id(&machine["DefinitionSubstitutions"][name.as_str()])
    };
    let mut used = BTreeSet::new();
    for (name, state) in Definition::read().states() {
        let arguments = &state["Arguments"];
        match state["Resource"].as_str() {
            Some("arn:aws:states:::lambda:invoke") => {
                used.insert((
                    "lambda:InvokeFunction".to_owned(),
                    substitution(&arguments["FunctionName"]),
                ));
            }
            Some("arn:aws:states:::events:putEvents") => {
                for entry in arguments["Entries"].as_array().expect("entries") {
                    used.insert((
                        "events:PutEvents".to_owned(),
                        substitution(&entry["EventBusName"]),
                    ));
                }
            }
            Some("arn:aws:states:::sns:publish.waitForTaskToken") => {
                used.insert((
                    "sns:Publish".to_owned(),
                    substitution(&arguments["TopicArn"]),
                ));
            }
            None => {}
            Some(other) => panic!("{name} uses {other}: say here which permission that needs"),
        }
    }
    // Publishing to an encrypted topic takes the key as well.
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        used.insert((action.to_owned(), "EncryptionKey".to_owned()));
    }
    let mut allowed = BTreeSet::new();
    for statement in role_statements(&template, &logical_id(&machine["Role"])) {
        assert_eq!(statement["Effect"], "Allow");
        for action in one_or_many(&statement["Action"]) {
            let action = action.as_str().expect("an action").to_owned();
            for resource in one_or_many(&statement["Resource"]) {
                // AWS knows no resources of logs and traces.
                let observing = action.starts_with("logs:") || action.starts_with("xray:");
                if !(observing && resource == "*") {
                    allowed.insert((action.clone(), logical_id(resource)));
                }
            }
        }
    }
    assert_eq!(
        allowed, used,
        "allowed by the template (left), used by the definition (right)"
    );
}

/// By an alias or a version, an order in flight would be served by the code that it began with, and no fix would reach it.
#[test]
fn the_state_machine_calls_functions_by_their_plain_arns_and_may_call_just_these() {
    let template = template();
    let machine = &template["Resources"]["OrderStateMachine"]["Properties"];
    let plain_arn = |value: &Value| match value {
        Value::Tagged(arn) if arn.tag == "!GetAtt" => {
            let function = arn.value.as_str()?.strip_suffix(".Arn")?;
            let is_function =
                template["Resources"][function]["Type"] == "AWS::Serverless::Function";
            is_function.then(|| function.to_owned())
        }
        _ => None,
    };
    let substitutions = machine["DefinitionSubstitutions"].as_mapping();
    let called: BTreeSet<_> = substitutions
        .expect("substitutions")
        .iter()
        .filter(|(name, _)| name.as_str().is_some_and(|name| name.ends_with("Function")))
        .map(|(_, value)| plain_arn(value).unwrap_or_else(|| panic!("{value:?} is no plain ARN")))
        .collect();
    let allowed: BTreeSet<_> = role_statements(&template, &logical_id(&machine["Role"]))
        .into_iter()
        .filter(|statement| statement["Action"] == "lambda:InvokeFunction")
        .flat_map(|statement| one_or_many(&statement["Resource"]))
        .map(|value| plain_arn(value).unwrap_or_else(|| panic!("{value:?} is no plain ARN")))
        .collect();
    assert_eq!(allowed, called);
}

/// What Step Functions needs of the role to deliver logs and traces. The local AWS delivers them without.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html>
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html>
#[test]
fn the_state_machine_may_deliver_its_logs_and_traces() {
    let template = template();
    let machine = &template["Resources"]["OrderStateMachine"]["Properties"];
    let role = role_statements(&template, &logical_id(&machine["Role"]));
    for action in [
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    ] {
        assert!(call(action, "*").is_allowed_by(&role), "{action}");
    }
}

#[test]
fn each_function_may_write_its_own_logs_and_if_it_is_traced_traces() {
    let whole = whole();
    let logs = resources(&whole, "AWS::Logs::LogGroup");
    for (name, function) in resources(&whole, "AWS::Serverless::Function") {
        let role = role_statements(&whole, &logical_id(&function["Role"]));
        for (group, _) in &logs {
            let own = logical_id(&function["LoggingConfig"]["LogGroup"]) == *group;
            for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
                let allowed = call(action, group).is_allowed_by(&role);
                assert_eq!(allowed, own, "{action} on {group} by {name}");
            }
        }
        let is_traced = function["Tracing"] != "PassThrough";
        for action in ["xray:PutTraceSegments", "xray:PutTelemetryRecords"] {
            let allowed = call(action, "*").is_allowed_by(&role);
            assert_eq!(allowed, is_traced, "{action} by {name}");
        }
    }
}

/// What an encrypted topic, queue or table needs of a role that publishes to it, takes from it for Lambda, or reads or writes it.
/// The local AWS asks for no key.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html>
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service>
#[test]
fn a_role_may_use_the_key_by_way_of_the_services_whose_encrypted_resources_it_uses_and_no_others() {
    let whole = whole();
    for (role, _) in resources(&whole, "AWS::IAM::Role") {
        let statements = role_statements(&whole, role);
        let any = |wanted: &str| {
            let mut all = statements.iter();
            all.any(|statement| one_or_many(&statement["Action"]).contains(&&Value::from(wanted)))
        };
        let (publishes, receives) = (any("sns:Publish"), any("sqs:ReceiveMessage"));
        let table = |action| call(action, "OpenOrdersTable").is_allowed_by(&statements);
        let (reads, writes) = (table("dynamodb:GetItem"), table("dynamodb:PutItem"));
        for (service, decrypts, encrypts) in [
            ("sns", publishes, publishes),
            ("sqs", receives, false),
            ("dynamodb", reads || writes, writes),
            ("s3", false, false),
        ] {
            for (action, needed) in [
                ("kms:Decrypt", decrypts),
                ("kms:GenerateDataKey", encrypts),
                ("kms:ScheduleKeyDeletion", false),
            ] {
                let on = |key| call(action, key).by_way_of(service);
                let allowed = on("EncryptionKey").is_allowed_by(&statements);
                assert_eq!(allowed, needed, "{action} by {role} by way of {service}");
                assert!(
                    !on("AnotherKey").is_allowed_by(&statements),
                    "{action} by {role} on another key"
                );
                assert!(
                    !call(action, "EncryptionKey").is_allowed_by(&statements),
                    "{action} by {role} itself"
                );
            }
        }
    }
}

/// What Lambda needs of a role to take messages from a queue for it, and what DynamoDB needs of one that writes to a table
/// encrypted with a key of the account. The local AWS asks for less. Of the key's actions, those that AWS's CDK grants.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
/// <https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_dynamodb.Table.html>
#[test]
fn open_orders_may_do_all_that_its_queue_and_its_encrypted_table_need() {
    let template = template();
    let role = role_statements(&template, "OpenOrdersFunctionRole");
    for action in [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ] {
        let allowed = call(action, "OpenOrdersQueue").is_allowed_by(&role);
        assert!(allowed, "{action}");
    }
    for action in [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ] {
        let call = call(action, "EncryptionKey").by_way_of("dynamodb");
        assert!(call.is_allowed_by(&role), "{action}");
    }
}

#[test]
fn only_the_service_that_runs_it_may_take_a_role() {
    let whole = whole();
    let machine = &whole["Resources"]["OrderStateMachine"]["Properties"];
    let machine = logical_id(&machine["Role"]);
    for (name, role) in resources(&whole, "AWS::IAM::Role") {
        let trust: Vec<Value> = statements(role, "AssumeRolePolicyDocument")
            .iter()
            .map(|statement| {
                // The policy is the role's own, and so names no resource.
                let mut statement = statement.clone();
                statement["Resource"] = name.into();
                statement
            })
            .collect();
        let by = |service: &str, account: &str| {
            call("sts:AssumeRole", name)
                .by_service(service)
                .saying("aws:SourceAccount", &[account])
                .is_allowed_by(&trust)
        };
        let is_machine = name == machine;
        assert_eq!(by("states.amazonaws.com", ACCOUNT), is_machine, "{name}");
        assert_eq!(by("lambda.amazonaws.com", ACCOUNT), !is_machine, "{name}");
        assert!(!by("ec2.amazonaws.com", ACCOUNT), "{name}");
        assert!(
            !by("states.amazonaws.com", "210987654321"),
            "{name} for another account's state machine"
        );
        let person = call("sts:AssumeRole", name).by("a person");
        assert!(!person.is_allowed_by(&trust), "{name} by a person");
        for service in ["lambda.amazonaws.com", "states.amazonaws.com"] {
            let tagging = call("sts:TagSession", name)
                .by_service(service)
                .saying("aws:SourceAccount", &[ACCOUNT]);
            assert!(!tagging.is_allowed_by(&trust), "{name} with tags");
        }
    }
}

#[test]
fn no_role_or_policy_names_every_resource_where_aws_knows_narrower_ones() {
    let whole = whole();
    for (name, role) in resources(&whole, "AWS::IAM::Role") {
        assert!(
            role.get("ManagedPolicyArns").is_none(),
            "{name} has a policy that is wider than its work"
        );
    }
    let documents = resources(&whole, "AWS::IAM::Role")
        .into_iter()
        .flat_map(|(name, role)| {
            role["Policies"]
                .as_sequence()
                .expect("policies")
                .iter()
                .map(move |p| (name, p))
        })
        .chain(resources(&whole, "AWS::IAM::ManagedPolicy"));
    for (name, policy) in documents {
        for statement in policy["PolicyDocument"]["Statement"]
            .as_sequence()
            .expect("statements")
        {
            for action in one_or_many(&statement["Action"]) {
                let action = action.as_str().expect("an action");
                assert!(!action.ends_with('*'), "{name} allows {action}");
                let known = action.starts_with("xray:")
                    || action.contains("LogDeliver")
                    || action.contains("ResourcePolic");
                let every = one_or_many(&statement["Resource"])
                    .into_iter()
                    .any(|resource| resource == "*");
                assert!(
                    !every || known || action == "logs:DescribeLogGroups",
                    "{name} allows {action} on everything"
                );
            }
        }
    }
}
