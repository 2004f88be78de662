//! What tells people how the workflow runs: logs, alarms, the dashboard, and the message about a failed execution.

use std::collections::BTreeSet;

use serde_json::json;
use serde_norway::Value;
use support::{Definition, root};

use crate::web::web;
use crate::{logical_id, number, resources, template, untagged, whole};

#[test]
fn every_function_logs_json_that_expires_and_those_of_the_workflow_are_traced() {
    let template = template();
    assert_eq!(template["Globals"]["Function"]["Tracing"], "Active");
    // What is set for all functions of a template holds in that template alone.
    for template in [template, web()] {
        let globals = &template["Globals"]["Function"]["LoggingConfig"];
        for (name, function) in resources(&template, "AWS::Serverless::Function") {
            let logging = &function["LoggingConfig"];
            let format = [logging, globals].map(|logging| logging["LogFormat"].as_str());
            let format = format.into_iter().flatten().next();
            assert_eq!(format, Some("JSON"), "{name}");
            let group = logical_id(&logging["LogGroup"]);
            assert_eq!(
                template["Resources"][&group]["Type"], "AWS::Logs::LogGroup",
                "log group of {name}"
            );
        }
    }
    for (name, group) in resources(&whole(), "AWS::Logs::LogGroup") {
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

/// Whether a rule with this pattern takes an event, for those operators that the template uses.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
fn takes(pattern: &serde_json::Value, found: Option<&serde_json::Value>) -> bool {
    if let Some(fields) = pattern.as_object() {
        return fields.iter().all(|(name, inner)| {
            let found = found.and_then(|found| found.get(name));
            takes(inner, found)
        });
    }
    let mut values = pattern.as_array().expect("a list of values").iter();
    values.any(|value| match value.as_object() {
        Some(operator) => operator.iter().all(|(name, operand)| match name.as_str() {
            "exists" => *operand == json!(found.is_some()),
            "anything-but" => {
                let others = operand.as_array().expect("a list");
                found.is_some_and(|found| found.is_string() && !others.contains(found))
            }
            other => panic!("say here what {other} means"),
        }),
        None => found == Some(value),
    })
}

/// The event of an execution that ended.
fn ended(status: &str, error: Option<serde_json::Value>) -> serde_json::Value {
    let mut event = json!({
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": "the execution",
            "stateMachineArn": "${OrderStateMachine}",
            "name": "ord-1001",
            "status": status,
            "input": "an order",
            "output": "an outcome",
        },
    });
    if let Some(error) = error {
        event["detail"]["error"] = error;
        event["detail"]["cause"] = json!("the cause");
    }
    event
}

#[test]
fn each_execution_that_did_not_succeed_raises_an_alarm_unless_its_input_was_bad() {
    let template = template();
    let rule = &template["Resources"]["FailedExecutionRule"]["Properties"];
    let pattern = untagged(&rule["EventPattern"]).as_str().expect("JSON");
    let pattern: serde_json::Value = serde_json::from_str(pattern).expect("a pattern in JSON");
    for (event, expected) in [
        (ended("FAILED", Some(json!("StoreUnavailable"))), true),
        (ended("FAILED", Some(json!("OrderNotFound"))), true),
        (ended("FAILED", Some(json!("StatusConflict"))), true),
        (
            ended("FAILED", Some(json!("NotificationUnavailable"))),
            true,
        ),
        (ended("FAILED", Some(json!("Misconfigured"))), true),
        (ended("FAILED", Some(json!("States.Runtime"))), true),
        (ended("TIMED_OUT", None), true),
        // An execution that was stopped may have no error, or null.
        (ended("ABORTED", None), true),
        (ended("ABORTED", Some(json!(null))), true),
        (ended("FAILED", Some(json!("InvalidOrder"))), false),
        (ended("FAILED", Some(json!("DuplicateOrder"))), false),
        (ended("SUCCEEDED", None), false),
        (ended("RUNNING", None), false),
    ] {
        assert_eq!(takes(&pattern, Some(&event)), expected, "{event}");
    }
    for field in ["/source", "/detail-type", "/detail/stateMachineArn"] {
        let mut event = ended("FAILED", Some(json!("StoreUnavailable")));
        *event.pointer_mut(field).expect("a field") = json!("another");
        assert!(!takes(&pattern, Some(&event)), "{event}");
    }
    let alarm = &template["Resources"]["ExecutionsFailedAlarm"]["Properties"];
    assert_eq!(
        alarm["MetricName"], "TriggeredRules",
        "what the alarm counts"
    );
    assert_eq!(
        logical_id(&alarm["Dimensions"][0]["Value"]),
        "FailedExecutionRule"
    );
}

#[test]
fn the_topic_of_failed_executions_says_which_ended_how_and_why_and_nothing_of_the_order() {
    let template = template();
    let rule = &template["Resources"]["FailedExecutionRule"]["Properties"];
    let target = &rule["Targets"][0];
    assert_eq!(logical_id(&target["Arn"]), "FailedExecutionsTopic");
    let event = ended("FAILED", Some(json!("StoreUnavailable")));
    let paths = target["InputTransformer"]["InputPathsMap"].as_mapping();
    let paths = paths.expect("paths").values().filter_map(Value::as_str);
    let told: BTreeSet<_> = paths
        .filter_map(|path| event.pointer(&path.replacen('$', "", 1).replace('.', "/")))
        .filter_map(serde_json::Value::as_str)
        .collect();
    let expected = [
        "ord-1001",
        "FAILED",
        "StoreUnavailable",
        "the cause",
        "the execution",
    ];
    assert_eq!(told, expected.into());
}

/// A message that fails comes again after the queue's timeout. Once SQS delivered it three times, it counts no more for its age.
#[test]
fn links_that_are_late_raise_an_alarm_while_their_orders_wait() {
    let whole = whole();
    let number = |resource, name| number(&whole, resource, name);
    let again = number("LinksQueue", "VisibilityTimeout");
    let (age, period) = (
        number("LinksLateAlarm", "Threshold"),
        number("LinksLateAlarm", "Period"),
    );
    assert!(
        age > again + number("WebLinksFunction", "Timeout"),
        "a second attempt that succeeds raises the alarm"
    );
    assert!(
        age + period <= 2 * again,
        "SQS leaves a message out before the alarm sees it"
    );
    let waits = Definition::read()
        .states()
        .filter(|(_, state)| {
            let resource = state["Resource"].as_str();
            resource.is_some_and(|resource| resource.ends_with("waitForTaskToken"))
        })
        .filter_map(|(_, state)| state["TimeoutSeconds"].as_u64())
        .min();
    assert!(
        (age + 2 * period) * 2 <= waits.expect("a time to answer"),
        "less than half of the time to answer is left"
    );
}

/// The jobs of GitHub's workflows, each with its name and with what its token may do.
fn jobs() -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(root().join(".github/workflows")).expect("the workflows") {
        let file = file.expect("a workflow").path();
        let text = std::fs::read_to_string(&file).expect("a workflow");
        let workflow: Value = serde_norway::from_str(&text).expect("a workflow that is YAML");
        for (name, job) in workflow["jobs"].as_mapping().expect("jobs") {
            let name = format!("{} of {}", name.as_str().expect("a name"), file.display());
            let permissions = job.get("permissions").unwrap_or(&workflow["permissions"]);
            found.push((name, job.clone(), permissions.clone()));
        }
    }
    assert!(!found.is_empty(), "no workflow has a job");
    found
}

