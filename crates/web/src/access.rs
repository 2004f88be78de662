//! Whether a link is valid: it is verified without a call of AWS, then looked up among those that were revoked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use functions::{Error, aws};
use links::{Claim, Kind};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// For how many seconds it is remembered whether a link was revoked: less than the minute within which a revocation must
/// take effect.
pub const REMEMBERED: u64 = 20;
/// For how many restaurants and orders that is remembered.
const REMEMBERED_AT_MOST: usize = 1_000;

/// What comes before the point of a P-256 key in DER: <https://www.rfc-editor.org/rfc/rfc5480#section-2>
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A public key on P-256.
pub struct PublicKey(UnparsedPublicKey<Vec<u8>>);

impl PublicKey {
    /// Reads the DER that KMS gives.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let point = der
            .strip_prefix(&P256_PREFIX)
            .filter(|point| point.len() == 65)
            .ok_or_else(|| Error::Misconfigured("the key of the links is not on P-256".into()))?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.to_vec());
        Ok(Self(key))
    }
}

/// Verifies links.
pub struct Verifier {
    /// The stack's link epoch.
    pub epoch: String,
    /// The public key of the links with which restaurants answer.
    pub restaurants: PublicKey,
    /// The public key of the links with which customers follow and cancel.
    pub customers: PublicKey,
}

impl Verifier {
    /// What a link says, if it was signed for this kind, is spelled as it was signed, and is valid now.
    #[must_use]
    pub fn verify(&self, kind: Kind, query: &str, now: u64) -> Option<Claim> {
        let (claim, signature) = Claim::read(kind, query)?;
        let PublicKey(key) = match kind {
            Kind::Restaurant | Kind::Order => &self.restaurants,
            Kind::Customer => &self.customers,
        };
        key.verify(claim.signed_text(&self.epoch).as_bytes(), &signature)
            .ok()?;
        claim.holds_at(now).then_some(claim)
    }
}

/// The table of revocations. A row names a kind, an id and a time: such links that were made until then are void.
pub struct Revocations {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    /// By kind and id: when the row was read, and its time, both in seconds since 1970.
    known: Mutex<HashMap<String, (u64, u64)>>,
}

impl Revocations {
    /// The table of this name.
    #[must_use]
    pub fn new(dynamodb: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self {
            dynamodb,
            table,
            known: Mutex::default(),
        }
    }

    /// Whether a link was revoked. A new revocation is seen within [`REMEMBERED`] seconds.
    pub async fn has(&self, claim: &Claim, now: u64) -> Result<bool, Error> {
        let link = format!("{} {}", claim.kind, claim.id);
        let known = self.known().get(&link).copied();
        let until = match known {
            // Even if the clock was set back, nothing is remembered for longer.
            Some((asked, until)) if now.abs_diff(asked) < REMEMBERED => until,
            _ => {
                let until = self.read(&link).await?;
                let mut known = self.known();
                if known.len() >= REMEMBERED_AT_MOST {
                    known.clear();
                }
                known.insert(link, (now, until));
                until
            }
        };
        Ok(claim.issued <= until)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (u64, u64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of the row; 0 if there is none.
    async fn read(&self, link: &str) -> Result<u64, Error> {
        let read = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .key("link", AttributeValue::S(link.into()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| {
                aws::failure("reading the revocations", &error, Error::StoreUnavailable)
            })?;
        let Some(item) = read.item else { return Ok(0) };
        // A row that cannot be read voids all its links: somebody wanted to revoke some.
        let until = item.get("revoked_until").and_then(|n| n.as_n().ok());
        Ok(until
            .and_then(|until| until.parse().ok())
            .unwrap_or(u64::MAX))
    }
}
