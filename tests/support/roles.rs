//! People and programs that have one role, and what its policies allow.

use aws_sdk_sts::error::DisplayErrorContext;
use serde_json::{Value, json};

use crate::iam::iam;
use crate::stack::{config, unique};
use crate::terminal::Session;

/// The variables of somebody's environment by which AWS clients take on a role.
pub async fn assume(role_arn: &str) -> Session {
    let assumed = aws_sdk_sts::Client::new(&config())
        .assume_role()
        .role_arn(role_arn)
        .role_session_name("test")
        .send()
        .await
        .unwrap_or_else(|error| panic!("{role_arn}: {}", DisplayErrorContext(error)));
    let credentials = assumed.credentials().expect("credentials");
    Session::from([
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
        (
            "AWS_SECRET_ACCESS_KEY",
            credentials.secret_access_key().to_owned(),
        ),
        ("AWS_SESSION_TOKEN", credentials.session_token().to_owned()),
    ])
}

/// Somebody with these policies and nothing else: one of the stack's, if it is named, and others as documents.
pub async fn somebody_with(
    name: &str,
    policy_arn: Option<&str>,
    documents: &[(&str, &Value)],
) -> Session {
    let role = format!("{name}-{}", unique());
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }],
    });
    let create = json!({ "RoleName": role, "AssumeRolePolicyDocument": trust.to_string() });
    let created = iam("create_role", create).await.expect("a role");
    if let Some(arn) = policy_arn {
        let attach = json!({ "RoleName": role, "PolicyArn": arn });
        let attached = iam("attach_role_policy", attach).await;
        attached.expect("the policy attached");
    }
    for (name, document) in documents {
        let document = document.to_string();
        let put = json!({ "RoleName": role, "PolicyName": name, "PolicyDocument": document });
        iam("put_role_policy", put).await.expect("the policy put");
    }
    assume(created["Role"]["Arn"].as_str().expect("the role's ARN")).await
}
