//! The Lambda function `update-status`.

use functions::{aws, init_logs, required_variable};
use update_status::update_status;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    init_logs();
    let table = required_variable("ORDERS_TABLE")?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws::config()?);
    functions::run(async |request| update_status(&dynamodb, &table, request).await).await
}
