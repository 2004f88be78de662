//! How output is written, on the terminal and as JSON.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
pub use order::money;
use order::{Item, Status};
use ratatui::crossterm::style::{Color, Stylize};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::failure::Failure;

/// The form of a command's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For scripts: one JSON document, or one on each line if the output goes on.
    Json,
}

impl Output {
    /// Writes one line of either form to standard output.
    pub fn line(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match self {
            Self::Text => writeln!(out, "{}", text())?,
            Self::Json => writeln!(out, "{}", json())?,
        }
        Ok(out.flush()?)
    }

    /// Tells a person, on standard error, what goes on.
    pub fn hint(self, text: &str) {
        if self == Self::Text {
            note(text);
        }
    }
}

/// Writes to standard error. It does not fail if nobody reads it.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether lines on standard output may be written over and colored.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// What was ordered, on one line.
pub fn items(items: &[Item]) -> String {
    let item = |item: &Item| format!("{} × {}", item.quantity, clean(&item.name));
    items.iter().map(item).collect::<Vec<_>>().join(", ")
}

/// Text of an order without the control characters that could steer a terminal.
pub fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { ' ' } else { c })
        .collect()
}

/// The local time of day of a point in time.
pub fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}

/// A point in time in RFC 3339, where it is readable.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// How long until a point in time; zero if it has passed.
pub fn left_until(deadline: Timestamp) -> Duration {
    Duration::try_from(deadline.duration_since(Timestamp::now())).unwrap_or_default()
}

/// Minutes and seconds, as on a kitchen clock.
pub fn clock(left: Duration) -> String {
    format!("{}:{:02}", left.as_secs() / 60, left.as_secs() % 60)
}

/// A status in its color, if the output has colors.
pub fn status(status: Status) -> String {
    if !is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        return status.to_string();
    }
    status.as_str().with(color(status)).bold().to_string()
}

/// An order's status and what there is to say about it, on one line.
pub fn verdict(
    order_id: &str,
    status: &str,
    reason: Option<&str>,
    ready_at: Option<&str>,
) -> String {
    let reason = reason.map_or_else(String::new, |reason| format!("  ({})", clean(reason)));
    let ready = ready_at.map_or_else(String::new, |at| format!("  (ready at {})", ready(at)));
    format!("{order_id}  {status}{reason}{ready}")
}

/// When an order is ready, in local time; with the date if that is not today.
pub fn ready(at: &str) -> String {
    let Some(at) = parse_time(at) else {
        return clean(at);
    };
    let at = at.to_zoned(TimeZone::system());
    let form = if at.date() == Zoned::now().date() {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    at.strftime(form).to_string()
}

/// How many columns of a terminal a text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A text with spaces after it, up to a width.
pub fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// The color of a status.
pub const fn color(status: Status) -> Color {
    match status {
        Status::Placed => Color::Yellow,
        Status::Accepted => Color::Green,
        Status::Rejected | Status::Cancelled | Status::Failed => Color::Red,
        Status::TimedOut => Color::Magenta,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_order_cannot_steer_the_terminal() {
        assert_eq!(
            clean("Piz\u{1b}[2Jza\r\n\u{9b}31m\u{202e}Tiramisù 🍰"),
            "Piz [2Jza   31m Tiramisù 🍰"
        );
    }

    #[test]
    fn columns_are_counted_as_the_terminal_shows_them() {
        assert_eq!(pad("寿司", 6), "寿司  ");
        assert_eq!(pad("Tiramisu\u{300}", 9), "Tiramisu\u{300} ");
        assert_eq!(pad("longer", 3), "longer");
    }

    #[test]
    fn what_is_left_is_never_negative() {
        assert_eq!(left_until(Timestamp::UNIX_EPOCH), Duration::ZERO);
        assert_eq!(clock(Duration::from_secs(599)), "9:59");
        assert_eq!(clock(Duration::ZERO), "0:00");
    }
}
