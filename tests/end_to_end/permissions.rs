//! What each function's role may do, and that it may do nothing else. The local AWS enforces IAM while these run.

use std::collections::BTreeSet;
use std::fmt::Debug;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use functions::aws::{config_from, http_client};
use support::{Session, assume, aws, output};

/// What a resource of the stack is called.
async fn physical_id(logical_id: &str) -> String {
    let resource = aws(&[
        "cloudformation",
        "describe-stack-resource",
        "--stack-name",
        "order-workflow",
        "--logical-resource-id",
        logical_id,
    ])
    .await;
    resource["StackResourceDetail"]["PhysicalResourceId"]
        .as_str()
        .expect("a resource")
        .to_owned()
}

/// A session with the role of a function.
async fn session(function: &str) -> Session {
    let name = physical_id(&format!("{function}Role")).await;
    let role = aws(&["iam", "get-role", "--role-name", &name]).await;
    let arn = role["Role"]["Arn"].as_str().expect("an ARN");
    assume(arn).await
}

/// The calls that were not refused, whatever else was wrong with them.
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

/// Tries what any part of the workflow does, and more, as a function's role; changes nothing but to send messages.
async fn allowed(function: &str) -> BTreeSet<String> {
    let session = session(function).await;
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

    let sns = aws_sdk_sns::Client::new(&config);
    for topic in ["UserTopicArn", "RestaurantTopicArn"] {
        let publish = sns
            .publish()
            .topic_arn(output(topic))
            .message("permissions");
        allowed.note(&format!("Publish to {topic}"), publish.send().await);
    }

    let queue = physical_id("OpenOrdersQueue").await;
    let receive = aws_sdk_sqs::Client::new(&config)
        .receive_message()
        .queue_url(queue)
        .visibility_timeout(0);
    allowed.note(
        "ReceiveMessage from the queue of open orders",
        receive.send().await,
    );

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
        assert_eq!(allowed(function).await, calls, "what {function} may do");
    }
}
