//! What the desk shows, as a terminal would, and what it does.

use order::Status;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};
use serde_json::json;

use super::*;

const NOW: &str = "2026-01-31T12:00:30Z";

fn order(id: &str, left: i64, items: &[(&str, u64)]) -> Waiting {
    let now: Timestamp = NOW.parse().expect("a time");
    let items: Vec<_> = items
        .iter()
        .map(|(name, quantity)| json!({ "name": name, "quantity": quantity, "unit_amount": 1250 }))
        .collect();
    let message = json!({
        "order_id": id, "restaurant_id": "rest-7", "items": items, "currency": "EUR", "total_amount": 2500,
        "note": "No basil, please", "respond_by": "", "task_token": format!("token of {id}"),
    });
    Waiting {
        message: serde_json::from_value(message).expect("a message"),
        respond_by: now + SignedDuration::from_secs(left),
    }
}

/// A desk on a screen of this size.
struct Desk {
    screen: Screen,
    area: Rect,
}

impl Desk {
    fn of(width: u16, height: u16, can_answer: bool) -> Self {
        let now = NOW.parse().expect("a time");
        Self {
            screen: Screen::new("order-workflow: rest-7".into(), can_answer, now),
            area: Rect::new(0, 0, width, height),
        }
    }

    fn with(width: u16, height: u16, waiting: Vec<Waiting>) -> Self {
        let mut desk = Self::of(width, height, true);
        desk.look(waiting, &[]);
        desk
    }

    fn look(&mut self, waiting: Vec<Waiting>, gone: &[(&str, Option<Status>)]) {
        let gone = gone
            .iter()
            .map(|(id, status)| ((*id).into(), *status))
            .collect();
        self.take(Event::Looked(Ok(Look { waiting, gone })));
    }

    fn take(&mut self, event: Event) -> Option<Effect> {
        self.screen.handle(event, self.area)
    }

    fn press(&mut self, key: KeyCode) -> Option<Effect> {
        self.take(Event::Input(Input::Key(key.into())))
    }

    fn write(&mut self, text: &str) {
        for c in text.chars() {
            assert!(self.press(KeyCode::Char(c)).is_none(), "{c}");
        }
    }

    /// The order that is answered now, and the answer.
    fn enter(&mut self) -> (Box<Waiting>, Answer) {
        match self.press(KeyCode::Enter) {
            Some(Effect::Answer(waiting, said)) => (waiting, said),
            _ => panic!("nothing is answered:\n{}", self.drawn()),
        }
    }

    fn drawn(&self) -> TestBackend {
        let backend = TestBackend::new(self.area.width, self.area.height);
        let mut terminal = Terminal::new(backend).expect("a terminal");
        terminal
            .draw(|frame| self.screen.draw(frame))
            .expect("a screen");
        terminal.backend().clone()
    }

    /// Fails unless it shows these lines. A character that is twice as wide has two cells.
    fn assert_shows(&self, lines: &[&str]) {
        let drawn = self.drawn();
        let row = |y| {
            let mut row = String::new();
            let mut x = 0;
            while x < self.area.width {
                let symbol = drawn.buffer()[(x, y)].symbol();
                row += symbol;
                x += u16::try_from(render::width(symbol).max(1)).expect("a width");
            }
            row.replace(['\u{2068}', '\u{2069}'], "")
                .trim_end()
                .to_owned()
        };
        let rows: Vec<_> = (0..self.area.height).map(row).collect();
        assert!(
            rows == lines,
            "it shows\n{}\nand not\n{}",
            rows.join("\n"),
            lines.join("\n")
        );
    }

    /// Fails unless these are the messages.
    fn assert_says(&self, messages: &[&str]) {
        let said: Vec<_> = self
            .screen
            .log
            .iter()
            .map(|said| said.split_once("  ").expect("a time").1)
            .collect();
        assert_eq!(said, messages);
    }
}

