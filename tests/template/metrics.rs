//! The metrics that AWS and the functions publish, and those that the dashboard shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::iam::{resolve, resolve_text};
use crate::{template, untagged};

/// What functions count, under the name of the stack. The end-to-end tests find each in a function's log.
pub const CUSTOM: [&str; 12] = [
    "OpenOrdersFailed",
    "OrdersAccepted",
    "OrdersCancelled",
    "OrdersDuplicate",
    "OrdersFailed",
    "OrdersInvalid",
    "OrdersPlaced",
    "OrdersRejected",
    "OrdersTimedOut",
    "RestaurantFailures",
    "RestaurantNotReached",
    "RestaurantResponseTime",
];

/// A namespace, its dimensions, its metrics and the statistics that say something of them.
type Published = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// What AWS publishes, as its pages say:
/// - <https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html>
/// - <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>
/// - <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html>
/// - <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html>
/// - <https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html>
/// - <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>
/// - <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html>
const PUBLISHED: [Published; 14] = [
    (
        "AWS/States",
        "StateMachineArn",
        &[
            "ExecutionsFailed",
            "ExecutionsTimedOut",
            "ExecutionsAborted",
            "ExecutionThrottled",
        ],
        &["Sum"],
    ),
    (
        "AWS/States",
        "ServiceIntegrationResourceArn",
        &["ServiceIntegrationsFailed", "ServiceIntegrationsTimedOut"],
        &["Sum"],
    ),
    (
        "AWS/Lambda",
        "FunctionName",
        &["Errors", "Throttles"],
        &["Sum"],
    ),
    ("AWS/Lambda", "FunctionName", &["Duration"], &["p99"]),
    (
        "AWS/Lambda",
        "FunctionName",
        &["ConcurrentExecutions"],
        &["Maximum"],
    ),
    (
        "AWS/Events",
        "RuleName",
        &[
            "TriggeredRules",
            "FailedInvocations",
            "InvocationsFailedToBeSentToDlq",
        ],
        &["Sum"],
    ),
    // Of a rule on another bus than the default one.
    (
        "AWS/Events",
        "EventBusName RuleName",
        &["FailedInvocations", "InvocationsFailedToBeSentToDlq"],
        &["Sum"],
    ),
    (
        "AWS/DynamoDB",
        "TableName",
        &["ReadThrottleEvents", "WriteThrottleEvents"],
        &["Sum"],
    ),
    (
        "AWS/SNS",
        "TopicName",
        &["NumberOfNotificationsFailed"],
        &["Sum"],
    ),
    (
        "AWS/SQS",
        "QueueName",
        &[
            "ApproximateNumberOfMessagesVisible",
            "ApproximateAgeOfOldestMessage",
        ],
        &["Maximum"],
    ),
    (
        "AWS/ApiGateway",
        "ApiId",
        &["4xx", "5xx", "Count"],
        &["Sum"],
    ),
    ("AWS/ApiGateway", "ApiId", &["Latency"], &["p99"]),
    ("stack-7", "", &CUSTOM, &["Sum"]),
    (
        "stack-7",
        "",
        &["RestaurantResponseTime"],
        &["p50", "p95", "p99"],
    ),
];

/// Whether somebody publishes a metric, such as `AWS/Lambda Errors FunctionName=a`, so that this statistic of it says something.
pub fn published(metric: &str, statistic: &str) -> bool {
    let mut words = metric.split(' ');
    let (namespace, name) = (words.next(), words.next());
    let dimensions: Vec<_> = words.filter_map(|word| word.split('=').next()).collect();
    PUBLISHED.iter().any(|(of, with, names, statistics)| {
        namespace == Some(of)
            && dimensions.join(" ") == *with
            && name.is_some_and(|name| names.contains(&name))
            && statistics.contains(&statistic)
    })
}

/// Each widget: its title, whether it is the pages', its statistic and period, and its metrics. `{a|b}` stands for each of these.
type Widget = (
    &'static str,
    bool,
    &'static str,
    u64,
    &'static [&'static str],
);

