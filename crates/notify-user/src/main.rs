//! The Lambda function `notify-user`.

use functions::{aws, init, required_variable};
use notify_user::notify_user;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let metrics = init()?;
    let topic_arn = required_variable("USER_TOPIC_ARN")?;
    let sns = aws_sdk_sns::Client::new(&aws::connect("sns").await?);
    functions::run(metrics, async |request| {
        notify_user(&sns, &topic_arn, request).await
    })
    .await
}
