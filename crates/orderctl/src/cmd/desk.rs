//! The counter's screen: orders appear as they come, and a key accepts or rejects the selected one.

use std::collections::HashSet;
use std::io::{self, stdout};

use jiff::SignedDuration;
use order::{ClosedOrder, MAX_REASON, is_printable};
use ratatui::Frame;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event as Input, KeyCode, KeyEvent,
    KeyEventKind, KeyModifiers,
};
use ratatui::crossterm::execute;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table, TableState, Wrap};
use ratatui_textarea::TextArea;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::aws::answers::{Answer, answer, lost_time};
use crate::aws::open_orders::{List, Look, REST, Waiting, Whose};
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::{now, zone};
use crate::cmd::WhoseArgs;
use crate::cmd::answer::ready_in;
use crate::failure::{Failure, Kind};
use crate::render::{self, clean, is_terminal, left_until, money, time_of_day};
use crate::table::{self, Last};

/// How many of the last messages are shown, and on how many lines at most.
const LOG_LINES: u16 = 5;
const MOST_OF_LOG: u16 = 8;
/// How many columns are left for an answer beside its question, at least.
const FIELD: usize = 20;
/// From how much time left on an order is shown as urgent.
const SHORT: std::time::Duration = std::time::Duration::from_mins(1);
/// How many lines of an order one key scrolls.
const PAGE: i32 = 3;
/// The longest time until an order is ready that the workflow accepts, in minutes.
const DAY: i64 = 24 * 60;

/// Show orders as they come, and accept or reject them with a key
#[derive(clap::Args)]
#[command(after_help = "Example:\n  orderctl desk --restaurant rest-7")]
pub struct Desk {
    #[command(flatten)]
    whose: WhoseArgs,
}

impl Desk {
    pub async fn run(self, stack: &StackArgs) -> Result<(), Failure> {
        if !is_terminal() {
            return Err(Failure::new(
                Kind::Invalid,
                "the desk needs a terminal; without one, use `orderctl inbox --watch` and `orderctl accept`",
            ));
        }
        let stack = Stack::find(stack).await?;
        desk(&stack, self.whose.into(), true).await
    }
}

enum Event {
    Input(io::Result<Input>),
    Looked(Result<Look, Failure>),
    /// What came of answering this order.
    Answered(Box<Waiting>, Answer, Result<ClosedOrder, Failure>),
}

/// Shows the open orders until `q`; with `can_answer`, answers them too.
pub async fn desk(stack: &Stack, whose: Whose, can_answer: bool) -> Result<(), Failure> {
    let (sender, mut events) = channel(64);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // The countdown goes on even if nothing happens.
    let mut second = interval(std::time::Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);

    // What it says of the zone would disturb the screen.
    zone();
    let mut terminal = ratatui::try_init()?;
    // So pasted text arrives as text, and never as keys.
    let pasting = execute!(stdout(), EnableBracketedPaste);
    read_keys(sender.clone());
    look_again_and_again(List::new(stack, whose.clone()), sender.clone());
    let mut screen = Screen::new(stack.clone(), whose, can_answer, sender);
    let ended: Result<(), Failure> = async {
        pasting?;
        loop {
            terminal.draw(|frame| screen.draw(frame))?;
            tokio::select! {
                Some(event) = events.recv() => if screen.handle(event)? == Next::End { return Ok(()) },
                _ = second.tick() => {}
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            }
        }
    }
    .await;
    let restored = execute!(stdout(), DisableBracketedPaste);
    let shown = terminal.show_cursor();
    // When it is dropped it writes to the terminal again, and panics if that is closed.
    std::mem::forget(terminal);
    ratatui::try_restore()?;
    restored?;
    shown?;
    ended
}

/// A thread, since reading keys blocks. It ends with the process, or with a failure that ends the desk.
fn read_keys(sender: Sender<Event>) {
    std::thread::spawn(move || {
        loop {
            let input = event::read();
            let failed = input.is_err();
            if sender.blocking_send(Event::Input(input)).is_err() || failed {
                return;
            }
        }
    });
}

fn look_again_and_again(mut list: List, sender: Sender<Event>) {
    tokio::spawn(async move {
        while sender.send(Event::Looked(list.look().await)).await.is_ok() {
            sleep(REST).await;
        }
    });
}

#[derive(PartialEq, Eq)]
enum Next {
    Go,
    End,
}

/// The question before an answer is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    /// In how many minutes the order is ready.
    Ready,
    /// Why it is rejected.
    Why,
}

/// A field of one line for the answer to one order. It remembers that order, so that the answer goes to no other.
struct Field {
    question: Question,
    waiting: Waiting,
    text: TextArea<'static>,
}

