//! The statuses of an order, and what follows from each: its event, its metric, what the customer is told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares the statuses, and with them the list of all, so that none can be missing from it.
macro_rules! statuses {
    ($(#[$on_enum:meta])* pub enum Status { $($(#[$on_status:meta])* $status:ident,)* }) => {
        $(#[$on_enum])*
        pub enum Status { $($(#[$on_status])* $status,)* }

        impl Status {
            /// Every status, the first one first.
            pub const ALL: [Self; [$(Self::$status),*].len()] = [$(Self::$status),*];
        }
    };
}

statuses! {
    /// Where an order stands. It begins as `PLACED` and moves once, to one of the others.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    pub enum Status {
        /// Stored, waiting for the restaurant's answer.
        Placed,
        /// The restaurant answered `{"isAccepted": true}`.
        Accepted,
        /// The restaurant answered `{"isAccepted": false}`, with or without a reason.
        Rejected,
        /// The answer was `{"isCancelled": true}`: the customer cancelled.
        Cancelled,
        /// The restaurant did not answer in time.
        TimedOut,
        /// The restaurant reported a failure, or its answer was malformed.
        Failed,
    }
}

impl Status {
    /// The name in the table, in events and in messages, such as `TIMED_OUT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "PLACED",
            Self::Accepted => "ACCEPTED",
            Self::Rejected => "REJECTED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
            Self::Failed => "FAILED",
        }
    }

    /// The `DetailType` of the event that announces this status, such as `ORDER_TIMED_OUT`.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Placed => "ORDER_PLACED",
            Self::Accepted => "ORDER_ACCEPTED",
            Self::Rejected => "ORDER_REJECTED",
            Self::Cancelled => "ORDER_CANCELLED",
            Self::TimedOut => "ORDER_TIMED_OUT",
            Self::Failed => "ORDER_FAILED",
        }
    }

    /// The metric that counts the orders that reach this status.
    #[must_use]
    pub const fn metric(self) -> &'static str {
        match self {
            Self::Placed => "OrdersPlaced",
            Self::Accepted => "OrdersAccepted",
            Self::Rejected => "OrdersRejected",
            Self::Cancelled => "OrdersCancelled",
            Self::TimedOut => "OrdersTimedOut",
            Self::Failed => "OrdersFailed",
        }
    }

    /// The only status that an order may have just before this one. None for the first.
    #[must_use]
    pub const fn predecessor(self) -> Option<Self> {
        match self {
            Self::Placed => None,
            Self::Accepted | Self::Rejected | Self::Cancelled | Self::TimedOut | Self::Failed => {
                Some(Self::Placed)
            }
        }
    }

    /// What the customer is told. None while the order is open.
    #[must_use]
    pub const fn customer_message(self) -> Option<&'static str> {
        match self {
            Self::Placed => None,
            Self::Accepted => Some("Order confirmed"),
            Self::Rejected => Some("Order declined"),
            Self::Cancelled => Some("Order cancelled"),
            Self::TimedOut => Some("Order expired"),
            Self::Failed => Some("Order could not be processed"),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_event_and_display_use_the_same_name() {
        for status in Status::ALL {
            let name = status.as_str();
            assert_eq!(
                serde_json::json!(status),
                name,
                "JSON name of {status:?} differs"
            );
            assert_eq!(
                status.event(),
                format!("ORDER_{name}"),
                "event of {status:?} differs"
            );
            assert_eq!(
                status.to_string(),
                name,
                "display name of {status:?} differs"
            );
        }
    }

    #[test]
    fn an_order_moves_once_from_placed_to_a_final_status_that_the_customer_hears_of() {
        assert_eq!(Status::Placed.predecessor(), None);
        assert_eq!(Status::Placed.customer_message(), None);
        for status in Status::ALL.into_iter().filter(|s| *s != Status::Placed) {
            assert_eq!(
                status.predecessor(),
                Some(Status::Placed),
                "{status} follows something else than PLACED"
            );
            assert!(
                status.customer_message().is_some(),
                "the customer is told nothing of {status}"
            );
        }
    }
}
