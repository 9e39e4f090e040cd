//! One request as a service account makes it, and who refused it: RBAC or an admission policy. Nothing is stored: the
//! writes are dry runs, which pass both.

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::{Value, json};

/// A verb of RBAC, in the order of the tables' columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub const ALL: [Self; 8] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
    ];

    /// The column's heading.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether it is about all objects of a kind, which a subresource does not have.
    pub fn is_of_collection(self) -> bool {
        matches!(self, Self::List | Self::Watch | Self::DeleteCollection)
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would be done.
    Allowed,
    /// RBAC refused it.
    Rbac,
    /// An admission policy of ours refused it.
    Policy,
}

impl Answer {
    /// As the tables have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "**yes**",
            Self::Rbac => "no",
            Self::Policy => "policy",
        }
    }
}

/// Something to ask for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Path of the collection: `/api/v1/namespaces/x/secrets`.
    pub collection: String,
    /// The object's name.
    pub name: String,
    /// The subresource, or nothing.
    pub subresource: String,
    /// What is sent to create or replace it.
    pub object: Value,
    /// A merge patch of it.
    pub patch: Value,
}

impl Target {
    fn request(&self, verb: Verb) -> (Method, String, Option<Value>) {
        let sub = match self.subresource.as_str() {
            "" => String::new(),
            sub => format!("/{sub}"),
        };
        let one = format!("{}/{}{sub}", self.collection, self.name);
        // A subresource is made by a POST to its object.
        let many = if sub.is_empty() {
            &self.collection
        } else {
            &one
        };
        let dry = |path: &str| format!("{path}?dryRun=All");
        match verb {
            Verb::Get => (Method::GET, one, None),
            Verb::List => (Method::GET, many.clone(), None),
            Verb::Watch => {
                let path = format!("{many}?watch=true&timeoutSeconds=1");
                (Method::GET, path, None)
            }
            Verb::Create => (Method::POST, dry(many), Some(self.object.clone())),
            Verb::Update => (Method::PUT, dry(&one), Some(self.object.clone())),
            Verb::Patch => (Method::PATCH, dry(&one), Some(self.patch.clone())),
            Verb::Delete => (Method::DELETE, dry(&one), None),
            Verb::DeleteCollection => (Method::DELETE, dry(many), None),
        }
    }
}

/// The HTTP status and the message of a request. Of a watch that is let through, nothing is read.
pub async fn send(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, String) {
    let content = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let bytes = body
        .map(|body| body.to_string().into_bytes())
        .unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content)
        .body(bytes.into())
        .unwrap();
    let response = client.send(request).await.unwrap();
    let status = response.status();
    if status.is_success() {
        return (status, String::new());
    }
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let said: Value = serde_json::from_slice(&text).unwrap_or_else(|_| json!({}));
    let message = said["message"].as_str().map_or_else(
        || String::from_utf8_lossy(&text).into_owned(),
        str::to_owned,
    );
    (status, message)
}

/// What becomes of `verb` on `target` for this client. An answer that is neither yes nor no is an error of the test.
pub async fn ask(client: &Client, verb: Verb, target: &Target) -> Result<Answer, String> {
    let (method, path, body) = target.request(verb);
    let (status, message) = send(client, method, &path, body).await;
    // What is made is there already: the storage says so, behind RBAC and admission.
    let there_already = verb == Verb::Create && status == StatusCode::CONFLICT;
    if status.is_success() || there_already {
        Ok(Answer::Allowed)
    } else if status != StatusCode::FORBIDDEN {
        Err(format!("{verb:?} {path}: {status} {message}"))
    } else if message.contains("ValidatingAdmissionPolicy 'hcs-operator-") {
        Ok(Answer::Policy)
    } else {
        Ok(Answer::Rbac)
    }
}