const WIDGETS: [Widget; 14] = [
    (
        "Orders by outcome",
        false,
        "Sum",
        300,
        &[
            "stack-7 Orders{Placed|Accepted|Rejected|Cancelled|TimedOut|Failed|Invalid|Duplicate}",
            "stack-7 Restaurant{Failures|NotReached}",
        ],
    ),
    (
        "Restaurant response time (ms)",
        false,
        "p50",
        300,
        &["stack-7 RestaurantResponseTime, stat {p50|p95|p99}"],
    ),
    (
        "Executions that ended without success",
        false,
        "Sum",
        300,
        &[
            "AWS/States Execution{sFailed|sTimedOut|sAborted|Throttled} StateMachineArn=OrderStateMachine",
            "AWS/Events TriggeredRules RuleName=FailedExecutionRule, label Executions that need a person",
        ],
    ),
    (
        "Function errors and throttles",
        false,
        "Sum",
        300,
        &[
            "AWS/Lambda {Errors|Throttles} FunctionName={SaveOrder|UpdateStatus|NotifyUser|OpenOrders}Function",
        ],
    ),
    (
        "Function duration p99 (ms)",
        false,
        "p99",
        300,
        &[
            "AWS/Lambda Duration FunctionName={SaveOrder|UpdateStatus|NotifyUser|OpenOrders}Function",
        ],
    ),
    (
        "Concurrent functions",
        false,
        "Maximum",
        300,
        &[
            "AWS/Lambda ConcurrentExecutions FunctionName={SaveOrder|UpdateStatus|NotifyUser|OpenOrders}Function",
        ],
    ),
    (
        "Throttles of the tables",
        false,
        "Sum",
        300,
        &["AWS/DynamoDB {Read|Write}ThrottleEvents TableName={Orders|OpenOrders}Table"],
    ),
    (
        "Deliveries that failed, dead letters",
        false,
        "Sum",
        300,
        &[
            "AWS/SNS NumberOfNotificationsFailed TopicName={Restaurant|User|Operations|FailedExecutions}Topic.TopicName",
            "AWS/Events FailedInvocations RuleName=FailedExecutionRule",
            "AWS/Events FailedInvocations EventBusName=OrderEventBus RuleName=final-events",
            "AWS/SQS ApproximateNumberOfMessagesVisible QueueName={Operations|OpenOrders}DeadLetters.QueueName, stat Maximum",
        ],
    ),
    (
        "Tasks that fail, of all state machines in the region",
        false,
        "Sum",
        300,
        &[
            "AWS/States ServiceIntegrations{Failed|TimedOut} ServiceIntegrationResourceArn=arn:aws:states:eu-central-1:123456789012:{lambda:invoke|events:putEvents}",
            "AWS/States ServiceIntegrationsFailed ServiceIntegrationResourceArn=arn:aws:states:eu-central-1:123456789012:sns:publish.waitForTaskToken",
        ],
    ),
    (
        "Open orders: how late they are shown (s)",
        false,
        "Maximum",
        60,
        &[
            "AWS/SQS ApproximateAgeOfOldestMessage QueueName=OpenOrdersQueue.QueueName",
            "stack-7 OpenOrdersFailed, stat Sum, yAxis right",
        ],
    ),
    (
        "Pages: requests and refusals",
        true,
        "Sum",
        300,
        &["AWS/ApiGateway {Count|4xx|5xx} ApiId=WebPages.Outputs.ApiId"],
    ),
    (
        "Pages: duration p99 (ms)",
        true,
        "p99",
        300,
        &[
            "AWS/ApiGateway Latency ApiId=WebPages.Outputs.ApiId",
            "AWS/Lambda Duration FunctionName=WebPages.Outputs.{Web|WebLinks}FunctionName",
        ],
    ),
    (
        "Pages: function errors and throttles",
        true,
        "Sum",
        300,
        &["AWS/Lambda {Errors|Throttles} FunctionName=WebPages.Outputs.{Web|WebLinks}FunctionName"],
    ),
    (
        "Links: age (s), dead letters, deliveries that failed",
        true,
        "Maximum",
        300,
        &[
            "AWS/SQS ApproximateAgeOfOldestMessage QueueName=WebPages.Outputs.LinksQueueName",
            "AWS/SQS ApproximateNumberOfMessagesVisible QueueName=WebPages.Outputs.LinksDeadLettersName, yAxis right",
            "AWS/SNS NumberOfNotificationsFailed TopicName=WebPages.Outputs.LinksTopicName, stat Sum, yAxis right",
        ],
    ),
];

/// Each text that a pattern with `{a|b}` stands for.
fn each(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return vec![pattern.into()];
    };
    let (choices, after) = rest.split_once('}').expect("an end");
    let all = choices
        .split('|')
        .map(|choice| format!("{before}{choice}{after}"));
    all.flat_map(|text| each(&text)).collect()
}

/// The widgets of the dashboard of a stack with or without pages.
fn widgets(with_pages: bool) -> Vec<serde_json::Value> {
    let template = template();
    let dashboard = &template["Resources"]["Dashboard"]["Properties"];
    assert_eq!(resolve(&dashboard["DashboardName"]), "stack-7");
    let body = untagged(&dashboard["DashboardBody"]);
    let pages = untagged(&body[1]["WebWidgets"]);
    assert_eq!(pages[0], "HasWeb", "who sees the pages' figures");
    let pages = if with_pages {
        resolve(&pages[1])
    } else {
        resolve(&pages[2])
    };
    let body = body[0]
        .as_str()
        .expect("JSON")
        .replace("${WebWidgets}", &pages);
    let body: serde_json::Value =
        serde_json::from_str(&resolve_text(&body)).expect("a dashboard in JSON");
    body["widgets"].as_array().expect("widgets").clone()
}

