//! Evaluates the alarms of both templates as CloudWatch does: the local AWS evaluates none.
//!
//! It knows what these alarms use, and panics at anything else.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html>
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_norway::Value;
use support::{Definition, root};

use crate::iam::resolve;
use crate::metrics::published;
use crate::{resources, template, untagged, whole};

/// What an alarm is for, in numbers.
struct Purpose {
    alarm: &'static str,
    /// What operations read.
    told: &'static str,
    /// From which value on, in how many of how many periods of how many seconds.
    threshold: f64,
    periods: (usize, usize, u64),
    statistic: &'static str,
    /// How the metrics become one value.
    together: Together,
    reads: &'static [&'static str],
    /// What is taken off, because it is no fault.
    less: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq)]
enum Together {
    /// There is one metric.
    Alone,
    Sum,
    Max,
}

const ALARM: Purpose = Purpose {
    alarm: "",
    told: "",
    threshold: 1.0,
    periods: (1, 1, 300),
    statistic: "Sum",
    together: Together::Alone,
    reads: &[],
    less: &[],
};

const ALARMS: [Purpose; 20] = [
    Purpose {
        alarm: "ExecutionsFailedAlarm",
        told: "Executions failed and need a person (docs/runbook.md#executionsfailedalarm). To list them: orderctl --stack ${AWS::StackName} retry --all-failed --since 1d --dry-run",
        reads: &["AWS/Events TriggeredRules RuleName=FailedExecutionRule"],
        ..ALARM
    },
    Purpose {
        alarm: "ExecutionsThrottledAlarm",
        told: "Step Functions delays orders because its quota of state transitions is used up (docs/runbook.md#executionsthrottledalarm)",
        reads: &["AWS/States ExecutionThrottled StateMachineArn=OrderStateMachine"],
        ..ALARM
    },
    Purpose {
        alarm: "RefusedOrdersAlarm",
        told: "Callers send many orders that are invalid or placed already (docs/runbook.md#refusedordersalarm)",
        threshold: 100.0,
        together: Together::Sum,
        reads: &["stack-7 OrdersInvalid", "stack-7 OrdersDuplicate"],
        ..ALARM
    },
    Purpose {
        alarm: "TasksFailedAlarm",
        told: "Tasks fail and are retried - AWS is down or the deployment is wrong (docs/runbook.md#tasksfailedalarm)",
        threshold: 3.0,
        periods: (2, 3, 300),
        together: Together::Sum,
        reads: &[
            "AWS/States ServiceIntegrationsFailed ServiceIntegrationResourceArn=arn:aws:states:eu-central-1:123456789012:lambda:invoke",
            "AWS/States ServiceIntegrationsTimedOut ServiceIntegrationResourceArn=arn:aws:states:eu-central-1:123456789012:lambda:invoke",
            "AWS/States ServiceIntegrationsFailed ServiceIntegrationResourceArn=arn:aws:states:eu-central-1:123456789012:events:putEvents",
            "AWS/States ServiceIntegrationsTimedOut ServiceIntegrationResourceArn=arn:aws:states:eu-central-1:123456789012:events:putEvents",
            // A restaurant that does not answer in time is no fault.
            "AWS/States ServiceIntegrationsFailed ServiceIntegrationResourceArn=arn:aws:states:eu-central-1:123456789012:sns:publish.waitForTaskToken",
        ],
        less: &[
            "stack-7 OrdersInvalid",
            "stack-7 OrdersDuplicate",
            "stack-7 RestaurantFailures",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "RestaurantNotReachedAlarm",
        told: "Orders fail because AWS could not ask their restaurants (docs/runbook.md#restaurantnotreachedalarm)",
        reads: &["stack-7 RestaurantNotReached"],
        ..ALARM
    },
    Purpose {
        alarm: "FunctionErrorsAlarm",
        told: "Functions fail often - a broken release, a missing permission or an outage of AWS (docs/runbook.md#functionerrorsalarm)",
        threshold: 3.0,
        periods: (2, 3, 300),
        together: Together::Sum,
        reads: &[
            "AWS/Lambda Errors FunctionName=SaveOrderFunction",
            "AWS/Lambda Errors FunctionName=UpdateStatusFunction",
            "AWS/Lambda Errors FunctionName=NotifyUserFunction",
            "AWS/Lambda Errors FunctionName=OpenOrdersFunction",
        ],
        less: &["stack-7 OrdersInvalid", "stack-7 OrdersDuplicate"],
        ..ALARM
    },
    Purpose {
        alarm: "FunctionThrottlesAlarm",
        told: "Lambda refuses to run functions because the account's concurrency is used up (docs/runbook.md#functionthrottlesalarm)",
        together: Together::Sum,
        reads: &[
            "AWS/Lambda Throttles FunctionName=SaveOrderFunction",
            "AWS/Lambda Throttles FunctionName=UpdateStatusFunction",
            "AWS/Lambda Throttles FunctionName=NotifyUserFunction",
            "AWS/Lambda Throttles FunctionName=OpenOrdersFunction",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "FunctionDurationAlarm",
        told: "Functions come near their timeout of 10 s - AWS answers slowly (docs/runbook.md#functiondurationalarm)",
        threshold: 5000.0,
        periods: (3, 3, 300),
        statistic: "p99",
        together: Together::Max,
        reads: &[
            "AWS/Lambda Duration FunctionName=SaveOrderFunction",
            "AWS/Lambda Duration FunctionName=UpdateStatusFunction",
            "AWS/Lambda Duration FunctionName=NotifyUserFunction",
            "AWS/Lambda Duration FunctionName=OpenOrdersFunction",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "FunctionConcurrencyAlarm",
        told: "The functions come near the concurrency that the account has for all of its functions (docs/runbook.md#functionconcurrencyalarm)",
        threshold: 500.0,
        statistic: "Maximum",
        together: Together::Sum,
        reads: &[
            "AWS/Lambda ConcurrentExecutions FunctionName=SaveOrderFunction",
            "AWS/Lambda ConcurrentExecutions FunctionName=UpdateStatusFunction",
            "AWS/Lambda ConcurrentExecutions FunctionName=NotifyUserFunction",
            "AWS/Lambda ConcurrentExecutions FunctionName=OpenOrdersFunction",
            "AWS/Lambda ConcurrentExecutions FunctionName=WebPages.Outputs.WebFunctionName",
            "AWS/Lambda ConcurrentExecutions FunctionName=WebPages.Outputs.WebLinksFunctionName",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "TableThrottlesAlarm",
        told: "DynamoDB refuses reads or writes of orders - they are retried for minutes, not for hours (docs/runbook.md#tablethrottlesalarm)",
        together: Together::Sum,
        reads: &[
            "AWS/DynamoDB WriteThrottleEvents TableName=OrdersTable",
            "AWS/DynamoDB ReadThrottleEvents TableName=OrdersTable",
            "AWS/DynamoDB WriteThrottleEvents TableName=OpenOrdersTable",
            "AWS/DynamoDB ReadThrottleEvents TableName=OpenOrdersTable",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "OpenOrdersFailedAlarm",
        told: "Open orders are shown minutes late or not at all - the table's function cannot write them (docs/runbook.md#openordersfailedalarm)",
        periods: (3, 5, 60),
        reads: &["stack-7 OpenOrdersFailed"],
        ..ALARM
    },
    Purpose {
        alarm: "OpenOrdersLateAlarm",
        told: "Open orders are shown minutes late or not at all - the table's function is not called (docs/runbook.md#openorderslatealarm)",
        threshold: 120.0,
        periods: (1, 1, 60),
        statistic: "Maximum",
        reads: &["AWS/SQS ApproximateAgeOfOldestMessage QueueName=OpenOrdersQueue.QueueName"],
        ..ALARM
    },
    Purpose {
        alarm: "TopicDeliveriesAlarm",
        told: "SNS could not deliver messages to restaurants, customers or operations (docs/runbook.md#topicdeliveriesalarm)",
        together: Together::Sum,
        reads: &[
            "AWS/SNS NumberOfNotificationsFailed TopicName=RestaurantTopic.TopicName",
            "AWS/SNS NumberOfNotificationsFailed TopicName=UserTopic.TopicName",
            "AWS/SNS NumberOfNotificationsFailed TopicName=OperationsTopic.TopicName",
            "AWS/SNS NumberOfNotificationsFailed TopicName=FailedExecutionsTopic.TopicName",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "RuleDeliveriesAlarm",
        told: "EventBridge could not deliver failed executions to their topic, or final events to the queue of open orders (docs/runbook.md#ruledeliveriesalarm)",
        together: Together::Sum,
        reads: &[
            "AWS/Events FailedInvocations RuleName=FailedExecutionRule",
            "AWS/Events InvocationsFailedToBeSentToDlq RuleName=FailedExecutionRule",
            "AWS/Events FailedInvocations EventBusName=OrderEventBus RuleName=final-events",
            "AWS/Events InvocationsFailedToBeSentToDlq EventBusName=OrderEventBus RuleName=final-events",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "DeadLettersAlarm",
        told: "Messages wait in a dead-letter queue (docs/runbook.md#deadlettersalarm)",
        statistic: "Maximum",
        together: Together::Max,
        reads: &[
            "AWS/SQS ApproximateNumberOfMessagesVisible QueueName=OperationsDeadLetters.QueueName",
            "AWS/SQS ApproximateNumberOfMessagesVisible QueueName=OpenOrdersDeadLetters.QueueName",
        ],
        ..ALARM
    },
    Purpose {
        alarm: "LinksDeadLettersAlarm",
        told: "Links to orders were not made or not published - the messages wait in the dead-letter queue (docs/runbook.md#linksdeadlettersalarm)",
        statistic: "Maximum",
        reads: &["AWS/SQS ApproximateNumberOfMessagesVisible QueueName=LinksDeadLetters.QueueName"],
        ..ALARM
    },
    Purpose {
        alarm: "LinksLateAlarm",
        told: "Links to orders are minutes late - their function fails or is not called (docs/runbook.md#linkslatealarm)",
        threshold: 150.0,
        periods: (1, 1, 60),
        statistic: "Maximum",
        reads: &["AWS/SQS ApproximateAgeOfOldestMessage QueueName=LinksQueue.QueueName"],
        ..ALARM
    },
    Purpose {
        alarm: "LinksDeliveriesAlarm",
        told: "SNS could not deliver links to restaurants (docs/runbook.md#linksdeliveriesalarm)",
        reads: &["AWS/SNS NumberOfNotificationsFailed TopicName=LinksTopic.TopicName"],
        ..ALARM
    },
    Purpose {
        alarm: "ErrorsAlarm",
        told: "The pages fail - their function or what they read (docs/runbook.md#errorsalarm)",
        threshold: 5.0,
        reads: &["AWS/ApiGateway 5xx ApiId=Api"],
        ..ALARM
    },
    Purpose {
        alarm: "RefusalsAlarm",
        told: "Many requests to the pages are refused - somebody tries links, or the stage's limits are too low (docs/runbook.md#refusalsalarm)",
        threshold: 1000.0,
        reads: &["AWS/ApiGateway 4xx ApiId=Api"],
        ..ALARM
    },
];

/// The values of metrics, one for each period, the newest last; a period without a value has `None`.
type Series = BTreeMap<String, Vec<Option<f64>>>;

impl Purpose {
    fn name(&self, metric: &str) -> String {
        format!("{metric}, {} of {} s", self.statistic, self.periods.2)
    }

    /// Whether CloudWatch raises the alarm for these values of some of its metrics.
    fn rings(&self, whole: &Value, values: &[(&str, &[Option<f64>])]) -> bool {
        let series = values
            .iter()
            .map(|(metric, values)| (self.name(metric), values.to_vec()));
        rings(whole, self.alarm, &series.collect())
    }
}

/// A property of a resource that is a number, or a parameter's with its default.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Tagged(_) => template()["Parameters"][resolve(value)]["Default"].as_f64(),
        value => value.as_f64(),
    }
}

/// A metric as it is read: namespace, name, dimensions, statistic and period.
fn described(metric: &Value, statistic: &Value, period: &Value) -> String {
    let mut words = vec![
        resolve(&metric["Namespace"]),
        resolve(&metric["MetricName"]),
    ];
    let dimensions = metric["Dimensions"].as_sequence().into_iter().flatten();
    words.extend(dimensions.map(|dimension| {
        let [name, value] = ["Name", "Value"].map(|field| resolve(&dimension[field]));
        format!("{name}={value}")
    }));
    let period = period.as_u64().expect("a period");
    format!("{}, {} of {period} s", words.join(" "), resolve(statistic))
}

fn assert_known(what: &str, value: &Value, known: &[&str]) {
    for name in value.as_mapping().expect("properties").keys() {
        let name = name.as_str().expect("a name");
        assert!(known.contains(&name), "{what}: say here what {name} does");
    }
}

/// The metrics of an alarm by their ids, and the expression that the alarm looks at.
fn queries(alarm: &str, properties: &Value) -> (BTreeMap<String, String>, String) {
    let Some(queries) = properties["Metrics"].as_sequence() else {
        let metric = described(properties, &properties["Statistic"], &properties["Period"]);
        return ([("m1".to_owned(), metric)].into(), "SUM(METRICS())".into());
    };
    let (mut metrics, mut looked_at) = (BTreeMap::new(), Vec::new());
    for query in queries {
        let query = match query {
            // With the pages.
            Value::Tagged(tagged) if tagged.tag == "!If" && tagged.value[0] == "HasWeb" => {
                &tagged.value[1]
            }
            query => query,
        };
        let id = resolve(&query["Id"]);
        let begin = id.chars().next();
        assert!(
            begin.is_some_and(|first| first.is_ascii_lowercase()),
            "CloudWatch takes no id such as {id}"
        );
        if let Some(expression) = query["Expression"].as_str() {
            assert_known(alarm, query, &["Id", "Label", "Expression"]);
            let shown = alarm.strip_suffix("Alarm");
            assert_eq!(
                query["Label"].as_str(),
                shown,
                "what {alarm} calls its value"
            );
            looked_at.push(expression.to_owned());
        } else {
            assert_known(alarm, query, &["Id", "MetricStat", "ReturnData"]);
            assert_eq!(
                query["ReturnData"], false,
                "{alarm} looks at {id} by itself"
            );
            let stat = &query["MetricStat"];
            assert_known(alarm, stat, &["Stat", "Period", "Metric"]);
            assert_known(
                alarm,
                &stat["Metric"],
                &["Namespace", "MetricName", "Dimensions"],
            );
            metrics.insert(
                id,
                described(&stat["Metric"], &stat["Stat"], &stat["Period"]),
            );
        }
    }
    assert_eq!(looked_at.len(), 1, "{alarm} looks at one expression");
    (metrics, looked_at.remove(0))
}

/// What an expression gives for one period.
fn value(expression: &str, metrics: &BTreeMap<String, Option<f64>>) -> Option<f64> {
    if let Some((from, less)) = expression.split_once(" - ") {
        return Some(value(from, metrics)? - value(less, metrics)?);
    }
    let (function, of) = expression
        .strip_suffix(')')?
        .split_once('(')
        .expect("a function");
    let filled = of
        .strip_prefix("FILL(")
        .and_then(|of| of.strip_suffix(", 0)"));
    let ids = filled
        .unwrap_or(of)
        .strip_prefix("METRICS(")
        .and_then(|ids| ids.strip_suffix(')'));
    let ids = ids
        .unwrap_or_else(|| panic!("say here what {of} is"))
        .trim_matches('"');
    let named = metrics.iter().filter(|(id, _)| id.contains(ids));
    let values = named.filter_map(|(_, value)| value.or(filled.map(|_| 0.0)));
    match function {
        "SUM" => values.reduce(|sum, value| sum + value),
        "MAX" => values.reduce(f64::max),
        other => panic!("say here what {other} gives"),
    }
}

const OF_ALARMS: [&str; 9] = [
    "AlarmDescription",
    "ComparisonOperator",
    "Threshold",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "TreatMissingData",
    "AlarmActions",
    "OKActions",
    "Metrics",
];
const OF_ONE_METRIC: [&str; 5] = [
    "Namespace",
    "MetricName",
    "Statistic",
    "Period",
    "Dimensions",
];

/// Whether an alarm is in the state `ALARM` after these values. Each must be of a metric that it reads.
fn rings(whole: &Value, alarm: &str, series: &Series) -> bool {
    let properties = &whole["Resources"][alarm]["Properties"];
    let of_one = if properties["Metrics"].is_null() {
        &OF_ONE_METRIC[..]
    } else {
        &[]
    };
    assert_known(alarm, properties, &[&OF_ALARMS, of_one].concat());
    assert_eq!(
        properties["ComparisonOperator"], "GreaterThanOrEqualToThreshold",
        "{alarm}"
    );
    assert_eq!(
        properties["TreatMissingData"], "notBreaching",
        "{alarm} without data"
    );
    let (metrics, expression) = queries(alarm, properties);
    for metric in series.keys() {
        let read = metrics.values().any(|read| read == metric);
        assert!(read, "{alarm} does not read {metric}, but {metrics:#?}");
    }
    let threshold = number(&properties["Threshold"]).expect("a threshold");
    let count = |name: &str| {
        properties[name]
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
    };
    let periods = count("EvaluationPeriods").expect("a number of periods");
    let needed = count("DatapointsToAlarm").unwrap_or(periods);
    let length = series.values().map(Vec::len).max().unwrap_or_default();
    let at = |back: usize| {
        let newest = |metric: &String| {
            let values = series.get(metric)?;
            values.iter().rev().nth(back).copied().flatten()
        };
        let metrics = metrics
            .iter()
            .map(|(id, metric)| (id.clone(), newest(metric)));
        value(&expression, &metrics.collect())
    };
    let breaching = (0..periods.min(length))
        .filter_map(at)
        .filter(|value| *value >= threshold);
    breaching.count() >= needed
}

#[test]
fn each_alarm_has_a_purpose() {
    let whole = whole();
    let found: BTreeSet<_> = resources(&whole, "AWS::CloudWatch::Alarm")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let known = ALARMS.iter().map(|purpose| purpose.alarm).collect();
    assert_eq!(
        found, known,
        "alarms of the templates (left), those whose purpose is known (right)"
    );
}

#[test]
fn an_alarm_reads_the_metrics_of_its_purpose_and_no_other() {
    let whole = whole();
    for purpose in &ALARMS {
        let (metrics, _) = queries(
            purpose.alarm,
            &whole["Resources"][purpose.alarm]["Properties"],
        );
        let expected = purpose.reads.iter().chain(purpose.less);
        let expected: BTreeSet<_> = expected.map(|metric| purpose.name(metric)).collect();
        let found = metrics.into_values().collect();
        assert_eq!(
            expected, found,
            "what {} is for (left), what it reads (right)",
            purpose.alarm
        );
    }
}

#[test]
fn an_alarm_is_quiet_below_its_threshold_and_rings_from_there_on() {
    let whole = whole();
    for purpose in &ALARMS {
        let (needed, of, _) = purpose.periods;
        let (below, at) = (Some(purpose.threshold - 1.0), Some(purpose.threshold));
        for metric in purpose.reads {
            let rings = |values: &[Option<f64>]| purpose.rings(&whole, &[(metric, values)]);
            let say = |what: &str| format!("{}: {metric} {what}", purpose.alarm);
            assert!(!rings(&[None; 5]), "{}", say("without data"));
            assert!(!rings(&vec![below; of]), "{}", say("below the threshold"));
            assert!(rings(&vec![at; of]), "{}", say("at the threshold"));
            // The oldest periods of those that count.
            let mut enough = vec![at; needed];
            enough.resize(of, None);
            assert!(rings(&enough), "{}", say("in enough periods"));
            enough.push(None);
            assert!(!rings(&enough), "{}", say("too long ago"));
            let mut few = vec![at; needed - 1];
            few.resize(of, below);
            assert!(!rings(&few), "{}", say("in too few periods"));
            few.reverse();
            assert!(!rings(&few), "{}", say("in too few periods until now"));
        }
    }
}

#[test]
fn an_alarm_on_several_metrics_adds_them_up_or_takes_the_highest() {
    let whole = whole();
    for purpose in &ALARMS {
        let half = vec![Some(purpose.threshold / 2.0); purpose.periods.1];
        if let [first, second, ..] = purpose.reads {
            let rings = purpose.rings(&whole, &[(first, &half), (second, &half)]);
            assert_eq!(
                rings,
                purpose.together == Together::Sum,
                "{}",
                purpose.alarm
            );
        } else {
            assert!(purpose.together == Together::Alone, "{}", purpose.alarm);
        }
    }
}

#[test]
fn what_is_no_fault_is_taken_off() {
    let whole = whole();
    for purpose in &ALARMS {
        let periods = purpose.periods.1;
        let (all, one) = (
            vec![Some(purpose.threshold); periods],
            vec![Some(1.0); periods],
        );
        for less in purpose.less {
            let rings = purpose.rings(&whole, &[(purpose.reads[0], &all), (less, &one)]);
            assert!(!rings, "{} takes no {less} off", purpose.alarm);
        }
    }
}

#[test]
fn operations_are_told_of_each_alarm_and_of_its_end_in_these_words() {
    let whole = whole();
    for purpose in &ALARMS {
        let properties = &whole["Resources"][purpose.alarm]["Properties"];
        let told = untagged(&properties["AlarmDescription"]).as_str();
        assert_eq!(told, Some(purpose.told), "{}", purpose.alarm);
        for when in ["AlarmActions", "OKActions"] {
            let actions = properties[when].as_sequence().expect("a list").iter();
            let whom: Vec<_> = actions.map(resolve).collect();
            assert_eq!(whom, ["OperationsTopic"], "{when} of {}", purpose.alarm);
        }
    }
}

#[test]
fn the_runbook_has_a_section_for_each_alarm() {
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook");
    let sections: BTreeSet<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    for purpose in &ALARMS {
        assert!(
            sections.contains(purpose.alarm),
            "the runbook says nothing of {}",
            purpose.alarm
        );
    }
}

#[test]
fn aws_or_a_function_publishes_each_metric_that_an_alarm_reads() {
    for purpose in &ALARMS {
        for metric in purpose.reads.iter().chain(purpose.less) {
            let known = published(metric, purpose.statistic);
            assert!(
                known,
                "{}: nobody publishes {metric} as {}",
                purpose.alarm, purpose.statistic
            );
        }
    }
}

/// Whether an alarm watches a metric, such as `AWS/Lambda Errors FunctionName=a`.
pub fn watched(metric: &str) -> bool {
    ALARMS.iter().any(|purpose| purpose.reads.contains(&metric))
}

#[test]
fn every_function_table_topic_queue_api_and_task_has_its_alarms() {
    let whole = whole();
    let require = |metric: &str| assert!(watched(metric), "no alarm watches {metric}");
    for (name, resource) in whole["Resources"].as_mapping().expect("resources") {
        let name = name.as_str().expect("a name");
        match resource["Type"].as_str().expect("a type") {
            // The pages' functions fail as requests of their API, and as messages of their queue.
            "AWS::Serverless::Function" if !name.starts_with("Web") => {
                for metric in ["Errors", "Throttles", "Duration", "ConcurrentExecutions"] {
                    require(&format!("AWS/Lambda {metric} FunctionName={name}"));
                }
            }
            "AWS::Serverless::Function" => {
                let name = format!("WebPages.Outputs.{name}Name");
                require(&format!(
                    "AWS/Lambda ConcurrentExecutions FunctionName={name}"
                ));
            }
            "AWS::DynamoDB::Table" if name != "RevocationsTable" => {
                for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
                    require(&format!("AWS/DynamoDB {metric} TableName={name}"));
                }
            }
            "AWS::SNS::Topic" => {
                require(&format!(
                    "AWS/SNS NumberOfNotificationsFailed TopicName={name}.TopicName"
                ));
            }
            "AWS::SQS::Queue" if name.ends_with("DeadLetters") => {
                require(&format!(
                    "AWS/SQS ApproximateNumberOfMessagesVisible QueueName={name}.QueueName"
                ));
            }
            "AWS::SQS::Queue" => {
                require(&format!(
                    "AWS/SQS ApproximateAgeOfOldestMessage QueueName={name}.QueueName"
                ));
            }
            "AWS::ApiGatewayV2::Api" => {
                require("AWS/ApiGateway 4xx ApiId=Api");
                require("AWS/ApiGateway 5xx ApiId=Api");
            }
            _ => {}
        }
    }
    for (_, state) in Definition::read().states() {
        if let Some(call) = state["Resource"].as_str() {
            let call = call.trim_start_matches("arn:aws:states:::");
            let arn = format!("arn:aws:states:eu-central-1:123456789012:{call}");
            require(&format!(
                "AWS/States ServiceIntegrationsFailed ServiceIntegrationResourceArn={arn}"
            ));
        }
    }
}
