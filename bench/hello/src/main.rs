//! The floor of the benchmark: `lambda_runtime` and nothing else.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        // For the benchmark to see that a release build answers with an error and lives on.
        assert!(
            event.payload.get("panic").is_none(),
            "it was asked to panic"
        );
        Ok::<_, Error>(json!("hello"))
    }))
    .await
}
