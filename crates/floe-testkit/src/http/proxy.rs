//! A proxy that makes requests go wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rules::{HttpFault, Rule, take};
use super::server::{Answer, HttpServer, Reply, Request};
use super::tokens::{TokenRules, Tokens};

/// Stands before a server, passes requests on, and makes those go wrong that [`FaultProxy::inject`] names. With
/// [`TokenRules`] it has an OAuth2 token endpoint and refuses requests without a token of its own.
///
/// Works before any HTTP server: an Iceberg REST catalog, a store (signatures stay good), or Glue, whose operations are
/// told by a header:
///
/// ```no_run
/// # async fn example() {
/// use floe_testkit::http::{FaultProxy, HttpFault, Rule};
///
/// let proxy = FaultProxy::start("http://127.0.0.1:5000").await;
/// let update = Rule::next(HttpFault::LostReply).header("x-amz-target", "UpdateTable");
/// proxy.inject(update);
/// // The client under test uses proxy.uri().
/// # }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

/// What a test does to requests and replies on their way: [`FaultProxy::between`].
type Before = Arc<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;
type After = Arc<dyn Fn(&Request, Reply) -> Reply + Send + Sync>;

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    tokens: Option<Tokens>,
    met: Vec<HttpFault>,
}

impl FaultProxy {
    /// A proxy before the server at `upstream` (scheme, host and port, and perhaps a path).
    pub async fn start(upstream: &str) -> Self {
        Self::with(upstream, None, None).await
    }

    /// A proxy that answers a request itself where `before` gives an answer, and passes on what `after` makes of the
    /// replies of the server.
    pub async fn between(
        upstream: &str,
        before: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
        after: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(upstream, None, Some((Arc::new(before), Arc::new(after)))).await
    }

    /// A proxy that asks for tokens.
    pub async fn with_tokens(upstream: &str, rules: TokenRules) -> Self {
        Self::with(upstream, Some(Tokens::new(rules)), None).await
    }

    async fn with(upstream: &str, tokens: Option<Tokens>, hooks: Option<(Before, After)>) -> Self {
        let state = Arc::new(Mutex::new(State { rules: Vec::new(), tokens, met: Vec::new() }));
        let (shared, upstream) = (state.clone(), upstream.trim_end_matches('/').to_owned());
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .expect("a client without TLS");
        let server = HttpServer::start(move |request| {
            let (state, client, upstream) = (shared.clone(), client.clone(), upstream.clone());
            let hooks = hooks.clone();
            async move {
                let (refusal, fault) = {
                    let mut state = lock(&state);
                    let fault = take(&mut state.rules, &request);
                    state.met.extend(fault);
                    (state.tokens.as_mut().and_then(|tokens| tokens.judge(&request)), fault)
                };
                let refusal = refusal.or_else(|| hooks.as_ref().and_then(|(before, _)| before(&request)));
                let pass = async || match (refusal, &hooks) {
                    (Some(refusal), _) => refusal,
                    (None, None) => forward(&client, &upstream, &request).await,
                    (None, Some((_, after))) => after(&request, forward(&client, &upstream, &request).await),
                };
                match fault {
                    None => pass().await.into(),
                    Some(HttpFault::Status(status)) => injected(status).into(),
                    Some(HttpFault::RetryAfter(status, seconds)) => {
                        injected(status).with_header("retry-after", &seconds.to_string()).into()
                    }
                    Some(HttpFault::LostRequest) => Answer::Close,
                    Some(HttpFault::LostReply) => {
                        pass().await;
                        Answer::Close
                    }
                    Some(HttpFault::StatusAfter(status)) => {
                        pass().await;
                        injected(status).into()
                    }
                    Some(HttpFault::Delay(time)) => {
                        tokio::time::sleep(time).await;
                        pass().await.into()
                    }
                    Some(HttpFault::Answer(canned)) => {
                        let reply = Reply { body: canned.body.into(), ..Reply::status(canned.status) };
                        let headers = canned.headers.iter();
                        headers.fold(reply, |reply, (name, value)| reply.with_header(name, value)).into()
                    }
                }
            }
        })
        .await;
        Self { server, state }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// Makes requests go wrong.
    pub fn inject(&self, rule: Rule) {
        lock(&self.state).rules.push(rule);
    }

    /// The faults that requests met so far.
    pub fn met(&self) -> Vec<HttpFault> {
        lock(&self.state).met.clone()
    }

    /// Ends every token: the next request with one is answered with 401.
    pub fn revoke_tokens(&self) {
        if let Some(tokens) = &mut lock(&self.state).tokens {
            tokens.good.clear();
        }
    }

    /// How many tokens were given out.
    pub fn issued_tokens(&self) -> usize {
        lock(&self.state).tokens.as_ref().map_or(0, |tokens| tokens.issued)
    }

    /// Every request so far, in the order they came.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// How many requests came so far with this method and a path that contains `path`.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.server.count(method, path)
    }
}

async fn forward(client: &reqwest::Client, upstream: &str, request: &Request) -> Reply {
    let method = request.method.parse().expect("a method that came is one");
    let mut onward =
        client.request(method, format!("{upstream}{}", request.target)).body(request.body.clone());
    // The host stays: it is part of what is signed.
    for (name, value) in &request.headers {
        if !["connection", "content-length", "transfer-encoding"].contains(&name.as_str()) {
            onward = onward.header(name, value);
        }
    }
    let reply = match onward.send().await {
        Ok(reply) => reply,
        Err(e) => panic!("the server behind the proxy does not answer: {e}"),
    };
    let status = reply.status().as_u16();
    // The length of what HEAD does not send tells the length of a file.
    let dropped: &[&str] = match request.method.as_str() {
        "HEAD" => &["connection", "transfer-encoding"],
        _ => &["connection", "content-length", "transfer-encoding"],
    };
    let kept = |name: &str| !dropped.contains(&name);
    let headers = reply
        .headers()
        .iter()
        .filter(|(name, _)| kept(name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = reply.bytes().await.expect("the server behind the proxy ends its reply");
    Reply { status, headers, body }
}

fn injected(status: u16) -> Reply {
    Reply::iceberg_error(status, "InjectedFault", "made to go wrong by the test's proxy")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
