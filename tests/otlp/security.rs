//! Who may come in: TLS, client certificates, authenticators, metadata.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::agent::Agent;
use super::client::{Grpc, answer, framed, is_silent, post, rest, send_over};
use super::downstream::{Downstream, status};
use super::records::{LOGS, PROTOBUF, log, logs, logs_of, text};

const UNAUTHENTICATED: i32 = 16;

/// An authority, a certificate of the server, and one of a client, each with its key in PEM.
pub struct Certificates {
    pub authority: String,
    pub server: (String, String),
    client: (String, String),
}

impl Certificates {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
        };
        Self { authority: issuer.pem(), server: signed("localhost"), client: signed("client") }
    }

    /// A file where both protocols have TLS with these settings and the server's certificate.
    fn file(&self, more: &str) -> String {
        let block = |text: &str| text.trim_end().replace('\n', "\n            ");
        let (certificate, key) = (block(&self.server.0), block(&self.server.1));
        let more = more.trim_end().replace('\n', "\n          ");
        let tls = format!(
            "
        tls:
          cert_pem: |
            {certificate}
          key_pem: |
            {key}
          {more}"
        );
        format!("receivers:\n  otlp:\n    protocols:\n      grpc:{tls}\n      http:{tls}\n")
    }

    async fn connect(
        &self,
        address: SocketAddr,
        alpn: &[u8],
        client: Option<&(String, String)>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls() {
    let certificates = Certificates::new();
    let agent = Agent::start(&certificates.file("")).await;
    let stream = certificates.connect(agent.grpc(), b"h2", None).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(Grpc::over(stream).await.export(LOGS, &logs(1)).await.code, 0);
    let stream = certificates.connect(agent.http(), b"http/1.1", None).await.unwrap();
    let body = Bytes::from(logs(1));
    let reply = send_over(stream, Method::POST, "/v1/logs", &[PROTOBUF], body).await;
    assert_eq!(reply.status, StatusCode::OK);
    let stream = certificates.connect(agent.http(), b"h2", None).await.unwrap();
    let called = Grpc::over(stream).await.call("/v1/logs", &[PROTOBUF], logs(1)).await;
    assert_eq!(called.http, StatusCode::OK);
    // Without TLS there is no answer.
    let mut plain = TcpStream::connect(agent.http()).await.unwrap();
    plain.write_all(b"POST /v1/logs HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(!rest(&mut plain).await.starts_with(b"HTTP"));
    agent.stop().await;
}

#[tokio::test]
async fn clients_must_have_a_certificate_of_the_authority() {
    let certificates = Certificates::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, &certificates.authority).unwrap();
    let agent =
        Agent::start(&certificates.file(&format!("client_ca_file: {}", path.display()))).await;
    let own = Some(&certificates.client);
    let stream = certificates.connect(agent.grpc(), b"h2", own).await.unwrap();
    assert_eq!(Grpc::over(stream).await.export(LOGS, &logs(1)).await.code, 0);
    let stranger = Certificates::new();
    for client in [None, Some(&stranger.client)] {
        // In TLS 1.3 the client learns of the refusal when it reads.
        if let Ok(mut stream) = certificates.connect(agent.http(), b"http/1.1", client).await {
            let head = b"POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(head).await;
            assert_eq!(rest(&mut stream).await, b"");
        }
    }
    let stream = certificates.connect(agent.http(), b"http/1.1", own).await.unwrap();
    let body = Bytes::from(logs(1));
    let reply = send_over(stream, Method::POST, "/v1/logs", &[PROTOBUF], body).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 2);
    agent.stop().await;
}

/// A file where both protocols ask `authenticator`.
fn guarded(authenticator: &str, extension: &str) -> String {
    format!(
        "
extensions:
  {authenticator}: {extension}
receivers:
  otlp:
    protocols:
      grpc: {{auth: {{authenticator: {authenticator}}}}}
      http: {{auth: {{authenticator: {authenticator}}}}}
service:
  extensions: [{authenticator}]
"
    )
}

