//! A listener that plays a PostgreSQL server and wants a password: whoever sits between a client and its database.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The number of a request for TLS (PostgreSQL documentation, "Message Formats", `SSLRequest`).
const SSL_REQUEST: u32 = 80_877_103;
/// `AuthenticationCleartextPassword`.
const PASSWORD_IN_CLEAR: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// Answers that there is no TLS, asks for the password in clear, and keeps all that arrives. It listens on the loopback
/// and ends with the value.
#[derive(Debug)]
pub struct PasswordThief {
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl PasswordThief {
    /// Begins to listen.
    ///
    /// # Panics
    ///
    /// When no port of the loopback can be had.
    #[allow(clippy::unwrap_used)]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = received.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move { steal(client, &kept).await });
            }
        });
        Self { address, received, task }
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All bytes that arrived, of every connection.
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a text is among what arrived.
    pub fn has(&self, text: &str) -> bool {
        self.received().windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl Drop for PasswordThief {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn steal(mut client: TcpStream, kept: &Mutex<Vec<u8>>) -> Option<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = client.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        let message = &buffer[..count];
        kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(message);
        let asks_for_tls = message.get(4..8) == Some(&SSL_REQUEST.to_be_bytes()[..]);
        client.write_all(if asks_for_tls { b"N" } else { PASSWORD_IN_CLEAR }).await.ok()?;
    }
}
