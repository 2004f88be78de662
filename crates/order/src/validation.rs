//! What makes an order valid.
//!
//! The input is held against two tables of rules, so that one answer names every problem, wrong types included. Only an
//! input without problems is then read as an [`Order`].

use std::collections::BTreeMap;
use std::fmt;

use iso_currency::Currency;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::from_str;
use serde_json::value::{RawValue, Value};

use crate::order::{
    Item, LINES, MAX_ID, MAX_ITEMS, MAX_NAME, MAX_NOTE, MAX_QUANTITY, MAX_UNIT_AMOUNT, Order,
};
use crate::text::{escaped, is_printable};

/// How long the list of problems may get, in bytes. Step Functions keeps 32,768 characters of a failure's
/// cause, and quoting takes some of them.
const MAX_LISTED: usize = 24_000;
/// How many characters of an unknown field's name are repeated.
const MAX_LISTED_NAME: usize = 40;

/// The name of a field, whether it is required, and its rule: what a value must be; `None` if the value is that.
type Rule = (&'static str, bool, fn(&RawValue) -> Option<String>);

/// The fields of an order, in the order in which their problems are listed.
const ORDER: &[Rule] = &[
    ("currency", true, currency),
    ("customer_id", true, customer_id),
    ("items", true, items),
    ("note", false, |json| text(json, 0, MAX_NOTE)),
    ("order_id", true, order_id),
    ("restaurant_id", true, restaurant_id),
];

/// The fields of an item.
const ITEM: &[Rule] = &[
    ("name", true, |json| text(json, 1, MAX_NAME)),
    ("quantity", true, |json| number(json, 1, MAX_QUANTITY)),
    ("unit_amount", true, |json| number(json, 0, MAX_UNIT_AMOUNT)),
];

fn currency(json: &RawValue) -> Option<String> {
    let kept = from_str(json.get()).is_ok_and(|code: String| Currency::from_code(&code).is_some());
    (!kept).then(|| "a currency code of ISO 4217, such as EUR".into())
}

fn items(json: &RawValue) -> Option<String> {
    let kept = from_str(json.get())
        .is_ok_and(|items: Vec<&RawValue>| (1..=MAX_ITEMS).contains(&items.len()));
    (!kept).then(|| format!("a list of 1 to {MAX_ITEMS} entries"))
}

fn number(json: &RawValue, min: u64, max: u64) -> Option<String> {
    let kept = whole_number(json).is_some_and(|number| (min..=max).contains(&number));
    (!kept).then(|| format!("a whole number from {min} to {max}"))
}

/// The whole number that JSON holds: also as `2.0` or `20e-1`, which JSON Schema takes for whole. Its digits are read one by
/// one, since a float would round.
/// <https://json-schema.org/draft/2020-12/json-schema-validation#section-6.1.1>
fn whole_number(json: &RawValue) -> Option<u64> {
    let (number, exponent) = json
        .get()
        .split_once(['e', 'E'])
        .unwrap_or((json.get(), "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let shift = i64::try_from(digits.len() - significant.len()).ok()?
        - i64::try_from(fraction.len()).ok()?;
    let zeros = exponent.parse::<i64>().ok()?.checked_add(shift)?;
    let unit = 10_u64.checked_pow(u32::try_from(zeros).ok()?)?;
    let value = significant.parse::<u64>().ok()?.checked_mul(unit)?;
    (!whole.starts_with('-')).then_some(value)
}

fn order_id(json: &RawValue) -> Option<String> {
    let kept = from_str(json.get()).is_ok_and(|id: String| is_order_id(&id));
    (!kept).then(|| format!("a string of 1 to {MAX_ID} characters out of A-Z a-z 0-9 - _"))
}

/// What the tag of an IAM role or session may hold: by that tag, a policy lets a restaurant read its own orders. A tag may
/// also hold letters and digits of other scripts. They are not allowed here, since many of them look alike. Nor is a space at an
/// end: people do not see it, and would look for the orders of another restaurant.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html>
fn restaurant_id(json: &RawValue) -> Option<String> {
    let kept = from_str(json.get()).is_ok_and(|id: String| is_restaurant_id(&id));
    (!kept).then(|| {
        format!("a string of 1 to {MAX_ID} characters out of A-Z a-z 0-9 space _ . : / = + - @, no space at its ends")
    })
}

fn customer_id(json: &RawValue) -> Option<String> {
    let kept = from_str(json.get()).is_ok_and(|id: String| {
        (1..=MAX_ID).contains(&id.chars().count())
            && id.trim() == id
            && id.chars().all(is_printable)
    });
    (!kept).then(|| {
        format!("a string of 1 to {MAX_ID} characters that can be printed, no space at its ends")
    })
}

/// Text of so many characters (Unicode scalar values), which may have several lines.
fn text(json: &RawValue, min: usize, max: usize) -> Option<String> {
    let kept = from_str(json.get()).is_ok_and(|text: String| {
        (min..=max).contains(&text.chars().count())
            && text.chars().all(|c| is_printable(c) || LINES.contains(&c))
    });
    (!kept).then(|| format!("a string of {min} to {max} characters that can be printed"))
}

/// Whether an `order_id` keeps its rule, and so can stand in a log and be an execution's name.
#[must_use]
pub fn is_order_id(id: &str) -> bool {
    is_id(id, b"-_")
}

/// Whether a `restaurant_id` keeps its rule, and so can be the tag of whoever answers for the restaurant.
#[must_use]
pub fn is_restaurant_id(id: &str) -> bool {
    is_id(id, b" _.:/=+-@") && id.trim() == id
}

fn is_id(id: &str, others: &[u8]) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || others.contains(&b);
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(allowed)
}

pub(crate) fn validate(json: &str) -> Result<Order, InvalidOrder> {
    let problems = match readable(json) {
        Ok(input) => problems_of(input, ORDER, ""),
        Err(unreadable) => vec![unreadable],
    };
    if !problems.is_empty() {
        return Err(InvalidOrder { problems });
    }
    // The rules are stricter than the types: an input without problems can be read.
    read(json).ok_or_else(|| InvalidOrder {
        problems: vec![Problem::new("", "", "must be JSON that can be read")],
    })
}

/// The input as JSON, or where it cannot be read. Of a list, only that it is one: that is no order, whatever is in it.
fn readable(json: &str) -> Result<&RawValue, Problem> {
    let mut documents = serde_json::Deserializer::from_str(json).into_iter::<&RawValue>();
    let Some(input) = documents.next() else {
        return Err(Problem::new("", "", "must be JSON: there is nothing"));
    };
    let input = input.map_err(|error| unreadable(json, &error))?;
    let rest = json.get(documents.byte_offset()..).unwrap_or_default();
    let second = rest.trim_start();
    if !second.is_empty() {
        let (line, column) = position(json, json.len() - second.len());
        let message = format!(
            "must be one JSON document: after it, more begins at line {line}, column {column}"
        );
        return Err(Problem::new("", "", message));
    }
    // A RawValue may hold numbers and halves of characters that nothing can hold.
    if !input.get().starts_with('[') {
        from_str::<Value>(json).map_err(|error| unreadable(json, &error))?;
    }
    Ok(input)
}

/// Where and why a text is no JSON. What `serde_json` says of syntax repeats nothing of the text.
fn unreadable(json: &str, error: &serde_json::Error) -> Problem {
    let said = error.to_string();
    let why = said.split(" at line ").next().unwrap_or_default();
    let before: usize = json
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let (line, column) = position(json, before + error.column().saturating_sub(1));
    Problem::new(
        "",
        "",
        format!("must be JSON: {why} at line {line}, column {column}"),
    )
}

/// The line and the column of a byte, both from 1 on. A column is a character.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = |(begin, _): &(usize, char)| *begin < byte;
    let before = text.char_indices().take_while(before);
    before.fold((1, 1), |(line, column), (_, c)| match c {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    })
}

/// Reads an order of which each number is whole, however it is written.
fn read(json: &str) -> Option<Order> {
    #[derive(serde::Deserialize)]
    struct Input<'a> {
        order_id: String,
        customer_id: String,
        restaurant_id: String,
        currency: Currency,
        #[serde(borrow)]
        items: Vec<InputItem<'a>>,
        note: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct InputItem<'a> {
        name: String,
        #[serde(borrow)]
        quantity: &'a RawValue,
        #[serde(borrow)]
        unit_amount: &'a RawValue,
    }
    let input: Input = from_str(json).ok()?;
    let item = |item: InputItem| {
        Some(Item {
            name: item.name,
            quantity: whole_number(item.quantity)?,
            unit_amount: whole_number(item.unit_amount)?,
        })
    };
    Some(Order {
        order_id: input.order_id,
        customer_id: input.customer_id,
        restaurant_id: input.restaurant_id,
        currency: input.currency,
        items: input.items.into_iter().map(item).collect::<Option<_>>()?,
        note: input.note,
    })
}