async fn assert_guarded(agent: &Agent, good: &str, challenge: &str) {
    let (http, path) = (agent.http(), format!("/{LOGS}/Export"));
    let grpc = Grpc::connect(agent.grpc()).await;
    for wrong in [None, Some("Bearer wrong"), Some("Basic d3Jvbmc6d3Jvbmc="), Some("")] {
        let credentials = wrong.map(|wrong| ("authorization", wrong));
        let headers: Vec<_> = [Some(PROTOBUF), credentials].into_iter().flatten().collect();
        let reply = post(http, "/v1/logs", &headers, logs(1)).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{wrong:?}");
        assert!(reply.header("www-authenticate").starts_with(challenge), "{reply:?}");
        assert_eq!(reply.status_body().code, UNAUTHENTICATED);
        let headers: Vec<_> = credentials.into_iter().collect();
        let called = grpc.call(&path, &headers, framed(0, &logs(1))).await;
        assert_eq!(called.code, UNAUTHENTICATED, "{wrong:?}");
    }
    let headers = [PROTOBUF, ("authorization", good)];
    assert_eq!(post(http, "/v1/logs", &headers, logs(1)).await.status, StatusCode::OK);
    let called = grpc.call(&path, &[("authorization", good)], framed(0, &logs(1))).await;
    assert_eq!(called.code, 0);
    assert_eq!(agent.counted("otelcol_receiver_accepted_log_records"), 2);
}

#[tokio::test]
async fn bearer_token_is_asked_for() {
    let agent = Agent::start(&guarded("bearertokenauth", "{token: sesame}")).await;
    assert_guarded(&agent, "Bearer sesame", "Bearer").await;
    agent.stop().await;
}

#[tokio::test]
async fn basic_credentials_are_asked_for() {
    let agent = Agent::start(&guarded("basicauth", "{htpasswd: {inline: 'ann:sesame'}}")).await;
    let good = format!("Basic {}", STANDARD.encode("ann:sesame"));
    assert_guarded(&agent, &good, "Basic").await;
    agent.stop().await;
}

#[tokio::test]
async fn strangers_are_refused_before_a_body_is_read() {
    let agent = Agent::start(&guarded("bearertokenauth", "{token: sesame}")).await;
    let mut stream = TcpStream::connect(agent.http()).await.unwrap();
    let head = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                content-length: 1000000\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let refused = answer(&mut stream).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.contains("\"code\":16"), "{refused}");
    // Whoever may come in is asked for the body.
    let mut stream = TcpStream::connect(agent.http()).await.unwrap();
    let head = head.replace("expect", "authorization: Bearer sesame\r\nexpect");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 100"));
    assert!(is_silent(&mut stream).await);
    drop(stream);
    agent.stop().await;
}

#[tokio::test]
async fn metadata_goes_with_the_records_where_the_file_says_so() {
    for includes in [true, false] {
        let downstream = Downstream::start(|_| status(200)).await;
        let batch = "
processors:
  batch: {timeout: 10m, send_batch_size: 1000, metadata_keys: [x-tenant]}
service: {pipelines: {logs: {processors: [batch]}}}
";
        let file = downstream.over_http("");
        let metadata = format!(
            "receivers: {{otlp: {{protocols: {{http: {{include_metadata: {includes}}}}}}}}}"
        );
        let agent = Agent::start_all(&[&file, batch, &metadata]).await.unwrap();
        for i in 0..64_u32 {
            // However workers take turns, each gets both.
            let tenant = ["tenant-a", "tenant-b"][i.count_ones() as usize % 2];
            let headers = [PROTOBUF, ("x-tenant", tenant)];
            let request = logs_of(vec![log(text(tenant))]);
            let reply = post(agent.http(), "/v1/logs", &headers, request).await;
            assert_eq!(reply.status, StatusCode::OK);
        }
        agent.stop().await;
        let has = |body: &[u8], tenant: &str| {
            body.windows(tenant.len()).any(|window| window == tenant.as_bytes())
        };
        let are_mixed = downstream
            .seen()
            .iter()
            .any(|(_, body)| has(body, "tenant-a") && has(body, "tenant-b"));
        assert!(downstream.num_seen() > 0);
        assert_eq!(are_mixed, !includes);
    }
}
