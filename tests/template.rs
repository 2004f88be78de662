//! `template.yaml` held against the definition and the code.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use functions::aws::{
    ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, INITIAL_BACKOFF, MAX_ATTEMPTS, OPERATION_TIMEOUT,
};
use order::Status;
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
    let globals = &template["Globals"]["Function"];
    assert_eq!(globals["Tracing"], "Active");
    assert_eq!(globals["LoggingConfig"]["LogFormat"], "JSON");
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let logging = &function["LoggingConfig"];
        assert!(
            logging.get("LogFormat").is_none(),
            "{name} has a format of its own"
        );
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
            "OpenOrdersLateAlarm",
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
    let rule = &template["Resources"]["FailedExecutionRule"]["Properties"];
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
fn the_queue_of_open_orders_gets_what_opens_and_what_closes_them_and_is_emptied_by_one_function() {
    let template = template();
    let subscription = &template["Resources"]["OpenOrdersSubscription"]["Properties"];
    assert_eq!(logical_id(&subscription["TopicArn"]), "RestaurantTopic");
    assert_eq!(logical_id(&subscription["Endpoint"]), "OpenOrdersQueue");
    assert_eq!(
        subscription["RawMessageDelivery"], true,
        "the message comes inside another one"
    );
    assert!(
        subscription.get("FilterPolicy").is_none(),
        "some orders are never shown"
    );

    let rule = &template["Resources"]["FinalEventsRule"]["Properties"];
    assert_eq!(logical_id(&rule["EventBusName"]), "OrderEventBus");
    assert_eq!(logical_id(&rule["Targets"][0]["Arn"]), "OpenOrdersQueue");
    let finals: Vec<_> = Status::ALL
        .into_iter()
        .filter(|status| status.predecessor().is_some())
        .map(Status::event)
        .collect();
    let pattern: serde_json::Value = json!(rule["EventPattern"]);
    assert_eq!(
        pattern,
        json!({ "source": [order::EVENT_SOURCE], "detail-type": finals }),
        "which events close an open order"
    );

    let function = &template["Resources"]["OpenOrdersFunction"]["Properties"];
    let source = &function["Events"]["Queue"]["Properties"];
    assert_eq!(logical_id(&source["Queue"]), "OpenOrdersQueue");
    assert_eq!(
        source["FunctionResponseTypes"][0], "ReportBatchItemFailures",
        "one message that fails brings all of its batch again"
    );
    let timeout = template["Globals"]["Function"]["Timeout"].as_u64();
    let queue = &template["Resources"]["OpenOrdersQueue"]["Properties"];
    let visibility = queue["VisibilityTimeout"].as_u64().expect("a timeout");
    assert!(
        visibility >= 6 * timeout.expect("a timeout"),
        "a message is delivered again while the function may still have it"
    );
    let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64();
    assert!(
        receives.expect("a count") * visibility > 15 * 60,
        "messages go to the dead letters before an outage of 15 minutes ends"
    );
}

