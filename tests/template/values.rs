//! What a person may set, what follows from it, and the values of the templates that are decisions and nothing else.

use std::collections::BTreeMap;

use serde_norway::Value;

use crate::iam::resolve;
use crate::web::web;
use crate::{resources, template, untagged, whole};

/// A parameter: its default, values that are taken, and values that are refused.
type Parameter = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const PARAMETERS: [Parameter; 16] = [
    (
        "Architecture",
        "arm64",
        &["arm64", "x86_64"],
        &["", "amd64"],
    ),
    (
        "OperationsEmail",
        "",
        &["", "operations@example.com"],
        &[
            "operations",
            "a@b",
            "a@example.com, b@example.com",
            "a b@example.com",
        ],
    ),
    (
        "RefusedOrdersAlarmThreshold",
        "100",
        &["1", "5000"],
        &["0", "-1"],
    ),
    (
        "TasksFailedAlarmThreshold",
        "3",
        &["1", "5000"],
        &["0", "-1"],
    ),
    (
        "ConcurrencyAlarmThreshold",
        "500",
        &["1", "5000"],
        &["0", "-1"],
    ),
    (
        "LogRetentionDays",
        "30",
        // What CloudWatch Logs knows, but for the very long ones.
        &[
            "1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545",
            "731", "1827", "3653",
        ],
        &["0", "2", "4", "31", "3654"],
    ),
    (
        "PointInTimeRecovery",
        "true",
        &["true", "false"],
        &["", "yes"],
    ),
    (
        "DeletionProtection",
        "true",
        &["true", "false"],
        &["", "yes"],
    ),
    (
        "OrderRetentionDays",
        "0",
        &["0", "30", "90", "180", "365"],
        &["1", "7", "-1"],
    ),
    ("Web", "false", &["true", "false"], &["", "yes"]),
    (
        "WebDomain",
        "",
        &["", "orders.example.com", "a-1.example"],
        &[
            "Orders.example.com",
            "localhost",
            "https://orders.example.com",
            "orders.example.com/",
        ],
    ),
    (
        "WebCertificateArn",
        "",
        &[
            "",
            "arn:aws:acm:eu-central-1:123456789012:certificate/1a2b-3c",
        ],
        &[
            "certificate",
            "arn:aws:iam::123456789012:server-certificate/a",
        ],
    ),
    ("WebRate", "50", &["1", "5000"], &["0", "-1"]),
    ("WebBurst", "100", &["1", "5000"], &["0", "-1"]),
    ("WebConcurrency", "-1", &["-1", "0", "500"], &["-2"]),
    (
        "LinkEpoch",
        "",
        &["", "3f9c2a7be05d4186a1c4d0e7f2b85390", "0123456789abcdef"],
        &[
            "2",
            "2026-11-30",
            "with a space in its middle",
            "0123456789abcde",
        ],
    ),
];

/// Whether a parameter may have a value.
fn takes(parameter: &Value, text: &str) -> bool {
    let listed = |values: &Value| {
        let values = values.as_sequence().expect("values").iter();
        values.map(plain).any(|value| value == text)
    };
    let number = || text.parse::<i64>().expect("a number");
    parameter
        .as_mapping()
        .expect("a parameter")
        .iter()
        .all(
            |(property, value)| match property.as_str().expect("a name") {
                "AllowedValues" => listed(value),
                "AllowedPattern" => {
                    let schema = serde_json::json!({ "pattern": value.as_str() });
                    jsonschema::is_valid(&schema, &text.into())
                }
                "MinValue" => number() >= value.as_i64().expect("a number"),
                "Type" => value == "String" || value == "Number" && text.parse::<i64>().is_ok(),
                "Default" | "Description" | "ConstraintDescription" => true,
                other => panic!("say here what {other} means"),
            },
        )
}

fn plain(value: &Value) -> String {
    value.as_i64().map_or_else(
        || value.as_str().expect("a text").into(),
        |number| number.to_string(),
    )
}

