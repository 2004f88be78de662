//! `template.yaml` held against the definition and the code.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use functions::aws::{
    ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, INITIAL_BACKOFF, MAX_ATTEMPTS, OPERATION_TIMEOUT,
};
use serde_json::json;
use serde_norway::Value;
use support::Definition;

fn template() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let text = std::fs::read_to_string(path).expect("the template");
    serde_norway::from_str(&text).expect("a template that is YAML")
}

/// The logical id that `!Ref Id`, `!GetAtt Id.Arn`, `!Ref Id.Version` or, for every version, `!Sub ${Id.Arn}:*` names.
fn logical_id(value: &Value) -> String {
    let Value::Tagged(tagged) = value else {
        panic!("{value:?} names no resource of the stack")
    };
    let name = tagged.value.as_str().expect("a name");
    let name = name.trim_start_matches("${").trim_end_matches("}:*");
    name.trim_end_matches(".Arn")
        .trim_end_matches(".Version")
        .to_owned()
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    value
        .as_sequence()
        .map_or_else(|| vec![value], |many| many.iter().collect())
}

#[test]
fn each_timeout_fits_into_the_one_around_it() {
    let template = template();
    let function = template["Globals"]["Function"]["Timeout"]
        .as_u64()
        .expect("a timeout of the functions");
    let function = Duration::from_secs(function);
    assert!(
        CONNECT_TIMEOUT < ATTEMPT_TIMEOUT,
        "an attempt ends before its connection may"
    );
    let backoff = INITIAL_BACKOFF * (2_u32.pow(MAX_ATTEMPTS - 1) - 1);
    assert!(
        ATTEMPT_TIMEOUT * MAX_ATTEMPTS + backoff <= OPERATION_TIMEOUT,
        "{MAX_ATTEMPTS} attempts of {ATTEMPT_TIMEOUT:?} do not fit into one call's {OPERATION_TIMEOUT:?}"
    );
    assert!(
        OPERATION_TIMEOUT + Duration::from_secs(1) <= function,
        "a call's {OPERATION_TIMEOUT:?} do not fit into the functions' {function:?}"
    );
    for (name, resource) in template["Resources"].as_mapping().expect("resources") {
        assert!(
            resource["Type"] != "AWS::Serverless::Function"
                || resource["Properties"].get("Timeout").is_none(),
            "{name:?} has a timeout of its own, which this test does not look at"
        );
    }
    let definition = Definition::read();
    let tasks = definition
        .states()
        .filter(|(_, state)| state["Resource"] == "arn:aws:states:::lambda:invoke");
    let mut checked = 0;
    for (name, state) in tasks {
        let task = Duration::from_secs(state["TimeoutSeconds"].as_u64().expect("TimeoutSeconds"));
        assert!(
            function + Duration::from_secs(5) <= task,
            "{name}: the functions' {function:?} and a cold start do not fit into the task's {task:?}"
        );
        checked += 1;
    }
    assert_eq!(checked, 3, "tasks that call a function");
}

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
    let role = &template["Resources"][logical_id(&machine["Role"])]["Properties"];
    let mut allowed = BTreeSet::new();
    for policy in role["Policies"]
        .as_sequence()
        .expect("policies of the state machine's role")
    {
        for statement in policy["PolicyDocument"]["Statement"]
            .as_sequence()
            .expect("statements")
        {
            assert_eq!(statement["Effect"], "Allow");
            for action in one_or_many(&statement["Action"]) {
                let action = action.as_str().expect("an action").to_owned();
                for resource in one_or_many(&statement["Resource"]) {
                    // Logs and traces, for which AWS knows no resources.
                    let observing = action.starts_with("logs:") || action.starts_with("xray:");
                    if !(observing && resource == "*") {
                        allowed.insert((action.clone(), logical_id(resource)));
                    }
                }
            }
        }
    }
    assert_eq!(
        allowed, used,
        "allowed by the template (left), used by the definition (right)"
    );
}

/// Name and properties of every resource of a type.
fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_mapping().expect("resources");
    let of_kind: Vec<_> = all
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str().expect("a name"), &resource["Properties"]))
        .collect();
    assert!(!of_kind.is_empty(), "the template has no {kind}");
    of_kind
}

