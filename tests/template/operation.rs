//! What tells people how the workflow runs: logs, alarms, the dashboard, and the message about a failed execution.

use std::collections::BTreeSet;
use std::path::Path;

use order::Status;
use serde_json::json;
use serde_norway::Value;
use support::{Definition, root};

use crate::{logical_id, resources, template, untagged};

#[test]
fn every_function_logs_json_that_expires_and_is_traced() {
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
            "OpenOrdersFailedAlarm",
            "OpenOrdersLateAlarm",
            "RefusedOrdersAlarm",
            "RuleDeliveriesAlarm",
            "TableThrottlesAlarm",
            "TasksFailedAlarm",
            "TopicDeliveriesAlarm",
        ])
    );
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook");
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

/// What the dashboard shows, and what it shows besides if there are pages.
fn dashboard(template: &Value) -> (String, String) {
    let body = &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let body = untagged(body);
    let pages = untagged(&body[1]["WebWidgets"]);
    assert_eq!(pages[0], "HasWeb", "who sees the pages' figures");
    assert_eq!(pages[2], "", "what a stack without pages shows of them");
    let text = |value: &Value| untagged(value).as_str().expect("JSON").to_owned();
    (text(&body[0]), text(&pages[1]))
}

#[test]
fn the_pages_requests_functions_and_queues_are_on_the_dashboard_of_a_stack_with_pages() {
    let (_, pages) = dashboard(&template());
    for (service, dimension, output, metrics) in [
        (
            "ApiGateway",
            "ApiId",
            "ApiId",
            ["Count", "4xx", "5xx", "Latency"].as_slice(),
        ),
        (
            "Lambda",
            "FunctionName",
            "WebFunctionName",
            &["Errors", "Throttles", "Duration"],
        ),
        (
            "Lambda",
            "FunctionName",
            "WebLinksFunctionName",
            &["Errors", "Throttles", "Duration"],
        ),
        (
            "SQS",
            "QueueName",
            "LinksQueueName",
            &["ApproximateAgeOfOldestMessage"],
        ),
        (
            "SQS",
            "QueueName",
            "LinksDeadLettersName",
            &["ApproximateNumberOfMessagesVisible"],
        ),
        (
            "SNS",
            "TopicName",
            "LinksTopicName",
            &["NumberOfNotificationsFailed"],
        ),
    ] {
        for metric in metrics {
            let shown = format!(
                r#"["AWS/{service}", "{metric}", "{dimension}", "${{WebPages.Outputs.{output}}}""#
            );
            assert!(pages.contains(&shown), "no {shown} on the dashboard");
        }
    }
}

#[test]
fn every_function_table_queue_and_outcome_is_on_the_dashboard_and_every_function_has_its_alarms() {
    let template = template();
    let (body, pages) = dashboard(&template);
    for pages in ["", &pages] {
        let shown = body.replace("${WebWidgets}", pages);
        let _: serde_json::Value = serde_json::from_str(&shown).expect("a dashboard in JSON");
    }
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
fn alarms_have_the_thresholds_that_a_person_sets() {
    let template = template();
    let property = |alarm: &str, name: &str| &template["Resources"][alarm]["Properties"][name];
    for (alarm, parameter) in [
        ("RefusedOrdersAlarm", "RefusedOrdersAlarmThreshold"),
        ("TasksFailedAlarm", "TasksFailedAlarmThreshold"),
        ("FunctionConcurrencyAlarm", "ConcurrencyAlarmThreshold"),
    ] {
        assert_eq!(
            logical_id(property(alarm, "Threshold")),
            parameter,
            "{alarm}"
        );
    }
    // The functions share the account's concurrency.
    let together = &property("FunctionConcurrencyAlarm", "Metrics")[0]["Expression"];
    assert!(
        together.as_str().is_some_and(|sum| sum.starts_with("SUM(")),
        "FunctionConcurrencyAlarm sees {together:?}"
    );
    let summed = format!("{:?}", property("FunctionConcurrencyAlarm", "Metrics"));
    for function in ["WebFunction", "WebLinksFunction"] {
        assert!(
            summed.contains(&format!("WebPages.Outputs.{function}Name")),
            "FunctionConcurrencyAlarm leaves out {function}"
        );
    }
}

/// What is counted of the orders of the stack, by the name under which a function counts it.
#[test]
fn what_functions_count_is_what_alarms_and_dashboard_read() {
    let text = std::fs::read_to_string(root().join("template.yaml"));
    let text = text.expect("template.yaml");
    for counted in [
        "OrdersInvalid",
        "OrdersDuplicate",
        "RestaurantFailures",
        "OpenOrdersFailed",
    ] {
        let alarmed = format!("MetricName: {counted}");
        let shown = format!(r#"["${{AWS::StackName}}", "{counted}""#);
        assert!(text.contains(&alarmed), "no alarm reads {counted}");
        assert!(text.contains(&shown), "no {counted} on the dashboard");
    }
}

#[test]
fn actions_of_the_workflows_are_pinned_by_commit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    let mut found = 0;
    for file in std::fs::read_dir(folder).expect("the workflows") {
        let file = file.expect("a workflow").path();
        let text = std::fs::read_to_string(&file).expect("a workflow");
        for used in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let commit = used
                .1
                .split_once('@')
                .map(|(_, rest)| rest.split(' ').next());
            let commit = commit.flatten().unwrap_or_default();
            assert!(
                commit.len() == 40 && commit.bytes().all(|digit| digit.is_ascii_hexdigit()),
                "{}: {} is not pinned by a commit",
                file.display(),
                used.1
            );
            found += 1;
        }
    }
    assert!(found > 0, "no workflow uses an action");
}
