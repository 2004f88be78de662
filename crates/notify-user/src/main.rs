//! The Lambda function `notify-user`.

use functions::{aws, init_logs, required_variable};
use notify_user::notify_user;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    init_logs();
    let topic_arn = required_variable("USER_TOPIC_ARN")?;
    let sns = aws_sdk_sns::Client::new(&aws::connect("sns").await?);
    functions::run(async |request| notify_user(&sns, &topic_arn, request).await).await
}
