//! The counter's screen: orders appear as they come, and a key accepts or rejects the selected one.

mod screen;

use std::io::stdout;

use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::aws::answers::{Answer, answer};
use crate::aws::open_orders::{List, REST, Waiting, Whose};
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::{now, zone};
use crate::cmd::WhoseArgs;
use crate::cmd::desk::screen::{Effect, Event, Screen};
use crate::failure::{Failure, Kind};
use crate::render::{clean, is_terminal};

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

type Events = Sender<Result<Event, Failure>>;

/// Shows the open orders until `q`; with `can_answer`, answers them too.
pub async fn desk(stack: &Stack, whose: Whose, can_answer: bool) -> Result<(), Failure> {
    let (sender, mut events) = channel(64);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // The countdown goes on even if nothing happens.
    let mut second = interval(std::time::Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);

    let whose_orders = match &whose {
        Whose::Restaurant(restaurant) => clean(restaurant),
        Whose::All => "all restaurants".into(),
    };
    let place = stack.place.as_ref();
    let place = place.map_or_else(String::new, |place| format!(" in {place}"));
    let title = format!("{}{place}: {whose_orders}", stack.name);
    let mut screen = Screen::new(title, can_answer, now());

    // What it says of the zone would disturb the screen.
    zone();
    let mut terminal = ratatui::try_init()?;
    // So pasted text arrives as text, and never as keys.
    let pasting = execute!(stdout(), EnableBracketedPaste);
    read_keys(sender.clone());
    look_again_and_again(List::new(stack, whose), sender.clone());
    let ended: Result<(), Failure> = async {
        pasting?;
        loop {
            screen.now = now();
            let area = terminal.draw(|frame| screen.draw(frame))?.area;
            let event = tokio::select! {
                Some(event) = events.recv() => event?,
                _ = second.tick() => continue,
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            };
            screen.now = now();
            match screen.handle(event, area) {
                Some(Effect::Answer(waiting, said)) => {
                    give(stack.clone(), waiting, said, sender.clone());
                }
                Some(Effect::End) => return Ok(()),
                None => {}
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
fn read_keys(events: Events) {
    std::thread::spawn(move || {
        loop {
            let input = event::read();
            let failed = input.is_err();
            let input = input.map(Event::Input).map_err(Failure::from);
            if events.blocking_send(input).is_err() || failed {
                return;
            }
        }
    });
}

fn look_again_and_again(mut list: List, events: Events) {
    tokio::spawn(async move {
        while events
            .send(Ok(Event::Looked(list.look().await)))
            .await
            .is_ok()
        {
            sleep(REST).await;
        }
    });
}

fn give(stack: Stack, waiting: Box<Waiting>, said: Answer, events: Events) {
    tokio::spawn(async move {
        let message = &waiting.message;
        let (restaurant, order_id) = (&message.restaurant_id, &message.order_id);
        let token = Some(message.task_token.clone());
        let result = answer(&stack, restaurant, order_id, &said, token).await;
        // Fails only if the desk was closed.
        let _ = events
            .send(Ok(Event::Answered(waiting, said, result)))
            .await;
    });
}
