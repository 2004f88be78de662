//! Each function's role, and each policy for making links, allows its calls and no others. The local AWS enforces IAM here.

use std::collections::BTreeSet;
use std::fmt::Debug;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use functions::aws::{config_from, http_client};
use support::{Session, arn_of_role, assume, output, physical_id, somebody_with};

/// A session with the role of a function.
async fn session(function: &str) -> Session {
    let role = physical_id(&format!("{function}Role")).await;
    assume(&arn_of_role(&role)).await
}

/// The calls that IAM did not refuse, even if they failed for another reason.
#[derive(Default)]
struct Allowed(BTreeSet<String>);

impl Allowed {
    fn note<T, E: ProvideErrorMetadata + Debug, R: Debug>(
        &mut self,
        call: &str,
        result: Result<T, SdkError<E, R>>,
    ) {
        let code = match result {
            Ok(_) => None,
            Err(SdkError::ServiceError(error)) => error.err().code().map(ToOwned::to_owned),
            Err(error) => panic!("{call} got no answer: {error:?}"),
        };
        let refused = [
            "AccessDeniedException",
            "AccessDenied",
            "AuthorizationError",
        ];
        if !code.is_some_and(|code| refused.contains(&code.as_str())) {
            self.0.insert(call.to_owned());
        }
    }
}

/// Tries what makes and verifies links, and what the pages read.
async fn try_links(config: &aws_config::SdkConfig, allowed: &mut Allowed) {
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    let (id, never) = (
        AttributeValue::S("permissions".into()),
        "attribute_exists(never)",
    );
    let revocations = output("RevocationsTableName");
    let put = dynamodb.put_item().table_name(&revocations);
    let put = put.item("link", AttributeValue::S("restaurant permissions".into()));
    allowed.note(
        "PutItem on the revocations",
        put.condition_expression(never).send().await,
    );
    let get = dynamodb.get_item().table_name(&revocations);
    allowed.note(
        "GetItem on the revocations",
        get.key("link", id.clone()).send().await,
    );
    let query = dynamodb
        .query()
        .table_name(output("OpenOrdersTableName"))
        .index_name("open")
        .key_condition_expression("restaurant_id = :id")
        .expression_attribute_values(":id", id);
    allowed.note("Query on the open orders' index", query.send().await);

    let kms = aws_sdk_kms::Client::new(config);
    for (name, key) in [
        ("the restaurants' key", output("RestaurantLinksKeyArn")),
        ("the customers' key", output("CustomerLinksKeyArn")),
    ] {
        let read = kms.get_public_key().key_id(&key);
        allowed.note(&format!("GetPublicKey of {name}"), read.send().await);
        let sign = kms
            .sign()
            .key_id(&key)
            .message(aws_sdk_kms::primitives::Blob::new("permissions"))
            .signing_algorithm(aws_sdk_kms::types::SigningAlgorithmSpec::EcdsaSha256);
        allowed.note(&format!("Sign with {name}"), sign.send().await);
    }
}

