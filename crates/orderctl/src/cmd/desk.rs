//! The counter's screen: orders appear as they come, and a key accepts or rejects the selected one.

use std::collections::HashSet;

use aws_sdk_sfn::error::BoxError;
use order::MAX_REASON;
use ratatui::Frame;
use ratatui::crossterm::event::{
    self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table, TableState, Wrap};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::aws::answers::{Answer, answer};
use crate::aws::inbox::{Inbox, Look, REST, Waiting};
use crate::aws::orders::Entry;
use crate::aws::stack::{Stack, StackArgs};
use crate::cmd::RestaurantArgs;
use crate::failure::{Failure, Kind};
use crate::render::{clean, is_terminal, left_until, money, time_of_day, verdict};

/// How many of the last happenings are shown.
const LOG_LINES: u16 = 6;
/// When an order's time is shown as short.
const SHORT: std::time::Duration = std::time::Duration::from_mins(1);

/// Show orders as they come, and accept or reject them with a key
#[derive(clap::Args)]
#[command(after_help = "Example:\n  orderctl desk --restaurant rest-7")]
pub struct Desk {
    #[command(flatten)]
    restaurant: RestaurantArgs,
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
        desk(&stack, self.restaurant.restaurant, true).await
    }
}

enum Event {
    Input(Input),
    Looked(Result<Look, Failure>),
    Answered(String, Result<Entry, Failure>),
}

/// Shows the inbox until `q`; with `can_answer`, answers orders too.
pub async fn desk(
    stack: &Stack,
    restaurant: Option<String>,
    can_answer: bool,
) -> Result<(), Failure> {
    let (sender, mut events) = channel(64);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // Time passes on the screen even where nothing happens.
    let mut second = interval(std::time::Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);

    let mut terminal = ratatui::try_init()?;
    read_keys(sender.clone());
    look_again_and_again(Inbox::new(stack, restaurant.clone()), sender.clone());
    let mut desk = Screen::new(stack.clone(), restaurant, can_answer, sender);
    let ended: Result<(), Failure> = async {
        loop {
            terminal.draw(|frame| desk.draw(frame))?;
            tokio::select! {
                Some(event) = events.recv() => if desk.handle(event) == Next::End { return Ok(()) },
                _ = second.tick() => {}
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            }
        }
    }
    .await;
    ratatui::try_restore()?;
    ended
}

/// A thread, since reading keys blocks. It ends with the process.
fn read_keys(sender: Sender<Event>) {
    std::thread::spawn(move || -> Result<(), BoxError> {
        loop {
            sender.blocking_send(Event::Input(event::read()?))?;
        }
    });
}

fn look_again_and_again(mut inbox: Inbox, sender: Sender<Event>) {
    tokio::spawn(async move {
        while sender.send(Event::Looked(inbox.look().await)).await.is_ok() {
            sleep(REST).await;
        }
    });
}

#[derive(PartialEq, Eq)]
enum Next {
    Go,
    End,
}

struct Screen {
    stack: Stack,
    restaurant: Option<String>,
    can_answer: bool,
    sender: Sender<Event>,
    waiting: Vec<Waiting>,
    /// By its id, so that it stays selected while others come and go.
    selected: Option<String>,
    /// The order that is about to be rejected, and the reason so far.
    rejecting: Option<(Waiting, String)>,
    /// Orders that this desk has answered or is answering.
    answered: HashSet<String>,
    /// How many answers are on their way.
    pending: usize,
    /// Whether the desk ends once they have arrived.
    ending: bool,
    log: Vec<String>,
    looked: bool,
    problem: Option<String>,
}

impl Screen {
    fn new(
        stack: Stack,
        restaurant: Option<String>,
        can_answer: bool,
        sender: Sender<Event>,
    ) -> Self {
        Self {
            stack,
            restaurant,
            can_answer,
            sender,
            waiting: Vec::new(),
            selected: None,
            rejecting: None,
            answered: HashSet::new(),
            pending: 0,
            ending: false,
            log: Vec::new(),
            looked: false,
            problem: None,
        }
    }

    fn handle(&mut self, event: Event) -> Next {
        match event {
            Event::Input(Input::Key(key)) if key.kind == KeyEventKind::Press => {
                return self.key(key);
            }
            Event::Input(_) => {}
            Event::Looked(Ok(look)) => self.looked(look),
            Event::Looked(Err(failure)) => self.problem = Some(failure.message),
            Event::Answered(order_id, Ok(entry)) => {
                self.pending = self.pending.saturating_sub(1);
                self.waiting
                    .retain(|waiting| waiting.message.order_id != order_id);
                // Without the colours of a line: ratatui brings its own.
                let reason = entry.status_reason.as_deref();
                self.say(&verdict(&entry.order_id, entry.status.as_str(), reason));
            }
            Event::Answered(order_id, Err(failure)) => {
                self.pending = self.pending.saturating_sub(1);
                // The next look tells whether it still waits.
                self.answered.remove(&order_id);
                if matches!(failure.kind, Kind::AnsweredAlready | Kind::TooLate) {
                    self.waiting
                        .retain(|waiting| waiting.message.order_id != order_id);
                }
                self.say(&failure.message);
            }
        }
        self.next()
    }