/// The value behind a tag, such as the list of `!If [condition, then, else]`.
fn untagged(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => &tagged.value,
        value => value,
    }
}

#[test]
fn every_function_logs_json_into_a_group_that_forgets_and_is_traced() {
    let template = template();
    assert_eq!(template["Globals"]["Function"]["Tracing"], "Active");
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let logging = &function["LoggingConfig"];
        assert_eq!(logging["LogFormat"], "JSON", "{name}");
        let group = logical_id(&logging["LogGroup"]);
        assert_eq!(
            template["Resources"][&group]["Type"], "AWS::Logs::LogGroup",
            "log group of {name}"
        );
    }
    for (name, group) in resources(&template, "AWS::Logs::LogGroup") {
        assert_eq!(
            logical_id(&group["RetentionInDays"]),
            "LogRetentionDays",
            "{name} keeps its logs for ever"
        );
    }
}

#[test]
fn the_state_machine_logs_errors_without_orders_and_is_traced() {
    let template = template();
    for (name, machine) in resources(&template, "AWS::Serverless::StateMachine") {
        assert_eq!(machine["Logging"]["Level"], "ERROR", "{name}");
        assert_eq!(
            machine["Logging"]["IncludeExecutionData"], false,
            "{name} logs orders and task tokens"
        );
        assert_eq!(machine["Tracing"]["Enabled"], true, "{name}");
        let role = &template["Resources"][logical_id(&machine["Role"])]["Properties"]["Policies"];
        let actions = format!("{role:?}");
        for action in [
            "logs:CreateLogDelivery",
            "logs:PutResourcePolicy",
            "xray:PutTraceSegments",
        ] {
            assert!(actions.contains(action), "{name} may not {action}");
        }
    }
}

#[test]
fn every_alarm_says_why_reaches_operations_and_is_in_the_runbook() {
    let template = template();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    let names: BTreeSet<_> = alarms.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        BTreeSet::from([
            "DeadLettersAlarm",
            "ExecutionsFailedAlarm",
            "ExecutionsThrottledAlarm",
            "FunctionConcurrencyAlarm",
            "FunctionDurationAlarm",
            "FunctionErrorsAlarm",
            "FunctionThrottlesAlarm",
            "RefusedOrdersAlarm",
            "RuleDeliveriesAlarm",
            "TableThrottlesAlarm",
            "TasksFailedAlarm",
            "TopicDeliveriesAlarm",
        ])
    );
    let runbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md");
    let runbook = std::fs::read_to_string(runbook).expect("the runbook");
    for (name, alarm) in alarms {
        assert!(
            alarm["AlarmDescription"]
                .as_str()
                .is_some_and(|why| why.len() > 20),
            "{name} says nothing"
        );
        assert_eq!(
            alarm["TreatMissingData"], "notBreaching",
            "{name} without data"
        );
        assert_eq!(
            logical_id(&alarm["AlarmActions"][0]),
            "OperationsTopic",
            "{name} tells nobody"
        );
        assert!(
            runbook.contains(&format!("### {name}\n")),
            "{name} is not in the runbook"
        );
    }
}

#[test]
fn a_failed_execution_is_told_to_operations_without_its_content_unless_its_input_was_bad() {
    let template = template();
    let rules = resources(&template, "AWS::Events::Rule");
    let [(_, rule)] = rules.as_slice() else {
        panic!("one rule: {rules:?}")
    };
    let pattern = untagged(&rule["EventPattern"]).as_str().expect("JSON");
    let pattern: serde_json::Value = serde_json::from_str(pattern).expect("a pattern in JSON");
    assert_eq!(
        pattern["detail"],
        json!({
            "status": ["FAILED", "TIMED_OUT", "ABORTED"],
            "stateMachineArn": ["${OrderStateMachine}"],
            "error": [{ "exists": false }, null, { "anything-but": ["InvalidOrder", "DuplicateOrder"] }],
        }),
        "which executions operations are told of"
    );
    let alarm = &template["Resources"]["ExecutionsFailedAlarm"]["Properties"];
    assert_eq!(
        alarm["MetricName"], "TriggeredRules",
        "what the alarm counts"
    );
    assert_eq!(
        logical_id(&alarm["Dimensions"][0]["Value"]),
        "FailedExecutionRule"
    );
    let target = &rule["Targets"][0];
    assert_eq!(logical_id(&target["Arn"]), "OperationsTopic");
    let told = target["InputTransformer"]["InputPathsMap"]
        .as_mapping()
        .expect("paths");
    let told: BTreeSet<_> = told.values().filter_map(Value::as_str).collect();
    let expected = ["name", "status", "error", "cause", "executionArn"]
        .map(|field| format!("$.detail.{field}"));
    assert_eq!(
        told,
        expected.iter().map(String::as_str).collect(),
        "what operations are told"
    );
}

