//! TLS with an authority of its own, and the faults of certificates and handshakes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;

use super::{H2, Shared, h2, http};

/// How a host does TLS.
#[derive(Debug, Clone)]
pub enum Tls {
    /// A certificate for its name by the authority; HTTP/1.1.
    Good,
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not come.
    NotYetValid,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is its own authority.
    SelfSigned,
    /// The answer to the client's first message is these bytes.
    Garbage(Vec<u8>),
    /// The handshake never begins.
    Silent,
    /// The connection is cut after the client's first message.
    CutOff,
    /// A good certificate, and HTTP/2.
    H2(H2),
}

/// Signs certificates; each is made once.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// All hosts have this key: what takes time is to make keys.
    key: KeyPair,
    made: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Authority {
            pem,
            issuer: Issuer::new(parameters, key),
            key: KeyPair::generate().unwrap(),
            made: Mutex::default(),
        }
    }

    pub(super) fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// What a host's connections are made with.
    fn config(&self, host: &str, kind: &Tls) -> Arc<ServerConfig> {
        let make = || {
            let name = if matches!(kind, Tls::WrongName) { "other.example" } else { host };
            let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
            match kind {
                Tls::Expired => parameters.not_after = date_time_ymd(2020, 1, 1),
                Tls::NotYetValid => parameters.not_before = date_time_ymd(3000, 1, 1),
                _ => {}
            }
            let certificate = match kind {
                Tls::SelfSigned => parameters.self_signed(&self.key),
                _ => parameters.signed_by(&self.key, &self.issuer),
            };
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.unwrap().der().clone()], key)
                .unwrap();
            if let Tls::H2(_) = kind {
                config.alpn_protocols = vec![b"h2".to_vec()];
            }
            Arc::new(config)
        };
        self.made.lock().unwrap().entry(host.to_owned()).or_insert_with(make).clone()
    }
}

pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    http::accept(shared, listener, |shared, stream, to| async move {
        // Who hangs up in the handshake was answered well enough.
        let _ = connect(&shared, stream, to).await;
    })
    .await;
}

async fn connect(shared: &Shared, stream: TcpStream, to: std::net::SocketAddr) -> std::io::Result<()> {
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    let host = hello.client_hello().server_name().unwrap_or("").trim_end_matches('.').to_ascii_lowercase();
    let kind = (shared.secrets)(&host);
    match &kind {
        Tls::Garbage(bytes) => {
            let mut stream = raw(hello);
            stream.write_all(bytes).await?;
            stream.shutdown().await
        }
        Tls::Silent => {
            let mut ignored = [0; 1024];
            let mut stream = raw(hello);
            while stream.read(&mut ignored).await? > 0 {}
            Ok(())
        }
        Tls::CutOff => {
            raw(hello).set_zero_linger()?;
            Ok(())
        }
        _ => {
            let stream = hello.into_stream(shared.authority.config(&host, &kind)).await?;
            match kind {
                Tls::H2(h2) => h2::answer(shared, stream, to, &host, h2).await?,
                _ => http::answer(shared, stream, to, Some(host)).await,
            }
            Ok(())
        }
    }
}

/// The connection below a handshake that will not happen.
fn raw(hello: tokio_rustls::StartHandshake<TcpStream>) -> TcpStream {
    hello.io
}
