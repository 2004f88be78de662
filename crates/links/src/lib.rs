//! Links to the web pages: what a link says, what is signed of it, how it is written, and how long it may hold.
//!
//! This crate does no I/O and knows no AWS: `web-links` and `orderctl` have links signed by KMS, and `web` verifies them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// How long the link to one order shows the order after its deadline, in seconds.
pub const SHOWN_AFTER_DEADLINE: u64 = HOUR;

/// What stays as it is in a query: <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a link shows, and what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A restaurant's open orders, to answer each. The id is the restaurant's.
    Restaurant,
    /// One order, to answer it. The id is the order's.
    Order,
    /// Where one order stands, and to cancel it for its customer. The id is the order's.
    Customer,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Restaurant, Self::Order, Self::Customer];

    /// The name, as in the link's path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restaurant => "restaurant",
            Self::Order => "order",
            Self::Customer => "customer",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The longest time that a link may hold, in seconds. The pages refuse a link that says more, whoever signed it.
    #[must_use]
    pub const fn longest_validity(self) -> u64 {
        match self {
            Self::Restaurant => 30 * DAY,
            // The deadline is at most 10 minutes away, and the link is valid for an hour after it.
            Self::Order => 2 * SHOWN_AFTER_DEADLINE,
            Self::Customer => 7 * DAY,
        }
    }

    /// How long a link holds by default, in seconds.
    #[must_use]
    pub const fn usual_validity(self) -> u64 {
        match self {
            Self::Restaurant => 12 * HOUR,
            Self::Order => self.longest_validity(),
            Self::Customer => DAY,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it shows.
    pub kind: Kind,
    /// Of which restaurant or order.
    pub id: String,
    /// When it was made (seconds since 1970).
    pub issued: u64,
    /// When it expires (seconds since 1970).
    pub expires: u64,
}

impl Claim {
    /// What is signed: ECDSA on P-256 with SHA-256, as DER. `epoch` is the stack's: another one voids all links.
    ///
    /// The id is the last line, so that no id can look like another link.
    #[must_use]
    pub fn signed_text(&self, epoch: &str) -> String {
        let Self {
            kind,
            id,
            issued,
            expires,
        } = self;
        format!("order-workflow link 1\n{epoch}\n{kind}\n{issued}\n{expires}\n{id}")
    }

    /// The link's query, with its signature. It ends in a digit: some programs leave out a `-` or `_` at an address's end.
    #[must_use]
    pub fn query(&self, signature: &[u8]) -> String {
        format!(
            "id={}&s={}&i={}&e={}",
            utf8_percent_encode(&self.id, ENCODED),
            URL_SAFE_NO_PAD.encode(signature),
            self.issued,
            self.expires
        )
    }

    /// The whole link. `site` is the address of the pages, such as `https://orders.example.com`.
    #[must_use]
    pub fn url(&self, site: &str, signature: &[u8]) -> String {
        format!("{site}/{}?{}", self.kind, self.query(signature))
    }

    /// What a query says, and its signature, which is not verified here. None unless it is, to the byte, what
    /// [`Claim::query`] writes: each parameter once, in that order and in that encoding.
    #[must_use]
    pub fn read(kind: Kind, query: &str) -> Option<(Self, Vec<u8>)> {
        let mut parts = query.split('&');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let (id, signature, issued, expires) = (part("id")?, part("s")?, part("i")?, part("e")?);
        let claim = Self {
            kind,
            id: percent_decode_str(id).decode_utf8().ok()?.into_owned(),
            issued: issued.parse().ok()?,
            expires: expires.parse().ok()?,
        };
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        (claim.query(&signature) == query).then_some((claim, signature))
    }

    /// A link's query without the parameters that others add, such as a mailer's `utm_source`.
    #[must_use]
    pub fn without_additions(query: &str) -> String {
        let is_ours = |part: &&str| {
            let name = part.split('=').next();
            matches!(name, Some("id" | "s" | "i" | "e"))
        };
        query
            .split('&')
            .filter(is_ours)
            .collect::<Vec<_>>()
            .join("&")
    }

    /// Until when the order of a link to one order can be answered: its deadline (seconds since 1970).
    #[must_use]
    pub const fn deadline(&self) -> u64 {
        self.expires.saturating_sub(SHOWN_AFTER_DEADLINE)
    }

    /// Whether the link holds at a time (seconds since 1970), by its own two times.
    #[must_use]
    pub fn holds_at(&self, now: u64) -> bool {
        // A link that was made ahead of its time would outlast its revocation.
        self.issued <= now
            && now < self.expires
            && self.expires.saturating_sub(self.issued) <= self.kind.longest_validity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(kind: Kind, id: &str) -> Claim {
        Claim {
            kind,
            id: id.into(),
            issued: 1_000_000,
            expires: 1_003_600,
        }
    }

    #[test]
    fn a_link_is_read_as_it_was_written_whatever_its_id() {
        for id in [
            "ord-1001",
            "Café / Bar & Grill = 1+1",
            "a%2Fb",
            "é\u{202e}",
            "x&id=y",
            "",
        ] {
            let claim = claim(Kind::Restaurant, id);
            let query = claim.query(&[1, 2, 255]);
            assert!(
                query.is_ascii() && !query.contains(' '),
                "{id:?} makes {query}"
            );
            assert_eq!(
                Claim::read(Kind::Restaurant, &query),
                Some((claim, vec![1, 2, 255])),
                "{query}"
            );
        }
    }

    #[test]
    fn a_link_has_one_spelling() {
        let good = "id=a%20b&s=AQ&i=1&e=2";
        assert!(Claim::read(Kind::Order, good).is_some());
        for bad in [
            "",
            "id=a%20b",
            "id=a%20b&i=1&e=2",
            "i=1&id=a%20b&s=AQ&e=2",
            "id=a%20b&s=AQ&s=AQ&i=1&e=2",
            "id=a%20b&s=AQ&i=1&e=2&",
            "&id=a%20b&s=AQ&i=1&e=2",
            "id=a%20b&id=a%20b&s=AQ&i=1&e=2",
            "id=a+b&s=AQ&i=1&e=2",
            "id=a b&s=AQ&i=1&e=2",
            "id=%61%20b&s=AQ&i=1&e=2",
            "ID=a%20b&s=AQ&i=1&e=2",
            "id=a%20b&s=AQ&i=01&e=2",
            "id=a%20b&s=AQ&i=+1&e=2",
            "id=a%20b&s=AQ&i=1&e=-2",
            "id=a%20b&s=AQ==&i=1&e=2",
            "id=a%20b&s=AR&i=1&e=2",
            "id=a%20b&s=A Q&i=1&e=2",
            "id=%ff&s=AQ&i=1&e=2",
            "id=%2&s=AQ&i=1&e=2",
            "id=%e2%82%ac&s=AQ&i=1&e=2",
            "id=a%20b&s=AQ&i=99999999999999999999&e=2",
        ] {
            assert_eq!(Claim::read(Kind::Order, bad), None, "{bad:?} is read");
        }
    }

    #[test]
    fn what_a_mailer_adds_is_dropped_and_nothing_else_is() {
        let good = "id=a%20b&s=AQ&i=1&e=2";
        for added in [
            "&utm_source=mail&utm_medium=e-mail",
            "&fbclid=x_-",
            "&",
            "&&",
            "&=",
            "&idx=3",
            "&utm_source=id=7",
        ] {
            let query = format!("{good}{added}");
            assert_eq!(Claim::without_additions(&query), good, "{query}");
        }
        assert_eq!(Claim::without_additions(&format!("a=b&{good}")), good);
        // What cannot be told from a link's own parameter stays, so that the link does not hold.
        for bad in ["id=a%20b&s=AQ&i=1&e=2&e=3", "id=a%20b&s=AQ&i=1&e=2&id"] {
            assert_eq!(Claim::without_additions(bad), bad);
        }
    }

    #[test]
    fn whatever_differs_is_signed_differently() {
        let base = claim(Kind::Order, "a");
        let mut texts = vec![base.signed_text("1"), base.signed_text("2")];
        for kind in [Kind::Restaurant, Kind::Customer] {
            texts.push(claim(kind, "a").signed_text("1"));
        }
        texts.push(claim(Kind::Order, "b").signed_text("1"));
        texts.push(
            Claim {
                issued: 1_000_001,
                ..base.clone()
            }
            .signed_text("1"),
        );
        texts.push(
            Claim {
                expires: 1_003_601,
                ..base
            }
            .signed_text("1"),
        );
        let count = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }

    #[test]
    fn a_link_holds_from_when_it_was_made_until_it_expires_and_none_comes_from_the_future() {
        let claim = claim(Kind::Order, "a");
        for (now, holds) in [
            (0, false),
            (999_999, false),
            (1_000_000, true),
            (1_003_599, true),
            (1_003_600, false),
            (u64::MAX, false),
        ] {
            assert_eq!(claim.holds_at(now), holds, "at {now}");
        }
    }

    #[test]
    fn no_link_holds_longer_than_its_kind_may() {
        for kind in Kind::ALL {
            let mut claim = claim(kind, "a");
            claim.expires = claim.issued + kind.longest_validity();
            assert!(claim.holds_at(claim.issued), "{kind}: the longest");
            claim.expires += 1;
            assert!(!claim.holds_at(claim.issued), "{kind}: a second more");
            assert!(kind.usual_validity() <= kind.longest_validity());
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn a_link_is_the_address_of_a_page_and_ends_in_a_digit() {
        let claim = claim(Kind::Order, "ord 1/2");
        assert_eq!(
            claim.url("https://orders.example.com", &[1, 2, 255]),
            "https://orders.example.com/order?id=ord%201%2F2&s=AQL_&i=1000000&e=1003600"
        );
    }

    #[test]
    fn a_link_holds_as_long_as_the_documentation_says() {
        for (kind, usual, longest) in [
            (Kind::Restaurant, 12 * 3_600, 30 * 24 * 3_600),
            (Kind::Order, 2 * 3_600, 2 * 3_600),
            (Kind::Customer, 24 * 3_600, 7 * 24 * 3_600),
        ] {
            assert_eq!(kind.usual_validity(), usual, "{kind}: the usual time");
            assert_eq!(kind.longest_validity(), longest, "{kind}: the longest time");
        }
        let deadline = claim(Kind::Order, "ord-1001").deadline();
        assert_eq!(deadline, 1_000_000, "an hour before the link expires");
    }
}
