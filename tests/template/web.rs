//! The web pages' template: what they may do, and what is said of a request.

use std::collections::BTreeSet;

use serde_norway::Value;
use support::root;

use crate::iam::{Call, assert_needed, call};
use crate::{resources, role_statements, statements, template, whole};

pub fn web() -> Value {
    let path = root().join("web/template.yaml");
    let text = std::fs::read_to_string(path).expect("the pages' template");
    serde_norway::from_str(&text).expect("a template that is YAML")
}

#[test]
fn the_pages_are_off_unless_somebody_wants_them() {
    let template = template();
    assert_eq!(template["Parameters"]["Web"]["Default"], "false");
    assert_eq!(template["Resources"]["WebPages"]["Condition"], "HasWeb");
}

#[test]
fn a_link_epoch_is_empty_or_random_text() {
    let epoch = &template()["Parameters"]["LinkEpoch"];
    assert_eq!(epoch["Default"], "");
    let pattern = epoch["AllowedPattern"].as_str().expect("a pattern");
    let schema = serde_json::json!({ "pattern": pattern });
    for (text, allowed) in [
        ("", true),
        ("3f9c2a7be05d4186a1c4d0e7f2b85390", true),
        ("2", false),
        ("2026-11-30", false),
        ("with a space in its middle", false),
    ] {
        let is_allowed = jsonschema::is_valid(&schema, &text.into());
        assert_eq!(is_allowed, allowed, "{text:?}");
    }
}

#[test]
fn the_pages_show_and_answer_and_can_sign_nothing() {
    let whole = whole();
    let decrypting = |action| call(action, "EncryptionKey").by_way_of("dynamodb");
    let role = role_statements(&whole, "WebFunctionRole");
    let calls = [
        call("dynamodb:GetItem", "OrdersTable"),
        call("dynamodb:GetItem", "OpenOrdersTable"),
        call("dynamodb:GetItem", "RevocationsTable"),
        call("dynamodb:Query", "OpenOrdersTable/index/open"),
        call("dynamodb:Query", "OpenOrdersTable/index/closed"),
        decrypting("kms:Decrypt"),
        decrypting("kms:DescribeKey"),
        call("kms:GetPublicKey", "RestaurantLinksKey"),
        call("kms:GetPublicKey", "CustomerLinksKey"),
        call("states:SendTaskSuccess", "OrderStateMachine"),
        call("states:SendTaskFailure", "OrderStateMachine"),
        call("logs:CreateLogStream", "WebLogs"),
        call("logs:PutLogEvents", "WebLogs"),
    ];
    assert_needed("the pages' function", &role, &calls);
    for key in ["RestaurantLinksKey", "CustomerLinksKey"] {
        let signs = call("kms:Sign", key).is_allowed_by(&role);
        assert!(!signs, "the pages can sign with {key}");
    }
}

#[test]
fn what_makes_links_has_no_address_and_answers_nothing() {
    let whole = whole();
    let key = |action, service| call(action, "EncryptionKey").by_way_of(service);
    let role = role_statements(&whole, "WebLinksFunctionRole");
    let calls = [
        call("sqs:ReceiveMessage", "LinksQueue"),
        call("sqs:DeleteMessage", "LinksQueue"),
        call("sqs:GetQueueAttributes", "LinksQueue"),
        key("kms:Decrypt", "sqs"),
        call("kms:Sign", "RestaurantLinksKey"),
        call("sns:Publish", "LinksTopic"),
        key("kms:Decrypt", "sns"),
        key("kms:GenerateDataKey", "sns"),
        call("logs:CreateLogStream", "WebLinksLogs"),
        call("logs:PutLogEvents", "WebLinksLogs"),
    ];
    assert_needed("what makes links", &role, &calls);
    for action in ["states:SendTaskSuccess", "states:SendTaskFailure"] {
        let answers = call(action, "OrderStateMachine").is_allowed_by(&role);
        assert!(!answers, "what makes links may {action}");
    }
    let integrations = resources(&whole, "AWS::ApiGatewayV2::Integration");
    assert_eq!(integrations.len(), 1);
    assert!(format!("{:?}", integrations[0].1["IntegrationUri"]).contains("WebFunction.Arn"));
}

#[test]
fn who_makes_links_signs_and_revokes_those_of_one_kind_and_finds_what_that_takes() {
    let whole = whole();
    let stack = |name| {
        let arn = format!("arn:aws:cloudformation:eu-central-1:123456789012:stack/{name}/1");
        call("cloudformation:DescribeStacks", &arn)
    };
    let revokes = |link| call("dynamodb:PutItem", "RevocationsTable").of(&[link]);
    let decrypting = |action| call(action, "EncryptionKey").by_way_of("dynamodb");
    let reads = |table, attributes: &[&str]| {
        call("dynamodb:GetItem", table).saying("dynamodb:Attributes", attributes)
    };
    let order = ["order_id", "restaurant_id"];
    let row = ["restaurant_id", "order_id", "respond_by"];
    let restaurants = [
        stack("orders"),
        call("kms:Sign", "RestaurantLinksKey"),
        revokes("restaurant rest-7"),
        reads("OrdersTable", &order).saying("dynamodb:Select", &["SPECIFIC_ATTRIBUTES"]),
        reads("OpenOrdersTable", &row),
        decrypting("kms:Decrypt"),
        decrypting("kms:DescribeKey"),
    ];
    let customers = [
        stack("orders"),
        call("kms:Sign", "CustomerLinksKey"),
        revokes("customer ord-1001"),
    ];
    for (name, calls, another) in [
        (
            "RestaurantLinksPolicy",
            restaurants.as_slice(),
            "CustomerLinksKey",
        ),
        ("CustomerLinksPolicy", &customers, "RestaurantLinksKey"),
    ] {
        let policy = &whole["Resources"][name]["Properties"];
        let policy = statements(policy, "PolicyDocument");
        assert_needed(name, policy, calls);
        for refused in [
            call("kms:Sign", another),
            stack("orders2"),
            reads("OrdersTable", &order).saying("dynamodb:Select", &["ALL_ATTRIBUTES"]),
            reads("OrdersTable", &["order_id", "customer_id"]),
            reads("OpenOrdersTable", &["order_id", "task_token"]),
            call("dynamodb:GetItem", "OpenOrdersTable"),
            call("kms:Decrypt", "EncryptionKey"),
            call("kms:Decrypt", "EncryptionKey").by_way_of("sqs"),
        ] {
            assert!(!refused.is_allowed_by(policy), "{name} allows {refused:?}");
        }
    }
    for (name, key) in resources(&whole, "AWS::KMS::Key") {
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
        let said: BTreeSet<_> = format.split("$context.").skip(1).collect();
        assert!(!said.is_empty(), "{name} logs nothing");
        for variable in said {
            let variable = variable.split('"').next().unwrap_or_default();
            let known = [
                "requestId",
                "requestTime",
                "httpMethod",
                "status",
                "responseLatency",
                "integrationErrorMessage",
            ];
            assert!(known.contains(&variable), "{name} logs {variable}");
        }
        let limits = &stage["DefaultRouteSettings"];
        assert!(format!("{:?}", limits["ThrottlingRateLimit"]).contains("WebRate"));
        assert!(format!("{:?}", limits["ThrottlingBurstLimit"]).contains("WebBurst"));
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
