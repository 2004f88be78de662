//! `orderctl desk`, in a real pseudo-terminal.

use order::Status;
use support::{Stack, Terminal, TestOrder, unique};
use tokio::process::Command;

use super::people::{anybody, documented, restaurant};
use super::{answer, orderctl};

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
    // Nothing is selected, so nothing is answered.
    desk.press("a");
    desk.press("j");
    desk.wait_for("a accept").await;
    for part in [
        order.order.order_id.as_str(),
        "EUR 31.50",
        "Note: No basil, please",
        "a accept",
    ] {
        assert!(
            desk.contents().contains(part),
            "{part} is not on the screen:\n{}",
            desk.contents()
        );
    }
    let shown: String = desk.contents().split_whitespace().collect();
    assert!(
        !shown.contains(token.get(..40).unwrap_or(&token)),
        "a token is on the screen"
    );

    desk.press("r");
    desk.wait_for(" rejected?").await;
    desk.press("no\u{1b}");
    desk.wait_for("a accept").await;
    desk.press("a");
    desk.wait_for(" ready?").await;
    desk.press("soon\r");
    desk.wait_for("minutes are a whole number").await;
    desk.press("\u{1b}");
    desk.wait_for("a accept").await;
    desk.press("r");
    desk.wait_for(" rejected?").await;
    // The cursor moves: Home, and back over what is there.
    desk.press("t of dough\u{1b}[HOuu\u{7f}\r");
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
async fn of_two_desks_that_race_for_an_order_one_wins_and_the_other_is_told() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let session = restaurant().await;
    let desk = || {
        Terminal::run(
            &session,
            &["desk", "--restaurant", &order.order.restaurant_id],
        )
    };
    let (mut one, mut other) = (desk(), desk());
    let execution = order.place().await;
    one.wait_for("1 order waits").await;
    other.wait_for("1 order waits").await;
    other.press("jr");
    other.wait_for(" rejected?").await;
    one.press("ja");
    one.wait_for(" ready?").await;
    one.press("\r");
    other.press("\r");

    let id = order.order.order_id.as_str();
    let told = |screen: &str| screen.contains(&format!("{id} was answered already"));
    let won = |screen: &str| {
        screen.contains(&format!("{id}  ACCEPTED")) || screen.contains(&format!("{id}  REJECTED"))
    };
    for desk in [&one, &other] {
        desk.wait_until("the outcome", |screen| told(screen) || won(screen))
            .await;
    }
    let status = match [&one, &other].map(|desk| told(&desk.contents())) {
        [false, true] => Status::Accepted,
        [true, false] => Status::Rejected,
        _ => panic!("not one winner:\n{}\n{}", one.contents(), other.contents()),
    };
    order.assert_ended(&execution, status, None).await;
    for desk in [&mut one, &mut other] {
        desk.wait_for("No order waits").await;
        desk.press("q");
        assert_eq!(desk.end().await, 0);
    }
}

#[tokio::test]
async fn a_desk_that_races_with_a_cancellation_is_told_who_won() {
    let stack = Stack::connect();
    let support = documented("support").await;
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.order.restaurant_id],
    );
    let execution = order.place().await;
    desk.wait_for("1 order waits").await;
    desk.press("ja");
    desk.wait_for(" ready?").await;
    desk.press("25\r");
    let cancelled = orderctl(&support, &["cancel", id]).await;
    let (told, won) = (
        format!("{id} was answered already: CANCELLED"),
        format!("{id}  ACCEPTED  (ready at "),
    );
    desk.wait_until("the outcome", |screen| {
        screen.contains(&told) || screen.contains(&won)
    })
    .await;
    match cancelled.code {
        Some(0) => {
            desk.wait_for(&told).await;
            order
                .assert_ended(&execution, Status::Cancelled, None)
                .await;
        }
        Some(3) => {
            desk.wait_for(&won).await;
            stack.end_of(&execution).await;
            let item = stack.item(id).await.expect("the order");
            assert_eq!(item["status"], "ACCEPTED");
        }
        _ => panic!("not one winner: {cancelled:?}\n{}", desk.contents()),
    }
    desk.wait_for("No order waits").await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
}

#[tokio::test]
async fn what_is_pasted_at_a_desk_is_text_and_answers_nothing() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let mut other = order.order.clone();
    other.order_id = format!("{}-other", other.order_id);
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.order.restaurant_id],
    );
    let execution = order.place().await;
    desk.wait_for("1 order waits").await;
    let other_execution = stack.place(&Stack::state_machine(), &other).await;
    desk.wait_for("2 orders wait").await;
    desk.press("j");
    desk.wait_for("a accept").await;
    let paste = |text: &str| format!("\u{1b}[200~{text}\u{1b}[201~");
    desk.press(&paste("a\r"));
    desk.wait_for("the pasted text was ignored").await;
    desk.press("r");
    desk.wait_for(" rejected?").await;
    // By keys, this would reject the order, select the other one, and accept it.
    desk.press(&paste("Out of dough\rja\r"));
    desk.wait_for("rejected? Out of dough ja").await;
    desk.wait_for("2 orders wait").await;
    desk.press("\u{1b}[D\u{7f}\u{7f}\u{1b}[3~\r");
    desk.wait_for("REJECTED  (Out of dough)").await;
    desk.wait_for("1 order waits").await;
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
    answer(&anybody(), "accept", &other, &[])
        .await
        .assert_code(0);
    stack.end_of(&other_execution).await;
}

#[tokio::test]
async fn a_desk_shows_all_of_an_order_its_note_first() {
    let stack = Stack::connect();
    let mut order = TestOrder::new(&stack).await.order;
    let item = order.items[0].clone();
    order.items = (1..=30)
        .map(|number| order::Item {
            name: format!("寿司 no. {number:02}"),
            ..item.clone()
        })
        .collect();
    let mut desk = Terminal::run(
        &restaurant().await,
        &["desk", "--restaurant", &order.restaurant_id],
    );
    let execution = stack.place(&Stack::state_machine(), &order).await;
    desk.wait_for("1 order waits").await;
    desk.press("j");
    desk.wait_for("Note: No basil, please").await;
    desk.wait_for("EUR 25.00  2 × 寿司 no. 01").await;
    desk.wait_until("that there is more", |screen| screen.contains("Page Down"))
        .await;
    for _ in 0..12 {
        desk.press("\u{1b}[6~");
    }
    desk.wait_for("EUR 25.00  2 × 寿司 no. 30").await;
    desk.wait_for("↓ 0 lines").await;
    assert!(!desk.contents().contains("Note:"), "it does not scroll");
    for _ in 0..12 {
        desk.press("\u{1b}[5~");
    }
    desk.wait_for("Note: No basil, please").await;
    desk.press("q");
    assert_eq!(desk.end().await, 0);
    answer(&anybody(), "accept", &order, &[])
        .await
        .assert_code(0);
    stack.end_of(&execution).await;
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
