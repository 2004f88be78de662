//! The table of `inbox`, `desk` and `show`, which knows how wide it may be.
//!
//! Money and ids are never cut. Where there is no room for a cell, the row goes on below; of what was ordered, the rest is counted.
//! A row whose cells are long pushes only its own cells to the right.

use order::Item;

use crate::render::{clean, isolated, pad, width};

/// What is between two cells.
const GAP: usize = 2;
/// How far a line begins to the right that goes on with the row above it.
const INDENT: usize = 2;
/// A cell that is wider than this does not widen its column.
const WIDEST: usize = 24;
/// What comes last goes on below if there is less room for it.
const ROOM: usize = 20;

/// One row: cells that are never cut, and what comes last.
pub struct Row<'a> {
    pub cells: Vec<String>,
    pub last: Last<'a>,
}

/// What comes last in a row, where the room ends.
pub enum Last<'a> {
    /// What was ordered, as far as there is room on one line.
    Items(&'a [Item]),
    /// Text that is shown whole, on as many lines as it needs.
    Whole(String),
}

/// The lines of each row. Without a limit, each row is one line.
pub fn lines(rows: &[Row], limit: Option<usize>) -> Vec<Vec<String>> {
    let mut columns = vec![0];
    let count = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    for column in 0..count {
        let widths = rows
            .iter()
            .filter_map(|row| row.cells.get(column))
            .map(|cell| width(cell));
        let widest = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
        columns.push(columns.last().unwrap_or(&0) + widest + GAP);
    }
    let lines = |row: &Row| {
        let mut lines = Lines {
            done: Vec::new(),
            line: String::new(),
            limit,
        };
        for (cell, column) in row.cells.iter().zip(&columns) {
            lines.add(cell, *column);
        }
        lines.add_last(&row.last, columns.last().copied().unwrap_or(0));
        lines.done.push(lines.line);
        lines.done
    };
    rows.iter().map(lines).collect()
}

/// The lines of a row that is being written.
struct Lines {
    done: Vec<String>,
    line: String,
    limit: Option<usize>,
}

impl Lines {
    /// Where the next cell of this line can begin.
    fn next(&self) -> usize {
        match width(&self.line) {
            0 if self.done.is_empty() => 0,
            0 => INDENT,
            written => written + GAP,
        }
    }

    fn go_on_below(&mut self) {
        self.done.push(std::mem::take(&mut self.line));
    }

    /// How much room there is from a column on.
    fn room(&self, column: usize) -> usize {
        self.limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(column))
    }

    /// Writes a cell in its column, or where there is room for it.
    fn add(&mut self, cell: &str, column: usize) {
        let fits = |lines: &Self, column| width(cell) <= lines.room(column);
        let mut column = column.max(self.next());
        if !fits(self, column) {
            column = self.next();
        }
        if !fits(self, column) && !self.line.is_empty() {
            self.go_on_below();
            column = INDENT;
        }
        self.write(cell, column);
    }

    /// Writes what is never cut, if need be on several lines.
    fn write(&mut self, text: &str, column: usize) {
        let mut rest = text;
        loop {
            let room = self.room(column).max(ROOM);
            let fitting = fitting(rest, room);
            let word = rest.get(..fitting).and_then(|fits| fits.rfind(' '));
            let (begin, end) = rest.split_at(match word {
                Some(space) if fitting < rest.len() => space + 1,
                _ => fitting,
            });
            self.line = pad(&self.line, column) + begin.trim_end();
            if end.is_empty() {
                return;
            }
            self.go_on_below();
            rest = end;
        }
    }

    fn add_last(&mut self, last: &Last, column: usize) {
        let whole = match last {
            Last::Items(items) => fit_items(items, usize::MAX),
            Last::Whole(text) => text.clone(),
        };
        if whole.is_empty() {
            return;
        }
        let mut column = column.max(self.next());
        if self.room(column) < width(&whole).min(ROOM) {
            column = self.next();
        }
        if self.room(column) < width(&whole).min(ROOM) && !self.line.is_empty() {
            self.go_on_below();
            column = INDENT;
        }
        match last {
            Last::Items(items) => {
                let items = fit_items(items, self.room(column));
                self.line = pad(&self.line, column) + &items;
            }
            Last::Whole(text) => self.write(text, column),
        }
    }
}

/// How many bytes of a text take so many columns at most; at least one character.
fn fitting(text: &str, room: usize) -> usize {
    if width(text) <= room {
        return text.len();
    }
    let ends = text.char_indices().map(|(begin, c)| begin + c.len_utf8());
    let mut fitting = 0;
    for end in ends {
        let fits = text.get(..end).is_some_and(|text| width(text) <= room);
        if !fits && fitting > 0 {
            break;
        }
        fitting = end;
    }
    fitting
}

