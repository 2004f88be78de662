//! The pages against the real AWS clients, answered at the HTTP boundary. The tests are named after what docs/web.md
//! promises.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // also in the helpers of a test

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_sfn::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_sfn::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sfn::error::BoxError;
use functions::testing::{answered_by, outages};
use links::{Claim, Kind};
use order::MAX_REASON;
use proptest::prelude::*;
use proptest::sample::Index;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use web::Site;
use web::access::{PublicKey, Revocations, Verifier};
use web::http::{Request, Response};
use web::orders::{Orders, rfc_3339};

/// 2026-01-31T12:00:00Z
const NOON: u64 = 1_769_860_800;
const ORIGIN: &str = "https://orders.example.com";
/// What stands before the point of a key on P-256.
const PREFIX: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// What DynamoDB and Step Functions hold and do.
#[derive(Clone, Default)]
struct World {
    order: Option<Value>,
    open: Vec<Value>,
    closed: Vec<Value>,
    row: Option<Value>,
    revoked_until: Option<&'static str>,
    /// What Step Functions answers instead of taking an answer.
    refusal: Option<(u16, &'static str)>,
    /// Which table is throttled.
    throttled: Option<&'static str>,
}

struct Test {
    site: Site,
    restaurants: EcdsaKeyPair,
    customers: EcdsaKeyPair,
    requests: Arc<Mutex<Vec<Value>>>,
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
    let pkcs8 = pkcs8.expect("a key");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random)
        .expect("a key")
}

fn public(key: &EcdsaKeyPair) -> PublicKey {
    let mut der: Vec<u8> = (0..PREFIX.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&PREFIX[at..at + 2], 16).expect("hex"))
        .collect();
    der.extend_from_slice(key.public_key().as_ref());
    PublicKey::from_der(&der).expect("a key on P-256")
}

fn site(
    config: &aws_types::SdkConfig,
    restaurants: &EcdsaKeyPair,
    customers: &EcdsaKeyPair,
) -> Site {
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    Site {
        origin: ORIGIN.into(),
        verifier: Verifier {
            epoch: "1".into(),
            restaurants: public(restaurants),
            customers: public(customers),
        },
        revocations: Revocations::new(dynamodb.clone(), "revocations".into()),
        orders: Orders {
            dynamodb,
            sfn: aws_sdk_sfn::Client::new(config),
            orders: "orders".into(),
            open_orders: "open-orders".into(),
        },
    }
}

impl Test {
    fn new(world: World) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let config = answered_by(move |body| {
            let request: Value = serde_json::from_str(body).expect("JSON");
            let answer = world.answer(&request);
            kept.lock().expect("no panic").push(request);
            answer
        });
        let (restaurants, customers) = (key(), key());
        Self {
            site: site(&config, &restaurants, &customers),
            restaurants,
            customers,
            requests,
        }
    }

    fn signed(&self, claim: &Claim) -> String {
        let key = match claim.kind {
            Kind::Customer => &self.customers,
            _ => &self.restaurants,
        };
        sign(key, claim, "1")
    }

    fn link(&self, kind: Kind, id: &str) -> String {
        self.signed(&claim(kind, id))
    }

    async fn get(&self, path: &str, query: &str) -> Response {
        self.site
            .serve(&request("GET", path, query, &[], None), NOON)
            .await
    }

    async fn post(&self, path: &str, query: &str, body: &str) -> Response {
        self.site
            .serve(&request("POST", path, query, &[], Some(body)), NOON)
            .await
    }

    fn calls(&self) -> Vec<Value> {
        std::mem::take(&mut self.requests.lock().expect("no panic"))
    }

    /// What was sent to the workflow.
    fn sent(&self) -> Vec<Value> {
        let calls = self.calls().into_iter();
        calls
            .filter(|call| call.get("taskToken").is_some())
            .collect()
    }
}

impl World {
    fn answer(&self, request: &Value) -> (u16, String) {
        let table = request["TableName"].as_str();
        if table.is_some() && table == self.throttled {
            let code = "ProvisionedThroughputExceededException";
            let error = json!({ "__type": code, "message": "secret-token" });
            return (400, error.to_string());
        }
        let answer = match (table, request["IndexName"].as_str()) {
            (Some("revocations"), _) => match self.revoked_until {
                Some(until) => json!({ "Item": { "revoked_until": { "N": until } } }),
                None => json!({}),
            },
            (Some("orders"), _) => match &self.order {
                Some(order) => json!({ "Item": order }),
                None => json!({}),
            },
            (Some("open-orders"), Some("open")) => json!({ "Items": self.open }),
            (Some("open-orders"), Some("closed")) => json!({ "Items": self.closed }),
            (Some("open-orders"), _) => match &self.row {
                Some(row) => json!({ "Item": row }),
                None => json!({}),
            },
            _ => match self.refusal {
                Some((status, code)) => {
                    return (
                        status,
                        json!({ "__type": code, "message": "secret-token" }).to_string(),
                    );
                }
                None => json!({}),
            },
        };
        (200, answer.to_string())
    }
}

fn sign(key: &EcdsaKeyPair, claim: &Claim, epoch: &str) -> String {
    let text = claim.signed_text(epoch);
    let signature = key.sign(&SystemRandom::new(), text.as_bytes());
    claim.query(signature.expect("a signature").as_ref())
}

fn claim(kind: Kind, id: &str) -> Claim {
    Claim {
        kind,
        id: id.into(),
        issued: NOON - 60,
        // The link to one order: its deadline is in 8 minutes.
        expires: NOON + 8 * 60 + 3600,
    }
}

fn request(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Request {
    let headers: Value = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    serde_json::from_value(json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
        "requestContext": { "http": { "method": method, "path": path } }, "body": body, "isBase64Encoded": false,
    }))
    .expect("a request as the API sends it")
}

fn stored(status: &str) -> Value {
    json!({
        "order_id": { "S": "ord-1001" }, "status": { "S": status }, "customer_id": { "S": "cust-42" },
        "restaurant_id": { "S": "rest-7" }, "currency": { "S": "EUR" }, "total_amount": { "N": "2500" },
        "items": { "L": [{ "M": { "name": { "S": "Margherita" }, "quantity": { "N": "2" }, "unit_amount": { "N": "1250" } } }] },
        "note": { "S": "No basil, please" }, "placed_at": { "S": "2026-01-31T11:58:00.000Z" },
        "updated_at": { "S": "2026-01-31T11:59:30.000Z" }, "execution_arn": { "S": "an ARN" },
    })
}

fn waiting(order_id: &str) -> Value {
    json!({
        "order_id": { "S": order_id }, "currency": { "S": "EUR" }, "total_amount": { "N": "2500" },
        "items": { "L": [{ "M": { "name": { "S": "Margherita" }, "quantity": { "N": "2" }, "unit_amount": { "N": "1250" } } }] },
        "note": { "S": "No basil, please" }, "respond_by": { "S": "2026-01-31T12:08:00.000Z" },
    })
}

/// A world in which so many orders of a restaurant wait.
fn many_waiting(count: u32) -> World {
    World {
        open: (0..count)
            .map(|number| waiting(&format!("ord-{}", 1000 + number)))
            .collect(),
        ..placed()
    }
}

fn closed(order_id: &str, status: &str) -> Value {
    json!({ "order_id": { "S": order_id }, "status": { "S": status }, "closed_at": { "S": "2026-01-31T11:55:00Z" } })
}

fn open_row() -> Value {
    json!({ "task_token": { "S": "secret-token" }, "expires_at": { "N": (NOON + 8 * 60 + 3600).to_string() } })
}

/// An order that waits.
fn placed() -> World {
    World {
        order: Some(stored("PLACED")),
        open: vec![waiting("ord-1001")],
        row: Some(open_row()),
        ..World::default()
    }
}

/// A link of each kind to the order of [`placed`].
const LINKS: [(Kind, &str); 3] = [
    (Kind::Restaurant, "rest-7"),
    (Kind::Order, "ord-1001"),
    (Kind::Customer, "ord-1001"),
];

/// The headers of every response. Script and stylesheet are kept under the address with their version.
const HEADERS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "same-origin"),
    (
        "strict-transport-security",
        "max-age=63072000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-robots-tag", "noindex"),
];

const HTML: &str = "text/html; charset=utf-8";

/// Fails unless a response has the headers of every response, these ones, and no others.
fn assert_headers(response: &Response, others: &[(&str, &str)], what: &str) {
    let own = [
        ("allow", "GET, HEAD, OPTIONS, POST"),
        ("x-now", "1769860800"),
    ];
    let expected: BTreeMap<_, _> = HEADERS.iter().chain(&own).chain(others).copied().collect();
    let found = response
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected, "{what}");
}

#[tokio::test]
async fn a_link_does_nothing_beyond_its_kind_its_id_and_its_time() {
    let test = Test::new(placed());
    for kind in Kind::ALL {
        let id = if kind == Kind::Restaurant {
            "rest-7"
        } else {
            "ord-1001"
        };
        let path = format!("/{kind}");
        let good = test.link(kind, id);
        assert_eq!(test.get(&path, &good).await.status_code, 200, "{kind}");
        test.calls();

        let mut bad: Vec<(String, String)> = Vec::new();
        // Another kind's page, and another kind's key.
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            bad.push((format!("/{other}"), good.clone()));
            bad.push((path.clone(), test.link(other, id)));
        }
        let (own, others) = match kind {
            Kind::Customer => (&test.customers, &test.restaurants),
            _ => (&test.restaurants, &test.customers),
        };
        bad.push((path.clone(), sign(others, &claim(kind, id), "1")));
        // Another epoch, another id, other times.
        bad.push((path.clone(), sign(own, &claim(kind, id), "2")));
        let changed = |change: fn(&mut Claim)| {
            let mut changed = claim(kind, id);
            change(&mut changed);
            changed
        };
        for claim in [
            changed(|claim| claim.expires = NOON),
            changed(|claim| claim.issued = NOON + 1),
            changed(|claim| claim.expires = claim.issued + claim.kind.longest_validity() + 1),
        ] {
            bad.push((path.clone(), test.signed(&claim)));
        }
        // Cut, doubled, reordered, in another encoding, each byte changed.
        for cut in 0..good.len() {
            bad.push((path.clone(), good[..cut].to_owned()));
        }
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            bad.push((path.clone(), String::from_utf8(bytes).expect("ASCII")));
        }
        let parts: Vec<_> = good.split('&').collect();
        for at in 0..parts.len() {
            bad.push((path.clone(), format!("{good}&{}", parts[at])));
            let mut turned = parts.clone();
            turned.swap(at, (at + 1) % parts.len());
            bad.push((path.clone(), turned.join("&")));
        }
        bad.push((
            path.clone(),
            good.replace("id=", "id=%6")
                .replace("%6r", "%72")
                .replace("%6o", "%6F"),
        ));
        bad.push((path.clone(), good.replace("&i=", "&i=0")));
        bad.push((path.clone(), format!("{good}=")));

        let mut said: Option<String> = None;
        for (path, query) in bad {
            for method in ["GET", "POST"] {
                let response = test
                    .site
                    .serve(
                        &request(method, &path, &query, &[], Some("do=cancel&sure=yes")),
                        NOON,
                    )
                    .await;
                assert_eq!(response.status_code, 403, "{method} {path}?{query}");
                let first = said.get_or_insert_with(|| response.body.clone());
                assert_eq!(
                    *first, response.body,
                    "{path}?{query} is told something else"
                );
            }
        }
        assert_eq!(test.calls(), [json!(null); 0], "a forged link calls AWS");
    }
}

