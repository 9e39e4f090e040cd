//! Stands between one agent and the API server: counts the agent's writes, and catches one of them before the API server
//! gets it or before the agent hears that it has; shows the agent a perturbed view of the objects; or is no good.
//!
//! HTTP/1.1 without TLS on loopback towards the agent, TLS towards the API server; the agent's token goes through.

mod view;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::{Client, Config};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::kubeconfig::Access;
use crate::process::lock;
use crate::{Error, Result};

pub use view::{Perturbation, View};

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// How the API server treats all requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it is.
    #[default]
    Honest,
    /// It takes them and answers none, nor those under way, for as long as it is so.
    Silent,
    /// It answers with this HTTP status, and to try again in a second.
    Refusing(u16),
    /// It gets them so much later.
    Slow(Duration),
}

/// On which side of a write the agent's request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The API server never gets it.
    Before,
    /// The API server has done it, and the agent never hears of that.
    After,
}

#[derive(Debug, Default)]
struct Writes {
    seen: Vec<String>,
    /// The write with this label, so many of its kind after the first, is caught.
    trap: Option<(String, usize, Side)>,
}

struct Shared {
    client: Client,
    writes: Mutex<Writes>,
    sprung: watch::Sender<bool>,
    mood: watch::Sender<Mood>,
    /// Requests since the mood changed.
    asked: AtomicUsize,
    /// Whose token requests carry, if not the one that they come with.
    token: Mutex<Option<String>>,
    view: View,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("server", &self.access.server)
            .finish_non_exhaustive()
    }
}

/// A proxy; it ends when dropped.
pub struct Proxy {
    access: Access,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts one in front of the API server that `access` reaches.
    pub async fn start(access: &Access) -> Result<Self> {
        let failed = |source| Error::Start {
            what: "a proxy of the API server".into(),
            source,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            client: upstream(access).await?,
            writes: Mutex::default(),
            sprung: watch::Sender::new(false),
            mood: watch::Sender::default(),
            asked: AtomicUsize::new(0),
            token: Mutex::default(),
            view: View::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        let access = Access {
            server: format!("http://{address}"),
            ..access.clone()
        };
        Ok(Self {
            access,
            shared,
            task,
        })
    }

    /// How to reach the API server through it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The writes so far: method and resource.
    pub fn writes(&self) -> Vec<String> {
        lock(&self.shared.writes).seen.clone()
    }

    /// Catches a write: the one with this label that comes after so many others of the same.
    pub fn catch(&self, label: &str, after: usize, side: Side) {
        lock(&self.shared.writes).trap = Some((label.to_owned(), after, side));
    }

    /// How requests are treated from now on.
    pub fn is(&self, mood: Mood) {
        self.shared.asked.store(0, Ordering::Relaxed);
        self.shared.mood.send_replace(mood);
    }

    /// The agent has another token from now on, as one whose token is renewed.
    pub fn renews_token(&self, access: &Access) {
        *lock(&self.shared.token) = Some(access.token.clone());
    }

    /// How many requests came since the mood changed.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// What it shows of the objects.
    pub fn view(&self) -> &View {
        &self.shared.view
    }

    /// Whether the write was caught.
    pub fn has_caught(&self) -> bool {
        *self.shared.sprung.borrow()
    }
}

/// A client without an identity of its own.
async fn upstream(access: &Access) -> Result<Client> {
    let folder = tempfile::tempdir().map_err(|source| Error::Start {
        what: "a proxy of the API server".into(),
        source,
    })?;
    let file = folder.path().join("kubeconfig");
    let nobody = Access {
        token: String::new(),
        ..access.clone()
    };
    nobody.write_kubeconfig(&file)?;
    let failed = |source| Error::Kubeconfig {
        path: file.clone(),
        source,
    };
    let kubeconfig = kube::config::Kubeconfig::read_from(&file).map_err(failed)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .map_err(failed)?;
    config.auth_info = kube::config::AuthInfo::default();
    config.read_timeout = None;
    config.default_retry = false;
    Client::try_from(config).map_err(Error::api("make a client of the API server"))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, so that no connection outlives the proxy.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // An agent that is killed breaks its connections.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let body = body.collect().await;
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        return refusal(StatusCode::BAD_GATEWAY);
    };
    speaks(shared.mood.subscribe()).await;
    let mood = *shared.mood.borrow();
    match mood {
        Mood::Honest | Mood::Silent => {}
        Mood::Refusing(code) => {
            return refusal(StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY));
        }
        Mood::Slow(late) => tokio::time::sleep(late).await,
    }
    let answer = pass_on(head, body, shared).await;
    speaks(shared.mood.subscribe()).await;
    answer
}

