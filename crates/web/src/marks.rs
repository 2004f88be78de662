//! What a page remembers of the answers given on it, until the tables show what became of them. It is part of the
//! page's address, since the server keeps no sessions.

use order::is_order_id;

/// How many answers are remembered: as many as anybody gives in the seconds until they are recorded.
const REMEMBERED: usize = 20;
/// How long after an order's deadline its answer may take to be recorded, in seconds: nearly always less than the workflow's
/// retries. Until then an order that has ended is in the list of the last hour, if it could be answered for no longer.
const RECORDED_WITHIN: u64 = 30 * 60;
/// The deadline of an order that had ended when it was answered. It is not asked again.
pub const ENDED: u64 = u64::MAX;

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The order was to be accepted.
    Accept,
    /// Declined.
    Decline,
    /// Given up, since the restaurant can do neither.
    Problem,
    /// Cancelled for the customer.
    Cancel,
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// To which order.
    pub order_id: String,
    /// Which answer.
    pub choice: Choice,
    /// Whether it was taken. Otherwise the order was answered before, or its time was over.
    pub taken: bool,
    /// Until when the order could be answered (seconds since 1970). If it is asked again, it has a later deadline, and is to
    /// be answered again.
    pub deadline: u64,
}

impl Mark {
    pub fn new(order_id: &str, choice: Choice, taken: bool, deadline: u64) -> Self {
        Self {
            order_id: order_id.into(),
            choice,
            taken,
            deadline,
        }
    }

    /// Whether the answer may still wait to be recorded.
    pub fn may_be_unrecorded(&self, now: u64) -> bool {
        let until = self.deadline.checked_add(RECORDED_WITHIN);
        until.is_some_and(|until| now < until)
    }

    fn letter(&self) -> char {
        let letter = match self.choice {
            Choice::Accept => 'a',
            Choice::Decline => 'd',
            Choice::Problem => 'p',
            Choice::Cancel => 'c',
        };
        if self.taken {
            letter
        } else {
            letter.to_ascii_uppercase()
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (deadline, order_id) = text.get(1..)?.split_once('~')?;
        let letter = text.chars().next()?;
        let choice = match letter.to_ascii_lowercase() {
            'a' => Choice::Accept,
            'd' => Choice::Decline,
            'p' => Choice::Problem,
            'c' => Choice::Cancel,
            _ => return None,
        };
        let deadline = deadline.parse().ok()?;
        let taken = letter.is_ascii_lowercase();
        is_order_id(order_id).then(|| Self::new(order_id, choice, taken, deadline))
    }
}

/// The answers given on a page, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(Vec<Mark>);

impl Marks {
    /// As [`Marks::written`]: each a letter, the deadline, `~` and the order's id, separated by dots, which no id has.
    pub fn read(text: &str) -> Option<Self> {
        let marks: Vec<_> = text.split('.').map(Mark::read).collect::<Option<_>>()?;
        (marks.len() <= REMEMBERED).then_some(Self(marks))
    }

    /// For the address of a page.
    pub fn written(&self) -> String {
        let marks: Vec<_> = self
            .0
            .iter()
            .map(|mark| format!("{}{}~{}", mark.letter(), mark.deadline, mark.order_id))
            .collect();
        marks.join(".")
    }

    /// Remembers an answer.
    pub fn add(&mut self, mark: Mark) {
        self.0.retain(|known| known.order_id != mark.order_id);
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(mark);
    }

    /// All answers.
    pub fn iter(&self) -> impl Iterator<Item = &Mark> {
        self.0.iter()
    }

    /// The answer that was given to an order.
    pub fn of(&self, order_id: &str) -> Option<&Mark> {
        self.0.iter().find(|mark| mark.order_id == order_id)
    }

    /// The answer that was given to an order with this deadline, and not to an earlier offer of it.
    pub fn of_offer(&self, order_id: &str, deadline: u64) -> Option<&Mark> {
        self.of(order_id).filter(|mark| mark.deadline >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written_and_nothing_else_is() {
        let mut marks = Marks::default();
        for number in 0..25 {
            marks.add(Mark::new(
                &format!("ord-{number}"),
                Choice::Accept,
                number % 2 == 0,
                1_700_000_000 + number,
            ));
        }
        marks.add(Mark::new("ord-24", Choice::Decline, false, 7));
        assert_eq!(Marks::read(&marks.written()), Some(marks.clone()));
        assert_eq!(marks.of("ord-4"), None, "the oldest are forgotten");
        assert!(marks.of("ord-5").is_some(), "twenty are remembered");
        assert_eq!(marks.of("ord-24").map(|mark| mark.taken), Some(false));
        for bad in [
            "",
            "a",
            "a7~",
            "aord-1",
            "é7~ord-1",
            "x7~ord-1",
            "a7~ord-1.",
            "a7~ord-1..a7~ord-2",
            "a7~<script>",
        ] {
            assert_eq!(Marks::read(bad), None, "{bad:?}");
        }
        assert_eq!(Marks::read(&["a7~ord"; 21].join(".")), None, "too many");
    }
}
