//! A proxy before PostgreSQL that cuts the connection at a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The statement that is a commit.
const COMMIT: &[u8] = b".iceberg_tables SET metadata_location";

/// Where the connection is cut at the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Not at all.
    Nowhere = 0,
    /// Before the server sees the commit.
    Request = 1,
    /// After it made the commit, before its reply.
    Reply = 2,
}

/// A running proxy; it ends with the value.
pub(crate) struct Proxy {
    pub(crate) address: std::net::SocketAddr,
    cut: Arc<AtomicU8>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(host: String, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(AtomicU8::new(Cut::Nowhere as u8));
        let shared = cut.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (host, cut) = (host.clone(), shared.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect((host.as_str(), port)).await {
                        relay(client, server, &cut).await;
                    }
                });
            }
        });
        Self { address, cut, task }
    }

    /// Cuts the next commit, once.
    pub(crate) fn cut(&self, at: Cut) {
        self.cut.store(at as u8, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, cut: &AtomicU8) -> Option<()> {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    // The statement was prepared on this connection: what is bound to it next is the commit.
    let mut prepared = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let sent = &up[..read.ok().filter(|n| *n > 0)?];
                let commits = prepared && sent.first() == Some(&b'B');
                prepared |= sent.windows(COMMIT.len()).any(|window| window == COMMIT);
                if commits && cut.compare_exchange(Cut::Request as u8, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return None;
                }
                server.write_all(sent).await.ok()?;
                if commits && cut.compare_exchange(Cut::Reply as u8, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    // Having answered, it has made it last.
                    return server.read(&mut down).await.ok().map(drop);
                }
            }
            read = server.read(&mut down) => {
                client.write_all(&down[..read.ok().filter(|n| *n > 0)?]).await.ok()?;
            }
        }
    }
}
