//! Names and limits on which others rely, as literals: who changes one changes it here, too, on purpose.

use order::Status;

#[test]
fn each_status_has_these_names() {
    let found = Status::ALL.map(|status| {
        (
            status.as_str(),
            status.event(),
            status.metric(),
            status.customer_message(),
        )
    });
    let expected = [
        ("PLACED", "ORDER_PLACED", "OrdersPlaced", None),
        (
            "ACCEPTED",
            "ORDER_ACCEPTED",
            "OrdersAccepted",
            Some("Order confirmed"),
        ),
        (
            "REJECTED",
            "ORDER_REJECTED",
            "OrdersRejected",
            Some("Order declined"),
        ),
        (
            "CANCELLED",
            "ORDER_CANCELLED",
            "OrdersCancelled",
            Some("Order cancelled"),
        ),
        (
            "TIMED_OUT",
            "ORDER_TIMED_OUT",
            "OrdersTimedOut",
            Some("Order expired"),
        ),
        (
            "FAILED",
            "ORDER_FAILED",
            "OrdersFailed",
            Some("Order could not be processed"),
        ),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_order_has_these_limits_and_is_known_by_these_names() {
    let limits = [
        (order::MAX_ID, 80),
        (order::MAX_ITEMS, 100),
        (order::MAX_NAME, 200),
        (order::MAX_NOTE, 500),
        (order::MAX_REASON, 500),
    ];
    for (found, expected) in limits {
        assert_eq!(found, expected);
    }
    assert_eq!(
        (order::MAX_QUANTITY, order::MAX_UNIT_AMOUNT),
        (999, 10_000_000_000)
    );
    assert_eq!(order::EVENT_SOURCE, "order-processing");
    assert_eq!(
        (order::indexes::OPEN, order::indexes::CLOSED),
        ("open", "closed")
    );
    assert_eq!(
        order::MALFORMED_ANSWER,
        "InvalidRestaurantResponse: the answer must be {\"isAccepted\": true}, {\"isAccepted\": false} or {\"isCancelled\": true}, \
         in fewer than 60,000 characters of JSON"
    );
}
