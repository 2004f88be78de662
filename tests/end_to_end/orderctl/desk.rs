//! `orderctl desk`, in a real pseudo-terminal.

use order::Status;
use support::{Stack, Terminal, TestOrder, unique};
use tokio::process::Command;

use super::people::{anybody, restaurant};

#[tokio::test]
async fn a_desk_shows_orders_as_they_come_and_answers_with_a_key() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.order.restaurant_id],
    );
    desk.wait_for("No order waits").await;
    let execution = order.place().await;
    let token = order.restaurant_message().await.task_token;
    desk.wait_for("1 order waits").await;
    desk.press("jr");
    desk.wait_for(" rejected?").await;
    let shown: String = desk.contents().split_whitespace().collect();
    assert!(
        !shown.contains(token.get(..40).unwrap_or(&token)),
        "a token is on the screen"
    );
    // What is pasted comes as text: by keys, its line end would reject the order already. Home, and back over what is there.
    desk.press("\u{1b}[200~t of\r\u{1b}[201~dough\u{1b}[HOuu\u{7f}\r");
    desk.wait_for("REJECTED  (Out of dough)").await;
    desk.wait_for("No order waits").await;
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
    assert!(desk.is_given_back(), "the terminal is not given back");
}

#[tokio::test]
async fn a_desk_whose_keys_cannot_be_read_ends_and_says_so() {
    let mut desk = Terminal::without_keys(&["desk", "--restaurant", &unique()]);
    assert_eq!(desk.end().await, 1);
    assert!(desk.is_given_back(), "the terminal is not given back");
    desk.wait_for("error: the terminal or a file failed").await;
}

#[tokio::test]
async fn a_desk_that_is_terminated_gives_the_terminal_back() {
    let mut desk = Terminal::run(&anybody(), &["desk", "--restaurant", &unique()]);
    desk.wait_for("No order waits").await;
    let pid = desk.process();
    let sent = Command::new("kill").arg(&pid).status().await.expect("kill");
    assert!(sent.success());
    desk.end().await;
    assert!(desk.is_given_back(), "the terminal is not given back");
}
