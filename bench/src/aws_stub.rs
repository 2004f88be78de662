//! A stub of AWS, on loopback and over TLS: answers what the functions call with success, at once, and counts the calls.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use links::{Claim, Kind};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, SigningKey,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The certificate authorities that the functions trust to sign for AWS.
const AMAZON_ROOTS: &str = include_str!("../../crates/functions/src/amazon-roots.pem");
const PUBLISHED: &str = "<PublishResponse><PublishResult><MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult></PublishResponse>";

/// The link epoch that the web functions are started with.
pub const LINK_EPOCH: &str = "1";
/// How many orders a restaurant's lists have: those that wait, and those of the last hour.
pub const OPEN: usize = 20;
pub const CLOSED: usize = 10;

/// How to reach the stub, and what to trust.
pub struct AwsStub {
    pub url: String,
    /// A file with the authority of its own certificate and with those that sign for AWS, so that loading it takes as
    /// long as loading those.
    pub trusted: PathBuf,
    aws: Arc<Aws>,
}

impl AwsStub {
    /// The query of a link to a restaurant's page, signed with the key whose public half the stub gives.
    pub fn link(&self, restaurant: &str) -> Result<String, Box<dyn Error>> {
        let issued = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claim = Claim {
            kind: Kind::Restaurant,
            id: restaurant.into(),
            issued,
            expires: issued + Kind::Restaurant.usual_validity(),
        };
        let signature = (self.aws.links_key).sign(claim.signed_text(LINK_EPOCH).as_bytes())?;
        Ok(claim.query(&signature))
    }

    /// How often each operation was called so far. The request by which a function opens a connection does not count.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        self.aws.calls().clone()
    }
}

/// What the stub answers with.
struct Aws {
    links_key: KeyPair,
    open_orders: String,
    closed_orders: String,
    calls: Mutex<BTreeMap<String, usize>>,
}

impl Aws {
    fn new() -> Result<Self, Box<dyn Error>> {
        let open = |n| {
            json!({
                "order_id": {"S": format!("ord-{}", 1_000 + n)},
                "items": {"L": [
                    {"M": {"name": {"S": "Margherita"}, "quantity": {"N": "2"}, "unit_amount": {"N": "1250"}}},
                    {"M": {"name": {"S": "Tiramisù"}, "quantity": {"N": "1"}, "unit_amount": {"N": "650"}}}
                ]},
                "currency": {"S": "EUR"},
                "total_amount": {"N": "3150"},
                "note": {"S": "No basil, please"},
                "respond_by": {"S": "2100-01-01T12:10:00.000Z"}
            })
        };
        let closed = |n| {
            json!({
                "order_id": {"S": format!("ord-{}", 2_000 + n)},
                "status": {"S": "ACCEPTED"},
                "closed_at": {"S": "2026-01-01T12:00:00.000Z"}
            })
        };
        let list = |orders: Vec<Value>| json!({"Count": orders.len(), "Items": orders}).to_string();
        Ok(Self {
            links_key: KeyPair::generate()?,
            open_orders: list((0..OPEN).map(open).collect()),
            closed_orders: list((0..CLOSED).map(closed).collect()),
            calls: Mutex::default(),
        })
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, operation: &str, request: &[u8]) -> String {
        let is_of_open = || request.windows(6).any(|part| part == b"\"open\"");
        match operation {
            "Publish" => PUBLISHED.into(),
            "Query" if is_of_open() => self.open_orders.clone(),
            "Query" => self.closed_orders.clone(),
            "GetPublicKey" => {
                let der = self.links_key.subject_public_key_info();
                json!({ "KeyId": "key", "PublicKey": STANDARD.encode(der) }).to_string()
            }
            "Sign" => match self.links_key.sign(b"any text: nobody verifies it") {
                Ok(signature) => json!({ "Signature": STANDARD.encode(signature) }).to_string(),
                Err(_) => "{}".into(),
            },
            _ => "{}".into(),
        }
    }
}

/// Starts the stub on a free port; it runs as long as this program.
pub async fn start(work: &Path) -> Result<AwsStub, Box<dyn Error>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // If both had the same name, OpenSSL would take the certificate for its own issuer.
    authority.distinguished_name = DistinguishedName::new();
    authority
        .distinguished_name
        .push(DnType::CommonName, "issuer of the stub");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let trusted = work.join("trusted.pem");
    std::fs::write(&trusted, AMAZON_ROOTS.to_owned() + &authority.pem())?;

    let aws = Arc::new(Aws::new()?);
    let answering = Arc::clone(&aws);
    let listener = TcpListener::bind(("localhost", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            if connection.set_nodelay(true).is_err() {
                continue;
            }
            let acceptor = acceptor.clone();
            let aws = Arc::clone(&answering);
            tokio::spawn(async move {
                if let Ok(connection) = acceptor.accept(connection).await {
                    let service = service_fn(move |request| answer(request, Arc::clone(&aws)));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                }
            });
        }
    });
    Ok(AwsStub {
        url: format!("https://localhost:{port}"),
        trusted,
        aws,
    })
}

async fn answer(
    request: Request<Incoming>,
    aws: Arc<Aws>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // DynamoDB and KMS speak JSON and name their action in a header, SNS speaks XML.
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok()?.split('.').nth(1));
    let (form, operation) = match (request.method(), target) {
        (&Method::POST, Some(operation)) => {
            ("application/x-amz-json-1.0", Some(operation.to_owned()))
        }
        (&Method::POST, None) => ("text/xml", Some("Publish".to_owned())),
        _ => ("text/plain", None),
    };
    let body = request.into_body().collect().await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let answer = match operation {
        None => "healthy".into(),
        Some(operation) => {
            let answer = aws.answer(&operation, &body);
            *aws.calls().entry(operation).or_default() += 1;
            answer
        }
    };
    let mut response = Response::new(Full::from(answer));
    if let Ok(form) = form.parse() {
        response.headers_mut().insert("content-type", form);
    }
    Ok(response)
}