/// A text in so many columns, with an ellipsis if it is cut.
pub fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.into();
    }
    let (begin, _) = text.split_at(fitting(text, room.saturating_sub(1)));
    format!("{}…", begin.trim_end())
}

/// What was ordered in so many columns: whole items, and how many more there are.
fn fit_items(items: &[Item], room: usize) -> String {
    let whole: Vec<String> = items
        .iter()
        .map(|item| one_item(item, usize::MAX))
        .collect();
    let mut fit = String::new();
    let mut shown = String::new();
    for (index, item) in whole.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        shown = shown + separator + item;
        if width(&shown) > room {
            break;
        }
        let with_rest = shown.clone() + &more(items.len() - index - 1);
        if width(&with_rest) <= room {
            fit = with_rest;
        }
    }
    if let (true, Some(first)) = (fit.is_empty(), items.first()) {
        let more = more(items.len() - 1);
        fit = one_item(first, room.saturating_sub(width(&more))) + &more;
    }
    fit
}

fn more(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", +1 item".into(),
        _ => format!(", +{count} items"),
    }
}

/// An item in so many columns. Its name is isolated: otherwise one that is written from right to left would take the quantity of
/// the next.
fn one_item(item: &Item, room: usize) -> String {
    let quantity = format!("{} × ", item.quantity);
    let name = cut(&clean(&item.name), room.saturating_sub(width(&quantity)));
    quantity + &isolated(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(quantity: u64, name: &str) -> Item {
        Item {
            name: name.into(),
            quantity,
            unit_amount: 1,
        }
    }

    fn table(limit: Option<usize>) -> String {
        let long = "o".repeat(80);
        let some = [item(2, "Margherita"), item(1, "Tiramisù")];
        let many = [
            item(1, "寿司 of the house"),
            item(12, "Edamame"),
            item(3, "Mochi"),
            item(1, "Tea"),
        ];
        let one = [item(1, &"n".repeat(200))];
        let row = |id: &str, total: &str, items| Row {
            cells: vec![id.into(), "rest-7".into(), total.into(), "9:59".into()],
            last: Last::Items(items),
        };
        let rows = [
            row("ord-2001", "EUR 31.50", &some[..]),
            row("ord-2002", "EUR 12345.60", &many),
            row(&long, "EUR 9990000000000.00", &one),
        ];
        lines(&rows, limit).concat().join("\n")
    }

    #[test]
    fn a_table_is_as_wide_as_it_may_be_and_cuts_neither_money_nor_ids() {
        let o = |count| "o".repeat(count);
        let n = |count| "n".repeat(count);
        assert_eq!(
            table(None),
            format!(
                "ord-2001  rest-7  EUR 31.50             9:59  2 × Margherita, 1 × \u{2068}Tiramisù\u{2069}\n\
                 ord-2002  rest-7  EUR 12345.60          9:59  1 × \u{2068}寿司 of the house\u{2069}, 12 × Edamame, 3 × Mochi, 1 × Tea\n\
                 {}  rest-7  EUR 9990000000000.00  9:59  1 × {}",
                o(80),
                n(200)
            )
        );
        assert_eq!(
            table(Some(200)),
            table(None).replace(&n(200), &format!("\u{2068}{}…\u{2069}", n(77)))
        );
        assert_eq!(
            table(Some(80)),
            format!(
                "ord-2001  rest-7  EUR 31.50             9:59  2 × Margherita, 1 × \u{2068}Tiramisù\u{2069}\n\
                 ord-2002  rest-7  EUR 12345.60          9:59  1 × \u{2068}寿司 of the house\u{2069}, +3 items\n\
                 {}\n  rest-7          EUR 9990000000000.00  9:59  1 × \u{2068}{}…\u{2069}",
                o(80),
                n(29)
            )
        );
    }

    #[test]
    fn a_name_from_right_to_left_does_not_take_the_quantity_of_the_next() {
        assert_eq!(
            fit_items(
                &[item(1, "שקשוקה"), item(2, "Pizza"), item(3, "a\u{2069}é")],
                usize::MAX
            ),
            "1 × \u{2068}שקשוקה\u{2069}, 2 × Pizza, 3 × \u{2068}a\\u{2069}é\u{2069}"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_table_may_be() {
        for limit in [40, 60, 80, 200] {
            let table = table(Some(limit));
            for line in table.lines() {
                assert!(width(line) <= limit, "{limit}: {line:?}");
            }
            let shown: String = table.chars().filter(|c| !c.is_whitespace()).collect();
            for whole in [
                "EUR31.50",
                "EUR12345.60",
                "EUR9990000000000.00",
                &"o".repeat(80),
            ] {
                assert!(shown.contains(whole), "{limit}: {whole} is cut:\n{table}");
            }
        }
    }
}
