//! `orderctl link`: makes a link to a web page, or takes links back.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::{SignedDuration, Timestamp};
use links::{Claim, Kind, SHOWN_AFTER_DEADLINE};
use serde_json::json;
use tokio::time::sleep;

use crate::aws::stack::{Stack, StackArgs, Web};
use crate::clock;
use crate::cmd::{length_of_time, order_id, restaurant_id};
use crate::failure::{Failure, Kind as Exit, aws};
use crate::render::{Output, parse_time};

/// Make a link to a web page, for a restaurant or a customer
///
/// Whoever has the link can do what its page offers, until it expires: `restaurant` lists a restaurant's orders, `order`
/// shows one order to its restaurant, `customer` shows one order to its customer.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl link restaurant rest-7 --valid 12h
  orderctl link order ord-1001
  orderctl link customer ord-1001
  orderctl link --revoke restaurant rest-7")]
pub struct Link {
    /// What it shows
    #[arg(value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)).try_map(kind))]
    kind: Kind,
    /// Id of the restaurant or the order
    id: String,
    /// How long it holds: 12h for a restaurant, 1d for a customer; up to 30d and 7d. Not for `order`, whose link holds until
    /// an hour after the order's deadline
    #[arg(long, value_name = "LENGTH", value_parser = length_of_time)]
    valid: Option<SignedDuration>,
    /// Void all links of this kind and id that were made before now, within a minute
    #[arg(long, conflicts_with = "valid")]
    revoke: bool,
}

fn kind(name: String) -> Result<Kind, String> {
    Kind::named(&name).ok_or(name)
}

/// Checks the rule of the id of a restaurant or an order: a link with another one would show nothing.
fn checked(kind: Kind, id: &str) -> Result<(), Failure> {
    let checked = match kind {
        Kind::Restaurant => restaurant_id(id),
        Kind::Order | Kind::Customer => order_id(id),
    };
    checked
        .map_err(|rule| Failure::new(Exit::Invalid, rule))
        .map(|_| ())
}

impl Link {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        checked(self.kind, &self.id)?;
        let valid = validity(self.kind, self.valid)?;
        let stack = Stack::find_to_change(stack, output).await?;
        let (kind, id) = (self.kind, self.id.as_str());
        if self.revoke {
            let more = match revoke(&stack, kind, id).await? {
                Revoked::Now => "",
                Revoked::UntilLater => {
                    "; an earlier revocation has a later time, and voids new links until then, too"
                }
            };
            return output.line(
                || {
                    format!(
                        "{kind} {id}  links that were made before now hold for a minute at most{more}"
                    )
                },
                || json!({ "kind": kind.as_str(), "id": id, "revoked": true }),
            );
        }
        let (url, expires) = make(&stack, kind, id, valid).await?;
        output.line(
            || url.clone(),
            || json!({ "kind": kind.as_str(), "id": id, "url": url, "expires_at": expires.to_string() }),
        )
    }
}

/// How long a link is to hold, in seconds; none for the link to one order.
fn validity(kind: Kind, valid: Option<SignedDuration>) -> Result<Option<u64>, Failure> {
    let invalid = |why: String| Failure::new(Exit::Invalid, why);
    match (kind, valid) {
        (Kind::Order, None) => Ok(None),
        (Kind::Order, Some(_)) => Err(invalid(
            "the link to one order holds until an hour after its deadline: leave --valid out"
                .into(),
        )),
        (_, None) => Ok(Some(kind.usual_validity())),
        (_, Some(valid)) => {
            let longest = kind.longest_validity();
            let seconds = u64::try_from(valid.as_secs()).unwrap_or_default();
            if (1..=longest).contains(&seconds) {
                Ok(Some(seconds))
            } else {
                Err(invalid(format!(
                    "a {kind} link may hold for {} days at most, and for a second at least",
                    longest / (24 * 60 * 60)
                )))
            }
        }
    }
}

