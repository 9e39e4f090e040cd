//! Two candidates, one Lease: at most one leads at any time, whatever becomes of their connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower_test::mock;

use super::*;

/// An API server that has one Lease, or none.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<(Option<Value>, u64)>>);

impl Server {
    /// A client whose requests arrive while `connected`; others are never answered.
    fn client(&self, connected: Arc<AtomicBool>) -> Client {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let server = self.clone();
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Some((request, send)) = handle.next_request().await {
                if !connected.load(Ordering::SeqCst) {
                    unanswered.push(send);
                    continue;
                }
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap_or_default();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                send.send_response(server.answer(&head.method, body));
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, mut body: Value) -> Response<Body> {
        let mut inner = self.0.lock().unwrap();
        let version = inner
            .0
            .as_ref()
            .map(|lease| lease["metadata"]["resourceVersion"].clone());
        let code = match (method, &version) {
            (&Method::GET, Some(_)) => return respond(StatusCode::OK, inner.0.as_ref().unwrap()),
            (&Method::POST, None) => StatusCode::CREATED,
            (&Method::PUT, Some(version)) if body["metadata"]["resourceVersion"] == *version => {
                StatusCode::OK
            }
            (&Method::GET | &Method::PUT, None) => return refuse(StatusCode::NOT_FOUND),
            _ => return refuse(StatusCode::CONFLICT),
        };
        inner.1 += 1;
        body["metadata"]["resourceVersion"] = inner.1.to_string().into();
        inner.0 = Some(body.clone());
        respond(code, &body)
    }
}

fn respond(code: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = code;
    response
}

fn refuse(code: StatusCode) -> Response<Body> {
    let reason = if code == StatusCode::NOT_FOUND {
        "NotFound"
    } else {
        "Conflict"
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "message": reason, "reason": reason});
    respond(code, &status)
}

/// A controller whose work is to be the only one that works.
struct Replica {
    elector: Arc<Elector>,
    connected: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// How many work, and how many terms there were.
#[derive(Clone, Default)]
struct Account {
    working: Arc<AtomicU32>,
    terms: Arc<AtomicU32>,
}

struct Working(Account);

impl Working {
    fn begin(account: Account) -> Self {
        let others = account.working.fetch_add(1, Ordering::SeqCst);
        assert_eq!(others, 0, "two lead");
        account.terms.fetch_add(1, Ordering::SeqCst);
        Self(account)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
    }
}

fn replica(server: &Server, name: &str, account: &Account) -> Replica {
    let connected = Arc::new(AtomicBool::new(true));
    let election = Election {
        namespace: "operator".into(),
        name: name.into(),
        duration: Duration::from_secs(15),
    };
    let client = server.client(Arc::clone(&connected));
    let elector = Arc::new(Elector::new(client, election));
    let (leader, account) = (Arc::clone(&elector), account.clone());
    let task = tokio::spawn(async move {
        loop {
            leader.elected().await;
            let work = async {
                let _working = Working::begin(account.clone());
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = work => {}
                () = leader.deposed() => {}
            }
        }
    });
    Replica {
        elector,
        connected,
        task,
    }
}

impl Replica {
    fn connect(&self, connected: bool) {
        self.connected.store(connected, Ordering::SeqCst);
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_leads_for_as_long_as_it_renews() {
    let (server, account) = (Server::default(), Account::default());
    let replicas = ["a", "b"].map(|name| replica(&server, name, &account));
    pass(1000).await;
    assert_eq!(account.working.load(Ordering::SeqCst), 1);
    assert_eq!(account.terms.load(Ordering::SeqCst), 1);
    assert!(replicas.iter().all(|replica| !replica.task.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_connection_has_stopped_before_the_other_begins() {
    let (server, account) = (Server::default(), Account::default());
    let [a, b] = ["a", "b"].map(|name| replica(&server, name, &account));
    pass(1).await;
    for (away, round) in [(&a, 1), (&b, 2), (&a, 3), (&b, 4)] {
        away.connect(false);
        // `Working::begin` fails the task if both work at once.
        pass(60).await;
        away.connect(true);
        pass(1).await;
        assert_eq!(account.working.load(Ordering::SeqCst), 1, "round {round}");
    }
    assert!(account.terms.load(Ordering::SeqCst) >= 4);
    assert!(!a.task.is_finished() && !b.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn without_connection_nobody_leads_and_afterwards_one_does() {
    let (server, account) = (Server::default(), Account::default());
    let both = ["a", "b"].map(|name| replica(&server, name, &account));
    pass(1).await;
    for replica in &both {
        replica.connect(false);
    }
    pass(11).await;
    assert_eq!(account.working.load(Ordering::SeqCst), 0);
    for replica in &both {
        replica.connect(true);
    }
    pass(60).await;
    assert_eq!(account.working.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_followed_once_its_lease_has_run_out_and_one_that_resigns_at_once() {
    let (server, account) = (Server::default(), Account::default());
    let a = replica(&server, "a", &account);
    pass(1).await;
    let b = replica(&server, "b", &account);
    pass(30).await;
    a.task.abort();
    pass(10).await;
    assert_eq!(account.working.load(Ordering::SeqCst), 0);
    pass(10).await;
    assert_eq!(account.working.load(Ordering::SeqCst), 1);
    let c = replica(&server, "c", &account);
    pass(30).await;
    b.task.abort();
    b.elector.resign().await;
    pass(3).await;
    assert_eq!(account.working.load(Ordering::SeqCst), 1);
    assert!(!c.task.is_finished());
}