/// Every problem of an object: its known fields by name, then the unknown ones. The prefix stands before the name of each
/// field: `items[2].` for those of the third item.
fn problems_of(json: &RawValue, rules: &[Rule], prefix: &str) -> Vec<Problem> {
    let Ok(mut fields) = serde_json::Deserializer::from_str(json.get()).deserialize_map(Fields)
    else {
        let path = prefix.trim_end_matches('.');
        return vec![Problem::new(path, "", "must be a JSON object")];
    };
    let mut problems = Vec::new();
    for (name, required, rule) in rules {
        let Some(json) = fields.remove(*name).unwrap_or(Some(RawValue::NULL)) else {
            problems.push(Problem::new(prefix, name, "must not be given twice"));
            continue;
        };
        let mut of_items = Vec::new();
        if *name == "items" {
            let items: Vec<&RawValue> = from_str(json.get()).unwrap_or_default();
            for (index, item) in items.into_iter().take(MAX_ITEMS).enumerate() {
                of_items.extend(problems_of(item, ITEM, &format!("items[{index}].")));
            }
        }
        let null = json.get() == "null";
        match rule(json).filter(|_| *required || !null) {
            Some(_) if null => problems.push(Problem::new(prefix, name, "is required")),
            // A list that is too long is one problem, not one for each of its entries.
            Some(rule) => problems.push(Problem::new(prefix, name, format!("must be {rule}"))),
            None => problems.extend(of_items),
        }
    }
    for name in fields.into_keys() {
        let name: String = name.chars().take(MAX_LISTED_NAME).collect();
        problems.push(Problem::new(prefix, &escaped(&name), "is not a field"));
    }
    problems
}

/// Reads the fields of an object by name; `None` for one that is given twice, where a map would keep the last value.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = BTreeMap<String, Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, _>()? {
            let once = !fields.contains_key(&name);
            fields.insert(name, once.then_some(value));
        }
        Ok(fields)
    }
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field, such as `items[2].quantity`; `order` for the input as a whole.
    pub field: String,
    /// What is wrong with it. Never repeats the field's value, which may be personal data.
    pub message: String,
}

impl Problem {
    fn new(prefix: &str, name: &str, message: impl Into<String>) -> Self {
        let path = format!("{prefix}{name}");
        let field = if path.is_empty() {
            "order".into()
        } else {
            path
        };
        let message = message.into();
        Self { field, message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.message)
    }
}

/// Every problem of an input, at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidOrder {
    /// Those of the known fields by name, then the unknown fields.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} problem{}: ", if count == 1 { "" } else { "s" })?;
        let mut listed = 0;
        for (index, problem) in self.problems.iter().enumerate() {
            let problem = problem.to_string();
            listed += problem.len();
            if listed > MAX_LISTED {
                return write!(f, "; and {} more", count - index);
            }
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}