/// An outcome, as an order's row has it.
fn closed(id: &str, status: Status, reason: Option<&str>) -> ClosedOrder {
    ClosedOrder {
        restaurant_id: "rest-7".into(),
        order_id: id.into(),
        status,
        closed_at: NOW.into(),
        status_reason: reason.map(Into::into),
        ready_at: None,
        expires_at: 0,
    }
}

const PIZZA: &[(&str, u64)] = &[("Margherita", 2), ("Tiramisù", 1)];

fn two() -> Vec<Waiting> {
    vec![
        order("ord-1", 570, PIZZA),
        order("ord-2", 120, &[("寿司 of the house", 2)]),
    ]
}

#[test]
fn an_order_is_selected_and_answered_with_keys() {
    let mut desk = Desk::of(60, 4, true);
    let headings = "ORDER  RESTAURANT  TOTAL  LEFT  ITEMS";
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "Looking ...",
        headings,
        "↑ ↓ select   q quit",
    ]);
    desk.look(vec![], &[]);
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "No order waits",
        headings,
        "↑ ↓ select   q quit",
    ]);
    desk.area.height = 13;
    desk.look(two(), &[]);
    // Nothing is selected, so nothing is answered.
    desk.write("ar");
    assert!(desk.screen.field.is_none());
    desk.write("j");
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "2 orders wait",
        "ORDER  RESTAURANT  TOTAL      LEFT  ITEMS",
        "ord-1  rest-7      EUR 25.00  9:30  2 × Margherita, +1 item",
        "ord-2  rest-7      EUR 25.00  2:00  2 × 寿司 of the house",
        "",
        "",
        "ord-1 for rest-7, EUR 25.00",
        "Note: No basil, please",
        "EUR 25.00  2 × Margherita",
        "EUR 12.50  1 × Tiramisù",
        "",
        "a accept   r reject   ↑ ↓ select   q quit",
    ]);
    desk.write("rno");
    desk.press(KeyCode::Esc);
    desk.write("asoon");
    assert!(desk.press(KeyCode::Enter).is_none());
    desk.assert_says(&["minutes are a whole number from 1 to 1440"]);
    desk.press(KeyCode::Esc);
    desk.write("rt of doughX");
    desk.press(KeyCode::Backspace);
    desk.press(KeyCode::Home);
    desk.write("Ou");
    desk.area.height = 12;
    let said_at = time_of_day(desk.screen.now);
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "2 orders wait",
        "ORDER  RESTAURANT  TOTAL      LEFT  ITEMS",
        "ord-1  rest-7      EUR 25.00  9:30  2 × Margherita, +1 item",
        "ord-2  rest-7      EUR 25.00  2:00  2 × 寿司 of the house",
        "ord-1 for rest-7, EUR 25.00",
        "Note: No basil, please",
        "↑ 0 lines   ↓ 2 lines   Page Up, Page Down",
        &format!("{said_at}  minutes are a whole number from 1 to 1440"),
        "",
        "Why is ord-1 rejected? Out of dough",
        "Enter rejects, with or without a reason   Esc goes back",
    ]);
    let (waiting, said) = desk.enter();
    assert_eq!(waiting.message.order_id, "ord-1");
    assert!(matches!(&said, Answer::Reject { reason: Some(why) } if why == "Out of dough"));
    // While it is answered, it is not answered again.
    desk.write("ra");
    assert!(desk.screen.field.is_none());
    let outcome = closed("ord-1", Status::Rejected, Some("Out of dough"));
    desk.take(Event::Answered(waiting, said, Ok(outcome)));
    // Once the selected order is gone, nothing is selected, and keys answer no other.
    desk.write("ar");
    desk.area.height = 9;
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "1 order waits",
        "ORDER  RESTAURANT  TOTAL      LEFT  ITEMS",
        "ord-2  rest-7      EUR 25.00  2:00  2 × 寿司 of the house",
        "",
        &format!("{said_at}  minutes are a whole number from 1 to 1440"),
        &format!("{said_at}  ord-1  REJECTED  (Out of dough)"),
        "",
        "↑ ↓ select   q quit",
    ]);
}

