//! The AWS CLI, for what no client here does.

use serde_json::Value;
use tokio::process::Command;

/// Runs the AWS CLI; gives what it prints as JSON, if it prints anything.
pub async fn aws(arguments: &[&str]) -> Value {
    let done = Command::new("aws")
        .args(arguments)
        .args(["--output", "json"])
        .output()
        .await
        .expect("the AWS CLI");
    assert!(
        done.status.success(),
        "aws {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    if done.stdout.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&done.stdout).expect("JSON from the AWS CLI")
}

/// What a function of the local stack has logged.
pub async fn log_lines(function: &str) -> Vec<String> {
    let group = format!("/aws/lambda/order-workflow/{function}");
    let logged = aws(&["logs", "filter-log-events", "--log-group-name", &group]).await;
    let events = logged["events"].as_array().expect("log events");
    let messages = events
        .iter()
        .filter_map(|event| event["message"].as_str().map(ToOwned::to_owned));
    messages.collect()
}
