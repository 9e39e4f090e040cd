//! The API server as a pod on Windows finds it. kube's own way knows `/var/run/secrets` alone.
//!
//! In a HostProcess pod, containerd 1.7 and later mounts volumes where the pod says, on drive C;
//! 1.6 has them below a folder that `CONTAINER_SANDBOX_MOUNT_POINT` names, and nothing on drive C.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

/// Where a pod's service account lies, below the root of its volumes.
const SERVICE_ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";

/// Names the folder that a pod's volumes lie below with containerd 1.6.
const SANDBOX: &str = "CONTAINER_SANDBOX_MOUNT_POINT";

/// A file of a volume, where it really is: below the sandbox, if it is there.
#[cfg(windows)]
pub fn volume_file(path: &Path) -> PathBuf {
    let sandbox = std::env::var_os(SANDBOX).map(PathBuf::from);
    let below = sandbox.map(|root| below(root, path));
    below
        .filter(|file| file.is_file())
        .unwrap_or_else(|| path.to_owned())
}

/// The same path below another root than its drive's.
fn below(root: PathBuf, path: &Path) -> PathBuf {
    let names = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    names.fold(root, |path, name| path.join(name))
}

/// What a pod knows of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InCluster {
    /// Its address: `https://10.0.0.1:443`.
    pub server: String,
    /// The folder with `token` and `ca.crt`, which the kubelet renews.
    pub folder: PathBuf,
}

impl InCluster {
    #[cfg(windows)]
    /// Of this process; none outside a pod.
    pub fn find() -> Option<Self> {
        Self::of(|name| std::env::var_os(name), &|path| path.is_file())
    }

    fn of(
        variable: impl Fn(&str) -> Option<OsString>,
        is_file: &dyn Fn(&Path) -> bool,
    ) -> Option<Self> {
        let text = |name| {
            variable(name)?
                .into_string()
                .ok()
                .filter(|text| !text.is_empty())
        };
        let host = text("KUBERNETES_SERVICE_HOST")?;
        let port = text("KUBERNETES_SERVICE_PORT")?;
        // On 1.6, anybody may have made a folder of this name on the node's drive C. So the
        // sandbox comes first: it is the pod's own.
        let sandbox = variable(SANDBOX).filter(|path| !path.is_empty());
        let roots = sandbox
            .map(PathBuf::from)
            .into_iter()
            .chain([r"C:\".into()]);
        let mut folders = roots.map(|root| below(root, Path::new(SERVICE_ACCOUNT)));
        let folder = folders.find(|folder| is_file(&folder.join("token")))?;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        Some(Self {
            server: format!("https://{host}:{port}"),
            folder,
        })
    }

    /// A kubeconfig that reads the token of `folder` anew when it is renewed.
    pub fn kubeconfig(server: &str, folder: &Path) -> Value {
        let name = "hcs-operator";
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {
                "server": server,
                "certificate-authority": folder.join("ca.crt"),
            }}],
            "users": [{"name": name, "user": {"tokenFile": folder.join("token")}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], token_in: &str) -> Option<InCluster> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        // Both slashes, as tests run on both systems.
        let plain = |path: &Path| path.to_string_lossy().replace('\\', "/");
        InCluster::of(variable, &|path| {
            plain(path) == format!("{token_in}/var/run/secrets/kubernetes.io/serviceaccount/token")
        })
    }

    const HOST: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    const PORT: (&str, &str) = ("KUBERNETES_SERVICE_PORT", "443");
    #[test]
    fn a_volume_lies_below_the_sandbox_without_its_drive() {
        let path = Path::new(if cfg!(windows) {
            r"C:\etc\x\s.yaml"
        } else {
            "/etc/x/s.yaml"
        });
        let found = below("/sandbox".into(), path);
        assert_eq!(found, Path::new("/sandbox").join("etc/x/s.yaml"));
    }

    #[test]
    fn a_pod_of_containerd_1_6_has_its_account_below_the_sandbox() {
        let pod = found(&[HOST, PORT, (SANDBOX, "C:/C/0123")], "C:/C/0123").unwrap();
        assert!(pod.folder.starts_with("C:/C/0123"), "{pod:?}");
        assert_eq!(pod.server, "https://10.0.0.1:443");
    }

    #[test]
    fn a_pod_of_containerd_1_7_has_its_account_on_drive_c() {
        let pod = found(&[HOST, PORT, (SANDBOX, "C:/hpc")], "C:/");
        // On Unix a folder is joined to `C:\` with a slash.
        let pod = pod
            .or_else(|| found(&[HOST, PORT, (SANDBOX, "C:/hpc")], "C:"))
            .unwrap();
        assert!(!pod.folder.starts_with("C:/hpc"), "{pod:?}");
    }

    #[test]
    fn an_ipv6_server_is_in_brackets() {
        let host = ("KUBERNETES_SERVICE_HOST", "fd00::1");
        let pod = found(&[host, PORT, (SANDBOX, "/s")], "/s").unwrap();
        assert_eq!(pod.server, "https://[fd00::1]:443");
    }

    #[test]
    fn outside_a_pod_there_is_none() {
        assert_eq!(found(&[PORT, (SANDBOX, "/s")], "/s"), None);
        assert_eq!(found(&[HOST, PORT], "/s"), None);
    }

    #[test]
    fn the_kubeconfig_names_the_token_file() {
        let config = InCluster::kubeconfig("https://h:1", Path::new("f"));
        let file = config["users"][0]["user"]["tokenFile"].as_str().unwrap();
        assert_eq!(Path::new(file), Path::new("f").join("token"));
        let config: kube::config::Kubeconfig = serde_json::from_value(config).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("hcs-operator"));
    }
}