impl Field {
    fn new(question: Question, waiting: Waiting) -> Self {
        let mut text = TextArea::default();
        text.set_cursor_line_style(Style::new());
        Self {
            question,
            waiting,
            text,
        }
    }

    fn text(&self) -> &str {
        self.text.lines().first().map_or("", String::as_str).trim()
    }

    /// Inserts text as far as there is room; line ends and control characters become spaces.
    fn insert(&mut self, text: &str) {
        let length = self.text.lines().iter().map(|line| line.chars().count());
        let room = MAX_REASON.saturating_sub(length.sum());
        let line = text.replace(|c| !is_printable(c), " ");
        let line: String = line.chars().take(room).collect();
        self.text.insert_str(line);
    }

    /// The answer that the field holds, or what is wrong with it.
    fn answer(&self) -> Result<Answer, String> {
        let text = self.text();
        match self.question {
            Question::Why => Ok(Answer::Reject {
                reason: Some(text.to_owned()).filter(|reason| !reason.is_empty()),
            }),
            Question::Ready if text.is_empty() => Ok(Answer::Accept { ready_at: None }),
            Question::Ready => match text.parse() {
                Ok(minutes @ 1..=DAY) => Ok(Answer::Accept {
                    ready_at: Some(ready_in(SignedDuration::from_mins(minutes))),
                }),
                _ => Err(format!("minutes are a whole number from 1 to {DAY}")),
            },
        }
    }
}

struct Screen {
    stack: Stack,
    whose: Whose,
    can_answer: bool,
    sender: Sender<Event>,
    waiting: Vec<Waiting>,
    /// The id of the selected order, so that it stays selected while others come and go.
    selected: Option<String>,
    /// How many lines of the selected order are above what is shown of it.
    scrolled: u16,
    /// The field that is being filled in.
    field: Option<Field>,
    /// The tokens that this desk has answered or is answering. An order whose restaurant is asked again has a new one.
    answered: HashSet<String>,
    /// How many answers are on their way.
    pending: usize,
    /// Whether the desk closes once they have arrived.
    ending: bool,
    log: Vec<String>,
    looked: bool,
    problem: Option<String>,
}

impl Screen {
    fn new(stack: Stack, whose: Whose, can_answer: bool, sender: Sender<Event>) -> Self {
        Self {
            stack,
            whose,
            can_answer,
            sender,
            waiting: Vec::new(),
            selected: None,
            scrolled: 0,
            field: None,
            answered: HashSet::new(),
            pending: 0,
            ending: false,
            log: Vec::new(),
            looked: false,
            problem: None,
        }
    }

    fn handle(&mut self, event: Event) -> Result<Next, Failure> {
        match event {
            Event::Input(input) => match input? {
                Input::Key(key) if key.kind == KeyEventKind::Press => return Ok(self.key(key)),
                Input::Paste(text) => match &mut self.field {
                    Some(field) => field.insert(&text),
                    None => self.say("the pasted text was ignored: there is no field to fill in"),
                },
                _ => {}
            },
            Event::Looked(Ok(look)) => self.looked(look),
            Event::Looked(Err(failure)) => self.problem = Some(failure.message),
            Event::Answered(answered, said, result) => {
                self.pending = self.pending.saturating_sub(1);
                let order_id = &answered.message.order_id;
                let over = |kind| matches!(kind, Kind::AnsweredAlready | Kind::TooLate);
                if result
                    .as_ref()
                    .map_or_else(|failure| over(failure.kind), |_| true)
                {
                    self.waiting
                        .retain(|waiting| waiting.message.order_id != *order_id);
                }
                match result {
                    // Without the colors of a line: ratatui brings its own.
                    Ok(closed) => {
                        let why = closed.status_reason.as_deref();
                        let rest = render::said(why, closed.ready_at.as_deref());
                        self.say(&format!("{order_id}  {}{rest}", closed.status));
                        if let Some(lost) = lost_time(&said, &closed) {
                            self.say(&lost);
                        }
                    }
                    Err(failure) => {
                        // The next read tells whether it still waits.
                        if failure.kind != Kind::NotRecorded {
                            self.answered.remove(&answered.message.task_token);
                        }
                        self.say(&failure.message);
                    }
                }
            }
        }
        Ok(self.next())
    }

    /// Waits for answers that are on their way.
    fn next(&self) -> Next {
        if self.ending && self.pending == 0 {
            Next::End
        } else {
            Next::Go
        }
    }

