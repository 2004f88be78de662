//! What the functions count beside the orders that reach each status, for which `order::Status` has the names.

/// Declares the metrics, and with them the list of all, so that none can be missing from it.
macro_rules! metrics {
    ($($(#[$doc:meta])* $metric:ident = $name:literal,)*) => {
        $($(#[$doc])* pub const $metric: &str = $name;)*

        /// Every name.
        pub const ALL: [&str; [$($metric),*].len()] = [$($metric),*];
    };
}

metrics! {
    /// Orders that break a rule. Each is the caller's to mend, so one alone alarms nobody.
    ORDERS_INVALID = "OrdersInvalid",
    /// Orders whose id another execution has placed; the same holds for them.
    ORDERS_DUPLICATE = "OrdersDuplicate",
    /// Failed attempts to write a message to the table of open orders. Lambda does not count these as errors of the function.
    OPEN_ORDERS_FAILED = "OpenOrdersFailed",
    /// Failures that restaurants report, which fail their task though nothing is wrong with AWS.
    RESTAURANT_FAILURES = "RestaurantFailures",
    /// Orders that failed because AWS could not ask the restaurant.
    RESTAURANT_NOT_REACHED = "RestaurantNotReached",
    /// How long restaurants take to answer, in milliseconds.
    RESTAURANT_RESPONSE_TIME = "RestaurantResponseTime",
}
