//! Kubeconfig files: how kubectl, agents and the harness itself reach a control plane.

use std::fs;
use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use crate::certificates::private_file;
use crate::{Error, Result};

/// How to reach an API server.
#[derive(Debug, Clone)]
pub struct Access {
    /// Its address: `https://127.0.0.1:6443`.
    pub server: String,
    /// The certificate authority that signed its certificate, PEM.
    pub authority: Vec<u8>,
    /// The bearer token.
    pub token: String,
    /// The namespace that kubectl uses when none is named.
    pub namespace: String,
}

impl Access {
    /// Writes a kubeconfig that only its owner can read.
    pub fn write_kubeconfig(&self, path: &Path) -> Result {
        use base64::Engine;
        let authority = base64::engine::general_purpose::STANDARD.encode(&self.authority);
        let name = "hcs-operator-test";
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": name,
                "cluster": {"server": self.server, "certificate-authority-data": authority},
            }],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{
                "name": name,
                "context": {"cluster": name, "user": name, "namespace": self.namespace},
            }],
            "current-context": name,
        });
        let text = serde_yaml_ng::to_string(&config).map_err(|source| Error::Yaml {
            path: path.to_owned(),
            source,
        })?;
        private_file(path, text.as_bytes())
    }

    /// Reads back what [`Access::write_kubeconfig`] wrote.
    pub fn read_kubeconfig(path: &Path) -> Result<Self> {
        use base64::Engine;
        let text = fs::read_to_string(path).map_err(|source| Error::file("read", path, source))?;
        let config: serde_json::Value =
            serde_yaml_ng::from_str(&text).map_err(|source| Error::Yaml {
                path: path.to_owned(),
                source,
            })?;
        let text = |pointer: &str| {
            config
                .pointer(pointer)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let authority = text("/clusters/0/cluster/certificate-authority-data");
        let authority = base64::engine::general_purpose::STANDARD.decode(authority);
        Ok(Self {
            server: text("/clusters/0/cluster/server"),
            authority: authority.unwrap_or_default(),
            token: text("/users/0/user/token"),
            namespace: text("/contexts/0/context/namespace"),
        })
    }
}

/// A client by a kubeconfig. It belongs to the async runtime that it is made in: each test makes its own.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let failed = |source| Error::Kubeconfig {
        path: kubeconfig.to_owned(),
        source,
    };
    let file = Kubeconfig::read_from(kubeconfig).map_err(failed)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(failed)?;
    Client::try_from(config).map_err(Error::api("make a client of the API server"))
}