/// Waits for as long as the API server is silent.
async fn speaks(mut mood: watch::Receiver<Mood>) {
    // Its guard is not held over an await.
    drop(mood.wait_for(|mood| *mood != Mood::Silent).await);
}

async fn pass_on(head: http::request::Parts, body: Bytes, shared: &Shared) -> Answer {
    let label = label(&head);
    let (number, caught) = label
        .as_ref()
        .map_or((None, None), |label| note(shared, label));
    if caught == Some(Side::Before) {
        shared.sprung.send_replace(true);
        std::future::pending::<()>().await;
    }
    let looks = head.method == Method::GET && head.uri.path().ends_with("/hcscontainers");
    let query = head.uri.query().unwrap_or_default();
    let watches = looks && query.contains("watch=true");
    if looks && let Some(instead) = shared.view.instead(watches) {
        return instead;
    }
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = head.method;
    // The client puts its own base address before it.
    let path = head
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    *request.headers_mut() = head.headers;
    request.headers_mut().remove(http::header::HOST);
    request.headers_mut().remove(http::header::CONTENT_LENGTH);
    request.headers_mut().remove(http::header::ACCEPT_ENCODING);
    let token = lock(&shared.token).clone();
    let token = token.and_then(|token| format!("Bearer {token}").parse().ok());
    if let Some(token) = token {
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, token);
    }
    let Ok(response) = shared.client.send(request).await else {
        return refusal(StatusCode::BAD_GATEWAY);
    };
    if caught == Some(Side::After) {
        // All of the answer is there, so the API server has done it.
        let _ = response.into_body().collect().await;
        shared.sprung.send_replace(true);
        return std::future::pending().await;
    }
    if let Some(number) = number {
        tokio::time::sleep(shared.view.holds_back(number)).await;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(http::header::TRANSFER_ENCODING);
    let body = if watches {
        while_it_speaks(shared.view.watched(body), shared.mood.subscribe())
    } else if looks {
        return shared.view.listed(head, body).await;
    } else {
        body.map_err(std::io::Error::other).boxed_unsync()
    };
    Response::from_parts(head, body)
}

/// A stream that stands still while the API server is silent.
fn while_it_speaks(
    body: UnsyncBoxBody<Bytes, std::io::Error>,
    mood: watch::Receiver<Mood>,
) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let frames = futures::stream::unfold((body, mood), |(mut body, mood)| async move {
        let frame = body.frame().await?;
        speaks(mood.clone()).await;
        Some((frame, (body, mood)))
    });
    StreamBody::new(frames.boxed()).boxed_unsync()
}

/// Counts a write; how many there were before it, and on which side of it the agent is caught, if it is the one.
fn note(shared: &Shared, label: &str) -> (Option<usize>, Option<Side>) {
    let mut writes = lock(&shared.writes);
    let number = writes.seen.len();
    let before = writes.seen.iter().filter(|seen| *seen == label).count();
    writes.seen.push(label.to_owned());
    let trap = writes.trap.as_ref();
    let caught = trap.filter(|(trapped, after, _)| trapped == label && *after == before);
    (Some(number), caught.map(|(_, _, side)| *side))
}

/// What is written: `PATCH hcscontainers/status`, `POST events`. None where nothing of an object's lifecycle is.
fn label(head: &http::request::Parts) -> Option<String> {
    if head.method == Method::GET {
        return None;
    }
    let path: Vec<&str> = head.uri.path().split('/').collect();
    let resource = ["hcscontainers", "events"];
    let at = path.iter().position(|part| resource.contains(part))?;
    let sub = path
        .get(at + 2)
        .map_or(String::new(), |sub| format!("/{sub}"));
    Some(format!("{} {}{sub}", head.method, path.get(at)?))
}

fn refusal(code: StatusCode) -> Answer {
    let reason = match code.as_u16() {
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": "so says the proxy",
    });
    let body = Full::from(status.to_string()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = code;
    for (name, value) in [("content-type", "application/json"), ("retry-after", "1")] {
        let value = http::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
