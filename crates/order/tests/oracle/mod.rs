//! How orders were validated before, by a library: what the new rules must agree with.
//!
//! The input is read twice. First every field is taken as whatever it is and checked by the rules below, so that one
//! answer names every problem, wrong types included. Only an input without problems is then read as an [`Order`].

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use garde::{Path, Report, Validate};
use iso_currency::Currency;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use order::{MAX_UNIT_AMOUNT, Order};

/// How much of an unknown field's name is repeated, in characters.
const MAX_LISTED_NAME: usize = 40;

#[derive(Default, Deserialize, Validate)]
#[serde(default)]
struct OrderInput {
    #[garde(custom(required(identifier)))]
    order_id: Given,
    #[garde(custom(required(text(1, 80))))]
    customer_id: Given,
    #[garde(custom(required(restaurant)))]
    restaurant_id: Given,
    #[garde(custom(required(iso_4217)))]
    currency: Given,
    #[garde(dive)]
    items: List<Object<ItemInput>, 100>,
    #[garde(custom(optional(text(0, 500))))]
    note: Given,
}

#[derive(Default, Deserialize, Validate)]
#[serde(default)]
struct ItemInput {
    #[garde(custom(required(text(1, 200))))]
    name: Given,
    #[garde(custom(required(whole_number(1, 999))))]
    quantity: Given,
    #[garde(custom(required(whole_number(0, MAX_UNIT_AMOUNT))))]
    unit_amount: Given,
}

fn is_order_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=80).contains(&id.len()) && id.bytes().all(allowed)
}

fn identifier(value: &Given) -> garde::Result {
    must(
        value.text().is_some_and(is_order_id),
        "be a string of 1 to 80 characters out of A-Z a-z 0-9 - _",
    )
}

/// What the tag of an IAM role or session may hold, of which a policy lets a restaurant read its own orders. Tags may also
/// hold letters and digits of other scripts, which are left out here: many of them look alike.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html>
fn restaurant(value: &Given) -> garde::Result {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" _.:/=+-@".contains(&b);
    must(
        value
            .text()
            .is_some_and(|id| (1..=80).contains(&id.len()) && id.bytes().all(allowed)),
        "be a string of 1 to 80 characters out of A-Z a-z 0-9 space _ . : / = + - @",
    )
}

/// Text of `min` to `max` characters (Unicode scalar values), all of them characters that SQS accepts: it
/// refuses a message with any other, and the restaurant would never see the order.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn text(min: usize, max: usize) -> impl Fn(&Given) -> garde::Result {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    move |value| {
        must(
            value.text().is_some_and(|text| {
                (min..=max).contains(&text.chars().count()) && text.chars().all(allowed)
            }),
            format!("be a string of {min} to {max} characters, each of which SQS accepts"),
        )
    }
}

fn iso_4217(value: &Given) -> garde::Result {
    must(
        value.text().and_then(Currency::from_code).is_some(),
        "be a currency code of ISO 4217, such as EUR",
    )
}

fn whole_number(min: u64, max: u64) -> impl Fn(&Given) -> garde::Result {
    move |value| {
        must(
            value
                .whole_number()
                .is_some_and(|n| (min..=max).contains(&n)),
            format!("be a whole number from {min} to {max}"),
        )
    }
}

fn must(holds: bool, requirement: impl fmt::Display) -> garde::Result {
    if holds {
        Ok(())
    } else {
        Err(garde::Error::new(format!("must {requirement}")))
    }
}

fn required(rule: impl Fn(&Given) -> garde::Result) -> impl FnOnce(&Given, &()) -> garde::Result {
    move |value, ()| match value {
        Given::Nothing => Err(garde::Error::new("is required")),
        value => rule(value),
    }
}

fn optional(rule: impl Fn(&Given) -> garde::Result) -> impl FnOnce(&Given, &()) -> garde::Result {
    move |value, ()| match value {
        Given::Nothing => Ok(()),
        value => rule(value),
    }
}

/// A value as far as the rules tell values apart.
#[derive(Default)]
enum Given {
    /// Left out, or null.
    #[default]
    Nothing,
    Text(String),
    WholeNumber(u64),
    Other,
}