/// A metric of a widget, with its options.
fn shown(metric: &serde_json::Value) -> String {
    let metric = metric.as_array().expect("a list");
    let (words, options): (Vec<_>, Vec<_>) = metric.iter().partition(|value| value.is_string());
    let words: Vec<_> = words
        .into_iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    let (name, dimensions) = words.split_at(2);
    let dimensions = dimensions.chunks(2).map(|dimension| dimension.join("="));
    let words: Vec<_> = name
        .iter()
        .map(ToString::to_string)
        .chain(dimensions)
        .collect();
    let options: BTreeMap<_, _> = options
        .into_iter()
        .filter_map(|value| value.as_object())
        .flatten()
        .collect();
    let options = options
        .iter()
        .map(|(name, value)| format!("{name} {}", value.as_str().expect("a text")));
    let parts: Vec<_> = [words.join(" ")].into_iter().chain(options).collect();
    parts.join(", ")
}

#[test]
fn the_dashboard_shows_these_figures_and_those_of_the_pages_if_there_are_pages() {
    for with_pages in [false, true] {
        let expected: Vec<_> = WIDGETS
            .iter()
            .filter(|widget| with_pages || !widget.1)
            .collect();
        let found = widgets(with_pages);
        assert_eq!(found.len(), expected.len(), "widgets");
        for (index, ((title, _, stat, period, metrics), widget)) in
            expected.into_iter().zip(found).enumerate()
        {
            let place = ["x", "y", "width", "height"].map(|name| widget[name].as_u64());
            let (x, y) = (index % 2 * 12, index / 2 * 6);
            let numbers = [x, y, 12, 6].map(|number| u64::try_from(number).ok());
            assert_eq!(place, numbers, "where {title} is");
            let properties = &widget["properties"];
            let found: BTreeSet<_> = properties["metrics"]
                .as_array()
                .expect("metrics")
                .iter()
                .map(shown)
                .collect();
            let metrics: BTreeSet<_> = metrics.iter().flat_map(|metric| each(metric)).collect();
            assert_eq!(found, metrics, "what {title} shows");
            for metric in &metrics {
                let (metric, options) = metric.split_once(", ").unwrap_or((metric, ""));
                let own = options
                    .strip_prefix("stat ")
                    .and_then(|rest| rest.split(',').next());
                assert!(
                    published(metric, own.unwrap_or(stat)),
                    "nobody publishes {metric} of {title}"
                );
            }
            let expected = serde_json::json!({
                "type": "metric", "x": x, "y": y, "width": 12, "height": 6,
                "properties": {
                    "title": title, "region": "eu-central-1", "stat": stat, "period": period,
                    "view": "timeSeries", "metrics": properties["metrics"],
                },
            });
            assert_eq!(widget, expected, "{title}");
        }
    }
}

/// What every function, table and queue of the workflow shows.
#[test]
fn every_function_table_and_queue_is_on_the_dashboard() {
    let template = template();
    let found: BTreeSet<_> = widgets(false)
        .iter()
        .flat_map(|widget| {
            widget["properties"]["metrics"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .map(|metric| {
            shown(&metric)
                .split(", ")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    for (name, resource) in template["Resources"].as_mapping().expect("resources") {
        let name = name.as_str().expect("a name");
        let metrics = match resource["Type"].as_str().expect("a type") {
            "AWS::Serverless::Function" => each(&format!(
                "AWS/Lambda {{Errors|Throttles|Duration|ConcurrentExecutions}} FunctionName={name}"
            )),
            "AWS::DynamoDB::Table" => each(&format!(
                "AWS/DynamoDB {{Read|Write}}ThrottleEvents TableName={name}"
            )),
            "AWS::SNS::Topic" => vec![format!(
                "AWS/SNS NumberOfNotificationsFailed TopicName={name}.TopicName"
            )],
            "AWS::SQS::Queue" if name.ends_with("DeadLetters") => {
                vec![format!(
                    "AWS/SQS ApproximateNumberOfMessagesVisible QueueName={name}.QueueName"
                )]
            }
            "AWS::SQS::Queue" => vec![format!(
                "AWS/SQS ApproximateAgeOfOldestMessage QueueName={name}.QueueName"
            )],
            _ => continue,
        };
        for metric in metrics {
            assert!(found.contains(&metric), "the dashboard shows no {metric}");
        }
    }
}