/// What the steps of a job have under a key.
fn steps<'a>(job: &'a Value, key: &'a str) -> impl Iterator<Item = &'a str> {
    let steps = job["steps"].as_sequence().expect("steps").iter();
    steps.filter_map(move |step| step[key].as_str())
}

#[test]
fn actions_of_the_workflows_are_pinned_by_commit() {
    for (name, job, _) in jobs() {
        for action in steps(&job, "uses") {
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            assert!(
                commit.len() == 40 && commit.bytes().all(|digit| digit.is_ascii_hexdigit()),
                "{name}: {action} is not pinned by a commit"
            );
        }
    }
}

#[test]
fn a_job_that_may_write_or_take_a_role_compiles_nothing_and_installs_by_hash() {
    let mut trusted = 0;
    for (name, job, permissions) in jobs() {
        let permissions = permissions.as_mapping().expect("what the token may do");
        if permissions.values().all(|permission| permission == "read") {
            continue;
        }
        trusted += 1;
        for command in steps(&job, "run") {
            let program = command.split(' ').next().unwrap_or_default();
            let may = match program {
                "gh" | "tar" => true,
                "pip" => command.contains(" --no-deps --require-hashes "),
                "sam" => command.starts_with("sam deploy "),
                _ => false,
            };
            assert!(may, "{name} runs: {command}");
        }
    }
    assert_eq!(trusted, 2, "jobs that may write or take a role");
}

#[test]
fn what_deploys_from_github_is_what_deploys_elsewhere_each_by_its_hash() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("a list of packages");
    let (tools, deploys) = (read("local/requirements.txt"), read(".github/sam.txt"));
    for package in deploys.lines().filter(|line| !line.starts_with('#')) {
        let (pinned, hash) = package
            .split_once(" --hash=sha256:")
            .unwrap_or_else(|| panic!("{package} has no hash"));
        assert_eq!(hash.len(), 64, "the hash of {pinned}");
        assert!(
            tools.lines().any(|line| line == pinned),
            "local/requirements.txt has another version than {pinned}"
        );
    }
    assert!(deploys.contains("\naws-sam-cli=="), "what deploys");
}