#[test]
fn nothing_that_cannot_be_delivered_is_lost() {
    let template = template();
    let watched = format!("{:?}", template["Resources"]["DeadLettersAlarm"]);
    for (name, queue) in resources(&template, "AWS::SQS::Queue") {
        if name.ends_with("DeadLetters") {
            assert!(watched.contains(name), "no alarm watches {name}");
        } else {
            let to = logical_id(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
            assert!(
                to.ends_with("DeadLetters"),
                "{name} loses what is not taken"
            );
        }
    }
    for (name, subscription) in resources(&template, "AWS::SNS::Subscription") {
        let to = logical_id(&subscription["RedrivePolicy"]["deadLetterTargetArn"]);
        assert!(
            to.ends_with("DeadLetters"),
            "{name} loses what cannot be delivered"
        );
    }
    for (name, rule) in resources(&template, "AWS::Events::Rule") {
        let to = logical_id(&rule["Targets"][0]["DeadLetterConfig"]["Arn"]);
        assert!(
            to.ends_with("DeadLetters"),
            "{name} loses what cannot be delivered"
        );
    }
}

/// Checks that a policy of one resource of the stack refuses what does not come over TLS.
fn assert_only_over_tls(template: &Value, kind: &str, list: &str, resource: &str) {
    let policies = resources(template, kind);
    let policy = policies
        .iter()
        .find(|(_, policy)| logical_id(&policy[list][0]) == resource);
    let (name, policy) = policy.unwrap_or_else(|| panic!("{resource} has no policy"));
    let statements = policy["PolicyDocument"]["Statement"]
        .as_sequence()
        .expect("statements");
    let denies = statements.iter().any(|statement| {
        statement["Sid"] == "OnlyOverTls" // by which local/stack.py finds it
            && statement["Effect"] == "Deny"
            && statement["Principal"] == "*"
            && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
    });
    assert!(denies, "{name} lets {resource} be used without TLS");
}

#[test]
fn topics_and_queues_are_encrypted_and_used_over_tls_only() {
    let template = template();
    for (name, topic) in resources(&template, "AWS::SNS::Topic") {
        assert_eq!(
            logical_id(&topic["KmsMasterKeyId"]),
            "EncryptionKey",
            "{name}"
        );
        assert_only_over_tls(&template, "AWS::SNS::TopicPolicy", "Topics", name);
    }
    for (name, queue) in resources(&template, "AWS::SQS::Queue") {
        assert_eq!(
            logical_id(&queue["KmsMasterKeyId"]),
            "EncryptionKey",
            "{name}"
        );
        assert_only_over_tls(&template, "AWS::SQS::QueuePolicy", "Queues", name);
    }
    for (name, key) in resources(&template, "AWS::KMS::Key") {
        assert_eq!(key["EnableKeyRotation"], true, "{name}");
        let policy = format!("{:?}", key["KeyPolicy"]);
        for service in [
            "sns.amazonaws.com",
            "events.amazonaws.com",
            "cloudwatch.amazonaws.com",
        ] {
            assert!(
                policy.contains(service),
                "{service} cannot deliver to what {name} encrypts"
            );
        }
        let statements = key["KeyPolicy"]["Statement"].as_sequence();
        for statement in statements.expect("statements") {
            assert!(
                statement["Sid"] == "Administration" || statement["Condition"].is_mapping(),
                "{name} serves a service for anything: {:?}",
                statement["Sid"]
            );
        }
    }
}

#[test]
fn the_table_is_encrypted_restorable_and_protected() {
    let template = template();
    for (name, table) in resources(&template, "AWS::DynamoDB::Table") {
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true, "{name}");
        let restorable = &table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert_eq!(logical_id(restorable), "PointInTimeRecovery", "{name}");
        assert_eq!(
            logical_id(&table["DeletionProtectionEnabled"]),
            "DeletionProtection",
            "{name}"
        );
        assert_eq!(
            template["Resources"][name]["DeletionPolicy"], "Retain",
            "{name}"
        );
        let expected = "{ AttributeName: expires_at, Enabled: true }";
        let expected: Value = serde_norway::from_str(expected).expect("YAML");
        assert_eq!(
            table["TimeToLiveSpecification"], expected,
            "{name} keeps orders for ever"
        );
    }
    assert_eq!(
        template["Parameters"]["OrderRetentionDays"]["Default"], 0,
        "orders are deleted without anybody having asked for it"
    );
    for parameter in ["PointInTimeRecovery", "DeletionProtection"] {
        assert_eq!(
            template["Parameters"][parameter]["Default"], "true",
            "{parameter}"
        );
    }
}