/// Makes a link; gives it, and when it expires.
pub async fn make(
    stack: &Stack,
    kind: Kind,
    id: &str,
    valid: Option<u64>,
) -> Result<(String, Timestamp), Failure> {
    let web = stack.web()?;
    let issued = issued();
    let expires = match valid {
        Some(valid) => issued + valid,
        None => deadline(stack, id).await? + SHOWN_AFTER_DEADLINE,
    };
    let claim = Claim {
        kind,
        id: id.into(),
        issued,
        expires,
    };
    let signature = sign(stack, web, &claim).await?;
    let expires = i64::try_from(expires).unwrap_or_default();
    let expires = Timestamp::from_second(expires)
        .map_err(|error| Failure::other(format!("the time cannot be written: {error}")))?;
    Ok((claim.url(&web.url, &signature), expires))
}

async fn sign(stack: &Stack, web: &Web, claim: &Claim) -> Result<Vec<u8>, Failure> {
    let key = match claim.kind {
        Kind::Restaurant | Kind::Order => &web.restaurants_key,
        Kind::Customer => &web.customers_key,
    };
    let signed = stack
        .kms
        .sign()
        .key_id(key)
        .message(Blob::new(claim.signed_text(&web.epoch)))
        .message_type(MessageType::Raw)
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
        .send()
        .await
        .map_err(aws("signing the link"))?;
    signed
        .signature
        .map(Blob::into_inner)
        .ok_or_else(|| Failure::other("signing the link: AWS gave no signature"))
}

/// Until when an order is answered, in seconds since 1970.
async fn deadline(stack: &Stack, order_id: &str) -> Result<u64, Failure> {
    let entry = stack.entry(order_id).await?;
    let read = stack
        .dynamodb
        .get_item()
        .table_name(&stack.open_orders)
        .key("restaurant_id", AttributeValue::S(entry.restaurant_id))
        .key("order_id", AttributeValue::S(order_id.into()))
        .projection_expression("respond_by")
        .consistent_read(true)
        .send()
        .await
        .map_err(aws("reading the open order"))?;
    let item = read.item.unwrap_or_default();
    let respond_by = item.get("respond_by").and_then(|text| text.as_s().ok());
    let deadline = respond_by.and_then(|text| parse_time(text));
    deadline
        .and_then(|deadline| u64::try_from(deadline.as_second()).ok())
        .filter(|deadline| *deadline > now())
        .ok_or_else(|| {
            Failure::new(
                Exit::NotOpen,
                format!("{order_id} is not among the open orders: it has its outcome, or its restaurant was not asked yet"),
            )
        })
}

/// Until when links are void after a revocation.
enum Revoked {
    Now,
    /// Until a later time, which was stored before.
    UntilLater,
}

/// Voids the links of a kind and an id that were made before now.
async fn revoke(stack: &Stack, kind: Kind, id: &str) -> Result<Revoked, Failure> {
    let web = stack.web()?;
    let until = now();
    let put = stack
        .dynamodb
        .put_item()
        .table_name(&web.revocations)
        .item("link", AttributeValue::S(format!("{kind} {id}")))
        .item("revoked_until", AttributeValue::N(until.to_string()))
        // By then, every link that is void now has expired.
        .item(
            "expires_at",
            AttributeValue::N((until + kind.longest_validity() + 60).to_string()),
        )
        // A later time may be there, by a clock that is ahead. If it were replaced, void links would hold again.
        .condition_expression("attribute_not_exists(revoked_until) OR revoked_until <= :until")
        .expression_attribute_values(":until", AttributeValue::N(until.to_string()))
        .send()
        .await;
    let revoked = match put {
        Ok(_) => Revoked::Now,
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
            Revoked::UntilLater
        }
        Err(error) => return Err(aws("revoking the links")(error)),
    };
    // A link that is made from now on is not void.
    while issued() <= until {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(revoked)
}

/// When a link says that it was made. The pages refuse one from the future, and AWS's clock is known to two seconds.
fn issued() -> u64 {
    now().saturating_sub(2)
}

fn now() -> u64 {
    clock::now().as_second().try_into().unwrap_or_default()
}
