//! The AWS CLI, for what no client here does.

use serde_json::Value;
use tokio::process::Command;

use crate::terminal::Session;

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

/// The variables of somebody's environment by which AWS clients take on a role.
pub async fn assume(role_arn: &str) -> Session {
    let assume = ["sts", "assume-role", "--role-session-name", "test"];
    let session = aws(&[&assume[..], &["--role-arn", role_arn]].concat()).await;
    let credential = |name: &str| {
        let value = session["Credentials"][name].as_str();
        value.expect("a credential").to_owned()
    };
    Session::from([
        ("AWS_ACCESS_KEY_ID", credential("AccessKeyId")),
        ("AWS_SECRET_ACCESS_KEY", credential("SecretAccessKey")),
        ("AWS_SESSION_TOKEN", credential("SessionToken")),
    ])
}
