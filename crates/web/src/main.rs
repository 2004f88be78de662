//! The Lambda function `web`.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use functions::{Error, aws, init_logs, required_variable};
use futures_util::future::try_join3;
use lambda_runtime::{LambdaEvent, service_fn};
use web::Site;
use web::access::{PublicKey, Revocations, Verifier};
use web::http::Request;
use web::orders::Orders;

/// How long one call of AWS may take, with its second attempt. Short, since a person waits for the page.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(1_200);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(800);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    init_logs();
    let (dynamodb, sfn, kms) = try_join3(
        aws::connect("dynamodb"),
        aws::connect("states"),
        aws::connect("kms"),
    )
    .await?;
    let kms = aws_sdk_kms::Client::new(&kms);
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(OPERATION_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(2)
        .with_initial_backoff(Duration::from_millis(50));
    let dynamodb = dynamodb
        .to_builder()
        .timeout_config(timeouts.clone())
        .retry_config(retries)
        .build();
    let dynamodb = aws_sdk_dynamodb::Client::new(&dynamodb);
    let sfn = sfn.to_builder().timeout_config(timeouts).build();
    let site = Site {
        origin: required_variable("ORIGIN")?,
        verifier: Verifier {
            epoch: required_variable("LINK_EPOCH")?,
            restaurants: public_key(&kms, &required_variable("RESTAURANT_LINKS_KEY")?).await?,
            customers: public_key(&kms, &required_variable("CUSTOMER_LINKS_KEY")?).await?,
        },
        revocations: Revocations::new(dynamodb.clone(), required_variable("REVOCATIONS_TABLE")?),
        orders: Orders {
            dynamodb,
            sfn: aws_sdk_sfn::Client::new(&sfn),
            orders: required_variable("ORDERS_TABLE")?,
            open_orders: required_variable("OPEN_ORDERS_TABLE")?,
        },
    };
    let site = &site;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Request>| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let response = Box::pin(site.serve(&event.payload, now.as_secs())).await;
        Ok::<_, lambda_runtime::Error>(response)
    }))
    .await
}

async fn public_key(kms: &aws_sdk_kms::Client, key: &str) -> Result<PublicKey, Error> {
    let given = kms.get_public_key().key_id(key).send().await;
    let given = given
        .map_err(|error| aws::failure("reading the links' key", &error, Error::StoreUnavailable))?;
    let der = given.public_key.unwrap_or_else(|| Vec::new().into());
    PublicKey::from_der(der.as_ref())
}
