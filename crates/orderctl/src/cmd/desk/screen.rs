//! What the desk shows, and what its keys do: a state that events change. What is to be done outside of it comes back as an
//! effect.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use order::{ClosedOrder, MAX_REASON, is_printable};
use ratatui::Frame;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table, TableState, Wrap};
use ratatui_textarea::TextArea;

use crate::aws::answers::{Answer, lost_time};
use crate::aws::open_orders::{Look, Waiting};
use crate::cmd::answer::ready_in;
use crate::failure::{Failure, Kind};
use crate::render::{self, clean, left_until, money, time_of_day};
use crate::table::{self, Last};

/// How many of the last messages are shown, and on how many lines at most.
const LOG_LINES: u16 = 5;
const MOST_OF_LOG: u16 = 8;
/// How many columns are left for an answer beside its question, at least.
const FIELD: usize = 20;
/// From how much time left on an order is shown as urgent.
const SHORT: std::time::Duration = std::time::Duration::from_mins(1);
/// How many lines of an order one key scrolls.
const PAGE: i16 = 3;
/// The longest time until an order is ready that the workflow accepts, in minutes.
const DAY: i64 = 24 * 60;

pub enum Event {
    Input(Input),
    Looked(Result<Look, Failure>),
    /// What came of answering this order.
    Answered(Box<Waiting>, Answer, Result<ClosedOrder, Failure>),
}

/// What is to be done.
pub enum Effect {
    /// Answer this order.
    Answer(Box<Waiting>, Answer),
    /// Close the desk.
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
    fn answer(&self, now: Timestamp) -> Result<Answer, String> {
        let text = self.text();
        match self.question {
            Question::Why => Ok(Answer::Reject {
                reason: Some(text.to_owned()).filter(|reason| !reason.is_empty()),
            }),
            Question::Ready if text.is_empty() => Ok(Answer::Accept { ready_at: None }),
            Question::Ready => match text.parse() {
                Ok(minutes @ 1..=DAY) => Ok(Answer::Accept {
                    ready_at: Some(ready_in(now, SignedDuration::from_mins(minutes))),
                }),
                _ => Err(format!("minutes are a whole number from 1 to {DAY}")),
            },
        }
    }
}

