//! The errors of the functions, by the names that the state machine matches.

use lambda_runtime::Diagnostic;
use order::InvalidOrder;

/// Declares the errors, and with them the list of their names, so that none can be missing from it.
macro_rules! errors {
    ($(#[$on_enum:meta])* pub enum Error { $($(#[$on_error:meta])* $error:ident($(#[$from:meta])? $held:ty),)* }) => {
        $(#[$on_enum])*
        pub enum Error { $($(#[$on_error])* $error($(#[$from])? $held),)* }

        impl Error {
            /// The name of every error.
            pub const NAMES: [&str; [$(stringify!($error)),*].len()] = [$(stringify!($error)),*];

            /// The error's name in the state machine.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$error(_) => stringify!($error),)* }
            }
        }
    };
}

errors! {
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
}

impl Error {
    /// For an item in the table that is not an order as this workflow writes it.
    #[must_use]
    pub fn unreadable_item(order_id: &str) -> Self {
        Self::Misconfigured(format!("order {order_id} in the table cannot be read"))
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