/// One thing done to a link's query.
#[derive(Clone, Debug)]
enum Mutation {
    FlipBit(Index, u32),
    Insert(Index, char),
    Delete(Index, usize),
    Repeat(Index, Index, usize),
    OtherCase(Index),
    Encode(Index, bool),
    Decode(Index),
    SwapParameters(Index, Index),
    RepeatParameter(Index, Index),
    DropParameter(Index),
    /// The same parameter of another valid link.
    Exchange(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..7_u32).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        (
            at(),
            prop_oneof![proptest::char::range(' ', '~'), any::<char>()]
        )
            .prop_map(|(at, new)| Mutation::Insert(at, new)),
        (at(), 1..20_usize).prop_map(|(at, length)| Mutation::Delete(at, length)),
        (at(), at(), 1..40_usize).prop_map(|(from, to, length)| Mutation::Repeat(from, to, length)),
        at().prop_map(Mutation::OtherCase),
        (at(), any::<bool>()).prop_map(|(at, upper)| Mutation::Encode(at, upper)),
        at().prop_map(Mutation::Decode),
        (at(), at()).prop_map(|(one, other)| Mutation::SwapParameters(one, other)),
        (at(), at()).prop_map(|(from, to)| Mutation::RepeatParameter(from, to)),
        at().prop_map(Mutation::DropParameter),
        at().prop_map(Mutation::Exchange),
    ]
}

impl Mutation {
    fn of(&self, query: &str, other: &str) -> String {
        let mut text: Vec<char> = query.chars().collect();
        let mut parts: Vec<&str> = query.split('&').collect();
        if text.is_empty() {
            return other.chars().take(1).collect();
        }
        let cut = |at: &Index, length: usize| {
            let from = at.index(text.len());
            from..text.len().min(from + length)
        };
        match self {
            Self::FlipBit(at, bit) => {
                let at = at.index(text.len());
                let flipped = u32::from(text[at]) ^ 1 << bit;
                text[at] = char::from_u32(flipped).unwrap_or('\u{fffd}');
            }
            Self::Insert(at, new) => text.insert(at.index(text.len() + 1), *new),
            Self::Delete(at, length) => drop(text.drain(cut(at, *length))),
            Self::Repeat(from, to, length) => {
                let part = text[cut(from, *length)].to_vec();
                let to = to.index(text.len() + 1);
                text.splice(to..to, part);
            }
            Self::OtherCase(at) => {
                let letters: Vec<_> = (0..text.len())
                    .filter(|at| text[*at].is_ascii_alphabetic())
                    .collect();
                if !letters.is_empty() {
                    let letter = &mut text[letters[at.index(letters.len())]];
                    *letter = if letter.is_ascii_lowercase() {
                        letter.to_ascii_uppercase()
                    } else {
                        letter.to_ascii_lowercase()
                    };
                }
            }
            Self::Encode(at, upper) => {
                let at = at.index(text.len());
                let code = u32::from(text[at]);
                let encoded = if *upper {
                    format!("%{code:02X}")
                } else {
                    format!("%{code:02x}")
                };
                text.splice(at..=at, encoded.chars());
            }
            Self::Decode(at) => {
                let encoded: Vec<_> = query.match_indices('%').map(|(at, _)| at).collect();
                if !encoded.is_empty() {
                    let at = encoded[at.index(encoded.len())];
                    let code = query.get(at + 1..at + 3);
                    if let Some(Ok(code)) = code.map(|code| u8::from_str_radix(code, 16)) {
                        return format!("{}{}{}", &query[..at], char::from(code), &query[at + 3..]);
                    }
                }
            }
            Self::SwapParameters(one, other) => {
                let (one, other) = (one.index(parts.len()), other.index(parts.len()));
                parts.swap(one, other);
                return parts.join("&");
            }
            Self::RepeatParameter(from, to) => {
                let (part, to) = (parts[from.index(parts.len())], to.index(parts.len() + 1));
                parts.insert(to, part);
                return parts.join("&");
            }
            Self::DropParameter(at) => {
                parts.remove(at.index(parts.len()));
                return parts.join("&");
            }
            Self::Exchange(at) => {
                let at = at.index(parts.len());
                let others: Vec<_> = other.split('&').collect();
                parts[at] = others.get(at).copied().unwrap_or_default();
                return parts.join("&");
            }
        }
        text.into_iter().collect()
    }
}

/// Random changes of valid links, after the chosen ones above. One change is possible that no test makes: an ECDSA signature
/// can be turned into a second one of the same text without the key. Whoever has the link gains nothing by it.
#[test]
fn no_fuzzed_link_is_a_link_and_none_calls_aws() {
    let test = Test::new(placed());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let ask = |path: &str, query: &str| {
        let body = Some("do=cancel&sure=yes");
        ["GET", "POST"].map(|method| {
            let request = request(method, path, query, &[], body);
            let response = runtime.block_on(test.site.serve(&request, NOON));
            (response.status_code, response.body)
        })
    };
    let mut links = Vec::new();
    for (kind, id) in [
        (Kind::Restaurant, "rest-7"),
        (Kind::Restaurant, "Café / Bar & Grill = 1+1%"),
        (Kind::Order, "ord-1001"),
        (Kind::Customer, "ord-1001"),
    ] {
        let link = (format!("/{kind}"), test.link(kind, id));
        assert_eq!(ask(&link.0, &link.1)[0].0, 200, "{kind} {id}");
        // Of the same key, with another id and other times.
        let other = Claim {
            issued: NOON - 120,
            ..claim(kind, "ord-1002")
        };
        links.push((link, test.signed(&other)));
    }
    let refused = ask("/order", "")[0].clone();
    assert_eq!(refused.0, 403);
    test.calls();
    let mutations = proptest::collection::vec(mutation(), 0..4);
    let config = ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(at in any::<Index>(), kind in any::<Index>(), mutations in mutations)| {
        let ((own, good), other) = &links[at.index(links.len())];
        let path = format!("/{}", Kind::ALL[kind.index(Kind::ALL.len())]);
        let query = mutations.iter().fold(good.clone(), |query, mutation| mutation.of(&query, other));
        // Some changes undo each other, make the other link whole, or add what means nothing.
        let ours = |part: &&str| ["id", "s", "i", "e"].contains(&part.split('=').next().unwrap_or_default());
        let meant = query.split('&').filter(ours).collect::<Vec<_>>().join("&");
        if path == *own && (meant == *good || meant == *other) {
            return Ok(());
        }
        for answer in ask(&path, &query) {
            prop_assert_eq!(&answer, &refused, "{}?{}", path, query);
        }
        prop_assert_eq!(test.calls(), [json!(null); 0], "{}?{} calls AWS", path, query);
    });
}

#[tokio::test]
async fn a_revoked_link_is_refused_and_a_later_one_is_not() {
    let test = Test::new(World {
        // NOON - 60
        revoked_until: Some("1769860740"),
        ..placed()
    });
    let refused = test
        .get("/restaurant", &test.link(Kind::Restaurant, "rest-7"))
        .await;
    assert_eq!(refused.status_code, 403);
    assert_eq!(refused.body, test.get("/restaurant", "").await.body);
    let later = Claim {
        issued: NOON - 59,
        ..claim(Kind::Restaurant, "rest-7")
    };
    assert_eq!(
        test.get("/restaurant", &test.signed(&later))
            .await
            .status_code,
        200
    );
    // What cannot be read voids everything.
    let test = Test::new(World {
        revoked_until: Some("soon"),
        ..placed()
    });
    assert_eq!(
        test.get("/order", &test.link(Kind::Order, "ord-1001"))
            .await
            .status_code,
        403
    );
}

#[tokio::test]
async fn a_view_makes_two_calls_of_aws_and_asks_for_revocations_once_in_a_while() {
    let test = Test::new(placed());
    for (kind, id, reads) in [
        (Kind::Restaurant, "rest-7", 2),
        (Kind::Order, "ord-1001", 1),
        (Kind::Customer, "ord-1001", 1),
    ] {
        let query = test.link(kind, id);
        let path = format!("/{kind}");
        assert_eq!(test.get(&path, &query).await.status_code, 200);
        assert_eq!(test.calls().len(), reads + 1, "the first view of {kind}");
        let later = NOON + 19;
        test.site
            .serve(&request("GET", &path, &query, &[], None), later)
            .await;
        assert_eq!(test.calls().len(), reads, "a later view of {kind}");
        test.site
            .serve(&request("GET", &path, &query, &[], None), later + 1)
            .await;
        assert_eq!(test.calls().len(), reads + 1, "a view of {kind} after 20 s");
    }
}

#[tokio::test]
async fn the_revocations_of_several_links_are_remembered() {
    let test = Test::new(placed());
    let queries = ["ord-1001", "ord-1002", "ord-1003"].map(|id| test.link(Kind::Order, id));
    for (view, revocations) in [("first", 3), ("second", 0)] {
        for query in &queries {
            assert_eq!(test.get("/order", query).await.status_code, 200);
        }
        let calls = test.calls().into_iter();
        let asked = calls.filter(|call| call["TableName"] == "revocations");
        assert_eq!(asked.count(), revocations, "the {view} view of each");
    }
}