#[test]
fn each_parameter_has_this_default_and_takes_and_refuses_these_values() {
    let template = template();
    let parameters = template["Parameters"].as_mapping().expect("parameters");
    assert_eq!(parameters.len(), PARAMETERS.len(), "parameters");
    for (name, default, taken, refused) in PARAMETERS {
        let parameter = &parameters[name];
        assert_eq!(plain(&parameter["Default"]), default, "default of {name}");
        for value in taken.iter().chain([&default]) {
            assert!(takes(parameter, value), "{name} refuses {value:?}");
        }
        for value in refused {
            assert!(!takes(parameter, value), "{name} takes {value:?}");
        }
    }
    // What the pages are given was checked before.
    for (name, parameter) in web()["Parameters"].as_mapping().expect("parameters") {
        let expected = template["Parameters"]
            .get(name)
            .map_or("String", |own| own["Type"].as_str().expect("a type"));
        assert_eq!(parameter["Type"], expected, "type of the pages' {name:?}");
    }
}

/// What a condition gives for these parameters. The others are empty.
fn gives(template: &Value, condition: &Value, given: &BTreeMap<&str, &str>) -> bool {
    let Value::Tagged(tagged) = condition else {
        panic!("{condition:?} is no condition")
    };
    let of = |value: &Value| gives(template, value, given);
    let text = |value: &Value| match value {
        Value::Tagged(_) => given
            .get(resolve(value).as_str())
            .unwrap_or(&"")
            .to_string(),
        value => plain(value),
    };
    let value = &tagged.value;
    match tagged.tag.to_string().as_str() {
        "!Not" => !of(&value[0]),
        "!And" => value.as_sequence().expect("conditions").iter().all(of),
        "!Equals" => text(&value[0]) == text(&value[1]),
        "!Condition" => of(&template["Conditions"][value.as_str().expect("a name")]),
        other => panic!("say here what {other} gives"),
    }
}

#[test]
fn conditions_follow_from_parameters() {
    let (outer, pages) = (template(), web());
    let domain = ("WebDomain", "orders.example.com");
    for (template, condition, given, expected) in [
        (
            &outer,
            "HasOperationsEmail",
            vec![("OperationsEmail", "a@example.com")],
            true,
        ),
        (&outer, "HasOperationsEmail", vec![], false),
        (&outer, "HasWeb", vec![("Web", "true")], true),
        (&outer, "HasWeb", vec![("Web", "false")], false),
        (&outer, "HasWebDomain", vec![("Web", "true"), domain], true),
        (
            &outer,
            "HasWebDomain",
            vec![("Web", "false"), domain],
            false,
        ),
        (&outer, "HasWebDomain", vec![("Web", "true")], false),
        (&pages, "HasDomain", vec![domain], true),
        (&pages, "HasDomain", vec![], false),
        (
            &pages,
            "HasConcurrency",
            vec![("WebConcurrency", "-1")],
            false,
        ),
        (
            &pages,
            "HasConcurrency",
            vec![("WebConcurrency", "0")],
            true,
        ),
    ] {
        let given: BTreeMap<_, _> = given.into_iter().collect();
        let found = gives(template, &template["Conditions"][condition], &given);
        assert_eq!(found, expected, "{condition} of {given:?}");
    }
}

#[test]
fn a_domain_needs_its_certificate_and_a_certificate_its_domain() {
    let template = template();
    let (domain, certificate) = (
        ("WebDomain", "a.example"),
        ("WebCertificateArn", "arn:aws:acm:a"),
    );
    for (given, refused) in [
        (vec![], None),
        (vec![domain, certificate], None),
        (vec![domain], Some("WebDomain needs WebCertificateArn")),
        (vec![certificate], Some("WebCertificateArn needs WebDomain")),
    ] {
        let given: BTreeMap<_, _> = given.into_iter().collect();
        let rules = template["Rules"].as_mapping().expect("rules").values();
        let said = rules
            .filter(|rule| gives(&template, &rule["RuleCondition"], &given))
            .find_map(|rule| {
                let assertions = rule["Assertions"].as_sequence().expect("assertions");
                let failed = assertions
                    .iter()
                    .find(|assertion| !gives(&template, &assertion["Assert"], &given));
                failed.and_then(|assertion| {
                    assertion["AssertDescription"]
                        .as_str()
                        .map(ToOwned::to_owned)
                })
            });
        assert_eq!(said.as_deref(), refused, "{given:?}");
    }
}