#[test]
fn no_role_or_policy_names_every_resource_where_aws_knows_narrower_ones() {
    let template = template();
    for (name, role) in resources(&template, "AWS::IAM::Role") {
        assert!(
            role.get("ManagedPolicyArns").is_none(),
            "{name} has a policy that is wider than its work"
        );
    }
    let documents = resources(&template, "AWS::IAM::Role")
        .into_iter()
        .flat_map(|(name, role)| {
            role["Policies"]
                .as_sequence()
                .expect("policies")
                .iter()
                .map(move |p| (name, p))
        })
        .chain(resources(&template, "AWS::IAM::ManagedPolicy"));
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

/// Adds what a value refers to, at any depth: parameters and resources, but not what AWS itself provides.
fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Tagged(tagged) => {
            let text = tagged.value.as_str();
            let names: Vec<&str> = match (tagged.tag.to_string().as_str(), text) {
                ("!Ref" | "!GetAtt", Some(name)) => vec![name],
                ("!Sub", Some(text)) => text
                    .split("${")
                    .skip(1)
                    .filter_map(|rest| rest.split('}').next())
                    .collect(),
                _ => panic!("say here what {value:?} refers to"),
            };
            let ids = names.iter().filter_map(|name| name.split('.').next());
            found.extend(
                ids.filter(|id| !id.starts_with("AWS::"))
                    .map(ToOwned::to_owned),
            );
        }
        Value::Mapping(mapping) => mapping
            .values()
            .for_each(|value| collect_references(value, found)),
        Value::Sequence(values) => values
            .iter()
            .for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

/// The most characters that a reference stands for in a stack whose name has 60 characters: `CloudFormation` names a
/// resource by the stack, its logical id and 13 characters, and cuts a role's name to 64.
fn longest_value(template: &Value, id: &str) -> usize {
    if let Some(values) = template["Parameters"][id]["AllowedValues"].as_sequence() {
        let values = values.iter().map(|value| match value {
            Value::String(text) => text.len(),
            value => value.as_u64().expect("a number").to_string().len(),
        });
        return values.max().expect("a value");
    }
    match template["Resources"][id]["Type"].as_str() {
        Some("AWS::IAM::Role") => 64,
        Some("AWS::Logs::LogGroup") => {
            let name = untagged(&template["Resources"][id]["Properties"]["LogGroupName"]);
            name.as_str()
                .expect("a name")
                .replace("${AWS::StackName}", &"n".repeat(60))
                .len()
        }
        Some(_) => 60 + 1 + id.len() + 1 + 13,
        None => panic!("{id} is no resource and no parameter with a list of values"),
    }
}

#[test]
fn whatever_changes_of_a_function_publishes_a_version_of_it() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    assert!(
        globals["AutoPublishAlias"].is_string(),
        "no versions are published"
    );
    assert_eq!(
        globals["AutoPublishAliasAllProperties"], true,
        "a changed timeout publishes no version"
    );
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let mut configuration = function.clone();
        let description = configuration
            .as_mapping_mut()
            .expect("properties")
            .remove("VersionDescription")
            .unwrap_or_else(|| panic!("{name} has no VersionDescription"));
        let mut uses = BTreeSet::new();
        collect_references(globals, &mut uses);
        collect_references(&configuration, &mut uses);
        let mut listed = BTreeSet::new();
        collect_references(&description, &mut listed);
        assert_eq!(
            listed, uses,
            "in the VersionDescription of {name} (left) and in its configuration (right): what is missing publishes no \
             version when it changes, and AWS refuses a version for what is too much"
        );
        let length: usize = listed
            .iter()
            .map(|id| longest_value(&template, id) + 1)
            .sum();
        assert!(
            length <= 256,
            "the VersionDescription of {name} can have {length} characters"
        );
        for settings in [globals, function] {
            for property in [
                "Tags",
                "ReservedConcurrentExecutions",
                "FunctionName",
                "PackageType",
            ] {
                assert!(
                    settings.get(property).is_none(),
                    "{property} of {name}: no part of a version, or replaces the function"
                );
            }
        }
    }
}