#[tokio::test]
async fn a_get_head_or_options_changes_nothing_and_reads_no_token() {
    let test = Test::new(placed());
    for (kind, id) in LINKS {
        let query = test.link(kind, id);
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"] {
            for path in [
                format!("/{kind}"),
                format!("/{kind}/sent/a1769861280~ord-1001"),
            ] {
                let body = Some("do=accept&minutes=5&sure=yes&order=ord-1001");
                let response = test
                    .site
                    .serve(&request(method, &path, &query, &[], body), NOON)
                    .await;
                assert!(response.status_code < 500, "{method} {path}");
                if method != "GET" && response.status_code < 300 {
                    assert_eq!(response.body, "", "{method} {path}");
                }
            }
        }
    }
    for call in test.calls() {
        assert_eq!(call.get("taskToken"), None);
        let reads_token = call["TableName"] == "open-orders"
            && call["ProjectionExpression"]
                .as_str()
                .is_none_or(|named| named.contains("token"));
        assert!(!reads_token, "a view reads task tokens: {call}");
    }
}

#[tokio::test]
async fn only_a_post_from_our_own_page_or_from_a_program_decides() {
    let body = "do=accept&minutes=20&order=ord-1001";
    for (headers, status) in [
        (vec![], 303),
        (vec![("origin", ORIGIN)], 303),
        (
            vec![("origin", ORIGIN), ("sec-fetch-site", "same-origin")],
            303,
        ),
        (vec![("sec-fetch-site", "same-origin")], 303),
        (vec![("origin", "null")], 403),
        (vec![("origin", "")], 403),
        (vec![("origin", "http://orders.example.com")], 403),
        (
            vec![("origin", "https://orders.example.com.evil.example")],
            403,
        ),
        (vec![("origin", "https://ORDERS.example.com")], 403),
        (
            vec![("origin", "https://orders.example.com, https://evil.example")],
            403,
        ),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("sec-fetch-site", "none")], 403),
        (
            vec![("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
            403,
        ),
        (
            vec![("origin", "null"), ("sec-fetch-site", "same-origin")],
            403,
        ),
    ] {
        let test = Test::new(placed());
        let query = test.link(Kind::Restaurant, "rest-7");
        let response = test
            .site
            .serve(
                &request("POST", "/restaurant", &query, &headers, Some(body)),
                NOON,
            )
            .await;
        assert_eq!(response.status_code, status, "{headers:?}");
        assert_eq!(test.sent().len(), usize::from(status == 303), "{headers:?}");
    }
}

#[tokio::test]
async fn a_scanner_that_submits_forms_blindly_decides_nothing() {
    let test = Test::new(placed());
    for (kind, id) in LINKS {
        let query = test.link(kind, id);
        let path = format!("/{kind}");
        let page = test.get(&path, &query).await.body;
        // Every form as it is, with each of its buttons.
        let forms: Vec<_> = page.split("<form").skip(1).collect();
        assert!(!forms.is_empty(), "{kind} has no form");
        for body in forms.into_iter().flat_map(presets) {
            let asked = test.post(&path, &query, &body).await;
            let status = asked.status_code;
            assert!(matches!(status, 200 | 422), "{kind} {body}: {status}");
            // And the second page, the same way.
            for body in asked.body.split("<form").skip(1).flat_map(presets) {
                let again = test.post(&path, &query, &body).await;
                assert_eq!(again.status_code, 200, "{kind} {body}");
            }
        }
        assert_eq!(
            test.sent(),
            [json!(null); 0],
            "{kind} decides without anybody"
        );
    }
}

/// What a form sends that nobody filled in: once for each of its buttons.
fn presets(form: &str) -> Vec<String> {
    let form = form.split("</form>").next().unwrap_or_default();
    let (mut fields, mut buttons) = (Vec::new(), Vec::new());
    for tag in form.split('<') {
        let attribute = |name: &str| {
            let from = tag.split(&format!("{name}=\"")).nth(1)?;
            Some(from.split('"').next()?.to_owned())
        };
        let field = attribute("name").map(|name| (name, attribute("value").unwrap_or_default()));
        if tag.starts_with("button hidden") {
            // Nobody can press it.
        } else if tag.starts_with("button") {
            buttons.push(field);
        } else if !tag.contains("checkbox") {
            fields.extend(field);
        }
    }
    let with = |button: Option<(String, String)>| {
        let fields = fields.iter().cloned().chain(button);
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish()
    };
    buttons.into_iter().map(with).collect()
}

#[tokio::test]
async fn each_answer_reaches_the_workflow_as_it_was_given() {
    let accepted = json!({ "isAccepted": true, "ready_at": rfc_3339(NOON + 20 * 60) });
    for (kind, body, output) in [
        (
            Kind::Restaurant,
            "order=ord-1001&do=accept&minutes=20",
            accepted.clone(),
        ),
        (
            Kind::Restaurant,
            "order=ord-1001&do=decline&reason=Too+busy+now",
            json!({ "isAccepted": false, "reason": "Too busy now" }),
        ),
        (
            Kind::Restaurant,
            "order=ord-1001&do=decline&reason=+Oven+",
            json!({ "isAccepted": false, "reason": "Oven" }),
        ),
        (
            Kind::Restaurant,
            "order=ord-1001&do=accept&minutes=1439",
            json!({ "isAccepted": true, "ready_at": rfc_3339(NOON + 1439 * 60) }),
        ),
        (Kind::Order, "do=accept&minutes=20&sure=yes", accepted),
        (
            Kind::Customer,
            "do=cancel&sure=yes",
            json!({ "isCancelled": true }),
        ),
        (
            Kind::Customer,
            "do=cancel&sure=yes&reason=Ordered+twice",
            json!({ "isCancelled": true, "reason": "Ordered twice" }),
        ),
    ] {
        let test = Test::new(placed());
        let id = if kind == Kind::Restaurant {
            "rest-7"
        } else {
            "ord-1001"
        };
        let query = test.link(kind, id);
        let response = test.post(&format!("/{kind}"), &query, body).await;
        assert_eq!(
            response.status_code, 303,
            "{kind} {body}: {}",
            response.body
        );
        let sent = test.sent();
        assert_eq!(sent.len(), 1, "{kind} {body}");
        assert_eq!(sent[0]["taskToken"], "secret-token");
        let said: Value =
            serde_json::from_str(sent[0]["output"].as_str().expect("text")).expect("JSON");
        assert_eq!(said, output, "{kind} {body}");
    }
    let test = Test::new(placed());
    let query = test.link(Kind::Order, "ord-1001");
    assert_eq!(
        test.post(
            "/order",
            &query,
            "do=problem&reason=The+oven+is+broken&sure=yes"
        )
        .await
        .status_code,
        303
    );
    let sent = test.sent();
    assert_eq!(
        (&sent[0]["error"], &sent[0]["cause"]),
        (&json!("RestaurantProblem"), &json!("The oven is broken"))
    );
}

#[tokio::test]
async fn no_link_answers_what_is_not_its_own() {
    // A restaurant's link reads the row of that restaurant: another's order is one that is not there.
    let test = Test::new(World {
        row: None,
        ..placed()
    });
    let query = test.link(Kind::Restaurant, "rest-7");
    let not_there = test
        .post("/restaurant", &query, "order=ord-9&do=accept&minutes=20")
        .await;
    assert_eq!(not_there.status_code, 409);
    // No kind takes another's choice or another's field.
    let test = Test::new(placed());
    for (kind, body) in [
        (Kind::Customer, "do=accept&minutes=20&sure=yes"),
        (Kind::Customer, "do=decline&reason=x&sure=yes"),
        (Kind::Customer, "do=problem&reason=x&sure=yes"),
        (Kind::Customer, "do=cancel&sure=yes&order=ord-2"),
        (Kind::Order, "do=cancel&sure=yes"),
        (Kind::Order, "do=accept&minutes=20&sure=yes&order=ord-2"),
        (Kind::Restaurant, "do=cancel&order=ord-1001&sure=yes"),
        (Kind::Restaurant, "do=accept&minutes=20"),
        (Kind::Restaurant, "do=accept&minutes=20&order=../x"),
        (Kind::Restaurant, "do=accept&minutes=20&order=a&order=b"),
        (Kind::Restaurant, "do=accept&minutes=0&order=ord-1001"),
        (Kind::Restaurant, "do=accept&minutes=1440&order=ord-1001"),
        (Kind::Restaurant, "do=accept&minutes=soon&order=ord-1001"),
        (Kind::Restaurant, "do=decline&reason=&order=ord-1001"),
        (Kind::Restaurant, "do=decline&reason=+++&order=ord-1001"),
    ] {
        let id = if kind == Kind::Restaurant {
            "rest-7"
        } else {
            "ord-1001"
        };
        let response = test
            .post(&format!("/{kind}"), &test.link(kind, id), body)
            .await;
        assert!(
            matches!(response.status_code, 400 | 422),
            "{kind} {body}: {}",
            response.status_code
        );
    }
    let long = format!(
        "do=decline&order=ord-1001&reason={}",
        "x".repeat(MAX_REASON + 1)
    );
    assert_eq!(
        test.post("/restaurant", &test.link(Kind::Restaurant, "rest-7"), &long)
            .await
            .status_code,
        422
    );
    let huge = format!("do=decline&order=ord-1001&reason={}", "x".repeat(20_000));
    assert_eq!(
        test.post("/restaurant", &test.link(Kind::Restaurant, "rest-7"), &huge)
            .await
            .status_code,
        400
    );
    assert_eq!(test.sent(), [json!(null); 0]);
}

