//! Time zones.

use serde_json::json;

use crate::aws::{Aws, Person, json as answer_json};

/// An AWS in which the order `o` was placed and is accepted with these times.
fn aws_with_an_order(placed_at: &str, ready_at: &str) -> Aws {
    let order = json!({ "Item": {
        "order_id": { "S": "o" }, "status": { "S": "ACCEPTED" }, "customer_id": { "S": "c" },
        "restaurant_id": { "S": "r" }, "currency": { "S": "EUR" }, "total_amount": { "N": "1" },
        "items": { "L": [{ "M": { "name": { "S": "n" }, "quantity": { "N": "1" }, "unit_amount": { "N": "1" } } }] },
        "placed_at": { "S": placed_at }, "updated_at": { "S": placed_at }, "ready_at": { "S": ready_at },
        "execution_arn": { "S": "arn:execution" },
    } });
    Aws::new(move |call| {
        Some(match call.action.as_str() {
            "GetItem" => answer_json(&order),
            "DescribeExecution" => answer_json(&json!({
                "executionArn": "arn:execution", "stateMachineArn": "arn:machine", "status": "SUCCEEDED",
                "startDate": 1_800_000_000.0,
            })),
            "GetExecutionHistory" => answer_json(&json!({ "events": [] })),
            _ => return None,
        })
    })
}

#[test]
fn times_are_shown_in_the_zone_of_the_reader() {
    let aws = aws_with_an_order("2026-01-31T12:00:00Z", "2026-07-31T12:00:00Z");
    for (zone, winter, summer) in [
        (
            "America/New_York",
            "2026-01-31 07:00:00 EST",
            "2026-07-31 08:00:00 EDT",
        ),
        (
            ":Europe/Zurich",
            "2026-01-31 13:00:00 CET",
            "2026-07-31 14:00:00 CEST",
        ),
        (
            "Asia/Kolkata",
            "2026-01-31 17:30:00 IST",
            "2026-07-31 17:30:00 IST",
        ),
        (
            "EST5EDT,M3.2.0,M11.1.0",
            "2026-01-31 07:00:00 EST",
            "2026-07-31 08:00:00 EDT",
        ),
        (
            "<+03>-3",
            "2026-01-31 15:00:00 +03",
            "2026-07-31 15:00:00 +03",
        ),
        ("UTC", "2026-01-31 12:00:00 UTC", "2026-07-31 12:00:00 UTC"),
        // As everywhere: <https://www.gnu.org/software/libc/manual/html_node/TZ-Variable.html>
        ("", "2026-01-31 12:00:00 UTC", "2026-07-31 12:00:00 UTC"),
    ] {
        let done = Person::of(&aws).set("TZ", zone).run(&["show", "o"]);
        done.assert(0, &[]);
        let shown = |what: &str| {
            let line = done
                .stdout
                .lines()
                .find(|line| line.trim().starts_with(what));
            line.and_then(|line| line.trim().strip_prefix(what))
                .map(str::trim)
        };
        assert_eq!(shown("placed"), Some(winter), "{zone}: {done:?}");
        assert_eq!(shown("ready at"), Some(summer), "{zone}: {done:?}");
        assert_eq!(done.stderr, "");
    }
}

#[test]
fn a_zone_that_cannot_be_read_is_said_once() {
    let aws = aws_with_an_order("2026-01-31T12:00:00Z", "2026-07-31T12:00:00Z");
    for zone in ["America/Nowhere", "nonsense", "/etc/hostname"] {
        let done = Person::of(&aws).set("TZ", zone).run(&["show", "o"]);
        done.assert(0, &[]);
        assert_eq!(
            done.stderr,
            format!("The time zone TZ={zone} cannot be read: times are in UTC\n")
        );
        assert!(done.stdout.contains("2026-01-31 12:00:00 UTC"), "{done:?}");
    }
}