#[test]
fn an_order_is_ready_in_so_many_minutes_or_at_no_said_time() {
    for (text, ready_at) in [
        ("", None),
        ("25", Some("2026-01-31T12:25:30Z")),
        ("1440", Some("2026-02-01T12:00:30Z")),
    ] {
        let mut desk = Desk::with(60, 12, two());
        desk.write("ja");
        desk.write(text);
        let (_, said) = desk.enter();
        let Answer::Accept { ready_at: given } = said else {
            panic!("no acceptance: {said:?}");
        };
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(given.as_deref().map(time), ready_at.map(time));
    }
    for text in ["0", "-5", "1441", "soon", "1e3"] {
        let mut desk = Desk::with(60, 12, two());
        desk.write("ja");
        desk.write(text);
        assert!(desk.press(KeyCode::Enter).is_none(), "{text} is taken");
    }
}

#[test]
fn what_is_pasted_is_one_line_of_text_and_answers_nothing() {
    let mut desk = Desk::with(80, 12, two());
    let paste = |text: &str| Event::Input(Input::Paste(text.into()));
    desk.write("j");
    desk.take(paste("a\r"));
    desk.assert_says(&["the pasted text was ignored: there is no field to fill in"]);
    desk.write("r");
    // By keys, this would reject the order, select the other one, and accept it.
    desk.take(paste("Out of dough\r\nj\ra\u{1b}[2J"));
    let field = |desk: &Desk| {
        desk.screen
            .field
            .as_ref()
            .expect("a field")
            .text()
            .to_owned()
    };
    assert_eq!(field(&desk), "Out of dough  j a [2J");
    desk.take(paste(&"x".repeat(2 * MAX_REASON)));
    assert_eq!(field(&desk).chars().count(), MAX_REASON);
    let (waiting, _) = desk.enter();
    assert_eq!(waiting.message.order_id, "ord-1");
}

#[test]
fn whoever_was_not_the_first_is_told() {
    let already = Failure::new(
        Kind::AnsweredAlready,
        "ord-1 was answered already: CANCELLED",
    );
    let late = Failure::new(Kind::TooLate, "too late");
    let unknown = Failure::new(Kind::NotRecorded, "not recorded yet");
    let failed = Failure::other("AWS cannot be reached");
    // Which of the two orders wait then, and whether the answered one can be answered again.
    for (failure, left, again) in [
        (already, 1, false),
        (late, 1, false),
        (unknown, 2, false),
        (failed, 2, true),
    ] {
        let mut desk = Desk::with(60, 12, two());
        desk.write("ja25");
        let (waiting, said) = desk.enter();
        desk.take(Event::Answered(waiting, said, Err(failure.clone())));
        desk.assert_says(&[&failure.message]);
        assert_eq!(desk.screen.waiting.len(), left, "{failure}");
        desk.write("a");
        assert_eq!(desk.screen.field.is_some(), again, "{failure}");
    }
    let mut desk = Desk::with(60, 12, two());
    desk.write("ja25");
    let (waiting, said) = desk.enter();
    desk.take(Event::Answered(
        waiting,
        said,
        Ok(closed("ord-1", Status::Accepted, None)),
    ));
    let [accepted, lost] = &desk.screen.log[..] else {
        panic!("{:?}", desk.screen.log);
    };
    assert!(accepted.ends_with("  ord-1  ACCEPTED"), "{accepted}");
    assert!(
        lost.contains("ord-1 was accepted without the time 2026-01-31T"),
        "{lost}"
    );
}