    fn looked(&mut self, look: Look) {
        for (order_id, status) in &look.gone {
            let shown = self
                .waiting
                .iter()
                .find(|waiting| waiting.message.order_id == *order_id);
            if shown.is_some_and(|shown| !self.answered.contains(&shown.message.task_token)) {
                match status {
                    Some(status) => self.say(&format!("{order_id}  {status}, not by this desk")),
                    None => self.say(&format!("{order_id}  its deadline has passed")),
                }
            }
        }
        self.waiting = look.waiting;
        self.problem = None;
        self.looked = true;
    }

    fn say(&mut self, what: &str) {
        self.log.push(format!("{}  {what}", time_of_day(now())));
        let surplus = self.log.len().saturating_sub(LOG_LINES.into());
        self.log.drain(..surplus);
    }

    fn key(&mut self, key: KeyEvent) -> Next {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Next::End;
        }
        if let Some(field) = self.field.take() {
            self.key_in_field(field, key);
            return Next::Go;
        }
        match key.code {
            KeyCode::Char('q') => {
                self.ending = true;
                return self.next();
            }
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(PAGE),
            KeyCode::PageUp | KeyCode::Char('b') => self.scroll(-PAGE),
            KeyCode::Char('a') if self.can_answer => self.ask(Question::Ready),
            KeyCode::Char('r') if self.can_answer => self.ask(Question::Why),
            _ => {}
        }
        Next::Go
    }

    fn key_in_field(&mut self, mut field: Field, key: KeyEvent) {
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => match field.answer() {
                Ok(answer) => return self.answer(field.waiting, answer),
                Err(problem) => self.say(&problem),
            },
            KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::CONTROL) => {
                field.insert(c.encode_utf8(&mut [0; 4]));
            }
            // Keys that move the cursor or delete; none that begins a second line.
            KeyCode::Left
            | KeyCode::Right
            | KeyCode::Home
            | KeyCode::End
            | KeyCode::Backspace
            | KeyCode::Delete
            | KeyCode::Char('a' | 'e' | 'h' | 'k' | 'w') => {
                field.text.input(key);
            }
            _ => {}
        }
        self.field = Some(field);
    }

    fn ask(&mut self, question: Question) {
        self.field = self
            .open_selection()
            .map(|waiting| Field::new(question, waiting));
    }

    fn scroll(&mut self, lines: i32) {
        // As far as the order goes: see `draw_order`.
        self.scrolled = u16::try_from(i32::from(self.scrolled) + lines).unwrap_or_default();
    }

    /// The place of the selected order in the list. None if nothing is selected or the order is gone: then no other order is
    /// selected instead, so that a key never answers another order than the one that was meant.
    fn position(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.waiting
            .iter()
            .position(|waiting| waiting.message.order_id == *selected)
    }

    fn selection(&self) -> Option<&Waiting> {
        self.waiting.get(self.position()?)
    }

    fn select(&mut self, by: isize) {
        let last = self.waiting.len().saturating_sub(1);
        let position = match self.position() {
            Some(position) => position.saturating_add_signed(by).min(last),
            None if by > 0 => 0,
            None => last,
        };
        self.scrolled = 0;
        self.selected = self
            .waiting
            .get(position)
            .map(|waiting| waiting.message.order_id.clone());
    }

    /// The selected order, unless it is being answered.
    fn open_selection(&self) -> Option<Waiting> {
        let open = |waiting: &&Waiting| !self.answered.contains(&waiting.message.task_token);
        self.selection().filter(open).cloned()
    }

    fn answer(&mut self, waiting: Waiting, said: Answer) {
        self.answered.insert(waiting.message.task_token.clone());
        self.pending += 1;
        let (stack, sender) = (self.stack.clone(), self.sender.clone());
        tokio::spawn(async move {
            let (restaurant, order_id) =
                (&waiting.message.restaurant_id, &waiting.message.order_id);
            let token = Some(waiting.message.task_token.clone());
            let result = answer(&stack, restaurant, order_id, &said, token).await;
            // Fails only if the desk was closed.
            let _ = sender
                .send(Event::Answered(Box::new(waiting), said, result))
                .await;
        });
    }

    fn draw(&mut self, frame: &mut Frame) {
        let width = frame.area().width;
        let heading = self.heading();
        let log = wrapped(
            self.log
                .iter()
                .map(|said| Line::from(said.as_str()))
                .collect(),
        );
        let keys = wrapped(vec![Line::from(self.keys()).dim()]);
        let height = |text: &Paragraph| u16::try_from(text.line_count(width)).unwrap_or(u16::MAX);
        // What is empty takes no room.
        let some = |some: bool, constraint| {
            if some {
                constraint
            } else {
                Constraint::Length(0)
            }
        };
        let logged = if self.log.is_empty() {
            0
        } else {
            height(&log).min(MOST_OF_LOG) + 1
        };
        let [title, table, order, said, field, last] = Layout::vertical([
            Constraint::Length(height(&heading)),
            Constraint::Fill(1),
            some(self.selection().is_some(), Constraint::Fill(1)),
            Constraint::Length(logged),
            Constraint::Length(self.field_height(width)),
            Constraint::Length(height(&keys)),
        ])
        .areas(frame.area());
        frame.render_widget(heading, title);
        self.draw_table(frame, table);
        let above = height(&log).saturating_sub(said.height);
        frame.render_widget(log.scroll((above, 0)), said);
        self.draw_order(frame, order);
        self.draw_field(frame, field);
        frame.render_widget(keys, last);
    }

    /// Where this is, and what goes on.
    fn heading(&self) -> Paragraph<'static> {
        let whose = match &self.whose {
            Whose::Restaurant(restaurant) => clean(restaurant),
            Whose::All => "all restaurants".into(),
        };
        let state = match (&self.problem, self.looked) {
            (Some(problem), _) => Line::from(problem.clone()).red(),
            (None, false) => Line::from("Looking ..."),
            (None, true) => match self.waiting.len() {
                0 => Line::from("No order waits"),
                1 => Line::from("1 order waits"),
                count => Line::from(format!("{count} orders wait")),
            },
        };
        let place = self.stack.place.as_ref();
        let place = place.map_or_else(String::new, |place| format!(" in {place}"));
        let heading = Line::from(format!("{}{place}: {whose}", self.stack.name)).bold();
        wrapped(vec![heading, state])
    }

    /// The orders that wait. The last line says how many more there are than fit.
    fn draw_table(&self, frame: &mut Frame, area: Rect) {
        let headings = std::iter::once(Waiting::headings());
        let rows: Vec<_> = headings
            .chain(self.waiting.iter().map(Waiting::row))
            .collect();
        let mut rows = table::lines(&rows, Some(area.width.into()))
            .into_iter()
            .map(|lines| {
                let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
                (height, Row::new([lines.join("\n")]).height(height))
            });
        let (above, header) = rows.next().unwrap_or_default();
        let mut heights = Vec::new();
        let mut orders = Vec::new();
        for (waiting, (height, row)) in self.waiting.iter().zip(rows) {
            heights.push(height);
            orders.push(if self.answered.contains(&waiting.message.task_token) {
                row.dim()
            } else if left_until(waiting.respond_by) < SHORT {
                row.red()
            } else {
                row
            });
        }
        let room = area.height.saturating_sub(above);
        let all_fit = heights
            .iter()
            .copied()
            .reduce(u16::saturating_add)
            .unwrap_or(0)
            <= room;
        let [shown, more] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(u16::from(!all_fit))])
                .areas(area);
        let orders = Table::new(orders, [Constraint::Fill(1)])
            .header(header.bold().height(above))
            .row_highlight_style(Style::new().reversed());
        let mut selection = TableState::new().with_selected(self.position());
        frame.render_stateful_widget(orders, shown, &mut selection);
        if !all_fit {
            let before = selection.offset();
            let mut room = shown.height.saturating_sub(above);
            let fits = |height: &&u16| {
                let fits = **height <= room;
                room = room.saturating_sub(**height);
                fits
            };
            let within = heights.iter().skip(before).take_while(fits).count();
            let after = heights.len().saturating_sub(before + within);
            let text = format!("↑ {before} more   ↓ {after} more orders");
            frame.render_widget(Line::from(text).dim(), more);
        }
    }

    /// All of the selected order, the customer's note first. The last line says how much more there is.
    fn draw_order(&mut self, frame: &mut Frame, area: Rect) {
        let Some(Waiting { message, .. }) = self.selection() else {
            return;
        };
        let total = money(message.currency, message.total_amount);
        let restaurant = clean(&message.restaurant_id);
        let heading = format!("{} for {restaurant}, {total}", message.order_id);
        let mut lines = vec![Line::from(heading).bold()];
        let note = message.note.as_deref();
        lines.extend(note.map(|note| Line::from(format!("Note: {}", clean(note))).yellow()));
        let items = message.items.iter().map(|item| {
            let amount = item.quantity.saturating_mul(item.unit_amount);
            table::Row {
                cells: vec![money(message.currency, amount)],
                last: Last::Whole(format!("{} × {}", item.quantity, clean(&item.name))),
            }
        });
        let items: Vec<_> = items.collect();
        let items = table::lines(&items, Some(area.width.into()));
        lines.extend(items.into_iter().flatten().map(Line::from));
        let text = wrapped(lines);

        let [shown, more] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
        let all = u16::try_from(text.line_count(shown.width)).unwrap_or(u16::MAX);
        let below = |scrolled: u16| all.saturating_sub(shown.height).saturating_sub(scrolled);
        self.scrolled = self.scrolled.min(below(0));
        let (above, below) = (self.scrolled, below(self.scrolled));
        frame.render_widget(text.scroll((above, 0)), shown);
        if (above, below) != (0, 0) {
            let more_lines = format!("↑ {above} lines   ↓ {below} lines   Page Up, Page Down");
            frame.render_widget(Line::from(more_lines).dim(), more);
        }
    }

    /// The field's question, if a field is being filled in.
    fn question(&self) -> Option<String> {
        let field = self.field.as_ref()?;
        let id = &field.waiting.message.order_id;
        Some(match field.question {
            Question::Ready => format!("In how many minutes is {id} ready? "),
            Question::Why => format!("Why is {id} rejected? "),
        })
    }

    /// How many lines the field takes: one, or one below its question.
    fn field_height(&self, width: u16) -> u16 {
        let Some(question) = self.question() else {
            return 0;
        };
        if render::width(&question) + FIELD <= width.into() {
            return 1;
        }
        let question = wrapped(vec![Line::from(question)]).line_count(width);
        u16::try_from(question)
            .unwrap_or(u16::MAX)
            .saturating_add(1)
    }

    fn draw_field(&self, frame: &mut Frame, area: Rect) {
        let (Some(field), Some(question)) = (&self.field, self.question()) else {
            return;
        };
        let wide = u16::try_from(render::width(&question)).unwrap_or(u16::MAX);
        let [asks, text] = if area.height > 1 {
            Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area)
        } else {
            Layout::horizontal([Constraint::Length(wide), Constraint::Fill(1)]).areas(area)
        };
        frame.render_widget(wrapped(vec![Line::from(question).yellow()]), asks);
        frame.render_widget(&field.text, text);
    }

    fn keys(&self) -> &'static str {
        match (&self.field, self.can_answer) {
            (Some(field), _) => match field.question {
                Question::Ready => "Enter accepts, with or without a time   Esc goes back",
                Question::Why => "Enter rejects, with or without a reason   Esc goes back",
            },
            _ if self.ending => {
                "Waiting for the outcome of what was answered ...   Ctrl-C ends it at once"
            }
            (None, true) if self.selection().is_some() => {
                "a accept   r reject   ↑ ↓ select   q quit"
            }
            (None, _) => "↑ ↓ select   q quit",
        }
    }
}

