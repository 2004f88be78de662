//! The Lambda function `web-links`.

use std::time::SystemTime;

use functions::queue::Batch;
use functions::{aws, init_logs, required_variable};
use futures_util::future::try_join;
use lambda_runtime::{LambdaEvent, service_fn};
use web_links::Links;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    init_logs();
    let (kms, sns) = try_join(aws::connect("kms"), aws::connect("sns")).await?;
    let links = Links {
        kms: aws_sdk_kms::Client::new(&kms),
        key: required_variable("RESTAURANT_LINKS_KEY")?,
        sns: aws_sdk_sns::Client::new(&sns),
        topic: required_variable("LINKS_TOPIC_ARN")?,
        site: required_variable("ORIGIN")?,
        epoch: required_variable("LINK_EPOCH")?,
    };
    let links = &links;
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Batch>| {
        let failures = Box::pin(links.publish(SystemTime::now(), event.payload)).await;
        Ok::<_, lambda_runtime::Error>(failures)
    }))
    .await
}