#[test]
fn what_goes_without_this_desk_is_said_and_so_is_a_failure_until_the_next_look() {
    let mut desk = Desk::with(60, 4, two());
    desk.look(
        vec![],
        &[
            ("ord-1", Some(Status::Cancelled)),
            ("ord-2", None),
            ("ord-3", None),
        ],
    );
    desk.assert_says(&[
        "ord-1  CANCELLED, not by this desk",
        "ord-2  its deadline has passed",
    ]);
    desk.screen.log.clear();
    desk.take(Event::Looked(Err(Failure::other("AWS cannot be reached"))));
    let keys = "↑ ↓ select   q quit";
    let headings = "ORDER  RESTAURANT  TOTAL  LEFT  ITEMS";
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "AWS cannot be reached",
        headings,
        keys,
    ]);
    desk.look(vec![], &[]);
    desk.assert_shows(&["order-workflow: rest-7", "No order waits", headings, keys]);
    // What this desk answers is said once, with its outcome; of all messages, the last five stay.
    desk.look(two(), &[]);
    desk.write("ja");
    let (_, _) = desk.enter();
    desk.look(vec![], &[("ord-1", Some(Status::Accepted))]);
    desk.assert_says(&[]);
    for _ in 0..9 {
        desk.take(Event::Input(Input::Paste("a".into())));
    }
    assert_eq!(desk.screen.log.len(), 5);
}

#[test]
fn a_desk_closes_once_its_answers_have_arrived_or_at_once() {
    let mut desk = Desk::with(80, 5, two());
    desk.write("ja");
    let (waiting, said) = desk.enter();
    desk.write("q");
    let keys = "Waiting for the outcome of what was answered ...   Ctrl-C ends it at once";
    assert!(format!("{}", desk.drawn()).contains(keys));
    let outcome = closed("ord-1", Status::Accepted, None);
    let end = desk.take(Event::Answered(waiting, said, Ok(outcome)));
    assert!(matches!(end, Some(Effect::End)));
    let mut desk = Desk::with(80, 5, two());
    desk.write("jr");
    let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(matches!(
        desk.take(Event::Input(Input::Key(key))),
        Some(Effect::End)
    ));
}

#[test]
fn what_only_shows_orders_answers_none() {
    let mut desk = Desk::of(60, 8, false);
    desk.look(two(), &[]);
    desk.write("jar");
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "2 orders wait",
        "ORDER  RESTAURANT  TOTAL      LEFT  ITEMS",
        "ord-1  rest-7      EUR 25.00  9:30  2 × Margherita, +1 item",
        "ord-2  rest-7      EUR 25.00  2:00  2 × 寿司 of the house",
        "ord-1 for rest-7, EUR 25.00",
        "↑ 0 lines   ↓ 3 lines   Page Up, Page Down",
        "↑ ↓ select   q quit",
    ]);
}

#[test]
fn an_order_looks_selected_urgent_or_answered() {
    let orders = vec![
        order("ord-1", 570, PIZZA),
        order("ord-2", 60, PIZZA),
        order("ord-3", 59, PIZZA),
    ];
    let mut desk = Desk::with(60, 14, orders);
    desk.write("ja");
    let (_, _) = desk.enter();
    desk.press(KeyCode::Down);
    let drawn = desk.drawn();
    let looks = [3, 4, 5].map(|y| drawn.buffer()[(0, y)].style());
    let [answered, selected, urgent] = looks.map(|look| (look.fg, look.add_modifier));
    let plain = Some(Color::Reset);
    assert_eq!(answered, (plain, Modifier::DIM));
    assert_eq!(selected, (plain, Modifier::REVERSED));
    assert_eq!(urgent, (Some(Color::Red), Modifier::empty()));
}

