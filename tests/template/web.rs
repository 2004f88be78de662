//! The web pages' template: what they may do, and what is said of a request.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_norway::Value;

use crate::iam::{Call, call};
use crate::{read, resources, statements, template, whole};

pub fn web() -> Value {
    static PARSED: LazyLock<Value> = LazyLock::new(|| read("web/template.yaml"));
    PARSED.clone()
}

#[test]
fn links_are_signed_with_keys_of_their_own() {
    for (name, key) in resources(&whole(), "AWS::KMS::Key") {
        if name.ends_with("LinksKey") {
            assert_eq!(key["KeySpec"], "ECC_NIST_P256", "{name}");
            assert_eq!(key["KeyUsage"], "SIGN_VERIFY", "{name}");
        }
    }
}

/// The local AWS cannot tell: it evaluates no keys of a write.
#[test]
fn who_makes_links_of_one_kind_revokes_links_of_that_kind_alone() {
    let web = web();
    for (name, own, others) in [
        (
            "RestaurantLinksPolicy",
            ["restaurant rest-7", "order ord-1001"].as_slice(),
            ["customer ord-1001"].as_slice(),
        ),
        (
            "CustomerLinksPolicy",
            &["customer ord-1001"],
            &["restaurant rest-7", "order ord-1001"],
        ),
    ] {
        let policy = &web["Resources"][name]["Properties"];
        let put = || call("dynamodb:PutItem", "RevocationsTable");
        let allows = |call: &Call| call.is_allowed_by(statements(policy, "PolicyDocument"));
        for link in own {
            assert!(allows(&put().of(&[link])), "{name} may not revoke {link}");
            let with_another = put().of(&[link, others[0]]);
            assert!(!allows(&with_another), "{name} may also revoke another");
        }
        for link in others {
            assert!(!allows(&put().of(&[link])), "{name} may revoke {link}");
        }
        assert!(!allows(&put()), "{name} may write without a key");
    }
}

/// `orderctl link order` reads the order's restaurant, and then its deadline.
#[test]
fn who_makes_links_of_restaurants_reads_of_an_order_its_restaurant_status_and_deadline() {
    let web = web();
    let policy = &web["Resources"]["RestaurantLinksPolicy"]["Properties"];
    let policy = statements(policy, "PolicyDocument");
    let read = |table: &str, attributes: &[&str]| {
        call("dynamodb:GetItem", table).saying("dynamodb:Attributes", attributes)
    };
    for (table, attributes) in [
        ("OrdersTableArn", ["restaurant_id", "status"].as_slice()),
        (
            "OpenOrdersTableArn",
            &["restaurant_id", "order_id", "respond_by"],
        ),
    ] {
        let allowed = read(table, attributes);
        assert!(allowed.is_allowed_by(policy), "refused: {allowed:?}");
        let all = call("dynamodb:GetItem", table);
        assert!(!all.is_allowed_by(policy), "all of {table}");
        let all = read(table, attributes).saying("dynamodb:Select", &["ALL_ATTRIBUTES"]);
        assert!(!all.is_allowed_by(policy), "all of {table}");
        for other in ["customer_id", "items", "task_token", "status_reason"] {
            let refused = read(table, &["order_id", other]);
            assert!(!refused.is_allowed_by(policy), "{other} of {table}");
        }
    }
}

#[test]
fn no_log_and_no_trace_holds_a_link_or_who_opened_it() {
    let web = web();
    for (name, stage) in resources(&web, "AWS::ApiGatewayV2::Stage") {
        let format = stage["AccessLogSettings"]["Format"]
            .as_str()
            .expect("a format");
        let said = format.split("$context.").skip(1);
        let said: BTreeSet<_> = said
            .filter_map(|variable| variable.split('"').next())
            .collect();
        let known = [
            "requestId",
            "requestTime",
            "httpMethod",
            "status",
            "responseLatency",
            "integrationErrorMessage",
        ];
        assert_eq!(said, known.into(), "what {name} logs");
    }
    for (name, function) in resources(&web, "AWS::Serverless::Function") {
        assert_eq!(function["Tracing"], "PassThrough", "{name} is traced");
    }
}

#[test]
fn every_parameter_of_the_pages_is_given_and_every_output_used() {
    let (template, web) = (template(), web());
    let names = |value: &Value| -> BTreeSet<String> {
        let names = value.as_mapping().expect("a mapping").keys();
        names
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect()
    };
    let pages = &template["Resources"]["WebPages"]["Properties"];
    assert_eq!(names(&pages["Parameters"]), names(&web["Parameters"]));
    for output in names(&web["Outputs"]) {
        let used = format!("WebPages.Outputs.{output}");
        let users = [&template["Outputs"], &template["Resources"]["Dashboard"]];
        assert!(
            users.iter().any(|user| format!("{user:?}").contains(&used)),
            "neither an output nor the dashboard uses {used}"
        );
    }
}
