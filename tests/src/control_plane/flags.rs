//! How each process of the control plane is started.

use std::path::Path;

use crate::certificates::Certificates;

/// This file: what a store holds depends on it.
pub const SOURCE: &str = include_str!("flags.rs");

/// Writes only, and of each only who wrote what: that is what scenarios count. Leases are left out,
/// for the control plane's own are of no interest.
pub const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: None
    resources: [{group: coordination.k8s.io}]
  - level: Metadata
";

/// The controllers that scenarios depend on: namespaces and garbage must go, service accounts and
/// the certificate authority's ConfigMap must be there, admission policies must be type-checked.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,\
    serviceaccount-controller,root-ca-certificate-publisher-controller,\
    clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller,\
    daemonset-controller,deployment-controller,replicaset-controller";

fn etcd_socket(sockets: &Path) -> String {
    format!("unix://{}", sockets.join("client.sock").display())
}

/// etcd on Unix sockets in a private folder: over TCP without certificates any user of the machine
/// could write to it.
pub fn etcd(dir: &Path, sockets: &Path) -> Vec<String> {
    let client = etcd_socket(sockets);
    let peer = format!("unix://{}", sockets.join("peer.sock").display());
    vec![
        "--name=default".to_owned(),
        format!("--data-dir={}", dir.join("etcd/data").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

/// The API server, on a port that the harness has reserved for it.
pub fn api_server(
    dir: &Path,
    sockets: &Path,
    certificates: &Certificates,
    port: &str,
) -> Vec<String> {
    let pki = dir.join("pki");
    let issuer = "https://kubernetes.default.svc.cluster.local";
    vec![
        format!("--etcd-servers={}", etcd_socket(sockets)),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        "--permit-port-sharing=true".to_owned(),
        format!("--cert-dir={}", pki.display()),
        format!("--tls-cert-file={}", certificates.server.display()),
        format!(
            "--tls-private-key-file={}",
            certificates.server_key.display()
        ),
        format!("--token-auth-file={}", pki.join("tokens.csv").display()),
        "--authorization-mode=Node,RBAC".to_owned(),
        // As every distribution has it: HostProcess containers count as privileged.
        "--allow-privileged=true".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--service-account-issuer={issuer}"),
        format!(
            "--service-account-key-file={}",
            certificates.service_accounts_public.display()
        ),
        format!(
            "--service-account-signing-key-file={}",
            certificates.service_accounts.display()
        ),
        format!(
            "--audit-policy-file={}",
            pki.join("audit-policy.yaml").display()
        ),
        format!("--audit-log-path={}", dir.join("logs/audit.log").display()),
        "--audit-log-maxsize=1000".to_owned(),
        // An answered write is in the file: a scenario can count right after it has seen its effect.
        "--audit-log-mode=blocking".to_owned(),
    ]
}

/// The controller manager, without a port of its own.
pub fn controller_manager(dir: &Path) -> Vec<String> {
    let pki = dir.join("pki");
    vec![
        format!("--kubeconfig={}", dir.join("kubeconfig").display()),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        format!("--root-ca-file={}", pki.join("ca.crt").display()),
        format!(
            "--service-account-private-key-file={}",
            pki.join("service-accounts.key").display()
        ),
    ]
}
