//! A stub of AWS, on loopback and over TLS: answers what the functions call with success, at once.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Those who sign for AWS, as the functions know them.
const AMAZON_ROOTS: &str = include_str!("../../crates/functions/src/amazon-roots.pem");
const PUBLISHED: &str = "<PublishResponse><PublishResult><MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult></PublishResponse>";

/// How to reach the stub, and what to trust.
pub struct AwsStub {
    pub url: String,
    /// A file with the issuer of its certificate and with those that sign for AWS, so that loading it takes what
    /// loading those takes.
    pub trusted: PathBuf,
}

/// Starts the stub on a free port; it runs as long as this program.
pub async fn start(work: &Path) -> Result<AwsStub, Box<dyn Error>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // OpenSSL takes a certificate for its own issuer where the names are the same.
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

    let listener = TcpListener::bind(("localhost", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            if connection.set_nodelay(true).is_err() {
                continue;
            }
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(connection) = acceptor.accept(connection).await {
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service_fn(answer))
                        .await;
                }
            });
        }
    });
    Ok(AwsStub {
        url: format!("https://localhost:{port}"),
        trusted,
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // DynamoDB speaks JSON and names its action in a header, SNS speaks XML.
    let (form, answer) = if request.method() != Method::POST {
        ("text/plain", "healthy")
    } else if request.headers().contains_key("x-amz-target") {
        ("application/x-amz-json-1.0", "{}")
    } else {
        ("text/xml", PUBLISHED)
    };
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::from(answer));
    if let Ok(form) = form.parse() {
        response.headers_mut().insert("content-type", form);
    }
    Ok(response)
}
