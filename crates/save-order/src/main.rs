//! The Lambda function `save-order`.

use functions::{aws, flush, init, required_variable, retention};
use save_order::save_order;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let metrics = init()?;
    let table = required_variable("ORDERS_TABLE")?;
    let retention = retention()?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws::connect("dynamodb").await?);
    functions::run(async |request| {
        let saved = save_order(&dynamodb, &table, retention, request).await;
        flush(metrics);
        saved
    })
    .await
}