#[test]
fn an_execution_keeps_the_versions_roles_and_logs_that_it_began_with() {
    let template = template();
    for (name, machine) in resources(&template, "AWS::Serverless::StateMachine") {
        for (what, value) in machine["DefinitionSubstitutions"]
            .as_mapping()
            .expect("substitutions")
        {
            let what = what.as_str().expect("a name");
            let value = untagged(value).as_str().expect("a reference");
            assert!(
                !what.ends_with("Function") || value.ends_with(".Version"),
                "{name}: {what} is no version"
            );
        }
    }
    for kind in [
        "AWS::Serverless::StateMachine",
        "AWS::Serverless::Function",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
    ] {
        for (name, _) in resources(&template, kind) {
            let resource = &template["Resources"][name];
            assert_eq!(
                resource["UpdateReplacePolicy"], "Retain",
                "{name} is taken away from orders in flight when it is replaced"
            );
            assert!(
                kind != "AWS::Serverless::Function" || resource.get("DeletionPolicy").is_none(),
                "{name} has a DeletionPolicy, which would be its old versions', too"
            );
        }
    }
}

#[test]
fn no_parameter_replaces_what_holds_orders_or_is_known_to_others() {
    let template = template();
    // What CloudFormation's reference says needs a replacement.
    let replacing: [(&str, &[&str]); 5] = [
        (
            "AWS::DynamoDB::Table",
            &[
                "TableName",
                "KeySchema",
                "AttributeDefinitions",
                "LocalSecondaryIndexes",
                "ImportSourceSpecification",
            ],
        ),
        ("AWS::SNS::Topic", &["TopicName", "FifoTopic"]),
        ("AWS::SQS::Queue", &["QueueName", "FifoQueue"]),
        ("AWS::Events::EventBus", &["Name"]),
        (
            "AWS::KMS::Key",
            &["KeySpec", "KeyUsage", "MultiRegion", "Origin"],
        ),
    ];
    for (kind, properties) in replacing {
        for (name, resource) in resources(&template, kind) {
            assert!(
                template["Resources"][name].get("Condition").is_none(),
                "{name} goes away with a condition"
            );
            for property in properties {
                let mut references = BTreeSet::new();
                // Panics at `!If`, and so at conditions.
                collect_references(&resource[*property], &mut references);
                assert!(
                    references.is_empty(),
                    "{property} of {name} follows {references:?}: a change of it replaces {name}"
                );
            }
        }
    }
}

