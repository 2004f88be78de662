//! What the stack consists of, and what the templates say of each part: an addition is a decision, and stands here.

use std::collections::{BTreeMap, BTreeSet};

use serde_norway::Value;

use crate::web::web;
use crate::{template, untagged};

/// Resources, their type, and what is said of them.
const RESOURCES: &str = r#"
Api:
  "AWS::ApiGatewayV2::Api Description DisableExecuteApiEndpoint/0 DisableExecuteApiEndpoint/1
  DisableExecuteApiEndpoint/2 Name ProtocolType"
DomainMapping:
  "AWS::ApiGatewayV2::ApiMapping if HasDomain ApiId DomainName Stage"
Domain:
  "AWS::ApiGatewayV2::DomainName if HasDomain DomainName DomainNameConfigurations/0/CertificateArn
  DomainNameConfigurations/0/EndpointType DomainNameConfigurations/0/SecurityPolicy"
Integration:
  "AWS::ApiGatewayV2::Integration ApiId IntegrationType IntegrationUri PayloadFormatVersion TimeoutInMillis"
Route:
  "AWS::ApiGatewayV2::Route ApiId AuthorizationType RouteKey Target"
Stage:
  "AWS::ApiGatewayV2::Stage AccessLogSettings/DestinationArn AccessLogSettings/Format ApiId AutoDeploy
  DefaultRouteSettings/ThrottlingBurstLimit DefaultRouteSettings/ThrottlingRateLimit StageName"
OpenOrdersFailedAlarm:
  "AWS::CloudWatch::Alarm AlarmActions/0 AlarmDescription ComparisonOperator DatapointsToAlarm EvaluationPeriods
  MetricName Namespace OKActions/0 Period Statistic Threshold TreatMissingData"
TasksFailedAlarm FunctionErrorsAlarm:
  "AWS::CloudWatch::Alarm AlarmActions/0 AlarmDescription ComparisonOperator DatapointsToAlarm EvaluationPeriods
  Metrics OKActions/0 Threshold TreatMissingData"
? ExecutionsFailedAlarm ExecutionsThrottledAlarm OpenOrdersLateAlarm LinksDeadLettersAlarm LinksLateAlarm
  LinksDeliveriesAlarm ErrorsAlarm RefusalsAlarm
:
  "AWS::CloudWatch::Alarm AlarmActions/0 AlarmDescription ComparisonOperator Dimensions EvaluationPeriods MetricName
  Namespace OKActions/0 Period Statistic Threshold TreatMissingData"
RestaurantNotReachedAlarm:
  "AWS::CloudWatch::Alarm AlarmActions/0 AlarmDescription ComparisonOperator EvaluationPeriods MetricName Namespace
  OKActions/0 Period Statistic Threshold TreatMissingData"
? RefusedOrdersAlarm FunctionThrottlesAlarm FunctionDurationAlarm FunctionConcurrencyAlarm TableThrottlesAlarm
  TopicDeliveriesAlarm RuleDeliveriesAlarm DeadLettersAlarm
:
  "AWS::CloudWatch::Alarm AlarmActions/0 AlarmDescription ComparisonOperator EvaluationPeriods Metrics OKActions/0
  Threshold TreatMissingData"
Dashboard:
  "AWS::CloudWatch::Dashboard DashboardBody/0 DashboardBody/1/WebWidgets/0 DashboardBody/1/WebWidgets/1
  DashboardBody/1/WebWidgets/2 DashboardName"
OpenOrdersTable:
  "AWS::DynamoDB::Table AttributeDefinitions/0/AttributeName AttributeDefinitions/0/AttributeType
  AttributeDefinitions/1/AttributeName AttributeDefinitions/1/AttributeType AttributeDefinitions/2/AttributeName
  AttributeDefinitions/2/AttributeType AttributeDefinitions/3/AttributeName AttributeDefinitions/3/AttributeType
  BillingMode KeySchema/0/AttributeName KeySchema/0/KeyType KeySchema/1/AttributeName KeySchema/1/KeyType
  LocalSecondaryIndexes/0/IndexName LocalSecondaryIndexes/0/KeySchema/0/AttributeName
  LocalSecondaryIndexes/0/KeySchema/0/KeyType LocalSecondaryIndexes/0/KeySchema/1/AttributeName
  LocalSecondaryIndexes/0/KeySchema/1/KeyType LocalSecondaryIndexes/0/Projection/ProjectionType
  LocalSecondaryIndexes/1/IndexName LocalSecondaryIndexes/1/KeySchema/0/AttributeName
  LocalSecondaryIndexes/1/KeySchema/0/KeyType LocalSecondaryIndexes/1/KeySchema/1/AttributeName
  LocalSecondaryIndexes/1/KeySchema/1/KeyType LocalSecondaryIndexes/1/Projection/ProjectionType
  SSESpecification/KMSMasterKeyId SSESpecification/SSEEnabled SSESpecification/SSEType
  TimeToLiveSpecification/AttributeName TimeToLiveSpecification/Enabled"
