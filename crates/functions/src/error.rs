//! The errors of the functions, by the names that the state machine matches.

use lambda_runtime::Diagnostic;
use order::InvalidOrder;

/// Why a function failed. [`Error::name`] is the Lambda `errorType`, which `ErrorEquals` in the state machine
/// matches; the text is the `errorMessage`, for people, and repeats no personal data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input breaks the rules of an order. Never retried.
    #[error("{0}")]
    InvalidOrder(#[from] InvalidOrder),
    /// Another execution already placed this order, which is untouched. Never retried.
    #[error("{0}")]
    DuplicateOrder(String),
    /// There is no such order. Never retried.
    #[error("{0}")]
    OrderNotFound(String),
    /// The order already has another final status, or belongs to another execution. Never retried.
    #[error("{0}")]
    StatusConflict(String),
    /// `DynamoDB` is throttling, slow, failing or out of reach; for the pages, KMS or Step Functions, too. Retried.
    #[error("{0}")]
    StoreUnavailable(String),
    /// SNS is throttling, slow, failing or out of reach; where links are published, KMS, too. Retried.
    #[error("{0}")]
    NotificationUnavailable(String),
    /// The deployment is wrong: access denied, no such table or topic, a request that the function does not
    /// understand. Never retried.
    #[error("{0}")]
    Misconfigured(String),
}

impl Error {
    /// For an item in the table that is not an order as this workflow writes it.
    #[must_use]
    pub fn unreadable_item(order_id: &str) -> Self {
        Self::Misconfigured(format!("order {order_id} in the table cannot be read"))
    }

    /// The error's name in the state machine.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InvalidOrder(_) => "InvalidOrder",
            Self::DuplicateOrder(_) => "DuplicateOrder",
            Self::OrderNotFound(_) => "OrderNotFound",
            Self::StatusConflict(_) => "StatusConflict",
            Self::StoreUnavailable(_) => "StoreUnavailable",
            Self::NotificationUnavailable(_) => "NotificationUnavailable",
            Self::Misconfigured(_) => "Misconfigured",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.name().into(),
            error_message: error.to_string(),
        }
    }
}
