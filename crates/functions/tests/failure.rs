//! What a failed call of AWS means to the workflow.
#![allow(clippy::expect_used)] // also in the helpers of a test

use std::io;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use functions::Error;
use functions::aws::failure;

fn meaning(error: &SdkError<ErrorMetadata, HttpResponse>) -> Error {
    failure("storing the order", error, Error::StoreUnavailable)
}

#[test]
fn an_answer_that_cannot_be_read_is_worth_a_retry() {
    let status = 200.try_into().expect("a status of HTTP");
    let answer = HttpResponse::new(status, SdkBody::from("half an ans"));
    let meaning = meaning(&SdkError::response_error("the body ended too soon", answer));
    assert_eq!(meaning.name(), "StoreUnavailable", "{meaning}");
}

#[test]
fn an_aws_that_cannot_be_reached_is_worth_a_retry_and_every_cause_is_told() {
    let refused = io::Error::other(ConnectorError::io("connection refused".into()));
    let meaning = meaning(&SdkError::dispatch_failure(ConnectorError::io(
        refused.into(),
    )));
    assert_eq!(meaning.name(), "StoreUnavailable", "{meaning}");
    assert!(
        meaning.to_string().contains("connection refused"),
        "the message hides the last cause: {meaning}"
    );
}

#[test]
fn a_request_that_cannot_be_made_needs_a_person() {
    let meaning = meaning(&SdkError::construction_failure("no table name"));
    assert_eq!(meaning.name(), "Misconfigured", "{meaning}");
}

#[test]
fn an_error_of_the_service_is_worth_a_retry_unless_it_refuses_the_request() {
    for (status, code, name) in [
        (400, "AccessDeniedException", "Misconfigured"),
        (404, "NotFound", "Misconfigured"),
        (499, "Unheard", "Misconfigured"),
        // One of the errors that the SDK calls throttling, one that it calls transient, and those that only AWS's pages list.
        (400, "ThrottlingException", "StoreUnavailable"),
        (400, "RequestTimeout", "StoreUnavailable"),
        (400, "KMSThrottlingException", "StoreUnavailable"),
        (400, "KMSThrottling", "StoreUnavailable"),
        (400, "ReplicatedWriteConflictException", "StoreUnavailable"),
        (400, "Throttled", "StoreUnavailable"),
        (400, "TransactionConflictException", "StoreUnavailable"),
        (429, "Unheard", "StoreUnavailable"),
        (500, "Unheard", "StoreUnavailable"),
        (200, "Unheard", "StoreUnavailable"),
    ] {
        let error = ErrorMetadata::builder().code(code).message("why").build();
        let answer = status.try_into().expect("a status of HTTP");
        let answer = HttpResponse::new(answer, SdkBody::empty());
        let meaning = meaning(&SdkError::service_error(error, answer));
        assert_eq!(meaning.name(), name, "{status} {code}");
        assert_eq!(
            meaning.to_string(),
            format!("storing the order failed with {code} (HTTP {status}): why")
        );
    }
}

#[test]
fn what_aws_says_of_a_value_that_it_refuses_is_not_told() {
    for code in [
        "InvalidParameter",
        "ValidationException",
        "SerializationException",
    ] {
        let said = "the value Ring at the back door is too long";
        let error = ErrorMetadata::builder().code(code).message(said).build();
        let answer = HttpResponse::new(400.try_into().expect("a status"), SdkBody::empty());
        let meaning = meaning(&SdkError::service_error(error, answer));
        assert_eq!(meaning.name(), "Misconfigured", "{code}");
        let told = meaning.to_string();
        assert!(told.contains(code) && !told.contains("door"), "{told}");
    }
}

#[test]
fn a_call_that_times_out_is_worth_a_retry() {
    let meaning = meaning(&SdkError::timeout_error("8 s"));
    assert_eq!(meaning.name(), "StoreUnavailable", "{meaning}");
}
