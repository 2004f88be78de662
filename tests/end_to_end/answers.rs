//! Answers of the restaurant that are not of the form `{"isAccepted": true}` or `{"isAccepted": false}`.

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
}