/// A function: its program, its variables, and where it logs.
type Function = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const WEB_VARIABLES: [(&str, &str); 7] = [
    ("ORIGIN", "HasDomain: https://WebDomain, or Api.ApiEndpoint"),
    ("LINK_EPOCH", "LinkEpoch"),
    ("RESTAURANT_LINKS_KEY", "RestaurantLinksKey"),
    ("CUSTOMER_LINKS_KEY", "CustomerLinksKey"),
    ("REVOCATIONS_TABLE", "RevocationsTable"),
    ("ORDERS_TABLE", "OrdersTable"),
    ("OPEN_ORDERS_TABLE", "OpenOrdersTable"),
];
const ORDERS_VARIABLES: [(&str, &str); 3] = [
    ("ORDERS_TABLE", "OrdersTable"),
    ("ORDER_RETENTION_DAYS", "OrderRetentionDays"),
    ("METRICS_NAMESPACE", "stack-7"),
];

const FUNCTIONS: [Function; 6] = [
    ("SaveOrder", "save-order", &ORDERS_VARIABLES),
    ("UpdateStatus", "update-status", &ORDERS_VARIABLES),
    (
        "NotifyUser",
        "notify-user",
        &[("USER_TOPIC_ARN", "UserTopic")],
    ),
    (
        "OpenOrders",
        "open-orders",
        &[
            ("METRICS_NAMESPACE", "stack-7"),
            ("OPEN_ORDERS_TABLE", "OpenOrdersTable"),
        ],
    ),
    ("Web", "web", &WEB_VARIABLES),
    (
        "WebLinks",
        "web-links",
        &[
            ("ORIGIN", "HasDomain: https://WebDomain, or Api.ApiEndpoint"),
            ("LINK_EPOCH", "LinkEpoch"),
            ("RESTAURANT_LINKS_KEY", "RestaurantLinksKey"),
            ("LINKS_TOPIC_ARN", "LinksTopic"),
        ],
    ),
];

/// A value in the made-up stack; of an `!If`, both.
fn shown(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) if tagged.tag == "!If" => {
            let [condition, then, or] = [0, 1, 2].map(|index| shown(&tagged.value[index]));
            format!("{condition}: {then}, or {or}")
        }
        Value::Sequence(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Tagged(_) => resolve(value),
        value => plain(value),
    }
}

#[test]
fn each_function_runs_its_program_with_its_role_and_these_variables() {
    let whole = whole();
    let functions = resources(&whole, "AWS::Serverless::Function");
    assert_eq!(functions.len(), FUNCTIONS.len(), "functions");
    for (name, program, variables) in FUNCTIONS {
        let resource = &whole["Resources"][format!("{name}Function")];
        assert_eq!(
            resource["Metadata"]["BuildMethod"], "rust-cargolambda",
            "{name}"
        );
        assert_eq!(
            resource["Metadata"]["BuildProperties"]["Binary"], program,
            "{name}"
        );
        let function = &resource["Properties"];
        assert_eq!(shown(&function["Role"]), format!("{name}FunctionRole"));
        assert_eq!(
            shown(&function["LoggingConfig"]["LogGroup"]),
            format!("{name}Logs")
        );
        let found = function["Environment"]["Variables"]
            .as_mapping()
            .expect("variables");
        let found: BTreeMap<_, _> = found
            .iter()
            .map(|(name, value)| (name.as_str().expect("a name"), shown(value)))
            .collect();
        let expected = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        assert_eq!(found, expected, "variables of {name}");
        let group = &whole["Resources"][format!("{name}Logs")]["Properties"]["LogGroupName"];
        assert_eq!(
            shown(group),
            format!("/aws/lambda/stack-7/{program}"),
            "where {name} logs"
        );
    }
    let states = &whole["Resources"]["OrderStateMachineLogs"]["Properties"]["LogGroupName"];
    assert_eq!(shown(states), "/aws/vendedlogs/states/stack-7");
    let requests = &whole["Resources"]["ApiLogs"]["Properties"]["LogGroupName"];
    assert_eq!(shown(requests), "/aws/vendedlogs/apis/stack-7-web");
}