#[test]
fn all_of_an_order_is_shown_its_note_first() {
    let names: Vec<_> = (1..=12)
        .map(|number| format!("寿司 no. {number:02}"))
        .collect();
    let items: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut desk = Desk::with(50, 11, vec![order("ord-1", 570, &items)]);
    let shows = |desk: &Desk, lines: [&str; 4]| {
        let above = [
            "order-workflow: rest-7",
            "1 order waits",
            "ORDER  RESTAURANT  TOTAL      LEFT  ITEMS",
            "ord-1  rest-7      EUR 25.00  9:30",
            "  1 × 寿司 no. 01, 1 × 寿司 no. 02, +10 items",
            "",
        ];
        let keys = ["a accept   r reject   ↑ ↓ select   q quit"];
        desk.assert_shows(&[&above[..], &lines, &keys].concat());
    };
    desk.write("j");
    let begin = [
        "ord-1 for rest-7, EUR 25.00",
        "Note: No basil, please",
        "EUR 12.50  1 × 寿司 no. 01",
        "↑ 0 lines   ↓ 11 lines   Page Up, Page Down",
    ];
    shows(&desk, begin);
    for _ in 0..9 {
        desk.press(KeyCode::PageDown);
    }
    shows(
        &desk,
        [
            "EUR 12.50  1 × 寿司 no. 10",
            "EUR 12.50  1 × 寿司 no. 11",
            "EUR 12.50  1 × 寿司 no. 12",
            "↑ 11 lines   ↓ 0 lines   Page Up, Page Down",
        ],
    );
    desk.press(KeyCode::PageUp);
    desk.write("b bbb");
    shows(&desk, begin);
    // Another order is shown from its beginning.
    desk.write(" k");
    shows(&desk, begin);
}

#[test]
fn as_many_orders_are_shown_as_fit_and_the_others_are_counted() {
    let orders = (1..=9).map(|number| order(&format!("ord-{number}"), 570, PIZZA));
    let mut desk = Desk::with(60, 7, orders.collect());
    let row =
        |number| format!("ord-{number}  rest-7      EUR 25.00  9:30  2 × Margherita, +1 item");
    let [title, wait, headings] = [
        "order-workflow: rest-7",
        "9 orders wait",
        "ORDER  RESTAURANT  TOTAL      LEFT  ITEMS",
    ];
    let keys = "↑ ↓ select   q quit";
    desk.assert_shows(&[
        title,
        wait,
        headings,
        &row(1),
        &row(2),
        "↑ 0 more   ↓ 7 more orders",
        keys,
    ]);
    // Upwards, from the end.
    desk.press(KeyCode::Up);
    desk.write("k");
    desk.area.height = 9;
    desk.assert_shows(&[
        title,
        wait,
        headings,
        &row(8),
        "↑ 7 more   ↓ 1 more orders",
        "ord-8 for rest-7, EUR 25.00",
        "Note: No basil, please",
        "↑ 0 lines   ↓ 2 lines   Page Up, Page Down",
        "a accept   r reject   ↑ ↓ select   q quit",
    ]);
}

#[test]
fn ids_and_money_are_whole_at_any_width() {
    let long = "o".repeat(80);
    let mut first = order("ord-2001", 570, &[("寿司 of the house", 2); 4]);
    first.message.total_amount = 1_234_560;
    let mut desk = Desk::with(40, 12, vec![first, order(&long, 570, PIZZA)]);
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "2 orders wait",
        "ORDER     RESTAURANT  TOTAL         LEFT",
        "  ITEMS",
        "ord-2001  rest-7      EUR 12345.60  9:30",
        "  2 × 寿司 of the house, +3 items",
        &"o".repeat(40),
        &"o".repeat(40),
        "  rest-7              EUR 25.00     9:30",
        "  2 × Margherita, 1 × Tiramisù",
        "",
        "↑ ↓ select   q quit",
    ]);
    desk.area = Rect::new(0, 0, 80, 7);
    desk.assert_shows(&[
        "order-workflow: rest-7",
        "2 orders wait",
        "ORDER     RESTAURANT  TOTAL         LEFT  ITEMS",
        "ord-2001  rest-7      EUR 12345.60  9:30  2 × 寿司 of the house, +3 items",
        &long,
        "  rest-7              EUR 25.00     9:30  2 × Margherita, 1 × Tiramisù",
        "↑ ↓ select   q quit",
    ]);
    // The question of a field goes above the field where both do not fit.
    desk.area = Rect::new(0, 0, 40, 14);
    desk.write("jjr");
    let drawn = format!("{}", desk.drawn());
    assert!(
        drawn.contains(&format!("\"Why is {}\"", " ".repeat(33))),
        "{drawn}"
    );
}
