//! The Lambda function `update-status`.

use functions::{aws, flush, init, metric, required_variable, retention};
use update_status::update_status;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let metrics = init()?;
    ::metrics::describe_histogram!(
        metric::RESTAURANT_RESPONSE_TIME,
        ::metrics::Unit::Milliseconds,
        ""
    );
    let table = required_variable("ORDERS_TABLE")?;
    let retention = retention()?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws::connect("dynamodb").await?);
    functions::run(async |request| {
        let updated = update_status(&dynamodb, &table, retention, request).await;
        flush(metrics);
        updated
    })
    .await
}
