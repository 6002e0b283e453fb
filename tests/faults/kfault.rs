//! `kfault`: a reverse proxy between an operator and the API server. It passes everything on, and does to the
//! requests that a [`Rule`] picks what a bad day does: a status, a delay, an answer that is lost, cut off or old.
//! Watches can be frozen: they stay open and deliver nothing.
//!
//! It speaks HTTP/1.1 to the operator, by a kubeconfig that [`Kfault::before`] writes, and TLS to the API server.
//! Who the operator is goes through unchanged.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use kube::Client;
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// No object here is larger; the API server's own limit is below it.
const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// What happens to a request that a rule picks.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It is not passed on; the answer is this status.
    Status(u16),
    /// It is not passed on; the answer is 429 with `Retry-After` in seconds.
    TooManyRequests(u32),
    /// It is passed on after this time.
    Delay(Duration),
    /// It is passed on, and the connection ends in the middle of the answer's body.
    CutBody,
    /// It is not passed on; the answer is the last one that this GET had before the rule was made.
    Old,
    /// It is not passed on as long as the rule stands.
    Hold,
}

/// Which requests a fault happens to.
pub struct Rule {
    verb: Method,
    path: String,
    nth: Box<dyn Fn(usize) -> bool + Send + Sync>,
}

impl Rule {
    /// Every request of this method whose path and query contain `path`.
    pub fn on(verb: Method, path: impl Into<String>) -> Self {
        Self {
            verb,
            path: path.into(),
            nth: Box::new(|_| true),
        }
    }

    /// Only those whose number, counted from 0, is picked.
    pub fn nth(mut self, picks: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        self.nth = Box::new(picks);
        self
    }

    fn is_about(&self, verb: &Method, path: &str) -> bool {
        self.verb == *verb && path.contains(&self.path)
    }
}

/// A rule that stands as long as this value lives.
pub struct Standing {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
}

impl Standing {
    /// How many requests the fault happened to.
    pub fn hits(&self) -> usize {
        self.entry.hits.load(Ordering::SeqCst)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        lock(&self.shared.rules).retain(|entry| !Arc::ptr_eq(entry, &self.entry));
        self.entry.lifted.send_replace(true);
    }
}

/// Watches are frozen as long as this value lives.
pub struct Frozen(Arc<Shared>);

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.frozen.send_replace(false);
    }
}

struct Entry {
    rule: Rule,
    fault: Fault,
    matched: AtomicUsize,
    hits: AtomicUsize,
    lifted: watch::Sender<bool>,
}

/// A request that came by.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    pub verb: Method,
    /// Path and query.
    pub path: String,
}

/// The last answer to each GET, by its path without the query and by what was asked for (an object or its metadata
/// alone).
type Answers = HashMap<(String, Option<HeaderValue>), (HeaderMap, Bytes)>;

struct Shared {
    upstream: Client,
    rules: Mutex<Vec<Arc<Entry>>>,
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<Answers>,
    frozen: watch::Sender<bool>,
}

/// A running proxy; it ends with this value.
pub struct Kfault {
    /// Leads through the proxy; the same credentials as in the one that it was made from.
    pub kubeconfig: PathBuf,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Kfault {
    /// A proxy to the API server of `kubeconfig`.
    pub fn before(kubeconfig: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let original = Kubeconfig::read_from(kubeconfig).expect("the harness wrote it");
        let (listener, upstream) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0");
            let listener = listener.await.expect("a free port");
            (listener, upstream(original.clone()).await)
        });
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            upstream,
            rules: Mutex::default(),
            seen: Mutex::default(),
            answers: Mutex::default(),
            frozen: watch::Sender::new(false),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            kubeconfig: write_kubeconfig(kubeconfig, original, &format!("http://{address}")),
            shared,
            _runtime: runtime,
        }
    }

    /// Lets `fault` happen to the requests of `rule`, until the value is dropped.
    pub fn fault(&self, rule: Rule, fault: Fault) -> Standing {
        let entry = Arc::new(Entry {
            rule,
            fault,
            matched: AtomicUsize::new(0),
            hits: AtomicUsize::new(0),
            lifted: watch::Sender::new(false),
        });
        lock(&self.shared.rules).push(Arc::clone(&entry));
        Standing {
            shared: Arc::clone(&self.shared),
            entry,
        }
    }

    /// Holds back what watches deliver, also on those that are open, until the value is dropped.
    pub fn freeze_watches(&self) -> Frozen {
        self.shared.frozen.send_replace(true);
        Frozen(Arc::clone(&self.shared))
    }

    /// The requests so far that `rule` is about.
    pub fn seen(&self, rule: &Rule) -> Vec<Seen> {
        let seen = lock(&self.shared.seen);
        let about = |seen: &&Seen| rule.is_about(&seen.verb, &seen.path);
        seen.iter().filter(about).cloned().collect()
    }
}

/// A client that leaves credentials to those who come through the proxy, and tries nothing again.
async fn upstream(mut kubeconfig: Kubeconfig) -> Client {
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(AuthInfo::default());
    }
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.expect("the harness's kubeconfig is sound");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