pub struct Screen {
    /// Of which stack and whose orders these are.
    title: String,
    can_answer: bool,
    pub now: Timestamp,
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
    pub fn new(title: String, can_answer: bool, now: Timestamp) -> Self {
        Self {
            title,
            can_answer,
            now,
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

    /// Takes what happened on a screen of this size; gives what is to be done about it.
    pub fn handle(&mut self, event: Event, area: Rect) -> Option<Effect> {
        match event {
            Event::Input(Input::Key(key)) if key.kind == KeyEventKind::Press => {
                return self.key(key, area);
            }
            Event::Input(Input::Paste(text)) => match &mut self.field {
                Some(field) => field.insert(&text),
                None => self.say("the pasted text was ignored: there is no field to fill in"),
            },
            Event::Input(_) => {}
            Event::Looked(Ok(look)) => self.looked(look),
            Event::Looked(Err(failure)) => self.problem = Some(failure.message),
            Event::Answered(waiting, said, result) => self.was_answered(&waiting, &said, result),
        }
        self.end()
    }

    /// Closes the desk if it is to be closed, once all answers that are on their way have arrived.
    fn end(&self) -> Option<Effect> {
        (self.ending && self.pending == 0).then_some(Effect::End)
    }

    fn was_answered(
        &mut self,
        answered: &Waiting,
        said: &Answer,
        result: Result<ClosedOrder, Failure>,
    ) {
        self.pending = self.pending.saturating_sub(1);
        let order_id = &answered.message.order_id;
        let is_over = match &result {
            Ok(_) => true,
            Err(failure) => matches!(failure.kind, Kind::AnsweredAlready | Kind::TooLate),
        };
        if is_over {
            self.waiting
                .retain(|waiting| waiting.message.order_id != *order_id);
        }
        match result {
            // Without the colors of a line: ratatui brings its own.
            Ok(closed) => {
                let why = closed.status_reason.as_deref();
                let rest = render::said(why, closed.ready_at.as_deref());
                self.say(&format!("{order_id}  {}{rest}", closed.status));
                if let Some(lost) = lost_time(said, &closed) {
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
        self.log.push(format!("{}  {what}", time_of_day(self.now)));
        let surplus = self.log.len().saturating_sub(LOG_LINES.into());
        self.log.drain(..surplus);
    }

    fn key(&mut self, key: KeyEvent, area: Rect) -> Option<Effect> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Some(Effect::End);
        }
        if let Some(field) = self.field.take() {
            return self.key_in_field(field, key);
        }
        match key.code {
            KeyCode::Char('q') => self.ending = true,
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(PAGE, area),
            KeyCode::PageUp | KeyCode::Char('b') => self.scroll(-PAGE, area),
            KeyCode::Char('a') if self.can_answer => self.ask(Question::Ready),
            KeyCode::Char('r') if self.can_answer => self.ask(Question::Why),
            _ => {}
        }
        self.end()
    }

    fn key_in_field(&mut self, mut field: Field, key: KeyEvent) -> Option<Effect> {
        match key.code {
            KeyCode::Esc => return None,
            KeyCode::Enter => match field.answer(self.now) {
                Ok(answer) => {
                    self.answered
                        .insert(field.waiting.message.task_token.clone());
                    self.pending += 1;
                    return Some(Effect::Answer(Box::new(field.waiting), answer));
                }
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
        None
    }

    fn ask(&mut self, question: Question) {
        self.field = self
            .open_selection()
            .map(|waiting| Field::new(question, waiting));
    }

    fn scroll(&mut self, lines: i16, area: Rect) {
        let [_, _, order, ..] = self.areas(area);
        let most = self.most_scrolled(order);
        self.scrolled = self
            .scrolled
            .min(most)
            .saturating_add_signed(lines)
            .min(most);
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

    /// Where the parts of the screen are: title, orders, the selected order, messages, field and keys. What is empty takes no
    /// room.
    fn areas(&self, all: Rect) -> [Rect; 6] {
        let width = all.width;
        let height = |text: &Paragraph| lines_of(text, width);
        let logged = if self.log.is_empty() {
            0
        } else {
            height(&self.messages()).min(MOST_OF_LOG) + 1
        };
        Layout::vertical([
            Constraint::Length(height(&self.heading())),
            Constraint::Fill(1),
            Constraint::Fill(u16::from(self.selection().is_some())),
            Constraint::Length(logged),
            Constraint::Length(self.field_height(width)),
            Constraint::Length(height(&self.keys())),
        ])
        .areas(all)
    }

    pub fn draw(&self, frame: &mut Frame) {
        let [title, orders, order, said, field, keys] = self.areas(frame.area());
        frame.render_widget(self.heading(), title);
        self.draw_table(frame, orders);
        let messages = self.messages();
        let above = lines_of(&messages, said.width).saturating_sub(said.height);
        frame.render_widget(messages.scroll((above, 0)), said);
        self.draw_order(frame, order);
        self.draw_field(frame, field);
        frame.render_widget(self.keys(), keys);
    }

    fn messages(&self) -> Paragraph<'_> {
        wrapped(
            self.log
                .iter()
                .map(|said| Line::from(said.as_str()))
                .collect(),
        )
    }

    /// Where this is, and what goes on.
    fn heading(&self) -> Paragraph<'static> {
        let state = match (&self.problem, self.looked) {
            (Some(problem), _) => Line::from(problem.clone()).red(),
            (None, false) => Line::from("Looking ..."),
            (None, true) => match self.waiting.len() {
                0 => Line::from("No order waits"),
                1 => Line::from("1 order waits"),
                count => Line::from(format!("{count} orders wait")),
            },
        };
        wrapped(vec![Line::from(self.title.clone()).bold(), state])
    }

    /// The orders that wait. The last line says how many more there are than fit.
    fn draw_table(&self, frame: &mut Frame, area: Rect) {
        let headings = std::iter::once(Waiting::headings());
        let rows: Vec<_> = headings
            .chain(self.waiting.iter().map(|waiting| waiting.row(self.now)))
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
            } else if left_until(waiting.respond_by, self.now) < SHORT {
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

    /// All of the selected order, the customer's note first.
    fn order(&self, width: u16) -> Option<Paragraph<'static>> {
        let message = &self.selection()?.message;
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
        let items = table::lines(&items, Some(width.into()));
        lines.extend(items.into_iter().flatten().map(Line::from));
        Some(wrapped(lines))
    }

    /// How far the selected order can be scrolled: the last line of its area says how much more of it there is.
    fn most_scrolled(&self, area: Rect) -> u16 {
        let lines = self
            .order(area.width)
            .map_or(0, |order| lines_of(&order, area.width));
        (lines + 1).saturating_sub(area.height)
    }

    fn draw_order(&self, frame: &mut Frame, area: Rect) {
        let Some(order) = self.order(area.width) else {
            return;
        };
        let [shown, more] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
        let most = self.most_scrolled(area);
        let above = self.scrolled.min(most);
        frame.render_widget(order.scroll((above, 0)), shown);
        if most > 0 {
            let below = most - above;
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
        lines_of(&wrapped(vec![Line::from(question)]), width).saturating_add(1)
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

    fn keys(&self) -> Paragraph<'static> {
        let keys = match (&self.field, self.can_answer) {
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
        };
        wrapped(vec![Line::from(keys).dim()])
    }
}

/// Lines that go on below where they are too long.
fn wrapped(lines: Vec<Line>) -> Paragraph {
    Paragraph::new(lines).wrap(Wrap { trim: false })
}

/// On how many lines a text is shown.
fn lines_of(text: &Paragraph, width: u16) -> u16 {
    u16::try_from(text.line_count(width)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