    /// An answer that is on its way is waited for.
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
                .any(|waiting| waiting.message.order_id == *order_id);
            if shown && !self.answered.contains(order_id) {
                match status {
                    Some(status) => self.say(&format!("{order_id}  {status}, not by this desk")),
                    None => self.say(&format!("{order_id}  its time is over")),
                }
            }
        }
        self.waiting = look.waiting;
        self.problem = None;
        self.looked = true;
    }

    fn say(&mut self, what: &str) {
        self.log
            .push(format!("{}  {what}", time_of_day(jiff::Timestamp::now())));
        let surplus = self.log.len().saturating_sub(LOG_LINES.into());
        self.log.drain(..surplus);
    }

    fn key(&mut self, key: KeyEvent) -> Next {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') {
                Next::End
            } else {
                Next::Go
            };
        }
        if let Some((waiting, mut reason)) = self.rejecting.take() {
            match key.code {
                KeyCode::Esc => return Next::Go,
                KeyCode::Enter => {
                    let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
                    self.answer(waiting, Answer::Reject { reason });
                    return Next::Go;
                }
                KeyCode::Backspace => drop(reason.pop()),
                KeyCode::Char(c) if reason.chars().count() < MAX_REASON => reason.push(c),
                _ => {}
            }
            self.rejecting = Some((waiting, reason));
            return Next::Go;
        }
        match key.code {
            KeyCode::Char('q') => {
                self.ending = true;
                return self.next();
            }
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::Char('a') if self.can_answer => {
                if let Some(waiting) = self.open_selection() {
                    self.answer(waiting, Answer::Accept);
                }
            }
            KeyCode::Char('r') if self.can_answer => {
                self.rejecting = self
                    .open_selection()
                    .map(|waiting| (waiting, String::new()));
            }
            _ => {}
        }
        Next::Go
    }

    /// Where the selected order stands in the list. None where nothing is selected or it is gone: then no other takes its
    /// place by itself, so that a key never answers another order than the one that was meant.
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
        self.selected = self
            .waiting
            .get(position)
            .map(|waiting| waiting.message.order_id.clone());
    }

    /// The selected order, unless it is being answered.
    fn open_selection(&self) -> Option<Waiting> {
        let open = |waiting: &&Waiting| !self.answered.contains(&waiting.message.order_id);
        self.selection().filter(open).cloned()
    }

    fn answer(&mut self, waiting: Waiting, said: Answer) {
        let order_id = waiting.message.order_id.clone();
        self.answered.insert(order_id.clone());
        self.pending += 1;
        let (stack, sender, restaurant) = (
            self.stack.clone(),
            self.sender.clone(),
            self.restaurant.clone(),
        );
        tokio::spawn(async move {
            let result = answer(
                &stack,
                &order_id,
                restaurant.as_deref(),
                &said,
                Some(waiting),
                || {},
            )
            .await;
            // Fails only where the desk was closed.
            let _ = sender.send(Event::Answered(order_id, result)).await;
        });
    }

    fn draw(&self, frame: &mut Frame) {
        let [title, table, detail, log, keys] = Layout::vertical([
            Constraint::Length(2),
            Constraint::Min(4),
            Constraint::Length(5),
            Constraint::Length(LOG_LINES + 1),
            Constraint::Length(2),
        ])
        .areas(frame.area());

        let whose = self
            .restaurant
            .as_deref()
            .map_or_else(|| "all restaurants".into(), clean);
        let state = match (&self.problem, self.looked) {
            (Some(problem), _) => Line::from(problem.clone()).red(),
            (None, false) => Line::from("Looking ..."),
            (None, true) => match self.waiting.len() {
                0 => Line::from("No order waits"),
                1 => Line::from("1 order waits"),
                count => Line::from(format!("{count} orders wait")),
            },
        };
        let heading = Line::from(format!("{}: {whose}", self.stack.name)).bold();
        frame.render_widget(Paragraph::new(vec![heading, state]), title);

        let row = |waiting: &Waiting| {
            let row = Row::new(waiting.cells());
            if self.answered.contains(&waiting.message.order_id) {
                row.dim()
            } else if left_until(waiting.respond_by) < SHORT {
                row.red()
            } else {
                row
            }
        };
        let widths = [
            Constraint::Max(24),
            Constraint::Max(14),
            Constraint::Fill(1),
            Constraint::Max(18),
            Constraint::Length(6),
        ];
        let orders = Table::new(self.waiting.iter().map(row), widths)
            .header(Row::new(Waiting::HEADINGS).bold())
            .column_spacing(2)
            .row_highlight_style(Style::new().reversed());
        let mut selection = TableState::new().with_selected(self.position());
        frame.render_stateful_widget(orders, table, &mut selection);

        frame.render_widget(
            Paragraph::new(self.detail()).wrap(Wrap { trim: true }),
            detail,
        );
        frame.render_widget(Paragraph::new(self.log.join("\n")), log);
        frame.render_widget(self.footer(), keys);
    }

    /// All of the selected order, of which the table may show the beginning only.
    fn detail(&self) -> String {
        let Some(Waiting { message, .. }) = self.selection() else {
            return String::new();
        };
        let items = crate::render::items(&message.items);
        let note = message
            .note
            .as_deref()
            .map(|note| format!("\nNote: {}", clean(note)));
        let total = money(message.currency, message.total_amount);
        format!(
            "{}: {items}; {total}{}",
            message.order_id,
            note.unwrap_or_default()
        )
    }

    fn footer(&self) -> Paragraph<'_> {
        let text = match (&self.rejecting, self.can_answer) {
            (Some((waiting, reason)), _) => {
                let id = &waiting.message.order_id;
                return Paragraph::new(vec![
                    Line::from(format!("Why is {id} rejected? {reason}▏")).yellow(),
                    Line::from("Enter rejects, with or without a reason   Esc goes back").dim(),
                ]);
            }
            _ if self.ending => {
                "Waiting for the outcome of what was answered ...   Ctrl-C ends it at once"
            }
            (None, true) if self.selection().is_some() => {
                "a accept   r reject   ↑ ↓ select   q quit"
            }
            (None, _) => "↑ ↓ select   q quit",
        };
        Paragraph::new(vec![Line::default(), Line::from(text).dim()])
    }
}
