//! People and programs that have one role, and what its policies allow.

use aws_sdk_iam::error::DisplayErrorContext;
use serde_json::{Value, json};

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
    let iam = aws_sdk_iam::Client::new(&config());
    let role = format!("{name}-{}", unique());
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }],
    });
    let created = iam
        .create_role()
        .role_name(&role)
        .assume_role_policy_document(trust.to_string())
        .send()
        .await
        .expect("a role");
    if let Some(arn) = policy_arn {
        let attach = iam.attach_role_policy().role_name(&role).policy_arn(arn);
        attach.send().await.expect("the policy attached");
    }
    for (name, document) in documents {
        iam.put_role_policy()
            .role_name(&role)
            .policy_name(*name)
            .policy_document(document.to_string())
            .send()
            .await
            .expect("the policy put");
    }
    assume(created.role().expect("the role").arn()).await
}
