//! Addresses where something is wrong.

use std::net::TcpListener as StdListener;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A host that no name service knows (RFC 6761, section 6.4).
pub(crate) const NO_HOST: &str = "no-such-host.invalid";

/// An address at which nobody listens: the port was given to us, and given back.
pub(crate) fn closed() -> String {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A server with a certificate that its own authority signed, which nobody knows. It ends when it is dropped.
pub(crate) struct Stranger {
    pub(crate) port: u16,
    serving: JoinHandle<()>,
}

impl Stranger {
    /// It speaks TLS from the first byte.
    pub(crate) async fn start() -> Self {
        Self::starting(false).await
    }

    /// It speaks TLS once it was asked for it, as PostgreSQL does.
    pub(crate) async fn postgres() -> Self {
        Self::starting(true).await
    }

    async fn starting(asked: bool) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if asked {
                        // SSLRequest, and the answer to it (PostgreSQL, "Message Flow", section SSL).
                        let mut request = [0; 8];
                        if stream.read_exact(&mut request).await.is_err()
                            || stream.write_all(b"S").await.is_err()
                        {
                            return;
                        }
                    }
                    // Whoever trusts it is let down after the handshake.
                    let _ = acceptor.accept(stream).await;
                });
            }
        });
        Self { port, serving }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