#[test]
fn whoever_delivers_to_a_queue_may_send_to_it_and_nobody_else() {
    let template = template();
    let mut deliveries = BTreeSet::new();
    let mut delivery = |service: &str, from: &str, to: &Value| {
        if template["Resources"][logical_id(to)]["Type"] == "AWS::SQS::Queue" {
            deliveries.insert((logical_id(to), service.to_owned(), from.to_owned()));
        }
    };
    for (_, subscription) in resources(&template, "AWS::SNS::Subscription") {
        let topic = logical_id(&subscription["TopicArn"]);
        if subscription["Protocol"] == "sqs" {
            delivery("sns.amazonaws.com", &topic, &subscription["Endpoint"]);
        }
        let dead = &subscription["RedrivePolicy"]["deadLetterTargetArn"];
        delivery("sns.amazonaws.com", &topic, dead);
    }
    for (name, rule) in resources(&template, "AWS::Events::Rule") {
        for target in rule["Targets"].as_sequence().expect("targets") {
            delivery("events.amazonaws.com", name, &target["Arn"]);
            let dead = &target["DeadLetterConfig"]["Arn"];
            delivery("events.amazonaws.com", name, dead);
        }
    }
    let mut allowed = BTreeSet::new();
    for (name, policy) in resources(&template, "AWS::SQS::QueuePolicy") {
        let statements = policy["PolicyDocument"]["Statement"].as_sequence();
        for statement in statements.expect("statements") {
            if statement["Effect"] == "Allow" {
                assert_eq!(statement["Action"], "sqs:SendMessage", "{name}");
                let service = statement["Principal"]["Service"].as_str();
                let source = &statement["Condition"]["ArnEquals"]["aws:SourceArn"];
                allowed.insert((
                    logical_id(&statement["Resource"]),
                    service.expect("a service").to_owned(),
                    logical_id(source),
                ));
            }
        }
    }
    assert_eq!(
        allowed, deliveries,
        "allowed by policies (left), delivered by subscriptions and rules (right)"
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
        if name == "OpenOrdersTable" {
            continue; // the next test's
        }
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
fn the_table_of_open_orders_is_encrypted_with_the_stacks_key_and_keeps_nothing_longer() {
    let template = template();
    let table = &template["Resources"]["OpenOrdersTable"]["Properties"];
    let encryption = &table["SSESpecification"];
    assert_eq!(encryption["SSEEnabled"], true);
    assert_eq!(encryption["SSEType"], "KMS");
    assert_eq!(logical_id(&encryption["KMSMasterKeyId"]), "EncryptionKey");
    for copy in ["PointInTimeRecoverySpecification", "StreamSpecification"] {
        assert!(
            table.get(copy).is_none(),
            "{copy} keeps task tokens longer than their orders are open"
        );
    }
    let expected = format!(
        r"
        KeySchema: {keys}
        LocalSecondaryIndexes:
          - {{ IndexName: {open}, KeySchema: {by_deadline}, Projection: {{ ProjectionType: ALL }} }}
          - {{ IndexName: {closed}, KeySchema: {by_end}, Projection: {{ ProjectionType: ALL }} }}
        TimeToLiveSpecification: {{ AttributeName: expires_at, Enabled: true }}
        ",
        keys = key_schema("order_id"),
        open = order::indexes::OPEN,
        by_deadline = key_schema("respond_by"),
        closed = order::indexes::CLOSED,
        by_end = key_schema("closed_at"),
    );
    let expected: Value = serde_norway::from_str(&expected).expect("YAML");
    for (property, expected) in expected.as_mapping().expect("properties") {
        assert_eq!(&table[property], expected, "{property:?}");
    }
}

/// The keys of a table or an index of open orders, in YAML.
fn key_schema(sort: &str) -> String {
    format!(
        "[{{ AttributeName: restaurant_id, KeyType: HASH }}, {{ AttributeName: {sort}, KeyType: RANGE }}]"
    )
}

#[test]
fn every_function_table_queue_and_outcome_is_on_the_dashboard_and_every_function_has_its_alarms() {
    let template = template();
    let body = &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let body = untagged(body).as_str().expect("JSON");
    let _: serde_json::Value = serde_json::from_str(body).expect("a dashboard in JSON");
    let require = |metric: String| assert!(body.contains(&metric), "no {metric} on the dashboard");
    for metric in Status::ALL.map(Status::metric) {
        require(format!(r#"["${{AWS::StackName}}", "{metric}"]"#));
    }
    require(r#"["${AWS::StackName}", "RestaurantFailures"]"#.into());
    for (name, _) in resources(&template, "AWS::Serverless::Function") {
        for (metric, alarm) in [
            ("Errors", "FunctionErrorsAlarm"),
            ("Throttles", "FunctionThrottlesAlarm"),
            ("Duration", "FunctionDurationAlarm"),
            ("ConcurrentExecutions", "FunctionConcurrencyAlarm"),
        ] {
            require(format!(
                r#"["AWS/Lambda", "{metric}", "FunctionName", "${{{name}}}"]"#
            ));
            let metrics = &template["Resources"][alarm]["Properties"]["Metrics"];
            let mut metrics = metrics.as_sequence().expect("metrics").iter();
            let watched = metrics.any(|query| {
                let metric = &query["MetricStat"]["Metric"];
                metric.is_mapping() && format!("{:?}", metric["Dimensions"]).contains(name)
            });
            assert!(watched, "{alarm} does not watch {name}");
        }
    }
    for (name, _) in resources(&template, "AWS::DynamoDB::Table") {
        for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
            require(format!(
                r#"["AWS/DynamoDB", "{metric}", "TableName", "${{{name}}}"]"#
            ));
        }
    }
    for (name, _) in resources(&template, "AWS::SQS::Queue") {
        if name.ends_with("DeadLetters") {
            require(format!(
                r#""ApproximateNumberOfMessagesVisible", "QueueName", "${{{name}.QueueName}}""#
            ));
        }
    }
    for (_, state) in Definition::read().states() {
        if let Some(resource) = state["Resource"].as_str() {
            let call = resource.trim_start_matches("arn:aws:states:::");
            require(format!("${{AWS::AccountId}}:{call}\"]"));
        }
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
        // What calls the function is no part of its configuration.
        let properties = configuration.as_mapping_mut().expect("properties");
        properties.remove("Events");
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

/// A call as IAM sees it: who makes it, and what it says, by condition key.
struct Call {
    action: &'static str,
    resource: String,
    context: Vec<(&'static str, Vec<String>)>,
}

/// A call without context.
fn call(action: &'static str, resource: &str) -> Call {
    Call {
        action,
        resource: resource.into(),
        context: Vec::new(),
    }
}

impl Call {
    /// By somebody with the tag `restaurant_id`.
    fn tagged(self, restaurant: &str) -> Self {
        self.saying("aws:PrincipalTag/restaurant_id", &[restaurant])
    }

    /// For the items of these restaurants.
    fn of(self, restaurants: &[&str]) -> Self {
        self.saying("dynamodb:LeadingKeys", restaurants)
    }

    fn saying(mut self, key: &'static str, values: &[&str]) -> Self {
        let values = values.iter().map(ToString::to_string).collect();
        self.context.push((key, values));
        self
    }

    fn values(&self, key: &str) -> Option<&[String]> {
        let mut context = self.context.iter();
        let found = context.find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, values)| values.as_slice())
    }

    /// Whether a policy allows the call, as IAM evaluates those operators and variables that the template uses.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    fn is_allowed_by(&self, policy: &Value) -> bool {
        let statements = policy["PolicyDocument"]["Statement"].as_sequence();
        statements.expect("statements").iter().any(|statement| {
            assert_eq!(statement["Effect"], "Allow", "say here what a denial does");
            let action = one_or_many(&statement["Action"])
                .into_iter()
                .any(|action| action == self.action);
            let resource = one_or_many(&statement["Resource"])
                .into_iter()
                .any(|pattern| matches(&resolve(pattern), &self.resource));
            let conditions = statement.get("Condition").and_then(Value::as_mapping);
            let conditions = conditions
                .into_iter()
                .flatten()
                .flat_map(|(operator, keys)| {
                    let keys = keys.as_mapping().expect("condition keys").iter();
                    keys.map(move |(key, values)| (operator, key, values))
                });
            action && resource && { conditions }.all(|(operator, key, values)| {
                let (operator, key) = (operator.as_str(), key.as_str().expect("a key"));
                self.meets(operator.expect("an operator"), key, values)
            })
        })
    }

    fn meets(&self, operator: &str, key: &str, expected: &Value) -> bool {
        let found = self.values(key);
        let expected: Vec<_> = one_or_many(expected)
            .into_iter()
            .map(|value| self.substitute(resolve(value)))
            .collect();
        let equals = |value: &String| expected.contains(&Some(value.clone()));
        match operator {
            "StringEquals" => found.is_some_and(|values| values.iter().any(equals)),
            "StringEqualsIfExists" => found.is_none_or(|values| values.iter().any(equals)),
            // True without any value: hence the `Null` beside it.
            "ForAllValues:StringEquals" => found.unwrap_or_default().iter().all(equals),
            "Null" => equals(&found.is_none().to_string()),
            other => panic!("say here what {other} means"),
        }
    }

    /// A value with its policy variable put in, or nothing where the call does not have it: then nothing equals it.
    fn substitute(&self, value: String) -> Option<String> {
        match value
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(variable) => self.values(variable)?.first().cloned(),
            None => Some(value),
        }
    }
}

/// Whether an ARN is of a pattern, which ends with `*` or has none.
fn matches(pattern: &str, arn: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => !begin.contains('*') && arn.starts_with(begin),
        None => pattern == arn,
    }
}

/// A value of the template, in an imagined stack whose resources have their logical ids as ARNs.
fn resolve(value: &Value) -> String {
    let Value::Tagged(tagged) = value else {
        return match value {
            Value::Bool(value) => value.to_string(),
            value => value.as_str().expect("a text").to_owned(),
        };
    };
    let text = tagged.value.as_str().expect("a text");
    match tagged.tag.to_string().as_str() {
        "!Ref" => text.to_owned(),
        "!GetAtt" => text.trim_end_matches(".Arn").to_owned(),
        "!Sub" => text
            .replace("${AWS::Partition}", "aws")
            .replace("${AWS::Region}", "eu-central-1")
            .replace("${AWS::AccountId}", "123456789012")
            .replace("${AWS::StackName}", "orders")
            .replace("${OpenOrdersTable.Arn}", "OpenOrdersTable"),
        other => panic!("say here what {other} gives"),
    }
}

fn restaurant_policy(template: &Value) -> &Value {
    let policies = resources(template, "AWS::IAM::ManagedPolicy");
    let [("RestaurantPolicy", policy)] = policies.as_slice() else {
        panic!("one policy: {policies:?}")
    };
    policy
}

#[test]
fn a_restaurant_reads_its_own_open_orders_and_no_others() {
    let template = template();
    let policy = restaurant_policy(&template);
    let tables = [
        "OpenOrdersTable",
        "OpenOrdersTable/index/open",
        "OpenOrdersTable/index/closed",
    ];
    for table in tables {
        let query = || call("dynamodb:Query", table);
        for id in ["rest-7", "Zum Löwen", "a_b.c:d/e=f+g-h@i"] {
            assert!(
                query().tagged(id).of(&[id]).is_allowed_by(policy),
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
            assert!(!refused.is_allowed_by(policy), "{who} may query {table}");
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
                assert!(!refused.is_allowed_by(policy), "{action} on {table}");
            }
        }
    }
    let get = || call("dynamodb:GetItem", "OpenOrdersTable");
    assert!(get().tagged("rest-7").of(&["rest-7"]).is_allowed_by(policy));
    assert!(!get().tagged("rest-8").of(&["rest-7"]).is_allowed_by(policy));
    for table in [
        "OrdersTable",
        "OrdersTable/index/open",
        "OtherTable",
        "OpenOrdersTable2",
    ] {
        for action in ["dynamodb:Query", "dynamodb:GetItem"] {
            let other = call(action, table).tagged("rest-7").of(&["rest-7"]);
            assert!(!other.is_allowed_by(policy), "{action} on {table}");
        }
    }
}

#[test]
fn a_restaurant_answers_and_sees_where_an_order_stands() {
    let template = template();
    let policy = restaurant_policy(&template);
    let key = |action, way| call(action, "EncryptionKey").saying("kms:ViaService", &[way]);
    let read = |attributes: &[&str]| {
        call("dynamodb:GetItem", "OrdersTable")
            .of(&["ord-1001"])
            .saying("dynamodb:Attributes", attributes)
    };
    let stack = |name| {
        let arn = format!("arn:aws:cloudformation:eu-central-1:123456789012:stack/{name}/1");
        call("cloudformation:DescribeStacks", &arn)
    };
    let five = [
        "order_id",
        "status",
        "restaurant_id",
        "status_reason",
        "ready_at",
        "updated_at",
    ];
    for (what, call, expected) in [
        (
            "accept",
            call("states:SendTaskSuccess", "OrderStateMachine"),
            true,
        ),
        (
            "fail",
            call("states:SendTaskFailure", "OrderStateMachine"),
            true,
        ),
        (
            "answer another's",
            call("states:SendTaskSuccess", "Other"),
            false,
        ),
        (
            "place",
            call("states:StartExecution", "OrderStateMachine"),
            false,
        ),
        (
            "decrypt a row",
            key("kms:Decrypt", "dynamodb.eu-central-1.amazonaws.com"),
            true,
        ),
        (
            "decrypt elsewhere",
            key("kms:Decrypt", "dynamodb.eu-west-1.amazonaws.com"),
            false,
        ),
        (
            "decrypt a message",
            key("kms:Decrypt", "sqs.eu-central-1.amazonaws.com"),
            false,
        ),
        (
            "decrypt anything",
            call("kms:Decrypt", "EncryptionKey"),
            false,
        ),
        (
            "encrypt a row",
            key("kms:Encrypt", "dynamodb.eu-central-1.amazonaws.com"),
            false,
        ),
        ("read a status", read(&five), true),
        ("read a status alone", read(&five[..2]), true),
        (
            "read a status as selected",
            read(&five).saying("dynamodb:Select", &["SPECIFIC_ATTRIBUTES"]),
            true,
        ),
        (
            "read who ordered",
            read(&["order_id", "customer_id"]),
            false,
        ),
        (
            "read all of an order",
            call("dynamodb:GetItem", "OrdersTable").of(&["ord-1001"]),
            false,
        ),
        (
            "read all in another way",
            read(&five).saying("dynamodb:Select", &["ALL_ATTRIBUTES"]),
            false,
        ),
        ("find the stack", stack("orders"), true),
        ("find another stack", stack("orders2"), false),
    ] {
        assert_eq!(
            call.is_allowed_by(policy),
            expected,
            "whether a restaurant may {what}"
        );
    }
}

#[test]
fn a_restaurant_may_do_nothing_else() {
    let template = template();
    let policy = restaurant_policy(&template);
    let mut actions = BTreeSet::new();
    for statement in policy["PolicyDocument"]["Statement"]
        .as_sequence()
        .expect("statements")
    {
        actions.extend(
            one_or_many(&statement["Action"])
                .into_iter()
                .filter_map(Value::as_str),
        );
    }
    assert_eq!(
        actions,
        BTreeSet::from([
            "cloudformation:DescribeStacks",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "kms:Decrypt",
            "kms:DescribeKey",
            "states:SendTaskFailure",
            "states:SendTaskSuccess",
        ]),
        "all that a restaurant may do"
    );
}
