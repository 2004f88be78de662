//! How a function starts, takes its requests and logs what came of them.

use std::env;

use lambda_runtime::{LambdaEvent, service_fn};
use metrics_cloudwatch_embedded::Collector;
use order::Retention;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Error;

/// What the state machine sends to a function.
pub trait Request: DeserializeOwned {
    /// The order it is about, if the request names one.
    fn order_id(&self) -> Option<String>;
    /// The execution that sent it.
    fn execution_arn(&self) -> &str;
}

/// Serves requests one after the other until Lambda ends the process, and logs one line for each: what came
/// of it, for which order and execution. The line holds nothing else of the order.
pub async fn run<R: Request, A: Serialize>(
    handle: impl AsyncFn(R) -> Result<A, Error>,
) -> Result<(), lambda_runtime::Error> {
    let handle = &handle;
    lambda_runtime::run(service_fn(
        async move |event: LambdaEvent<Box<RawValue>>| {
            // Read here, because the runtime would name its error after a Rust type, which the state machine does not know.
            let request: Result<R, _> = serde_json::from_str(event.payload.get());
            let (order_id, execution, result) = match request {
                Ok(request) => {
                    let order_id = request.order_id();
                    let execution = request.execution_arn().to_owned();
                    (order_id, Some(execution), handle(request).await)
                }
                Err(_) => (
                    None,
                    None,
                    Err(Error::Misconfigured(
                        "the request is not what the state machine sends".into(),
                    )),
                ),
            };
            let context = &event.context;
            let (outcome, error) = match &result {
                Ok(_) => ("succeeded", None),
                // The problems repeat names of unknown fields, which may hold anything: the log has only their number.
                Err(error @ Error::InvalidOrder(invalid)) => {
                    let count = invalid.problems.len();
                    (
                        error.name(),
                        Some(format!("{count} problem(s) in the input")),
                    )
                }
                Err(error) => (error.name(), Some(error.to_string())),
            };
            macro_rules! log {
                ($level:ident) => {
                    tracing::$level!(
                        order_id,
                        execution,
                        request_id = context.request_id,
                        trace_id = context.xray_trace_id,
                        outcome,
                        error,
                        "request served"
                    )
                };
            }
            if error.is_some() {
                log!(error);
            } else {
                log!(info);
            }
            result
        },
    ))
    .await
}

/// Writes one line in CloudWatch's embedded metric format, if the handler counted anything.
pub fn flush(metrics: &Collector) {
    if let Err(error) = metrics.flush(std::io::stdout()) {
        tracing::warn!(%error, "metrics are lost");
    }
}

/// A variable of the function's environment that `template.yaml` sets.
pub fn required_variable(name: &str) -> Result<String, Error> {
    env::var(name)
        .map_err(|_| Error::Misconfigured(format!("the function's variable {name} is not set")))
}

/// How long the table keeps an order, from the function's variable `ORDER_RETENTION_DAYS`.
pub fn retention() -> Result<Retention, Error> {
    let days = required_variable("ORDER_RETENTION_DAYS")?;
    days.parse().map(Retention::days).map_err(|_| {
        Error::Misconfigured(format!(
            "ORDER_RETENTION_DAYS is {days}, not a whole number of days"
        ))
    })
}

/// Prepares logs and metrics. Returns the collector of metrics, which [`flush`] writes out after each request.
pub fn init() -> Result<&'static Collector, Error> {
    init_logs();
    metrics_cloudwatch_embedded::Builder::new()
        .cloudwatch_namespace(required_variable("METRICS_NAMESPACE")?)
        .init()
        .map_err(|error| Error::Misconfigured(format!("metrics cannot be collected: {error}")))
}

/// Writes logs as lines of JSON, as Lambda's own JSON log format does. Libraries log warnings only: what they
/// log below that may hold payloads.
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>
pub fn init_logs() {
    tracing_subscriber::registry()
        .with(
            Targets::new()
                .with_default(LevelFilter::WARN)
                .with_target("functions", LevelFilter::INFO)
                .with_target("web", LevelFilter::INFO)
                // It repeats every error that `run` logs.
                .with_target("lambda_runtime::layers::panic", LevelFilter::OFF),
        )
        .with(
            tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_target(false),
        )
        .init();
}