#[test]
fn alarms_on_failures_see_every_task_and_leave_bad_input_out() {
    let template = template();
    let metrics = |alarm: &str| -> Vec<Value> {
        let metrics = &template["Resources"][alarm]["Properties"]["Metrics"];
        metrics.as_sequence().expect("metrics").clone()
    };
    let watched: BTreeSet<String> = metrics("TasksFailedAlarm")
        .iter()
        .filter_map(|metric| {
            let dimension = &metric["MetricStat"]["Metric"]["Dimensions"][0];
            (dimension["Name"] == "ServiceIntegrationResourceArn").then(|| {
                let arn = untagged(&dimension["Value"]).as_str().expect("an ARN");
                arn.replace("${AWS::Region}:${AWS::AccountId}", ":")
                    .replace("${AWS::Partition}", "aws")
            })
        })
        .collect();
    let used: BTreeSet<String> = Definition::read()
        .states()
        .filter_map(|(_, state)| state["Resource"].as_str().map(ToOwned::to_owned))
        .collect();
    assert_eq!(
        watched, used,
        "watched by TasksFailedAlarm (left), used by the definition (right)"
    );
    let refused = ["OrdersInvalid", "OrdersDuplicate"];
    let business = ["OrdersInvalid", "OrdersDuplicate", "RestaurantFailures"];
    for (alarm, taken_off, expected) in [
        ("TasksFailedAlarm", "business", business.as_slice()),
        ("FunctionErrorsAlarm", "refused", refused.as_slice()),
    ] {
        let metrics = metrics(alarm);
        let expression = metrics[0]["Expression"].as_str().expect("an expression");
        assert!(
            expression.ends_with(&format!("- SUM(FILL(METRICS(\"{taken_off}\"), 0))")),
            "{alarm} takes nothing off: {expression}"
        );
        let found: Vec<_> = metrics
            .iter()
            .filter(|query| {
                let id = query["Id"].as_str();
                id.is_some_and(|id| id.starts_with(taken_off))
            })
            .filter_map(|query| query["MetricStat"]["Metric"]["MetricName"].as_str())
            .collect();
        assert_eq!(found, expected, "what {alarm} takes off");
    }
}

#[test]
fn a_restaurant_may_read_its_inbox_and_answer_and_see_where_orders_stand_and_nothing_else() {
    let template = template();
    let policies = resources(&template, "AWS::IAM::ManagedPolicy");
    let [("RestaurantPolicy", policy)] = policies.as_slice() else {
        panic!("one policy: {policies:?}")
    };
    let mut allowed = BTreeSet::new();
    for statement in policy["PolicyDocument"]["Statement"]
        .as_sequence()
        .expect("statements")
    {
        for action in one_or_many(&statement["Action"]) {
            allowed.insert((
                action.as_str().expect("an action"),
                logical_id(&statement["Resource"]),
            ));
        }
    }
    let expected = [
        ("sqs:ReceiveMessage", "RestaurantInbox"),
        ("sqs:DeleteMessage", "RestaurantInbox"),
        ("sqs:ChangeMessageVisibility", "RestaurantInbox"),
        ("kms:Decrypt", "EncryptionKey"),
        ("states:SendTaskSuccess", "OrderStateMachine"),
        ("states:SendTaskFailure", "OrderStateMachine"),
        (
            "cloudformation:DescribeStacks",
            "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/${AWS::StackName}/*",
        ),
        ("dynamodb:GetItem", "OrdersTable"),
    ];
    assert_eq!(
        allowed,
        expected
            .map(|(action, resource)| (action, resource.to_owned()))
            .into()
    );

    let condition = |action: &str| {
        let statements = policy["PolicyDocument"]["Statement"].as_sequence();
        let mut statements = statements.expect("statements").iter();
        let statement = statements.find(|statement| statement["Action"] == action);
        &statement.expect("a statement")["Condition"]
    };
    assert_eq!(
        untagged(&condition("kms:Decrypt")["StringEquals"]["kms:ViaService"]),
        "sqs.${AWS::Region}.amazonaws.com",
        "by which way the key is used"
    );
    let expected = r#"
        ForAllValues:StringEquals: { dynamodb:Attributes: [order_id, status, restaurant_id, status_reason, updated_at] }
        StringEqualsIfExists: { dynamodb:Select: SPECIFIC_ATTRIBUTES }
        "Null": { dynamodb:Attributes: "false" }
    "#;
    let expected: Value = serde_norway::from_str(expected).expect("YAML");
    assert_eq!(
        condition("dynamodb:GetItem"),
        &expected,
        "what is read of an order"
    );
}