RevocationsTable:
  "AWS::DynamoDB::Table AttributeDefinitions/0/AttributeName AttributeDefinitions/0/AttributeType BillingMode
  KeySchema/0/AttributeName KeySchema/0/KeyType SSESpecification/SSEEnabled TimeToLiveSpecification/AttributeName
  TimeToLiveSpecification/Enabled"
OrdersTable:
  "AWS::DynamoDB::Table DeletionPolicy UpdateReplacePolicy AttributeDefinitions/0/AttributeName
  AttributeDefinitions/0/AttributeType BillingMode DeletionProtectionEnabled KeySchema/0/AttributeName
  KeySchema/0/KeyType PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled SSESpecification/SSEEnabled
  TimeToLiveSpecification/AttributeName TimeToLiveSpecification/Enabled"
OrderEventBus:
  "AWS::Events::EventBus Name"
FinalEventsRule:
  "AWS::Events::Rule Description EventBusName EventPattern Name Targets/0/Arn Targets/0/DeadLetterConfig/Arn
  Targets/0/Id"
FailedExecutionRule:
  "AWS::Events::Rule Description EventPattern Targets/0/Arn Targets/0/DeadLetterConfig/Arn Targets/0/Id
  Targets/0/InputTransformer/InputPathsMap Targets/0/InputTransformer/InputTemplate"
RestaurantPolicy RestaurantLinksPolicy CustomerLinksPolicy:
  "AWS::IAM::ManagedPolicy Description PolicyDocument"
? SaveOrderFunctionRole UpdateStatusFunctionRole NotifyUserFunctionRole OpenOrdersFunctionRole WebFunctionRole
  WebLinksFunctionRole
:
  "AWS::IAM::Role AssumeRolePolicyDocument Policies/0/PolicyDocument Policies/0/PolicyName"
OrderStateMachineRole:
  "AWS::IAM::Role AssumeRolePolicyDocument Policies/0/PolicyDocument Policies/0/PolicyName Policies/1/PolicyDocument
  Policies/1/PolicyName"
EncryptionKey:
  "AWS::KMS::Key Description EnableKeyRotation KeyPolicy"
RestaurantLinksKey CustomerLinksKey:
  "AWS::KMS::Key Description KeyPolicy KeySpec KeyUsage"
ApiPermission:
  "AWS::Lambda::Permission Action FunctionName Principal SourceArn"
ApiLogs WebLogs WebLinksLogs:
  "AWS::Logs::LogGroup DeletionPolicy UpdateReplacePolicy LogGroupName RetentionInDays"
OrderStateMachineLogs SaveOrderLogs UpdateStatusLogs NotifyUserLogs OpenOrdersLogs:
  "AWS::Logs::LogGroup LogGroupName RetentionInDays"
OpenOrdersSubscription LinksSubscription:
  "AWS::SNS::Subscription Endpoint Protocol RawMessageDelivery RedrivePolicy/deadLetterTargetArn TopicArn"
OperationsSubscription:
  "AWS::SNS::Subscription if HasOperationsEmail Endpoint Protocol RedrivePolicy/deadLetterTargetArn TopicArn"
RestaurantTopic UserTopic OperationsTopic FailedExecutionsTopic LinksTopic:
  "AWS::SNS::Topic KmsMasterKeyId SignatureVersion"
RestaurantTopicPolicy UserTopicPolicy OperationsTopicPolicy FailedExecutionsTopicPolicy LinksTopicPolicy:
  "AWS::SNS::TopicPolicy PolicyDocument Topics/0"
OpenOrdersDeadLetters OperationsDeadLetters LinksDeadLetters:
  "AWS::SQS::Queue KmsMasterKeyId MessageRetentionPeriod"
OpenOrdersQueue LinksQueue:
  "AWS::SQS::Queue KmsMasterKeyId RedrivePolicy/deadLetterTargetArn RedrivePolicy/maxReceiveCount VisibilityTimeout"
OpenOrdersQueuePolicy OpenOrdersDeadLettersPolicy OperationsDeadLettersPolicy:
  "AWS::SQS::QueuePolicy PolicyDocument Queues/0"
LinksQueuePolicy:
  "AWS::SQS::QueuePolicy PolicyDocument Queues/0 Queues/1"
WebPages:
  "AWS::Serverless::Application if HasWeb Location Parameters/Architecture Parameters/EncryptionKeyArn
  Parameters/LinkEpoch Parameters/LogRetentionDays Parameters/Name Parameters/OpenOrdersTable
  Parameters/OpenOrdersTableArn Parameters/OperationsTopicArn Parameters/OrdersTable Parameters/OrdersTableArn
  Parameters/RestaurantTopicArn Parameters/StateMachineArn Parameters/WebBurst Parameters/WebCertificateArn
  Parameters/WebConcurrency Parameters/WebDomain Parameters/WebRate"
