//! The Lambda function `open-orders`.

use std::time::SystemTime;

use functions::queue::Batch;
use functions::{aws, init, required_variable};
use lambda_runtime::{LambdaEvent, service_fn};
use open_orders::keep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let metrics = init()?;
    let table = required_variable("OPEN_ORDERS_TABLE")?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws::connect("dynamodb").await?);
    let (dynamodb, table) = (&dynamodb, table.as_str());
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Batch>| {
        let failures = keep(dynamodb, table, SystemTime::now(), event.payload).await;
        functions::flush(metrics);
        Ok::<_, lambda_runtime::Error>(failures)
    }))
    .await
}
