//! A proxy before Glue that loses requests and replies, answers by itself, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

/// What happens to one call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing: it is let through.
    Pass,
    /// The connection breaks before Glue sees the request.
    LoseRequest,
    /// Glue does what was asked, and the connection breaks before its reply.
    LoseReply,
    /// Glue does what was asked, and answers with a status and this error.
    FailAfter(u16, &'static str),
    /// Glue does not see it; the answer is a status and this error with a message.
    Answer(u16, &'static str, &'static str),
    /// Glue does not see it; the answer is this text.
    Reply(&'static str),
    /// It waits at the barrier twice, and is let through.
    Pause(Arc<Barrier>),
}

/// A call that came: `GetTable` and the body.
pub(crate) type Call = (String, serde_json::Value);

#[derive(Debug, Default)]
struct State {
    faults: Vec<(String, VecDeque<Fault>)>,
    calls: Vec<Call>,
}

/// A running proxy; it ends with the value.
#[derive(Debug)]
pub(crate) struct Proxy {
    endpoint: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy on a free port before `upstream`, for whose requests moto is told the account.
    pub(crate) async fn start(upstream: &str, account: u128) -> Self {
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, state) = (upstream.clone(), shared.clone());
                tokio::spawn(async move { serve(client, &upstream, account, &state).await });
            }
        });
        Self { endpoint, state, task }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What happens to the next calls of an operation, one after the other; later ones pass.
    pub(crate) fn next(&self, operation: &str, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.push((operation.to_owned(), faults.into_iter().collect()));
    }

    /// The calls so far of an operation.
    pub(crate) fn calls(&self, operation: &str) -> Vec<serde_json::Value> {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|(name, _)| name == operation).map(|(_, body)| body.clone()).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request of a connection, which is closed after it.
async fn serve(mut client: TcpStream, upstream: &str, account: u128, state: &Mutex<State>) -> Option<()> {
    let (head, body) = read_request(&mut client).await?;
    let operation =
        header(&head, "x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or("").to_owned();
    let fault = {
        let mut state = state.lock().unwrap();
        state.calls.push((operation.clone(), serde_json::from_slice(&body).unwrap_or_default()));
        let mut due = state.faults.iter_mut().filter(|(name, _)| *name == operation);
        due.find_map(|(_, faults)| faults.pop_front()).unwrap_or(Fault::Pass)
    };
    match &fault {
        Fault::LoseRequest => return None,
        Fault::Answer(status, code, message) => return answer(&mut client, *status, code, message).await,
        Fault::Reply(body) => return reply(&mut client, 200, body).await,
        Fault::Pause(barrier) => {
            barrier.wait().await;
            barrier.wait().await;
        }
        Fault::Pass | Fault::LoseReply | Fault::FailAfter(..) => {}
    }
    let mut server = TcpStream::connect(upstream).await.ok()?;
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let request =
        format!("{}\r\nconnection: close\r\nx-moto-account-id: {account}\r\n\r\n", lines.join("\r\n"));
    server.write_all(request.as_bytes()).await.ok()?;
    server.write_all(&body).await.ok()?;
    let mut reply = Vec::new();
    server.read_to_end(&mut reply).await.ok()?;
    match fault {
        Fault::LoseReply => None,
        Fault::FailAfter(status, code) => answer(&mut client, status, code, "").await,
        _ => client.write_all(&reply).await.ok(),
    }
}

async fn answer(client: &mut TcpStream, status: u16, code: &str, message: &str) -> Option<()> {
    reply(client, status, &serde_json::json!({"__type": code, "message": message}).to_string()).await
}

async fn reply(client: &mut TcpStream, status: u16, body: &str) -> Option<()> {
    let reply = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(reply.as_bytes()).await.ok()
}

async fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).ok()?;
    let length: usize = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = body;
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
}
