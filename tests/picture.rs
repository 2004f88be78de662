//! Draws the pictures of README.md on a running stack: `docs/demo.svg`, a recording of an order from its placement to its
//! outcome, and `docs/desk.svg`, a desk with three orders of which one has just been rejected.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failure ends it

use std::fmt::Write;
use std::path::Path;

use order::Order;
use serde_json::json;
use support::{Session, Stack, Terminal, poll_until};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let stack = Stack::connect();
    draw("demo", &recording(&stack).await);
    let mut desk = Terminal::run(&Session::new(), &["desk", "--restaurant", "rest-7"]);
    desk.wait_for("No order waits").await;
    for (number, items, note) in [
        (
            "ord-2002",
            json!([["Margherita", 2, 1250], ["Tiramisù", 1, 650]]),
            Some("No basil, please"),
        ),
        (
            "ord-2003",
            json!([["Quattro formaggi", 1, 1450], ["Acqua frizzante", 2, 320]]),
            None,
        ),
        (
            "ord-2004",
            json!([["Calzone", 3, 1380]]),
            Some("Ring twice"),
        ),
    ] {
        let item = |item: &serde_json::Value| json!({ "name": item[0], "quantity": item[1], "unit_amount": item[2] });
        let items: Vec<_> = items.as_array().expect("items").iter().map(item).collect();
        let mut order = json!({
            "order_id": number, "customer_id": "cust-42", "restaurant_id": "rest-7", "currency": "EUR", "items": items,
        });
        if let Some(note) = note {
            order["note"] = note.into();
        }
        let order = Order::from_json(&order.to_string()).expect("a valid order");
        stack.place(&Stack::state_machine(), &order).await;
        desk.wait_for(number).await;
    }
    desk.wait_for("3 orders wait").await;
    desk.press("jjr");
    desk.wait_for(" rejected?").await;
    desk.press("Out of gorgonzola\r");
    desk.wait_for("REJECTED  (Out of gorgonzola)").await;
    desk.wait_for("2 orders wait").await;
    desk.press("jj");
    desk.wait_for("Note: Ring twice").await;
    draw("desk", &desk.svg());
    desk.press("q");
    desk.end().await;
}

fn draw(name: &str, svg: &str) {
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/{name}.svg"));
    std::fs::write(picture, svg).expect("a picture");
}

/// An order is placed, listed, accepted and shown, as one types it.
async fn recording(stack: &Stack) -> String {
    let mut shell = Terminal::shell();
    let mut frames = Vec::new();
    shell.wait_for("$").await;
    for (command, done, seconds) in [
        ("orderctl place events/counter.json", "placed: ", 2),
        ("orderctl inbox --restaurant rest-7", "EUR 31.50", 3),
        (
            "orderctl accept ord-2001 --restaurant rest-7 --ready-in 25m",
            "ACCEPTED",
            3,
        ),
        ("orderctl show ord-2001", "Notify user", 6),
    ] {
        shell.press(command);
        shell.wait_for(command).await;
        frames.push((shell.svg(), 1));
        shell.press("\r");
        shell.wait_for(done).await;
        // The next prompt: the command has printed all that it prints.
        shell
            .wait_until("a prompt", |screen| screen.trim_end().ends_with('$'))
            .await;
        frames.push((shell.svg(), seconds));
        // An order is listed a moment after it is placed.
        poll_until(|| async {
            let row = stack.open_row("rest-7", "ord-2001").await;
            row.ok_or_else(|| "ord-2001 is not listed".to_owned())
        })
        .await;
    }
    shell.press("exit\r");
    shell.end().await;
    film(&frames)
}

/// One animated picture that shows each of these for some seconds, or only the last where nothing is animated.
fn film(frames: &[(String, u32)]) -> String {
    let length: u32 = frames.iter().map(|(_, seconds)| seconds).sum();
    let (mut svg, mut style, mut begin) = (String::new(), String::new(), 0);
    for (number, (frame, seconds)) in frames.iter().enumerate() {
        let (from, to) = (100 * begin / length, 100 * (begin + seconds) / length);
        begin += seconds;
        let last = number + 1 == frames.len();
        let still = if last { "visible" } else { "hidden" };
        let _ = writeln!(
            style,
            "#f{number}{{visibility:{still};animation:f{number} {length}s step-end infinite}}\
             @keyframes f{number}{{0%{{visibility:hidden}}{from}%{{visibility:visible}}{to}%{{visibility:hidden}}100%{{visibility:hidden}}}}"
        );
        let _ = writeln!(svg, "<g id=\"f{number}\">{frame}</g>");
    }
    let (size, _) = frames[0].0.split_once('>').expect("a picture");
    format!(
        "{size}>\n<style>\n{style}@media (prefers-reduced-motion){{g{{animation:none!important}}}}\n</style>\n{svg}</svg>\n"
    )
}