/// Lines that go on below where they are too long.
fn wrapped(lines: Vec<Line>) -> Paragraph {
    Paragraph::new(lines).wrap(Wrap { trim: false })
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};
    use serde_json::json;

    use super::*;

    fn field(question: Question) -> Field {
        let message = serde_json::from_value(json!({
            "order_id": "ord-1", "restaurant_id": "rest-7", "items": [], "currency": "EUR",
            "total_amount": 0, "respond_by": "2026-01-31T12:10:00Z", "task_token": "token",
        }));
        let waiting = Waiting {
            message: message.expect("a message"),
            respond_by: Timestamp::now(),
        };
        Field::new(question, waiting)
    }

    #[test]
    fn what_is_pasted_into_a_field_stays_one_line_of_text() {
        let mut field = field(Question::Why);
        field.insert("Out of dough\r\nj\ra\u{1b}[2J");
        assert_eq!(field.text(), "Out of dough  j a [2J");
        field.insert(&"x".repeat(2 * MAX_REASON));
        assert_eq!(field.text().chars().count(), MAX_REASON);
        assert_eq!(field.text.lines().len(), 1);
    }

    #[test]
    fn an_order_is_ready_in_so_many_minutes_or_at_no_said_time() {
        let mut empty = field(Question::Ready);
        assert!(matches!(
            empty.answer(),
            Ok(Answer::Accept { ready_at: None })
        ));
        empty.insert("25");
        let answer = empty.answer().expect("an answer");
        let Answer::Accept { ready_at: Some(at) } = answer else {
            panic!("no time: {answer:?}");
        };
        let at: Timestamp = at.parse().expect("a time");
        let from_now = at.duration_since(Timestamp::now() + 25.minutes());
        assert!(from_now.abs() < SignedDuration::from_mins(1), "{at}");
        for text in ["0", "-5", "1441", "soon", "1e3"] {
            let mut field = field(Question::Ready);
            field.insert(text);
            assert!(field.answer().is_err(), "{text} is taken");
        }
    }
}