WebLinksFunction:
  "AWS::Serverless::Function Metadata/BuildMethod Metadata/BuildProperties/Binary Architectures/0 CodeUri Description
  Environment/Variables Events/Queue/Properties/BatchSize Events/Queue/Properties/FunctionResponseTypes/0
  Events/Queue/Properties/Queue Events/Queue/Properties/ScalingConfig/MaximumConcurrency Events/Queue/Type Handler
  LoggingConfig/LogFormat LoggingConfig/LogGroup LoggingConfig/SystemLogLevel MemorySize Role Runtime Timeout Tracing"
WebFunction:
  "AWS::Serverless::Function Metadata/BuildMethod Metadata/BuildProperties/Binary Architectures/0 CodeUri Description
  Environment/Variables Handler LoggingConfig/LogFormat LoggingConfig/LogGroup LoggingConfig/SystemLogLevel MemorySize
  ReservedConcurrentExecutions/0 ReservedConcurrentExecutions/1 ReservedConcurrentExecutions/2 Role Runtime Timeout
  Tracing"
OpenOrdersFunction:
  "AWS::Serverless::Function Metadata/BuildMethod Metadata/BuildProperties/Binary Description Environment/Variables
  Events/Queue/Properties/BatchSize Events/Queue/Properties/FunctionResponseTypes/0 Events/Queue/Properties/Queue
  Events/Queue/Properties/ScalingConfig/MaximumConcurrency Events/Queue/Type LoggingConfig/LogGroup Role"
SaveOrderFunction UpdateStatusFunction NotifyUserFunction:
  "AWS::Serverless::Function Metadata/BuildMethod Metadata/BuildProperties/Binary Description Environment/Variables
  LoggingConfig/LogGroup Role"
OrderStateMachine:
  "AWS::Serverless::StateMachine DefinitionSubstitutions DefinitionUri
  Logging/Destinations/0/CloudWatchLogsLogGroup/LogGroupArn Logging/IncludeExecutionData Logging/Level Role
  Tracing/Enabled Type"
"#;

/// What other tests compare whole, or what holds names of our own.
const WHOLE: [&str; 9] = [
    "AssumeRolePolicyDocument",
    "DefinitionSubstitutions",
    "Dimensions",
    "EventPattern",
    "InputPathsMap",
    "KeyPolicy",
    "Metrics",
    "PolicyDocument",
    "Variables",
];

/// The paths to all that a value says.
fn collect_paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match untagged(value) {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                let key = key.as_str().expect("a name");
                let path = if path.is_empty() {
                    key.into()
                } else {
                    format!("{path}/{key}")
                };
                if WHOLE.contains(&key) {
                    found.insert(path);
                } else {
                    collect_paths(value, &path, found);
                }
            }
        }
        Value::Sequence(values) => {
            for (index, value) in values.iter().enumerate() {
                collect_paths(value, &format!("{path}/{index}"), found);
            }
        }
        _ => {
            found.insert(path.into());
        }
    }
}

fn paths(value: &Value) -> String {
    let mut found = BTreeSet::new();
    collect_paths(value, "", &mut found);
    found.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_stack_has_these_resources_and_says_nothing_else_of_them() {
    let templates = [template(), web()];
    let found: BTreeMap<_, _> = templates
        .iter()
        .flat_map(|template| template["Resources"].as_mapping().expect("resources"))
        .map(|(name, resource)| {
            let mut about = resource.clone();
            let properties = about.as_mapping_mut().expect("a resource");
            let kind = properties.remove("Type").expect("a type");
            let mut said = vec![kind.as_str().expect("a type").to_owned()];
            let condition = properties.remove("Condition");
            said.extend(condition.map(|name| format!("if {}", name.as_str().expect("a name"))));
            let inner = properties.remove("Properties").expect("properties");
            said.extend(
                [paths(&about), paths(&inner)]
                    .into_iter()
                    .filter(|said| !said.is_empty()),
            );
            (name.as_str().expect("a name").to_owned(), said.join(" "))
        })
        .collect();
    let expected: BTreeMap<String, String> = serde_norway::from_str(RESOURCES).expect("resources");
    let expected: BTreeMap<_, _> = expected
        .iter()
        .flat_map(|(names, said)| names.split(' ').map(|name| (name.to_owned(), said.clone())))
        .collect();
    for (name, said) in &found {
        assert_eq!(
            Some(said),
            expected.get(name),
            "what is said of {name} (left), and decided (right)"
        );
    }
    assert!(
        expected.keys().eq(found.keys()),
        "a resource is gone: {expected:?}"
    );
}

#[test]
fn all_functions_share_these_settings_and_outputs_say_nothing_else() {
    let shared = "Function/Architectures/0 Function/CodeUri Function/Handler Function/LoggingConfig/LogFormat \
        Function/LoggingConfig/SystemLogLevel Function/MemorySize Function/Runtime Function/Timeout Function/Tracing";
    assert_eq!(paths(&template()["Globals"]), shared);
    for template in [template(), web()] {
        for (name, output) in template["Outputs"].as_mapping().expect("outputs") {
            for (key, _) in output.as_mapping().expect("an output") {
                let known = ["Condition", "Description", "Value"].map(Value::from);
                assert!(known.contains(key), "the output {name:?} says {key:?}");
            }
        }
    }
}
