//! The commands, one file for each, and the arguments that several of them take.

pub mod answer;
pub mod cancel;
pub mod desk;
pub mod events;
pub mod inbox;
pub mod link;
pub mod place;
pub mod retry;
pub mod show;
pub mod watch;

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use order::{MAX_ID, MAX_REASON};
use tokio::time::sleep;

use crate::aws::open_orders::Whose;
use crate::failure::Failure;
use crate::render::note;

/// Which orders to look at.
#[derive(clap::Args)]
pub struct WhoseArgs {
    /// The orders of this restaurant
    #[arg(
        long,
        env = "ORDERCTL_RESTAURANT",
        value_name = "RESTAURANT_ID",
        value_parser = restaurant_id,
        required_unless_present = "all"
    )]
    restaurant: Option<String>,
    /// The orders of all restaurants, for support
    #[arg(long)]
    all: bool,
}

impl From<WhoseArgs> for Whose {
    fn from(arguments: WhoseArgs) -> Self {
        match arguments.restaurant {
            Some(restaurant) if !arguments.all => Self::Restaurant(restaurant),
            _ => Self::All,
        }
    }
}

/// Checks the rule of an `order_id`.
fn order_id(text: &str) -> Result<String, String> {
    order::is_order_id(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("an order_id is 1 to {MAX_ID} characters out of A-Z a-z 0-9 - _"))
}

/// Checks the rule of a `restaurant_id`.
fn restaurant_id(text: &str) -> Result<String, String> {
    order::is_restaurant_id(text)
        .then(|| text.to_owned())
        .ok_or_else(|| {
            format!(
                "a restaurant_id is 1 to {MAX_ID} characters out of A-Z a-z 0-9 space _ . : / = + - @, no space at its ends"
            )
        })
}

/// Text that is not empty, of so many characters.
fn bounded(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("must not be empty".into()),
        length if length > most => Err(format!(
            "has {length} characters, of which {most} are allowed"
        )),
        _ => Ok(text.to_owned()),
    }
}

/// Checks the rule of a reason.
fn reason(text: &str) -> Result<String, String> {
    bounded(text, MAX_REASON)
}

/// How the help says it.
fn reason_help() -> String {
    format!("Why, for the customer: up to {MAX_REASON} characters")
}

/// Reads a length of time, such as 25m.
fn length_of_time(text: &str) -> Result<SignedDuration, String> {
    let day = SpanRelativeTo::days_are_24_hours();
    text.parse::<Span>()
        .and_then(|span| span.to_duration(day))
        .ok()
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| "must be a length of time, such as 25m, 2h or 3d".into())
}

/// How a long-running command handles failures of AWS: its first call must succeed. A later failure is reported once, and the
/// call is tried again.
#[derive(Default)]
struct Perseverance {
    has_succeeded: bool,
    told: Option<String>,
    failures: u32,
}

impl Perseverance {
    fn succeeded(&mut self) {
        *self = Self {
            has_succeeded: true,
            ..Self::default()
        };
    }

    /// Waits before the next try, for longer each time: up to half a minute.
    async fn failed(&mut self, failure: Failure) -> Result<(), Failure> {
        if !self.has_succeeded {
            return Err(failure);
        }
        if self.told.as_ref() != Some(&failure.message) {
            note(&format!("{failure}. Trying again ..."));
            self.told = Some(failure.message);
        }
        self.failures += 1;
        sleep(Duration::from_secs(1 << self.failures.min(5)).min(Duration::from_secs(30))).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_first_call_must_succeed_and_later_failures_are_waited_out() {
        let failure = || Failure::other("AWS cannot be reached");
        let mut perseverance = Perseverance::default();
        assert!(perseverance.failed(failure()).await.is_err());
        perseverance.succeeded();
        let mut rests = Vec::new();
        for _ in 0..6 {
            let begun = tokio::time::Instant::now();
            assert!(perseverance.failed(failure()).await.is_ok());
            rests.push(begun.elapsed().as_secs());
        }
        assert_eq!(rests, [2, 4, 8, 16, 30, 30]);
        perseverance.succeeded();
        let begun = tokio::time::Instant::now();
        assert!(perseverance.failed(failure()).await.is_ok());
        assert_eq!(
            begun.elapsed().as_secs(),
            2,
            "a success does not begin anew"
        );
    }

    #[test]
    fn a_length_of_time_is_positive_and_has_a_unit() {
        assert_eq!(length_of_time("90m"), Ok(SignedDuration::from_mins(90)));
        assert_eq!(length_of_time("2h"), Ok(SignedDuration::from_hours(2)));
        assert_eq!(length_of_time("3d"), Ok(SignedDuration::from_hours(72)));
        for text in ["", "2", "-2h", "0h", "yesterday"] {
            assert!(length_of_time(text).is_err(), "{text:?} is taken");
        }
    }
}