#[test]
fn tables_are_billed_by_request_and_have_the_attributes_of_their_keys() {
    for (name, table) in resources(&whole(), "AWS::DynamoDB::Table") {
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST", "{name}");
        let indexes = table["LocalSecondaryIndexes"]
            .as_sequence()
            .into_iter()
            .flatten();
        let keys = indexes
            .chain([table])
            .flat_map(|keyed| keyed["KeySchema"].as_sequence().expect("keys"));
        let keys: BTreeMap<_, _> = keys
            .map(|key| (shown(&key["AttributeName"]), "S".to_owned()))
            .collect();
        let defined = table["AttributeDefinitions"]
            .as_sequence()
            .expect("attributes")
            .iter();
        let defined: BTreeMap<_, _> = defined
            .map(|each| (shown(&each["AttributeName"]), shown(&each["AttributeType"])))
            .collect();
        assert_eq!(
            defined, keys,
            "attributes of {name} (left), of its keys (right)"
        );
    }
}

/// Decisions that show only on AWS. The reasons are beside them in the template.
const DECISIONS: &str = r#"
Globals/Function/Architectures: Architecture
Globals/Function/Runtime: provided.al2023
Globals/Function/Handler: bootstrap
Globals/Function/CodeUri: .
Globals/Function/MemorySize: 1024
Globals/Function/Timeout: 10
Globals/Function/LoggingConfig/SystemLogLevel: WARN
Resources/OrderStateMachine/Properties/Type: STANDARD
Resources/OrderStateMachine/Properties/DefinitionUri: statemachine/order.asl.json
Resources/OrderStateMachine/Properties/Logging/Destinations/0/CloudWatchLogsLogGroup/LogGroupArn: OrderStateMachineLogs
Resources/OrderStateMachine/Properties/DefinitionSubstitutions/SaveOrderFunction: SaveOrderFunction
Resources/OrderStateMachine/Properties/DefinitionSubstitutions/UpdateStatusFunction: UpdateStatusFunction
Resources/OrderStateMachine/Properties/DefinitionSubstitutions/NotifyUserFunction: NotifyUserFunction
Resources/OrderStateMachine/Properties/DefinitionSubstitutions/OrderEventBus: OrderEventBus
Resources/OrderStateMachine/Properties/DefinitionSubstitutions/RestaurantTopic: RestaurantTopic
Resources/OrdersTable/UpdateReplacePolicy: Retain
Resources/OrdersTable/Properties/KeySchema/0/AttributeName: order_id
Resources/OrdersTable/Properties/KeySchema/0/KeyType: HASH
Resources/OrderEventBus/Properties/Name: stack-7-orders
Resources/OpenOrdersFunction/Properties/Events/Queue/Type: SQS
Resources/OpenOrdersFunction/Properties/Events/Queue/Properties/BatchSize: 10
Resources/OpenOrdersFunction/Properties/Events/Queue/Properties/ScalingConfig/MaximumConcurrency: 20
Resources/OpenOrdersQueue/Properties/VisibilityTimeout: 60
Resources/OpenOrdersQueue/Properties/RedrivePolicy/maxReceiveCount: 20
Resources/OpenOrdersQueue/Properties/RedrivePolicy/deadLetterTargetArn: OpenOrdersDeadLetters
Resources/OpenOrdersSubscription/Properties/Protocol: sqs
Resources/OpenOrdersSubscription/Properties/RedrivePolicy/deadLetterTargetArn: OpenOrdersDeadLetters
Resources/FinalEventsRule/Properties/Name: final-events
Resources/FinalEventsRule/Properties/Targets/0/DeadLetterConfig/Arn: OpenOrdersDeadLetters
Resources/OperationsSubscription/Condition: HasOperationsEmail
Resources/OperationsSubscription/Properties/TopicArn: OperationsTopic
Resources/OperationsSubscription/Properties/Protocol: email
Resources/OperationsSubscription/Properties/Endpoint: OperationsEmail
Resources/OperationsSubscription/Properties/RedrivePolicy/deadLetterTargetArn: OperationsDeadLetters
Resources/FailedExecutionRule/Properties/Targets/0/DeadLetterConfig/Arn: OperationsDeadLetters
Resources/FailedExecutionRule/Properties/Targets/0/InputTransformer/InputTemplate: '{"execution_name": <execution_name>, "execution_arn": <execution_arn>, "status": <status>, "error": <error>, "cause": <cause>}'
Resources/FailedExecutionRule/Properties/Targets/0/InputTransformer/InputPathsMap/status: $.detail.status
Resources/FailedExecutionRule/Properties/Targets/0/InputTransformer/InputPathsMap/execution_name: $.detail.name
Resources/FailedExecutionRule/Properties/Targets/0/InputTransformer/InputPathsMap/execution_arn: $.detail.executionArn
Resources/FailedExecutionRule/Properties/Targets/0/InputTransformer/InputPathsMap/error: $.detail.error
Resources/FailedExecutionRule/Properties/Targets/0/InputTransformer/InputPathsMap/cause: $.detail.cause
Resources/WebPages/Condition: HasWeb
Resources/WebPages/Properties/Location: web/template.yaml
Resources/WebPages/Properties/Parameters/Architecture: Architecture
Resources/WebPages/Properties/Parameters/LogRetentionDays: LogRetentionDays
Resources/WebPages/Properties/Parameters/Name: stack-7
Resources/WebPages/Properties/Parameters/OrdersTable: OrdersTable
Resources/WebPages/Properties/Parameters/OrdersTableArn: OrdersTable
Resources/WebPages/Properties/Parameters/OpenOrdersTable: OpenOrdersTable
Resources/WebPages/Properties/Parameters/OpenOrdersTableArn: OpenOrdersTable
Resources/WebPages/Properties/Parameters/StateMachineArn: OrderStateMachine
Resources/WebPages/Properties/Parameters/EncryptionKeyArn: EncryptionKey
Resources/WebPages/Properties/Parameters/RestaurantTopicArn: RestaurantTopic
Resources/WebPages/Properties/Parameters/OperationsTopicArn: OperationsTopic
Resources/WebPages/Properties/Parameters/LinkEpoch: LinkEpoch
Resources/WebPages/Properties/Parameters/WebDomain: WebDomain
Resources/WebPages/Properties/Parameters/WebCertificateArn: WebCertificateArn
Resources/WebPages/Properties/Parameters/WebRate: WebRate
Resources/WebPages/Properties/Parameters/WebBurst: WebBurst
Resources/WebPages/Properties/Parameters/WebConcurrency: WebConcurrency
Outputs/StateMachineArn/Value: OrderStateMachine
Outputs/OrdersTableName/Value: OrdersTable
Outputs/EventBusName/Value: OrderEventBus
Outputs/RestaurantTopicArn/Value: RestaurantTopic
Outputs/UserTopicArn/Value: UserTopic
Outputs/OpenOrdersTableName/Value: OpenOrdersTable
Outputs/RestaurantPolicyArn/Value: RestaurantPolicy
Outputs/OperationsTopicArn/Value: OperationsTopic
Outputs/FailedExecutionsTopicArn/Value: FailedExecutionsTopic
Outputs/WebUrl/Value: WebPages.Outputs.Url
Outputs/LinkEpoch/Value: LinkEpoch
Outputs/RestaurantLinksKeyArn/Value: WebPages.Outputs.RestaurantLinksKeyArn
Outputs/CustomerLinksKeyArn/Value: WebPages.Outputs.CustomerLinksKeyArn
Outputs/RevocationsTableName/Value: WebPages.Outputs.RevocationsTableName
Outputs/RestaurantLinksPolicyArn/Value: WebPages.Outputs.RestaurantLinksPolicyArn
Outputs/CustomerLinksPolicyArn/Value: WebPages.Outputs.CustomerLinksPolicyArn
Outputs/LinksTopicArn/Value: WebPages.Outputs.LinksTopicArn
Outputs/WebDomainTarget/Value: WebPages.Outputs.DomainTarget
Outputs/WebUrl/Condition: HasWeb
Outputs/LinkEpoch/Condition: HasWeb
Outputs/RestaurantLinksKeyArn/Condition: HasWeb
Outputs/CustomerLinksKeyArn/Condition: HasWeb
Outputs/RevocationsTableName/Condition: HasWeb
Outputs/RestaurantLinksPolicyArn/Condition: HasWeb
Outputs/CustomerLinksPolicyArn/Condition: HasWeb
Outputs/LinksTopicArn/Condition: HasWeb
Outputs/WebDomainTarget/Condition: HasWebDomain
"#;

