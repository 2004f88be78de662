//! How output is written, on the terminal and as JSON.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use jiff::Timestamp;
pub use order::money;
use order::{Status, escaped, escaped_json};
use ratatui::crossterm::style::{Color, Stylize};
use ratatui::crossterm::terminal;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::clock::{now_here, zone};
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
            Self::Text => writeln!(out, "{}", printable(&text()))?,
            Self::Json => writeln!(out, "{}", escaped_json(&json().to_string()))?,
        }
        Ok(out.flush()?)
    }

    /// The same for text that begins with an order and its status. Only that status is in its color, wherever else its name
    /// stands.
    pub fn line_of(
        self,
        order_id: &str,
        status: Status,
        rest: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        if self == Self::Json {
            return self.line(String::new, json);
        }
        let status = if is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            colored(status)
        } else {
            status.to_string()
        };
        let mut out = io::stdout().lock();
        let (order_id, rest) = (printable(order_id), printable(&rest()));
        writeln!(out, "{order_id}  {status}{rest}")?;
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
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

/// The same as JSON.
pub fn note_json(json: &Value) {
    let _ = writeln!(io::stderr(), "{}", escaped_json(&json.to_string()));
}

/// Whether lines on standard output may be written over and colored.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Text that somebody wrote, on one line, without anything that could steer a terminal.
pub fn clean(text: &str) -> String {
    escaped(&text.replace(['\t', '\n', '\r'], " "))
}

/// Begins and ends text whose direction is its own: <https://www.unicode.org/reports/tr9/#Explicit_Directional_Isolates>
const ISOLATE: [char; 2] = ['\u{2068}', '\u{2069}'];

/// Text that does not change the direction of what stands around it. ASCII never does.
pub fn isolated(text: &str) -> String {
    let [begin, end] = ISOLATE;
    if text.is_ascii() {
        return text.into();
    }
    format!("{begin}{text}{end}")
}

/// What may be written of a command's text, whatever came into it. Line ends and whole isolates may only be the command's
/// own; a color never comes with the text.
fn printable(text: &str) -> String {
    let [begin, end] = ISOLATE;
    let mut written = String::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            written.push('\n');
        }
        let mut rest = line;
        while let Some((before, inside, after)) =
            rest.split_once(begin).and_then(|(before, rest)| {
                let (inside, after) = rest.split_once(end)?;
                Some((before, inside, after))
            })
        {
            written.extend([escaped(before), begin.into(), escaped(inside), end.into()]);
            rest = after;
        }
        written += &escaped(rest);
    }
    written
}

/// The local time of day of a point in time.
pub fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(zone()).strftime("%H:%M:%S").to_string()
}

/// A point in time in RFC 3339, where it is readable.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// How long it is from now until a point in time; zero if it has passed.
pub fn left_until(deadline: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(deadline.duration_since(now)).unwrap_or_default()
}

/// Minutes and seconds, as on a kitchen clock.
pub fn clock(left: Duration) -> String {
    format!("{}:{:02}", left.as_secs() / 60, left.as_secs() % 60)
}

fn colored(status: Status) -> String {
    status.as_str().with(color(status)).bold().to_string()
}

/// What there is to say about an order's status, after it on one line.
pub fn said(reason: Option<&str>, ready_at: Option<&str>) -> String {
    let reason = reason.map_or_else(String::new, |reason| format!("  ({})", clean(reason)));
    let ready = ready_at.map_or_else(String::new, |at| format!("  (ready at {})", ready(at)));
    format!("{reason}{ready}")
}

/// When an order is ready, in local time; with the date if that is not today.
pub fn ready(at: &str) -> String {
    let Some(at) = parse_time(at) else {
        return clean(at);
    };
    let at = at.to_zoned(zone());
    let form = if at.date() == now_here().date() {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    at.strftime(form).to_string()
}

/// How many columns the terminal has; none if output goes elsewhere.
pub fn columns() -> Option<usize> {
    let size = io::stdout().is_terminal().then(terminal::size)?;
    size.ok().map(|(columns, _)| columns.into())
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
            r"Piz\u{1b}[2Jza  \u{9b}31m\u{202e}Tiramisù 🍰"
        );
    }

    #[test]
    fn only_what_is_the_commands_own_is_written_as_it_is() {
        let accepted = colored(Status::Accepted);
        for (text, written) in [
            (
                "ord-1\n  1 × \u{2068}ש\u{2069}, 2".into(),
                "ord-1\n  1 × \u{2068}ש\u{2069}, 2".into(),
            ),
            (accepted.clone(), escaped(&accepted)),
            (escaped(&accepted), escaped(&accepted)),
            ("\u{1b}[31m\r\t".into(), r"\u{1b}[31m\u{d}\u{9}".into()),
            (
                "\u{2068}\u{2068}a\u{202e}\u{2069}\u{2069} \u{2068}b\n\u{2069}".into(),
                "\u{2068}\\u{2068}a\\u{202e}\u{2069}\\u{2069} \\u{2068}b\n\\u{2069}".into(),
            ),
        ] {
            assert_eq!(printable(&text), written);
        }
    }

    #[test]
    fn columns_are_counted_as_the_terminal_shows_them() {
        assert_eq!(pad("寿司", 6), "寿司  ");
        assert_eq!(pad("Tiramisu\u{300}", 9), "Tiramisu\u{300} ");
        assert_eq!(pad("longer", 3), "longer");
    }

    #[test]
    fn what_is_left_is_never_negative() {
        assert_eq!(
            left_until(Timestamp::UNIX_EPOCH, Timestamp::now()),
            Duration::ZERO
        );
        assert_eq!(clock(Duration::from_secs(599)), "9:59");
        assert_eq!(clock(Duration::ZERO), "0:00");
    }
}
