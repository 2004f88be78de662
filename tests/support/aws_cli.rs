//! The AWS CLI, for what no client here does.

use serde_json::Value;
use tokio::process::Command;

use crate::wait::poll_until;

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
    log_events(function)
        .await
        .into_iter()
        .map(|[_, line]| line)
        .collect()
}

/// What a function has logged in the call that logged a text, once there is such a call.
pub async fn log_of_call(function: &str, with: &str) -> Vec<String> {
    poll_until(|| async {
        let events = log_events(function).await;
        let found = events.iter().find(|[_, line]| line.contains(with));
        let [stream, _] = found.ok_or_else(|| format!("{function} logs no {with}"))?;
        // A stream is of one process, which takes one call after the other.
        let lines = events.iter().filter(|[of, _]| of == stream);
        let lines: Vec<_> = lines.map(|[_, line]| line.as_str()).collect();
        let mut calls = lines.split(|line| line.starts_with("START RequestId:"));
        let call = calls.find(|call| call.iter().any(|line| line.contains(with)));
        let call = call.into_iter().flatten();
        Ok(call.map(|line| (*line).to_owned()).collect())
    })
    .await
}

/// What a function has logged: of each line its stream and its text.
async fn log_events(function: &str) -> Vec<[String; 2]> {
    let group = format!("/aws/lambda/order-workflow/{function}");
    let logged = aws(&["logs", "filter-log-events", "--log-group-name", &group]).await;
    let events = logged["events"].as_array().expect("log events").iter();
    events
        .map(|event| {
            ["logStreamName", "message"].map(|of| event[of].as_str().expect("text").to_owned())
        })
        .collect()
}