impl Given {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn whole_number(&self) -> Option<u64> {
        match self {
            Self::WholeNumber(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromAny for Given {
    const OTHER: Self = Self::Other;

    fn from_null() -> Self {
        Self::Nothing
    }

    fn from_text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn from_whole_number(number: u64) -> Self {
        Self::WholeNumber(number)
    }
}

/// An object of which each field is checked, or whatever else stands in its place.
enum Object<T> {
    Fields { known: T, unknown: Vec<String> },
    Other,
}

impl<T: DeserializeOwned> FromAny for Object<T> {
    const OTHER: Self = Self::Other;

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        struct Split<T> {
            #[serde(flatten)]
            known: T,
            #[serde(flatten)]
            unknown: BTreeMap<String, Given>,
        }
        let Split { known, unknown } = Split::deserialize(MapAccessDeserializer::new(map))?;
        let unknown = unknown.into_keys().collect();
        Ok(Self::Fields { known, unknown })
    }
}

impl<T: Validate<Context = ()>> Validate for Object<T> {
    type Context = ();

    fn validate_into(&self, ctx: &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        match self {
            Self::Fields { known, unknown } => {
                known.validate_into(ctx, parent, report);
                for name in unknown {
                    let shown: String = name
                        .chars()
                        .take(MAX_LISTED_NAME)
                        .flat_map(char::escape_debug)
                        .collect();
                    report.append(parent().join(shown), garde::Error::new("is not a field"));
                }
            }
            Self::Other => report.append(parent(), garde::Error::new("must be a JSON object")),
        }
    }
}

/// A list of 1 to `MAX` entries of which each is checked, or whatever else stands in its place.
#[derive(Default)]
enum List<T, const MAX: usize> {
    #[default]
    Missing,
    Entries(Vec<T>),
    Other,
}

impl<T: DeserializeOwned, const MAX: usize> FromAny for List<T, MAX> {
    const OTHER: Self = Self::Other;

    fn from_null() -> Self {
        Self::Missing
    }

    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < MAX {
            match list.next_element()? {
                Some(entry) => entries.push(entry),
                None if entries.is_empty() => return Ok(Self::Other),
                None => return Ok(Self::Entries(entries)),
            }
        }
        // A list that is too long is one problem, not one for each of its entries.
        let mut too_long = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            too_long = true;
        }
        Ok(if too_long {
            Self::Other
        } else {
            Self::Entries(entries)
        })
    }
}

impl<T: Validate<Context = ()>, const MAX: usize> Validate for List<T, MAX> {
    type Context = ();

    fn validate_into(&self, ctx: &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        match self {
            Self::Missing => report.append(parent(), garde::Error::new("is required")),
            Self::Entries(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    entry.validate_into(ctx, &mut || parent().join(index), report);
                }
            }
            Self::Other => report.append(
                parent(),
                garde::Error::new(format!("must be a list of 1 to {MAX} entries")),
            ),
        }
    }
}

/// A type that any JSON can be read as: what does not fit becomes `OTHER`. (`serde_json::Value` would do, but it reads
/// an object with a certain key as something else than an object.)
trait FromAny: Sized {
    const OTHER: Self;

    fn from_null() -> Self {
        Self::OTHER
    }

    fn from_text(_: &str) -> Self {
        Self::OTHER
    }

    fn from_whole_number(_: u64) -> Self {
        Self::OTHER
    }

    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::OTHER)
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::OTHER)
    }
}

/// Reads any JSON as `T`.
struct Any<T>(PhantomData<T>);

impl<'de, T: FromAny> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::from_null())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::OTHER)
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::from_whole_number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(u64::try_from(number).map_or(T::OTHER, T::from_whole_number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::OTHER)
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: DeserializeOwned, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// The order, or the problems of the input, each as it is listed.
pub fn validate(json: &str) -> Result<Order, Vec<String>> {
    let unreadable =
        |_| vec!["order must be JSON that can be read, with no field given twice".to_owned()];
    let input: Object<OrderInput> = serde_json::from_str(json).map_err(unreadable)?;
    input.validate().map_err(|report| {
        let problem = |(path, error): &(Path, garde::Error)| {
            let path = path.to_string();
            let field = if path.is_empty() { "order" } else { &path };
            format!("{field} {error}")
        };
        report.iter().map(problem).collect::<Vec<_>>()
    })?;
    serde_json::from_str(json).map_err(unreadable)
}
