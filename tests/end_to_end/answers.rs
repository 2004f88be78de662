//! Answers that are neither an acceptance, nor a rejection, nor a cancellation.

use order::{MALFORMED_ANSWER, Status};

use support::{Stack, TestOrder, cases};

async fn assert_fails_the_order(answer: &str) {
    let order = TestOrder::new(&Stack::connect()).await;
    cases::answered(order, answer, Status::Failed, Some(MALFORMED_ANSWER)).await;
}

macro_rules! malformed {
    ($($name:ident: $answer:literal),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                assert_fails_the_order($answer).await;
            }
        )*
    };
}

malformed! {
    a_text_is_not_a_rejection: r#""yes""#,
    null_is_not_a_rejection: "null",
    an_empty_object_is_not_a_rejection: "{}",
    a_quoted_true_is_not_an_acceptance: r#"{"isAccepted": "true"}"#,
    a_one_is_not_an_acceptance: r#"{"isAccepted": 1}"#,
    a_zero_is_not_a_rejection: r#"{"isAccepted": 0}"#,
    a_null_decision_is_not_a_rejection: r#"{"isAccepted": null}"#,
    a_list_is_not_an_acceptance: "[true]",
    an_acceptance_in_a_list_is_not_an_acceptance: r#"[{"isAccepted": true}]"#,
    a_list_as_decision_is_not_an_acceptance: r#"{"isAccepted": [true]}"#,
    a_false_cancellation_is_not_a_cancellation: r#"{"isCancelled": false}"#,
    a_quoted_cancellation_is_not_a_cancellation: r#"{"isCancelled": "true"}"#,
    a_null_cancellation_is_not_a_cancellation: r#"{"isCancelled": null}"#,
    a_cancellation_in_a_list_is_not_a_cancellation: r#"[{"isCancelled": true}]"#,
    an_accepted_cancellation_is_neither: r#"{"isAccepted": true, "isCancelled": true}"#,
    an_acceptance_that_is_not_cancelled_is_malformed: r#"{"isAccepted": true, "isCancelled": false}"#,
    an_acceptance_with_a_null_cancellation_is_malformed: r#"{"isAccepted": true, "isCancelled": null}"#,
    a_rejected_cancellation_is_neither: r#"{"isAccepted": false, "isCancelled": true}"#,
    a_rejection_that_is_not_cancelled_is_malformed: r#"{"isAccepted": false, "isCancelled": false}"#,
    a_rejection_with_a_null_cancellation_is_malformed: r#"{"isAccepted": false, "isCancelled": null}"#,
    a_cancellation_with_a_null_decision_is_malformed: r#"{"isAccepted": null, "isCancelled": true}"#,
    a_cancellation_that_is_false_and_null_is_malformed: r#"{"isAccepted": null, "isCancelled": false}"#,
    two_nulls_are_malformed: r#"{"isAccepted": null, "isCancelled": null}"#,
}