/// The same of the pages' template.
const DECISIONS_OF_THE_PAGES: &str = r#"
Resources/Api/Properties/Name: Name-web
Resources/Api/Properties/ProtocolType: HTTP
Resources/Api/Properties/DisableExecuteApiEndpoint: "HasDomain: true, or false"
Resources/Integration/Properties/ApiId: Api
Resources/Integration/Properties/IntegrationType: AWS_PROXY
Resources/Integration/Properties/PayloadFormatVersion: "2.0"
Resources/Integration/Properties/TimeoutInMillis: 5000
Resources/Route/Properties/ApiId: Api
Resources/Route/Properties/RouteKey: $default
Resources/Route/Properties/AuthorizationType: NONE
Resources/Route/Properties/Target: integrations/Integration
Resources/Stage/Properties/ApiId: Api
Resources/Stage/Properties/StageName: $default
Resources/Stage/Properties/AutoDeploy: "true"
Resources/Stage/Properties/AccessLogSettings/DestinationArn: ApiLogs
Resources/ApiLogs/DeletionPolicy: Delete
Resources/ApiLogs/UpdateReplacePolicy: Delete
Resources/WebLogs/DeletionPolicy: Delete
Resources/WebLogs/UpdateReplacePolicy: Delete
Resources/WebLinksLogs/DeletionPolicy: Delete
Resources/WebLinksLogs/UpdateReplacePolicy: Delete
Resources/Domain/Condition: HasDomain
Resources/Domain/Properties/DomainName: WebDomain
Resources/Domain/Properties/DomainNameConfigurations/0/CertificateArn: WebCertificateArn
Resources/Domain/Properties/DomainNameConfigurations/0/EndpointType: REGIONAL
Resources/Domain/Properties/DomainNameConfigurations/0/SecurityPolicy: TLS_1_2
Resources/DomainMapping/Condition: HasDomain
Resources/DomainMapping/Properties/ApiId: Api
Resources/DomainMapping/Properties/DomainName: Domain
Resources/DomainMapping/Properties/Stage: Stage
Resources/WebFunction/Properties/Architectures: Architecture
Resources/WebFunction/Properties/Runtime: provided.al2023
Resources/WebFunction/Properties/Handler: bootstrap
Resources/WebFunction/Properties/CodeUri: ..
Resources/WebFunction/Properties/MemorySize: 512
Resources/WebFunction/Properties/LoggingConfig/SystemLogLevel: WARN
Resources/WebFunction/Properties/Timeout: 3
Resources/WebLinksFunction/Properties/Architectures: Architecture
Resources/WebLinksFunction/Properties/Runtime: provided.al2023
Resources/WebLinksFunction/Properties/Handler: bootstrap
Resources/WebLinksFunction/Properties/CodeUri: ..
Resources/WebLinksFunction/Properties/MemorySize: 512
Resources/WebLinksFunction/Properties/LoggingConfig/SystemLogLevel: WARN
Resources/WebLinksFunction/Properties/Timeout: 20
Resources/WebLinksFunction/Properties/Events/Queue/Type: SQS
Resources/WebLinksFunction/Properties/Events/Queue/Properties/Queue: LinksQueue
Resources/WebLinksFunction/Properties/Events/Queue/Properties/BatchSize: 10
Resources/WebLinksFunction/Properties/Events/Queue/Properties/ScalingConfig/MaximumConcurrency: 20
Resources/RevocationsTable/Properties/KeySchema/0/AttributeName: link
Resources/RevocationsTable/Properties/KeySchema/0/KeyType: HASH
Resources/RevocationsTable/Properties/TimeToLiveSpecification/AttributeName: expires_at
Resources/LinksQueue/Properties/VisibilityTimeout: 120
Resources/LinksQueue/Properties/RedrivePolicy/maxReceiveCount: 5
Resources/LinksQueue/Properties/RedrivePolicy/deadLetterTargetArn: LinksDeadLetters
Resources/LinksSubscription/Properties/TopicArn: RestaurantTopicArn
Resources/LinksSubscription/Properties/Protocol: sqs
Resources/LinksSubscription/Properties/Endpoint: LinksQueue
Resources/LinksSubscription/Properties/RawMessageDelivery: "true"
Resources/LinksSubscription/Properties/RedrivePolicy/deadLetterTargetArn: LinksDeadLetters
Outputs/Url/Value: "HasDomain: https://WebDomain, or Api.ApiEndpoint"
Outputs/DomainTarget/Condition: HasDomain
Outputs/DomainTarget/Value: Domain.RegionalDomainName
Outputs/RestaurantLinksKeyArn/Value: RestaurantLinksKey
Outputs/CustomerLinksKeyArn/Value: CustomerLinksKey
Outputs/RevocationsTableName/Value: RevocationsTable
Outputs/RestaurantLinksPolicyArn/Value: RestaurantLinksPolicy
Outputs/CustomerLinksPolicyArn/Value: CustomerLinksPolicy
Outputs/LinksTopicArn/Value: LinksTopic
Outputs/ApiId/Value: Api
Outputs/WebFunctionName/Value: WebFunction
Outputs/WebLinksFunctionName/Value: WebLinksFunction
Outputs/LinksQueueName/Value: LinksQueue.QueueName
Outputs/LinksDeadLettersName/Value: LinksDeadLetters.QueueName
Outputs/LinksTopicName/Value: LinksTopic.TopicName
"#;

