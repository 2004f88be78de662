//! What must hold for any input of an order. Shared by the fuzz target and the property tests.

use order::Order;

/// Reads the input as an order; panics if anything but a valid order or a proper list of its problems comes of it.
pub fn parse_order(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let id = Order::id_of(text);
    match Order::from_json(text) {
        Ok(order) => {
            assert_eq!(
                id.as_ref(),
                Some(&order.order_id),
                "the id that is logged is another one"
            );
            assert!(
                order.total_amount() < 1 << 53,
                "the total is not exact in JSONata"
            );
            let written = serde_json::to_string(&order).expect("an order is JSON");
            let again = Order::from_json(&written).expect("a valid order stays valid");
            assert_eq!(again, order, "an order changes when it is written and read");
        }
        Err(invalid) => {
            let message = invalid.to_string();
            assert!(
                !invalid.problems.is_empty(),
                "an order is refused without a problem"
            );
            assert!(
                message.len() < 32_768,
                "the message does not fit into a cause"
            );
            assert!(
                message.chars().all(order::is_printable),
                "the message holds what may not be printed"
            );
            // An unknown field may have any name, of which the message repeats a part.
            let of_rules = invalid
                .problems
                .iter()
                .filter(|problem| !problem.message.contains("is not a field"));
            for problem in of_rules {
                assert!(
                    !problem.to_string().contains("::"),
                    "a Rust type is named: {problem}"
                );
            }
        }
    }
}