fn write_kubeconfig(original: &Path, mut kubeconfig: Kubeconfig, url: &str) -> PathBuf {
    for cluster in &mut kubeconfig.clusters {
        let cluster = cluster.cluster.as_mut().expect("a cluster");
        cluster.server = Some(url.to_owned());
        cluster.certificate_authority = None;
    }
    let name = url.rsplit(':').next().expect("a port");
    let path = original.with_extension(format!("{name}.kubeconfig"));
    let text = serde_json::to_string(&kubeconfig).expect("a kubeconfig is JSON, too");
    fs::write(&path, text).expect("the servers' folder is writable");
    path
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one request.
async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = path_and_query(&parts);
    lock(&shared.seen).push(Seen {
        at: Instant::now(),
        verb: parts.method.clone(),
        path: path.clone(),
    });
    let body = match to_bytes(body, LARGEST_BODY).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match picked(&shared, &parts.method, &path) {
        None => forward(&shared, &parts, body).await,
        Some(entry) => inflict(&shared, &entry, &parts, body).await,
    }
}

fn path_and_query(parts: &Parts) -> String {
    let path = parts.uri.path_and_query();
    path.map(ToString::to_string).unwrap_or_default()
}

/// The first rule that picks this request.
fn picked(shared: &Shared, verb: &Method, path: &str) -> Option<Arc<Entry>> {
    let rules = lock(&shared.rules);
    let mut about = rules.iter().filter(|entry| entry.rule.is_about(verb, path));
    about
        .find(|entry| (entry.rule.nth)(entry.matched.fetch_add(1, Ordering::SeqCst)))
        .cloned()
}

async fn inflict(shared: &Shared, entry: &Entry, parts: &Parts, body: Bytes) -> Response {
    entry.hits.fetch_add(1, Ordering::SeqCst);
    match entry.fault {
        Fault::Status(code) => status(code),
        Fault::TooManyRequests(seconds) => {
            let mut response = status(429);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
            response
        }
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            forward(shared, parts, body).await
        }
        Fault::CutBody => {
            let answer = forward(shared, parts, body).await.into_body();
            let whole = to_bytes(answer, LARGEST_BODY).await.unwrap_or_default();
            cut(whole.slice(..whole.len() / 2))
        }
        Fault::Old => match lock(&shared.answers).get(&key(parts)) {
            Some((headers, body)) => (headers.clone(), body.clone()).into_response(),
            None => status(404),
        },
        Fault::Hold => {
            // An error would say that the rule is gone, too.
            let _ = entry.lifted.subscribe().wait_for(|lifted| *lifted).await;
            forward(shared, parts, body).await
        }
    }
}

/// An answer that begins with `sent`, is announced as longer, and never ends: the connection does.
fn cut(sent: Bytes) -> Response {
    let broken = std::io::Error::other("cut off by kfault");
    let pieces = stream::iter([Ok(sent), Err(broken)]);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, Body::from_stream(pieces)).into_response()
}

/// The API server's form of an error.
fn status(code: u16) -> Response {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let text = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("{reason}, says kfault"),
    });
    let code = StatusCode::from_u16(code).expect("a status");
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (code, kind, text.to_string()).into_response()
}

fn key(parts: &Parts) -> (String, Option<HeaderValue>) {
    let wanted = parts.headers.get(header::ACCEPT).cloned();
    (parts.uri.path().to_owned(), wanted)
}

async fn forward(shared: &Shared, parts: &Parts, body: Bytes) -> Response {
    let mut request = axum::http::Request::new(kube::client::Body::from(body));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = path_and_query(parts).parse().expect("it was one");
    *request.headers_mut() = parts.headers.clone();
    for hop in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH] {
        request.headers_mut().remove(hop);
    }
    let Ok(answer) = shared.upstream.send(request).await else {
        return cut(Bytes::new());
    };
    let (mut head, body) = answer.into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    if parts
        .uri
        .query()
        .is_some_and(|query| query.contains("watch=true"))
    {
        return Response::from_parts(head, held_while_frozen(shared, Body::new(body)));
    }
    let Ok(body) = to_bytes(Body::new(body), LARGEST_BODY).await else {
        return cut(Bytes::new());
    };
    if parts.method == Method::GET && head.status == StatusCode::OK {
        let answer = (head.headers.clone(), body.clone());
        lock(&shared.answers).insert(key(parts), answer);
    }
    Response::from_parts(head, Body::from(body))
}

/// What a watch delivers, as long as watches are not frozen.
fn held_while_frozen(shared: &Shared, body: Body) -> Body {
    let frozen = shared.frozen.subscribe();
    let pieces = body.into_data_stream().then(move |piece| {
        let mut frozen = frozen.clone();
        async move {
            // An error would say that the proxy is gone, too.
            let _ = frozen.wait_for(|frozen| !frozen).await;
            piece
        }
    });
    Body::from_stream(pieces)
}