#[tokio::test]
async fn a_form_has_room_for_the_longest_reason() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    let reason = "🍕".repeat(MAX_REASON);
    let longest = form_urlencoded::Serializer::new("order=ord-1001&do=decline".to_owned())
        .append_pair("reason", &reason)
        .finish();
    let response = test.post("/restaurant", &query, &longest).await;
    assert_eq!(response.status_code, 303, "{}", response.body);
    let sent = test.sent();
    let output = sent[0]["output"].as_str().expect("text");
    assert!(output.contains(&reason), "{output}");

    for (length, status) in [(16 * 1024, 303), (16 * 1024 + 1, 400)] {
        let mut body = "order=ord-1001&do=accept&minutes=20&more=".to_owned();
        body.extend(std::iter::repeat_n('x', length - body.len()));
        let response = test.post("/restaurant", &query, &body).await;
        assert_eq!(response.status_code, status, "a form of {length} bytes");
    }
}

#[tokio::test]
async fn an_order_is_answered_until_its_row_expires() {
    for (expires_at, status) in [(NOON + 1, 303), (NOON, 409)] {
        let mut row = open_row();
        row["expires_at"]["N"] = json!(expires_at.to_string());
        let test = Test::new(World {
            row: Some(row),
            ..placed()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let body = "order=ord-1001&do=accept&minutes=20";
        let response = test.post("/restaurant", &query, body).await;
        let left = expires_at - NOON;
        assert_eq!(response.status_code, status, "{left} s before it expires");
    }
}

#[tokio::test]
async fn an_order_is_listed_until_its_deadline() {
    for (respond_by, listed) in [
        ("2026-01-31T12:00:01.000Z", true),
        ("2026-01-31T12:00:00.500Z", false),
    ] {
        let mut order = waiting("ord-1001");
        order["respond_by"]["S"] = json!(respond_by);
        let test = Test::new(World {
            open: vec![order],
            ..placed()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let page = test.get("/restaurant", &query).await.body;
        assert_eq!(page.contains("ord-1001"), listed, "{respond_by}: {page}");
    }
}

#[tokio::test]
async fn what_is_asked_once_more_is_what_was_chosen() {
    let test = Test::new(placed());
    let query = test.link(Kind::Order, "ord-1001");
    let page = test.post("/order", &query, "do=accept&minutes=20").await;
    let form = page.body.split("<form").nth(1).expect("a form");
    assert!(page.body.contains("ready in 20 minutes?"), "{form}");
    let form = presets(form).pop().expect("a button");
    let response = test
        .post("/order", &query, &format!("{form}&sure=yes"))
        .await;
    assert_eq!(response.status_code, 303, "{form}");
    let sent = test.sent();
    let output: Value =
        serde_json::from_str(sent[0]["output"].as_str().expect("text")).expect("JSON");
    assert_eq!(output["ready_at"], rfc_3339(NOON + 20 * 60), "{form}");
}

#[tokio::test]
async fn one_order_is_answered_until_its_deadline_and_shown_for_an_hour_after() {
    let test = Test::new(placed());
    let query = test.link(Kind::Order, "ord-1001");
    let deadline = NOON + 8 * 60;
    for (now, status, shown) in [
        (deadline - 1, 303, 200),
        (deadline, 409, 200),
        (deadline + 3599, 409, 200),
        (deadline + 3600, 403, 403),
    ] {
        let body = Some("do=accept&minutes=20&sure=yes");
        let posted = test
            .site
            .serve(&request("POST", "/order", &query, &[], body), now)
            .await;
        assert_eq!(
            posted.status_code,
            status,
            "{} s after the deadline",
            now.cast_signed() - deadline.cast_signed()
        );
        let page = test
            .site
            .serve(&request("GET", "/order", &query, &[], None), now)
            .await;
        assert_eq!(page.status_code, shown);
        assert_eq!(page.body.contains("<form"), now < deadline);
    }
}

#[tokio::test]
async fn after_an_answer_there_are_no_buttons_until_the_outcome_is_there() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    let response = test
        .post("/restaurant", &query, "order=ord-1001&do=accept&minutes=20")
        .await;
    let location = response.headers["location"].clone();
    assert_eq!(
        location,
        format!("/restaurant/sent/a1769861280~ord-1001?{query}")
    );
    let page = test
        .get("/restaurant/sent/a1769861280~ord-1001", &query)
        .await
        .body;
    assert!(
        page.contains("Sent, being recorded") && !page.contains("<form"),
        "{page}"
    );
    // A second answer on that page keeps the first one in mind.
    let second = test
        .post(
            "/restaurant/sent/a1769861280~ord-1001",
            &query,
            "order=ord-1002&do=decline&reason=Oven",
        )
        .await;
    assert_eq!(
        second.headers["location"],
        format!("/restaurant/sent/a1769861280~ord-1001.d1769861280~ord-1002?{query}")
    );
    for (kind, letter) in [(Kind::Order, 'a'), (Kind::Customer, 'c')] {
        let query = test.link(kind, "ord-1001");
        let page = test
            .get(&format!("/{kind}/sent/{letter}1769861280~ord-1001"), &query)
            .await
            .body;
        assert!(
            page.contains("Sent, being recorded") && !page.contains("<form"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn an_order_that_is_asked_again_is_answered_on_the_page_of_the_earlier_answer() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    // The deadline of the first time was a minute before that of `placed`.
    let path = "/restaurant/sent/a1769861220~ord-1001";
    let page = test.get(path, &query).await.body;
    assert!(
        page.contains("<form") && page.contains("(1) rest-7") && page.contains("data-alert"),
        "{page}"
    );
    let again = test
        .post(path, &query, "order=ord-1001&do=accept&minutes=20")
        .await;
    assert_eq!(
        again.headers["location"],
        format!("/restaurant/sent/a1769861280~ord-1001?{query}")
    );
}

#[tokio::test]
async fn the_loser_the_late_and_the_second_are_shown_what_was_recorded() {
    // AWS says TaskTimedOut; the local AWS TaskDoesNotExist.
    for code in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
        let test = Test::new(World {
            refusal: Some((400, code)),
            ..placed()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let response = test
            .post("/restaurant", &query, "order=ord-1001&do=accept&minutes=20")
            .await;
        assert_eq!(
            response.headers["location"],
            format!("/restaurant/sent/A1769861280~ord-1001?{query}"),
            "{code}"
        );
    }
    let test = Test::new(placed());
    let page = test
        .get(
            "/restaurant/sent/A1769861280~ord-1001",
            &test.link(Kind::Restaurant, "rest-7"),
        )
        .await
        .body;
    assert!(page.contains("Answered already, or its time is over") && !page.contains("<form"));
    for (status, mark, said) in [
        ("ACCEPTED", "a", "Accepted <time"),
        ("ACCEPTED", "A", "Accepted <time"),
        ("ACCEPTED", "D", "Already accepted by someone else"),
        ("REJECTED", "A", "Already declined by someone else"),
        ("REJECTED", "D", "Declined <time"),
        ("CANCELLED", "A", "The customer cancelled <time"),
        ("TIMED_OUT", "A", "Not answered in time: it expired <time"),
        ("FAILED", "a", "Could not be processed <time"),
        ("FAILED", "A", "Already given up by someone else"),
        ("FAILED", "p", "Could not be processed <time"),
    ] {
        let test = Test::new(World {
            order: Some(stored(status)),
            closed: vec![closed("ord-1001", status)],
            ..World::default()
        });
        for (kind, id) in [(Kind::Restaurant, "rest-7"), (Kind::Order, "ord-1001")] {
            let path = format!("/{kind}/sent/{mark}1769861280~ord-1001");
            let page = test.get(&path, &test.link(kind, id)).await.body;
            assert!(
                page.contains(said) && !page.contains("<form"),
                "{kind} {status} {mark}: {page}"
            );
        }
    }
    for (status, said) in [
        ("ACCEPTED", "Accepted <time"),
        ("CANCELLED", "Cancelled <time"),
    ] {
        let test = Test::new(World {
            order: Some(stored(status)),
            ..World::default()
        });
        // Nothing is sent for an order that has ended.
        let query = test.link(Kind::Customer, "ord-1001");
        let response = test.post("/customer", &query, "do=cancel&sure=yes").await;
        assert_eq!(
            response.headers["location"],
            format!("/customer/sent/C0~ord-1001?{query}")
        );
        assert_eq!(test.sent(), [json!(null); 0]);
        let page = test.get("/customer/sent/C0~ord-1001", &query).await.body;
        assert!(page.contains(said), "{page}");
    }
}

#[tokio::test]
async fn a_list_of_ended_orders_that_is_cut_says_so() {
    for (count, said) in [(99, false), (100, true)] {
        let test = Test::new(World {
            closed: (0..count)
                .map(|number| closed(&format!("ord-{number}"), "ACCEPTED"))
                .collect(),
            ..World::default()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let page = test.get("/restaurant", &query).await.body;
        let cut = page.contains("Only the latest 100 are listed.");
        assert_eq!(cut, said, "{count} orders ended");
    }
}

#[tokio::test]
async fn times_are_said_relative_to_now() {
    for (at, said) in [
        ("2026-01-31T12:20:00Z", "in 20 minutes"),
        ("2026-01-31T12:00:59Z", "in less than a minute"),
        ("2026-01-31T12:00:00Z", "less than a minute ago"),
        ("2026-01-31T11:59:01Z", "less than a minute ago"),
        ("2026-01-31T11:59:00Z", "1 minute ago"),
        ("2026-01-31T11:58:00Z", "2 minutes ago"),
        ("2026-01-31T10:00:01Z", "119 minutes ago"),
        ("2026-01-31T10:00:00Z", "2 hours ago"),
    ] {
        let mut order = stored("ACCEPTED");
        order["ready_at"] = json!({ "S": at });
        let test = Test::new(World {
            order: Some(order),
            ..World::default()
        });
        let query = test.link(Kind::Order, "ord-1001");
        let page = test.get("/order", &query).await.body;
        let time = format!(", ready <time datetime=\"{at}\">{said}</time>");
        assert!(page.contains(&time), "no {time} in {page}");
    }
    // The order's deadline is in 8 minutes.
    let test = Test::new(placed());
    for (kind, id) in [(Kind::Restaurant, "rest-7"), (Kind::Order, "ord-1001")] {
        let (path, query) = (format!("/{kind}"), test.link(kind, id));
        for (now, said) in [(NOON, "8 min"), (NOON + 7 * 60 + 1, "under 1 min")] {
            let get = request("GET", &path, &query, &[], None);
            let page = test.site.serve(&get, now).await.body;
            assert!(page.contains(&format!(">{said}</time> left")), "{page}");
        }
    }
}

#[tokio::test]
async fn the_title_and_the_alert_are_for_orders_that_nobody_has_answered() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    for (path, title, alert) in [
        ("/restaurant", "<title>(1) rest-7</title>", true),
        (
            "/restaurant/sent/a1769861280~ord-1001",
            "<title>(0) rest-7</title>",
            false,
        ),
    ] {
        let page = test.get(path, &query).await.body;
        assert!(page.contains(title), "{path}: {page}");
        assert_eq!(page.contains("data-alert"), alert, "{path}: {page}");
    }
}

#[tokio::test]
async fn only_an_order_that_waits_has_a_form_and_is_looked_at() {
    let ended = || World {
        order: Some(stored("ACCEPTED")),
        ..World::default()
    };
    for (world, waits) in [(placed(), true), (ended(), false)] {
        let test = Test::new(world);
        for kind in [Kind::Order, Kind::Customer] {
            let (path, query) = (format!("/{kind}"), test.link(kind, "ord-1001"));
            let page = test.get(&path, &query).await.body;
            assert_eq!(page.contains("<form"), waits, "{kind}: {page}");
            let looks = page.contains("data-poll=\"3000\"");
            assert_eq!(looks, waits, "{kind}: {page}");
            assert_eq!(page.contains("data-poll"), waits, "{kind}: {page}");
        }
    }
}

#[tokio::test]
async fn json_says_whether_an_order_can_be_answered_and_whether_an_answer_is_being_recorded() {
    let ended = || World {
        order: Some(stored("ACCEPTED")),
        ..World::default()
    };
    for (world, path, can_answer, being_recorded) in [
        (placed(), "/order", true, false),
        (placed(), "/order/sent/a1769861280~ord-1001", false, true),
        (ended(), "/order", false, false),
        (ended(), "/order/sent/a1769861280~ord-1001", false, false),
    ] {
        let test = Test::new(world);
        let query = test.link(Kind::Order, "ord-1001");
        let headers = [("accept", "application/json")];
        let get = request("GET", path, &query, &headers, None);
        let json: Value =
            serde_json::from_str(&test.site.serve(&get, NOON).await.body).expect("JSON");
        assert_eq!(json["can_answer"], can_answer, "{path}: {json}");
        assert_eq!(json["being_recorded"], being_recorded, "{path}: {json}");
    }
}

#[tokio::test]
async fn a_link_to_an_order_that_never_was_says_so_after_five_minutes_and_asks_no_more() {
    let test = Test::new(World::default());
    for kind in [Kind::Order, Kind::Customer] {
        for (seconds, known) in [(299, false), (300, true), (3_000, true)] {
            let claim = Claim {
                issued: NOON - seconds,
                ..claim(kind, "ord-1001")
            };
            let (path, query) = (format!("/{kind}"), test.signed(&claim));
            let page = test.get(&path, &query).await;
            assert_eq!(page.status_code, 200);
            let page = page.body;
            let said = page.contains("There is no such order") && page.contains("Look again");
            assert_eq!(said, known, "{kind}, {seconds} s: {page}");
            assert_eq!(!page.contains("data-poll"), known, "{kind}: {page}");
            let headers = [("accept", "application/json")];
            let json = request("GET", &path, &query, &headers, None);
            let json = test.site.serve(&json, NOON).await.body;
            let said = if known { "unknown" } else { "not_yet" };
            assert_eq!(json, format!(r#"{{"page":"{said}"}}"#));
        }
    }
}

#[tokio::test]
async fn a_mailers_additions_do_not_break_a_link_and_are_not_carried_on() {
    let test = Test::new(many_waiting(101));
    for (kind, id) in LINKS {
        let (path, query) = (format!("/{kind}"), test.link(kind, id));
        for addition in ["&utm_source=mail&utm_medium=x", "&fbclid=1-_", "&"] {
            let added = format!("{query}{addition}");
            // The page's own address, which its forms and its script use, is without them.
            let page = test.get(&path, &added).await;
            assert_eq!(page.status_code, 303, "{kind}: {addition}");
            assert_eq!(page.headers["location"], format!("{path}?{query}"));
            let body = match kind {
                Kind::Restaurant => "order=ord-1001&do=accept&minutes=20",
                Kind::Order => "do=accept&minutes=20&sure=yes",
                Kind::Customer => "do=cancel&sure=yes",
            };
            let sent = test.post(&path, &added, body).await;
            assert_eq!(sent.status_code, 303, "{kind}: {addition}");
            let location = &sent.headers["location"];
            assert!(
                location.starts_with(&format!("{path}/sent/"))
                    && location.ends_with(&format!("?{query}")),
                "{kind}: {location}"
            );
            let headers = [("accept", "application/json")];
            let json = request("GET", &path, &added, &headers, None);
            let json = test.site.serve(&json, NOON).await;
            assert_eq!(json.status_code, 200, "{kind}: {addition}");
            let tail = addition.trim_start_matches('&');
            assert!(
                tail.is_empty() || !json.body.contains(tail),
                "{}",
                json.body
            );
        }
        // None of them makes a link valid.
        let bad = query.replacen("id=", "id=x", 1);
        let refused = test.get(&path, &format!("{bad}&utm_source=mail")).await;
        assert_eq!(refused.status_code, 403, "{kind}");
    }
}

#[tokio::test]
async fn what_cannot_work_by_itself_later_is_not_looked_at() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    for (path, query) in [("/restaurant", ""), ("/", ""), ("/other", query.as_str())] {
        let page = test.get(path, query).await.body;
        assert!(!page.contains("data-poll"), "{path}: {page}");
    }
}

#[tokio::test]
async fn a_page_of_fifty_hostile_orders_is_two_megabytes_at_most() {
    // Six bytes of HTML, an escape in JSON, and four bytes of UTF-8.
    for (hostile, fit) in [("\"", 9), ("\n", 9), ("🍕", 2)] {
        let name = hostile.repeat(200);
        let item = json!({ "M": { "name": { "S": name }, "quantity": { "N": "999" }, "unit_amount": { "N": "1" } } });
        let open: Vec<_> = (0..50)
            .map(|number| {
                let mut order = waiting(&format!("ord-{number}"));
                order["items"]["L"] = json!(vec![item.clone(); 100]);
                order["note"]["S"] = json!(hostile.repeat(500));
                order
            })
            .collect();
        let ids = |page: &str| page.matches("<article").count();
        let test = Test::new(World {
            open: open.clone(),
            ..World::default()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let page = test.get("/restaurant", &query).await;
        let shown = ids(&page.body);
        assert_eq!(shown, fit, "{hostile:?}");
        // What is not shown is on the next page, which begins after the last that is.
        let next = format!("/later/2026-01-31T12:08:00.000Z.ord-{}?", shown - 1);
        assert!(page.body.contains(&next), "{hostile:?}: no {next}");
        let headers = [("accept", "application/json")];
        let json = request("GET", "/restaurant", &query, &headers, None);
        let json = test.site.serve(&json, NOON).await;
        for response in [page, json] {
            // As Lambda counts it.
            let size = json!(response).to_string().len();
            assert!(size <= 2_000_000, "{hostile:?}: {size} bytes");
        }
        // One order is shown whole, however long it is.
        let test = Test::new(World {
            open: vec![open[0].clone()],
            ..World::default()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let page = test.get("/restaurant", &query).await.body;
        assert_eq!(page.matches("<bdi>").count(), 102, "{hostile:?}");
    }
}

#[tokio::test]
async fn a_valid_link_whose_order_is_not_stored_yet_says_one_moment() {
    let test = Test::new(World::default());
    for kind in [Kind::Order, Kind::Customer] {
        let query = test.link(kind, "ord-1001");
        let page = test.get(&format!("/{kind}"), &query).await;
        assert_eq!(page.status_code, 200);
        assert!(page.body.contains("One moment") && page.body.contains("data-poll=\"3000\""));
        let choice = if kind == Kind::Order {
            "accept"
        } else {
            "cancel"
        };
        let body = format!("do={choice}&sure=yes&minutes=1");
        let answered = test.post(&format!("/{kind}"), &query, &body).await;
        assert_eq!(answered.status_code, 409, "{kind}");
        let said = "This order cannot be answered at the moment. Look again.";
        assert!(answered.body.contains(said), "{kind}: {}", answered.body);
    }
}

#[tokio::test]
async fn it_fails_softly() {
    fn error(code: &str) -> String {
        json!({ "__type": code, "message": "secret-token" }).to_string()
    }
    tokio::time::pause();
    let (restaurants, customers) = (key(), key());
    for (name, config) in outages(error) {
        if name == "unreachable" {
            continue; // needs a clock that runs
        }
        let site = site(&config, &restaurants, &customers);
        let claim = claim(Kind::Restaurant, "rest-7");
        let query = sign(&restaurants, &claim, "1");
        for method in ["GET", "POST"] {
            let body = Some("order=ord-1001&do=accept&minutes=20");
            let begun = tokio::time::Instant::now();
            let response = site
                .serve(&request(method, "/restaurant", &query, &[], body), NOON)
                .await;
            assert_eq!(response.status_code, 503, "{name} {method}");
            assert!(
                !response.body.contains("secret-token")
                    && !response.body.contains("Sent, being recorded")
            );
            // Nobody knows how far a request came that got no answer in time.
            let said = match (method, name) {
                ("GET", _) => "The orders cannot be read at the moment.",
                (_, "silent") => "It is not known whether your answer arrived.",
                _ => "Nothing was sent.",
            };
            assert!(
                response.body.contains(said),
                "{name} {method}: {}",
                response.body
            );
            let own = [("content-type", HTML), ("retry-after", "5")];
            assert_headers(&response, &own, &format!("{name} {method}"));
            // Before Lambda ends the function.
            if name == "silent" {
                assert_eq!(begun.elapsed().as_millis() / 10, 250);
            }
        }
    }
    tokio::time::resume();
    for (status, code, said) in [
        (400, "ThrottlingException", "Nothing was sent."),
        (400, "AccessDeniedException", "Nothing was sent."),
        (
            500,
            "InternalFailure",
            "It is not known whether your answer arrived.",
        ),
    ] {
        let test = Test::new(World {
            refusal: Some((status, code)),
            ..placed()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let response = test
            .post("/restaurant", &query, "order=ord-1001&do=accept&minutes=20")
            .await;
        assert_eq!(response.status_code, 503, "{code}");
        assert!(response.body.contains(said), "{code}: {}", response.body);
        assert_eq!(test.sent().len(), 1, "{code}: an answer is sent once");
    }
}

/// Ends each call before a request is made of it.
#[derive(Debug)]
struct NoRequest;

impl Intercept for NoRequest {
    fn name(&self) -> &'static str {
        "no request"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Err("as tested".into())
    }
}

#[tokio::test]
async fn an_answer_of_which_no_request_can_be_made_was_not_sent() {
    let mut test = Test::new(placed());
    let config = test.site.orders.sfn.config().to_builder();
    let config = config.interceptor(NoRequest).build();
    test.site.orders.sfn = aws_sdk_sfn::Client::from_conf(config);
    let query = test.link(Kind::Restaurant, "rest-7");
    let body = "order=ord-1001&do=accept&minutes=20";
    let response = test.post("/restaurant", &query, body).await;
    assert_says_so_and_tries_again(&response, "Nothing was sent.");
    assert_eq!(test.sent(), [json!(null); 0]);
}

/// Each call of AWS fails in turn while those before it succeed.
#[tokio::test(start_paused = true)]
async fn whatever_fails_while_an_order_is_answered_or_shown_nothing_is_shown_as_answered() {
    let looks = [
        (
            Kind::Restaurant,
            "rest-7",
            "order=ord-1001&do=accept&minutes=20",
        ),
        (Kind::Order, "ord-1001", "do=accept&minutes=20&sure=yes"),
        (Kind::Customer, "ord-1001", "do=cancel&sure=yes"),
    ];
    for (kind, id, body) in looks {
        let path = format!("/{kind}");
        for table in ["revocations", "orders", "open-orders"] {
            let world = World {
                throttled: Some(table),
                ..placed()
            };
            let test = Test::new(world);
            let query = test.link(kind, id);
            // A restaurant's page does not read the table of orders, the others not that of open orders.
            let read = match kind {
                Kind::Restaurant => table != "orders",
                Kind::Order | Kind::Customer => table != "open-orders",
            };
            let shown = test.get(&path, &query).await;
            assert_eq!(
                shown.status_code,
                if read { 503 } else { 200 },
                "{path}: {table}"
            );
            if read {
                assert_says_so_and_tries_again(&shown, "The orders cannot be read at the moment.");
            }
            let needed = kind != Kind::Restaurant || table != "orders";
            let answered = test.post(&path, &query, body).await;
            assert_eq!(
                answered.status_code,
                if needed { 503 } else { 303 },
                "{path}: {table}"
            );
            if needed {
                assert_says_so_and_tries_again(&answered, "Nothing was sent.");
                assert_eq!(test.sent(), [json!(null); 0], "{path}: {table}");
            }
        }
        for (refusal, said) in [
            ((400, "ThrottlingException"), "Nothing was sent."),
            (
                (503, "ServiceUnavailable"),
                "It is not known whether your answer arrived.",
            ),
        ] {
            let world = World {
                refusal: Some(refusal),
                ..placed()
            };
            let test = Test::new(world);
            let query = test.link(kind, id);
            let answered = test.post(&path, &query, body).await;
            assert_eq!(answered.status_code, 503, "{path}: {refusal:?}");
            assert_says_so_and_tries_again(&answered, said);
            assert_eq!(test.sent().len(), 1, "{path}: an answer is sent once");
            // The page still asks for an answer.
            let page = test.get(&path, &query).await.body;
            assert!(
                page.contains("<form") && !page.contains("being recorded"),
                "{page}"
            );
        }
    }
}

fn assert_says_so_and_tries_again(response: &Response, said: &str) {
    let body = &response.body;
    assert!(body.contains(said), "{body}");
    assert!(
        body.contains("data-poll=\"10000\"") && body.contains("Look again"),
        "{body}"
    );
    assert_eq!(response.headers["retry-after"], "5");
    assert!(
        !body.contains("being recorded") && !body.contains("secret-token"),
        "{body}"
    );
}

#[tokio::test]
async fn hostile_text_is_text() {
    let evil = "<img src=x onerror=alert(1)>\u{202e}\"'&<script>";
    let mut order = stored("REJECTED");
    order["items"]["L"][0]["M"]["name"]["S"] = json!(evil);
    order["note"]["S"] = json!(evil);
    order["status_reason"] = json!({ "S": evil });
    let mut open = waiting("ord-1001");
    open["items"]["L"][0]["M"]["name"]["S"] = json!(evil);
    open["note"]["S"] = json!(evil);
    let test = Test::new(World {
        order: Some(order),
        open: vec![open],
        ..World::default()
    });
    for (kind, id) in [
        (Kind::Restaurant, evil),
        (Kind::Order, "ord-1001"),
        (Kind::Customer, "ord-1001"),
    ] {
        let page = test.get(&format!("/{kind}"), &test.link(kind, id)).await;
        assert_eq!(page.status_code, 200);
        assert!(page.body.contains("&lt;img src=x"), "{kind}: {}", page.body);
        assert!(
            !page.body.contains("<img") && page.body.matches("<script").count() == 1,
            "{kind}: {}",
            page.body
        );
        assert_eq!(
            page.body.matches("\u{202e}").count(),
            page.body.matches("<bdi>").count() + usize::from(kind == Kind::Restaurant),
            "{kind}: text outside of bdi"
        );
    }
    // What is typed is shown once more before it is sent.
    let test = Test::new(placed());
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("do", "decline")
        .append_pair("reason", evil);
    let page = test
        .post(
            "/order",
            &test.link(Kind::Order, "ord-1001"),
            &body.finish(),
        )
        .await
        .body;
    assert!(
        page.contains("value=\"&lt;img src=x onerror=alert(1)&gt;\u{202e}&quot;"),
        "{page}"
    );
}

#[tokio::test]
async fn every_answer_has_the_headers_errors_included() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    let ask = async |method: &str, path: &str, query: &str, headers: &[(&str, &str)]| {
        let body = Some("order=ord-1001&do=accept&minutes=20");
        let request = request(method, path, query, headers, body);
        test.site.serve(&request, NOON).await
    };
    for (method, path, query, status) in [
        (
            "HEAD",
            "/restaurant/sent/a1769861280~ord-1/x",
            query.as_str(),
            404,
        ),
        ("OPTIONS", "/restaurant", query.as_str(), 204),
        ("BREW", "/restaurant", query.as_str(), 405),
        ("GET", "/restaurant", "", 403),
        ("POST", "/restaurant", "", 403),
        ("GET", "/", "", 404),
        ("GET", "", "", 404),
        ("GET", "/restaurant?id=x", "", 404),
        ("GET", "/ \u{0}é#%", "a b\u{0}é#%", 404),
        ("GET", "/restaurant/sent/", query.as_str(), 404),
    ] {
        let response = ask(method, path, query, &[]).await;
        assert_eq!(response.status_code, status, "{method} {path}");
        let what = format!("{method} {path}");
        assert_headers(&response, &[("content-type", HTML)], &what);
    }
    let page = ask("GET", "/restaurant", &query, &[]).await;
    let tag = page.headers["etag"].clone();
    let kept = ("etag", tag.as_str());
    assert_headers(&page, &[("content-type", HTML), kept], "a page");
    let unchanged = ask("GET", "/restaurant", &query, &[("if-none-match", &tag)]).await;
    assert_eq!(unchanged.status_code, 304);
    assert_headers(
        &unchanged,
        &[("content-type", HTML), kept],
        "an unchanged page",
    );
    let json = ask(
        "GET",
        "/restaurant",
        &query,
        &[("accept", "application/json")],
    )
    .await;
    assert_headers(&json, &[("content-type", "application/json")], "JSON");
    let sent = ask("POST", "/restaurant", &query, &[]).await;
    assert_eq!(sent.status_code, 303);
    let location = format!("/restaurant/sent/a1769861280~ord-1001?{query}");
    let plain = ("content-type", "text/plain; charset=utf-8");
    assert_headers(&sent, &[plain, ("location", &location)], "an answer");
    for (path, content_type) in [
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
    ] {
        let response = ask("GET", path, "", &[]).await;
        assert_headers(&response, &[("content-type", content_type)], path);
    }
}

/// A form whose reason is one character too long, and what is said of it.
fn too_long() -> [String; 2] {
    let reason = "x".repeat(MAX_REASON + 1);
    [
        format!("order=ord-1001&do=decline&reason={reason}"),
        format!("Nothing was sent. A text may have {MAX_REASON} characters at most."),
    ]
}

#[tokio::test]
async fn a_refusal_has_its_status_and_says_what_is_wrong() {
    let test = Test::new(World {
        row: None,
        ..placed()
    });
    let [long, too_long] = too_long();
    let accept = "order=ord-1001&do=accept&minutes=20";
    for (method, path, headers, body, status, said) in [
        (
            "GET",
            "/other",
            &[][..],
            "",
            404,
            "There is no such page. Open the link that you were given.",
        ),
        (
            "BREW",
            "/restaurant",
            &[],
            "",
            405,
            "This address cannot do that. It answers GET and POST.",
        ),
        (
            "GET",
            "/customer",
            &[],
            "",
            403,
            "This link does not work. It may be cut off, its time may be over, or it was taken back. Ask for a new one.",
        ),
        (
            "POST",
            "/restaurant",
            &[("origin", "https://evil.example")],
            accept,
            403,
            "Nothing was sent. The form was sent from another site. Open the link that you were given.",
        ),
        (
            "POST",
            "/restaurant",
            &[],
            "do=accept",
            400,
            "Nothing was sent. The form could not be read.",
        ),
        (
            "POST",
            "/restaurant",
            &[],
            accept,
            409,
            "Nothing was sent. This order cannot be answered at the moment. Look again.",
        ),
        (
            "POST",
            "/restaurant",
            &[],
            long.as_str(),
            422,
            too_long.as_str(),
        ),
        (
            "POST",
            "/restaurant",
            &[],
            "order=ord-1001&do=accept",
            422,
            "Nothing was sent. Choose in how many minutes the order is ready.",
        ),
        (
            "POST",
            "/restaurant",
            &[],
            "order=ord-1001&do=decline",
            422,
            "Nothing was sent. Say why.",
        ),
        (
            "POST",
            "/order",
            &[],
            "do=accept&minutes=20",
            422,
            "the form has no field sure=yes",
        ),
    ] {
        let query = match path {
            "/order" => test.link(Kind::Order, "ord-1001"),
            _ => test.link(Kind::Restaurant, "rest-7"),
        };
        let headers = [&[("accept", "application/json")], headers].concat();
        let request = request(method, path, &query, &headers, Some(body));
        let response = test.site.serve(&request, NOON).await;
        let what = format!("{method} {path} {body}");
        assert_eq!(response.status_code, status, "{what}");
        let json: Value = serde_json::from_str(&response.body).expect("JSON");
        assert_eq!(json, json!({ "error": said }), "{what}");
    }
}

/// Whole, so that no read becomes eventually consistent, no limit or order another, and nothing more is read.
#[tokio::test]
async fn aws_is_asked_for_exactly_what_is_needed() {
    let revocation = |link: &str| json!({ "TableName": "revocations", "Key": { "link": { "S": link } }, "ConsistentRead": true });
    let open = json!({
        "TableName": "open-orders", "IndexName": "open",
        "KeyConditionExpression": "restaurant_id = :r AND respond_by > :t",
        "ProjectionExpression": "order_id, #items, currency, total_amount, note, respond_by",
        "ExpressionAttributeNames": { "#items": "items" },
        "ExpressionAttributeValues": { ":r": { "S": "rest-7" }, ":t": { "S": "2026-01-31T12:00:00.000Z" } },
        "Limit": 101,
    });
    let mut later = open.clone();
    later["ExclusiveStartKey"] = json!({
        "restaurant_id": { "S": "rest-7" }, "respond_by": { "S": "2026-01-31T12:08:00.000Z" }, "order_id": { "S": "ord-1099" },
    });
    let closed = json!({
        "TableName": "open-orders", "IndexName": "closed",
        "KeyConditionExpression": "restaurant_id = :r AND closed_at > :t",
        "ProjectionExpression": "order_id, #status, closed_at, ready_at",
        "ExpressionAttributeNames": { "#status": "status" },
        "ExpressionAttributeValues": { ":r": { "S": "rest-7" }, ":t": { "S": "2026-01-31T11:00:00Z" } },
        "ScanIndexForward": false, "Limit": 100,
    });
    let order = json!({ "TableName": "orders", "Key": { "order_id": { "S": "ord-1001" } }, "ConsistentRead": true });
    let row = json!({
        "TableName": "open-orders", "Key": { "restaurant_id": { "S": "rest-7" }, "order_id": { "S": "ord-1001" } },
        "ProjectionExpression": "task_token, expires_at", "ConsistentRead": true,
    });
    let success = |output: &str| json!({ "taskToken": "secret-token", "output": output });
    let accepted = success(r#"{"isAccepted":true,"ready_at":"2026-01-31T12:20:00Z"}"#);
    let problem =
        json!({ "taskToken": "secret-token", "error": "RestaurantProblem", "cause": "Oven" });
    for (kind, more, body, expected) in [
        (Kind::Restaurant, "", None, vec![open, closed.clone()]),
        (
            Kind::Restaurant,
            "/later/2026-01-31T12:08:00.000Z.ord-1099",
            None,
            vec![later, closed],
        ),
        (Kind::Order, "", None, vec![order.clone()]),
        (Kind::Customer, "", None, vec![order.clone()]),
        (
            Kind::Restaurant,
            "",
            Some("order=ord-1001&do=accept&minutes=20"),
            vec![row.clone(), accepted],
        ),
        (
            Kind::Order,
            "",
            Some("do=problem&reason=Oven&sure=yes"),
            vec![order.clone(), row.clone(), problem],
        ),
        (
            Kind::Customer,
            "",
            Some("do=cancel&reason=Twice&sure=yes"),
            vec![
                order,
                row,
                success(r#"{"isCancelled":true,"reason":"Twice"}"#),
            ],
        ),
    ] {
        let test = Test::new(placed());
        let (_, id) = LINKS
            .into_iter()
            .find(|(of, _)| *of == kind)
            .expect("an id");
        let method = if body.is_some() { "POST" } else { "GET" };
        let path = format!("/{kind}{more}");
        let request = request(method, &path, &test.link(kind, id), &[], body);
        test.site.serve(&request, NOON).await;
        let expected = [vec![revocation(&format!("{kind} {id}"))], expected].concat();
        assert_eq!(test.calls(), expected, "{method} {path} {body:?}");
    }
}

/// Each kind of page as it was recorded, so that nothing of it changes unseen: `WRITE_PAGES=1` records it anew.
#[tokio::test]
async fn a_page_is_as_it_was_recorded() {
    let mut accepted = closed("ord-1000", "ACCEPTED");
    accepted["ready_at"] = json!({ "S": "2026-01-31T12:20:00Z" });
    let mut declined = stored("REJECTED");
    declined["status_reason"] = json!({ "S": "Out of dough" });
    let ended = World {
        order: Some(declined),
        ..World::default()
    };
    let waits = || World {
        closed: vec![accepted.clone()],
        ..placed()
    };
    for (name, world, kind, form) in [
        ("restaurant", waits(), Kind::Restaurant, None),
        ("order", waits(), Kind::Order, None),
        (
            "order-confirm",
            waits(),
            Kind::Order,
            Some("do=accept&minutes=20"),
        ),
        ("order-ended", ended.clone(), Kind::Order, None),
        ("customer", waits(), Kind::Customer, None),
        ("customer-ended", ended, Kind::Customer, None),
        ("customer-not-yet", World::default(), Kind::Customer, None),
    ] {
        let test = Test::new(world);
        let (_, id) = LINKS
            .into_iter()
            .find(|(of, _)| *of == kind)
            .expect("an id");
        let (path, query) = (format!("/{kind}"), test.link(kind, id));
        let response = match form {
            Some(form) => test.post(&path, &query, form).await,
            None => test.get(&path, &query).await,
        };
        let mut page = response.body.replace("><", ">\n<");
        // Another script or stylesheet is no other page.
        for (at, _) in page.clone().match_indices("?v=") {
            page.replace_range(at + 3..at + 11, "00000000");
        }
        let file = format!("{}/tests/pages/{name}.html", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("WRITE_PAGES").is_some() {
            std::fs::write(&file, &page).expect("a file");
        }
        let recorded = std::fs::read_to_string(&file).expect("a recorded page");
        assert!(page == recorded, "{name} is not as recorded: {page}");
    }
}

#[tokio::test]
async fn lists_are_shown_in_their_order() {
    let test = Test::new(World {
        open: ["ord-2", "ord-3", "ord-1"].map(waiting).into(),
        closed: ["ord-5", "ord-6", "ord-4"]
            .map(|id| closed(id, "ACCEPTED"))
            .into(),
        ..World::default()
    });
    let query = test.link(Kind::Restaurant, "rest-7");
    let page = test.get("/restaurant", &query).await.body;
    let shown = ["ord-2", "ord-3", "ord-1", "ord-5", "ord-6", "ord-4"].map(|id| {
        let heading = page.find(&format!("<h2>{id}</h2>"));
        heading.or_else(|| page.find(&format!("<b>{id}</b>")))
    });
    assert!(shown.is_sorted() && shown[0].is_some(), "{page}");
    let headers = [("accept", "application/json")];
    let json = request("GET", "/restaurant", &query, &headers, None);
    let json: Value = serde_json::from_str(&test.site.serve(&json, NOON).await.body).expect("JSON");
    let ids = |list: &str| {
        let orders = json[list].as_array().expect("a list").iter();
        orders
            .map(|order| order["order_id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("open"), ["ord-2", "ord-3", "ord-1"]);
    assert_eq!(ids("closed"), ["ord-5", "ord-6", "ord-4"]);
}

#[tokio::test]
async fn what_needs_no_link_is_the_style_the_script_and_what_an_address_can_do() {
    let test = Test::new(placed());
    for (method, path, status, content_type) in [
        ("GET", "/page.css", 200, "text/css; charset=utf-8"),
        ("GET", "/page.js", 200, "text/javascript; charset=utf-8"),
        ("POST", "/page.css", 404, "text/html; charset=utf-8"),
        ("POST", "/page.js", 404, "text/html; charset=utf-8"),
        ("OPTIONS", "/restaurant", 204, "text/html; charset=utf-8"),
        ("BREW", "/restaurant", 405, "text/html; charset=utf-8"),
    ] {
        let request = request(method, path, "", &[], None);
        let response = test.site.serve(&request, NOON).await;
        assert_eq!(response.status_code, status, "{method} {path}");
        let content = &response.headers["content-type"];
        assert_eq!(content, content_type, "{method} {path}");
        assert_eq!(response.headers["allow"], "GET, HEAD, OPTIONS, POST");
    }
}

#[tokio::test]
async fn no_task_token_and_no_customer_leaves_by_a_page() {
    let test = Test::new(World {
        closed: vec![closed("ord-1", "ACCEPTED")],
        ..placed()
    });
    for (kind, id) in LINKS {
        for accept in ["text/html", "application/json"] {
            let request = request(
                "GET",
                &format!("/{kind}"),
                &test.link(kind, id),
                &[("accept", accept)],
                None,
            );
            let response = test.site.serve(&request, NOON).await;
            assert_eq!(response.status_code, 200);
            let whole = json!(response).to_string();
            assert!(
                !whole.contains("secret")
                    && !whole.contains("cust-42")
                    && !whole.contains("an ARN"),
                "{whole}"
            );
        }
    }
}

#[tokio::test]
async fn a_customer_is_not_told_of_technical_problems() {
    let mut order = stored("FAILED");
    order["status_reason"] = json!({ "S": "RestaurantProblem: the oven" });
    let test = Test::new(World {
        order: Some(order),
        ..World::default()
    });
    let page = test
        .get("/customer", &test.link(Kind::Customer, "ord-1001"))
        .await
        .body;
    assert!(
        page.contains("Could not be processed") && !page.contains("oven"),
        "{page}"
    );
    let page = test
        .get("/order", &test.link(Kind::Order, "ord-1001"))
        .await
        .body;
    assert!(page.contains("RestaurantProblem: the oven"), "{page}");
}

#[tokio::test]
async fn an_answer_that_is_not_recorded_by_the_deadline_is_shown_all_the_same() {
    // Then neither list has the order.
    let test = Test::new(World::default());
    let query = test.link(Kind::Restaurant, "rest-7");
    for (letter, said) in [('a', "Sent, being recorded."), ('A', "its time is over")] {
        for (deadline, shown) in [
            (NOON + 1, true),
            (NOON - 1799, true),
            (NOON - 1800, false),
            (u64::MAX, false),
        ] {
            let path = format!("/restaurant/sent/{letter}{deadline}~ord-1001");
            let page = test.get(&path, &query).await.body;
            assert_eq!(page.contains(said), shown, "{path}: {page}");
            assert_eq!(page.contains("<h2>ord-1001</h2>"), shown, "{path}: {page}");
            assert!(!page.contains("<form"), "{path}: {page}");
            // Looks again soon while anything is to come.
            let soon = page.contains("data-poll=\"3000\"");
            assert_eq!(soon, shown, "{path}: {page}");
        }
    }
    // An order that waits is shown once, and hides no other.
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    let path = format!("/restaurant/sent/a{NOON}~ord-2.a{}~ord-1001", NOON + 480);
    let page = test.get(&path, &query).await.body;
    for id in ["ord-2", "ord-1001"] {
        let shown = page.matches(&format!("<h2>{id}</h2>")).count();
        assert_eq!(shown, 1, "{id}: {page}");
    }
    // Once it has ended, it is in the list of the last hour alone, which has the latest hundred.
    let other: Vec<_> = (0..100)
        .map(|number| closed(&format!("ord-{number}"), "ACCEPTED"))
        .collect();
    for ended in [vec![closed("ord-1001", "ACCEPTED")], other] {
        let test = Test::new(World {
            closed: ended,
            ..World::default()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let path = format!("/restaurant/sent/a{NOON}~ord-1001");
        let page = test.get(&path, &query).await.body;
        assert!(!page.contains("<article"), "{page}");
    }
}

#[tokio::test]
async fn script_and_stylesheet_may_be_kept_under_the_address_with_their_version() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    let page = test.get("/restaurant", &query).await.body;
    for path in ["/page.js", "/page.css"] {
        let (_, version) = page.split_once(&format!("{path}?v=")).expect("a version");
        let (version, _) = version.split_once('"').expect("an address");
        assert!(
            version.len() == 8 && version.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{path} has the version {version:?}"
        );
        let got = test.get(path, &format!("v={version}")).await;
        assert_eq!(got.status_code, 200, "{path}");
        assert_eq!(got.headers["cache-control"], "max-age=31536000, immutable");
        // Another version's address does not keep this one's content.
        for other in ["", "v=00000000", "v="] {
            let got = test.get(path, other).await;
            assert_eq!(got.headers["cache-control"], "no-store", "{path}?{other}");
        }
    }
}

#[tokio::test]
async fn a_restaurant_reads_when_its_link_ends() {
    let test = Test::new(placed());
    for (minutes, warned) in [(30, false), (29, true)] {
        let expires = NOON + minutes * 60;
        let query = test.signed(&Claim {
            expires,
            ..claim(Kind::Restaurant, "rest-7")
        });
        let page = test.get("/restaurant", &query).await.body;
        let said = format!(
            "This link ends <time datetime=\"{}\">in {minutes} minutes</time>.",
            rfc_3339(expires)
        );
        assert!(page.contains(&said), "{page}");
        assert_eq!(page.contains("Ask for a new one."), warned, "{page}");
    }
}

#[tokio::test]
async fn only_a_long_note_takes_the_focus_to_be_scrolled() {
    let long = "x".repeat(121);
    for (note, is_long) in [
        ("1\n2\n3\n4\n5\n6", false),
        ("1\n2\n3\n4\n5\n6\n7", true),
        (&long[1..], false),
        (&long, true),
    ] {
        let mut order = waiting("ord-1001");
        order["note"]["S"] = json!(note);
        let test = Test::new(World {
            open: vec![order],
            ..World::default()
        });
        let query = test.link(Kind::Restaurant, "rest-7");
        let page = test.get("/restaurant", &query).await.body;
        assert_eq!(page.contains("tabindex"), is_long, "{note}: {page}");
    }
}

#[tokio::test]
async fn enter_neither_declines_nor_reports_a_problem() {
    // A browser presses a form's first button, unless that is disabled.
    let test = Test::new(placed());
    for (kind, id) in [(Kind::Restaurant, "rest-7"), (Kind::Order, "ord-1001")] {
        let page = test.get(&format!("/{kind}"), &test.link(kind, id)).await;
        let form = page
            .body
            .split("<form")
            .find(|form| form.contains("decline"));
        let form = form.expect("a form to decline");
        let first = form.split("<button").nth(1).expect("a button");
        assert!(first.starts_with(" hidden disabled>"), "{kind}: {form}");
    }
}

#[tokio::test]
async fn a_page_that_did_not_change_is_not_sent_again() {
    let test = Test::new(placed());
    let query = test.link(Kind::Restaurant, "rest-7");
    let page = test.get("/restaurant", &query).await;
    let tag = page.headers["etag"].clone();
    let (_, version) = page.body.split_once("/page.js?v=").expect("a version");
    assert_eq!(tag[18..], format!("{}\"", &version[..8]), "{tag}");
    let headers = [("if-none-match", tag.as_str())];
    let again = request("GET", "/restaurant", &query, &headers, None);
    let response = test.site.serve(&again, NOON).await;
    assert_eq!((response.status_code, response.body.as_str()), (304, ""));
    assert_eq!(response.headers["x-now"], NOON.to_string());
}

#[tokio::test]
async fn a_page_that_changed_is_sent_although_its_title_did_not() {
    let world = |status| World {
        order: Some(stored(status)),
        ..placed()
    };
    let before = Test::new(world("PLACED"));
    let query = before.link(Kind::Customer, "ord-1001");
    let tag = before.get("/customer", &query).await.headers["etag"].clone();
    let after = Test::new(world("ACCEPTED"));
    let query = after.link(Kind::Customer, "ord-1001");
    let headers = [("if-none-match", tag.as_str())];
    let again = request("GET", "/customer", &query, &headers, None);
    let response = after.site.serve(&again, NOON).await;
    assert_eq!(response.status_code, 200);
    assert!(response.body.contains("Accepted"), "{}", response.body);
}

#[tokio::test]
async fn a_page_of_twenty_orders_is_twenty_kilobytes_at_most() {
    let test = Test::new(many_waiting(20));
    let page = test
        .get("/restaurant", &test.link(Kind::Restaurant, "rest-7"))
        .await
        .body;
    assert!(page.len() <= 20 * 1024, "{} bytes", page.len());
    assert_eq!(page.matches("<article").count(), 20);
}

#[tokio::test]
async fn a_list_has_a_hundred_orders_and_leads_to_the_later_ones() {
    let test = Test::new(many_waiting(101));
    let query = test.link(Kind::Restaurant, "rest-7");
    let page = test
        .get("/restaurant/sent/a1769861280~ord-1005", &query)
        .await
        .body;
    assert_eq!(page.matches("<article").count(), 100);
    let place = "2026-01-31T12:08:00.000Z.ord-1099";
    let next = format!("/restaurant/later/{place}/sent/a1769861280~ord-1005");
    let address = format!("{next}?{query}").replace('&', "&amp;");
    assert!(
        page.contains("More wait")
            && page.contains(&format!("<a href=\"{address}\">Later orders</a>"))
            && !page.contains("The most urgent orders"),
        "{page}"
    );
    let headers = [("accept", "application/json")];
    let json = request("GET", "/restaurant", &query, &headers, None);
    let json: Value = serde_json::from_str(&test.site.serve(&json, NOON).await.body).expect("JSON");
    assert_eq!(json["more"], true);
    assert_eq!(
        json["next"],
        format!("/restaurant/later/{place}?{query}"),
        "{json}"
    );
    let page = test.get(&next, &query).await.body;
    assert!(page.contains("The most urgent orders"), "{page}");
    // An answer leads back to the same page.
    let body = "order=ord-1001&do=accept&minutes=20";
    let sent = test.post(&next, &query, body).await;
    assert_eq!(
        sent.headers["location"],
        format!("/restaurant/later/{place}/sent/a1769861280~ord-1005.a1769861280~ord-1001?{query}")
    );
    // Once the time of the last one is over, all that wait are after it: DynamoDB refuses a start outside of the query.
    test.calls();
    let later = request("GET", &next, &query, &[], None);
    let response = test.site.serve(&later, NOON + 8 * 60).await;
    assert_eq!(response.status_code, 200);
    assert!(
        test.calls()
            .iter()
            .all(|call| call.get("ExclusiveStartKey").is_none())
    );
    // And nothing else is a place.
    for bad in [
        "",
        "ord-1",
        "2026-01-31T12:08:00.000Z",
        "2026-01-31T12:08:00.000Z.",
        "yesterday.ord-1",
        "2026-01-31T12:08:00.000Z.<b>",
        "2026-01-31T12:08:00.000Z.ord-1/x",
        "2026-01-31T12:08:00.000Z.ord-1/later/2026-01-31T12:08:00.000Z.ord-1",
    ] {
        let path = format!("/restaurant/later/{bad}");
        assert_eq!(test.get(&path, &query).await.status_code, 404, "{bad}");
    }
    let order = test.link(Kind::Order, "ord-1001");
    let path = format!("/order/later/{place}");
    assert_eq!(test.get(&path, &order).await.status_code, 404);
}

#[tokio::test]
async fn the_last_page_of_a_list_leads_to_no_later_one() {
    let test = Test::new(many_waiting(100));
    let query = test.link(Kind::Restaurant, "rest-7");
    let page = test.get("/restaurant", &query).await.body;
    assert!(
        !page.contains("More wait") && !page.contains("/later/"),
        "{page}"
    );
    let test = Test::new(World::default());
    let query = test.link(Kind::Restaurant, "rest-7");
    let path = "/restaurant/later/2026-01-31T12:08:00.000Z.ord-1099";
    let page = test.get(path, &query).await.body;
    assert!(page.contains("No later order waits."), "{page}");
}
