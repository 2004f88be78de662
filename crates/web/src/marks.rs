//! What a page remembers of the answers given on it, until the tables show what became of them. It is part of the
//! page's address, since the server keeps no sessions.

use order::is_order_id;

/// How many answers are remembered: as many as anybody gives in the seconds until they are recorded.
const REMEMBERED: usize = 20;

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
}

impl Mark {
    pub fn new(order_id: &str, choice: Choice, taken: bool) -> Self {
        Self {
            order_id: order_id.into(),
            choice,
            taken,
        }
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
        let mut letters = text.chars();
        let letter = letters.next()?;
        let choice = match letter.to_ascii_lowercase() {
            'a' => Choice::Accept,
            'd' => Choice::Decline,
            'p' => Choice::Problem,
            'c' => Choice::Cancel,
            _ => return None,
        };
        let order_id = letters.as_str();
        is_order_id(order_id).then(|| Self::new(order_id, choice, letter.is_ascii_lowercase()))
    }
}

/// The answers given on a page, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(Vec<Mark>);

impl Marks {
    /// As [`Marks::written`]: each a letter and the order's id, separated by dots, which no id has.
    pub fn read(text: &str) -> Option<Self> {
        let marks: Vec<_> = text.split('.').map(Mark::read).collect::<Option<_>>()?;
        (marks.len() <= REMEMBERED).then_some(Self(marks))
    }

    /// For the address of a page.
    pub fn written(&self) -> String {
        let marks: Vec<_> = self
            .0
            .iter()
            .map(|mark| format!("{}{}", mark.letter(), mark.order_id))
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

    /// The answer that was given to an order.
    pub fn of(&self, order_id: &str) -> Option<&Mark> {
        self.0.iter().find(|mark| mark.order_id == order_id)
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
            ));
        }
        marks.add(Mark::new("ord-24", Choice::Decline, false));
        assert_eq!(Marks::read(&marks.written()), Some(marks.clone()));
        assert_eq!(marks.of("ord-4"), None, "the oldest are forgotten");
        assert_eq!(marks.of("ord-24").map(|mark| mark.taken), Some(false));
        for bad in ["", "a", "ord-1", "aord-1.", "aord-1..aord-2", "a<script>"] {
            assert_eq!(Marks::read(bad), None, "{bad:?}");
        }
        assert_eq!(Marks::read(&["aord"; 21].join(".")), None, "too many");
    }
}