#[test]
fn the_templates_have_these_values() {
    for (template, decisions) in [(template(), DECISIONS), (web(), DECISIONS_OF_THE_PAGES)] {
        let decisions: BTreeMap<String, Value> =
            serde_norway::from_str(decisions).expect("paths and values");
        for (path, expected) in decisions {
            let found = path
                .split('/')
                .fold(&template, |at, step| match step.parse::<usize>() {
                    Ok(index) => &untagged(at)[index],
                    Err(_) => &at[step],
                });
            assert!(!found.is_null(), "{path} is gone");
            assert_eq!(shown(found), plain(&expected), "{path}");
        }
    }
    for (name, policy) in ["AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"]
        .iter()
        .flat_map(|kind| {
            let whole = whole();
            let found = resources(&whole, kind);
            found
                .into_iter()
                .map(|(name, policy)| (name.to_owned(), policy.clone()))
                .collect::<Vec<_>>()
        })
    {
        for statement in policy["PolicyDocument"]["Statement"]
            .as_sequence()
            .expect("statements")
        {
            assert!(
                statement.get("Principal").is_some(),
                "{name} says of nobody: {statement:?}"
            );
        }
    }
    let outputs = |template: &Value| template["Outputs"].as_mapping().expect("outputs").len();
    assert_eq!(
        (outputs(&template()), outputs(&web())),
        (18, 14),
        "outputs of the stack and of its pages"
    );
}