/// Tries as somebody every call that a part of the workflow makes, and more. Changes nothing, but may send messages.
async fn allowed(session: &Session) -> BTreeSet<String> {
    let variable = |name: &str| {
        session
            .get(name)
            .cloned()
            .or_else(|| std::env::var(name).ok())
    };
    let config = config_from(variable, http_client()).expect("a configuration");
    let mut allowed = Allowed::default();

    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let (id, never) = (
        AttributeValue::S("permissions".into()),
        "attribute_exists(never)",
    );
    for (name, table) in [
        ("the orders", output("OrdersTableName")),
        ("the open orders", output("OpenOrdersTableName")),
        ("another table", "other".into()),
    ] {
        let put = dynamodb
            .put_item()
            .table_name(&table)
            .item("restaurant_id", id.clone())
            .item("order_id", id.clone());
        allowed.note(
            &format!("PutItem on {name}"),
            put.condition_expression(never).send().await,
        );
        let update = dynamodb
            .update_item()
            .table_name(&table)
            .key("order_id", id.clone())
            .update_expression("SET touched = :id")
            .expression_attribute_values(":id", id.clone());
        allowed.note(
            &format!("UpdateItem on {name}"),
            update.condition_expression(never).send().await,
        );
        let delete = dynamodb
            .delete_item()
            .table_name(&table)
            .key("order_id", id.clone());
        allowed.note(
            &format!("DeleteItem on {name}"),
            delete.condition_expression(never).send().await,
        );
        let get = dynamodb
            .get_item()
            .table_name(&table)
            .key("order_id", id.clone());
        allowed.note(&format!("GetItem on {name}"), get.send().await);
        let scan = dynamodb.scan().table_name(&table).limit(1);
        allowed.note(&format!("Scan on {name}"), scan.send().await);
    }

    try_links(&config, &mut allowed).await;

    let sns = aws_sdk_sns::Client::new(&config);
    for topic in ["UserTopicArn", "RestaurantTopicArn", "LinksTopicArn"] {
        let publish = sns
            .publish()
            .topic_arn(output(topic))
            .message("permissions");
        allowed.note(&format!("Publish to {topic}"), publish.send().await);
    }

    let sqs = aws_sdk_sqs::Client::new(&config);
    for (name, queue) in [
        ("open orders", physical_id("OpenOrdersQueue").await),
        ("links", physical_id("LinksQueue").await),
    ] {
        let receive = sqs.receive_message().queue_url(queue).visibility_timeout(0);
        let call = format!("ReceiveMessage from the queue of {name}");
        allowed.note(&call, receive.send().await);
    }

    let sfn = aws_sdk_sfn::Client::new(&config);
    let answer = sfn
        .send_task_success()
        .task_token("permissions")
        .output("{}");
    allowed.note("SendTaskSuccess", answer.send().await);
    let start = sfn
        .start_execution()
        .state_machine_arn(output("StateMachineArn"))
        .input("{}");
    allowed.note("StartExecution", start.send().await);

    let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
        .event_bus_name(output("EventBusName"))
        .source("permissions")
        .detail_type("permissions")
        .detail("{}")
        .build();
    let events = aws_sdk_eventbridge::Client::new(&config);
    allowed.note("PutEvents", events.put_events().entries(entry).send().await);
    allowed.0
}

#[tokio::test]
async fn each_function_may_make_its_one_call_and_no_other() {
    for (function, calls) in [
        ("SaveOrderFunction", ["PutItem on the orders"].as_slice()),
        ("UpdateStatusFunction", &["UpdateItem on the orders"]),
        ("NotifyUserFunction", &["Publish to UserTopicArn"]),
        (
            "OpenOrdersFunction",
            &[
                "PutItem on the open orders",
                // Lambda's, in the function's name.
                "ReceiveMessage from the queue of open orders",
            ],
        ),
    ] {
        let calls = calls.iter().map(ToString::to_string).collect();
        assert_eq!(
            allowed(&session(function).await).await,
            calls,
            "what {function} may do"
        );
    }
}

#[tokio::test]
async fn the_pages_functions_may_make_their_calls_and_no_other() {
    for (function, calls) in [
        (
            "WebFunction",
            [
                "GetItem on the orders",
                "GetItem on the open orders",
                "GetItem on the revocations",
                "GetPublicKey of the restaurants' key",
                "GetPublicKey of the customers' key",
                "Query on the open orders' index",
                "SendTaskSuccess",
            ]
            .as_slice(),
        ),
        (
            "WebLinksFunction",
            &[
                "Publish to LinksTopicArn",
                "Sign with the restaurants' key",
                // Lambda's, in the function's name.
                "ReceiveMessage from the queue of links",
            ],
        ),
    ] {
        let calls = calls.iter().map(ToString::to_string).collect();
        let session = session(function).await;
        assert_eq!(allowed(&session).await, calls, "what {function} may do");
    }
}

/// They may also read an order's deadline, by naming attributes. This test asks for all attributes, which is refused.
#[tokio::test]
async fn who_makes_links_of_one_kind_may_make_no_other() {
    for (policy, key) in [
        ("RestaurantLinksPolicyArn", "the restaurants' key"),
        ("CustomerLinksPolicyArn", "the customers' key"),
    ] {
        let calls = [
            "PutItem on the revocations".into(),
            format!("Sign with {key}"),
        ]
        .into();
        let session = somebody_with("permissions", Some(&output(policy)), &[]).await;
        assert_eq!(allowed(&session).await, calls, "what {policy} lets one do");
    }
}
