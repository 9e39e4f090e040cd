//! A real Kubernetes control plane on loopback, in one folder:
//!
//! ```text
//! kubeconfig          for system:masters
//! bin/                etcd, kube-apiserver, kube-controller-manager, kubectl
//! pki/  etcd/         its keys and its store
//! logs/               one file a process, and audit.log with each write that the API server was asked for
//! nodes/<node>/       simulated nodes
//! ```

mod flags;
mod install;
mod store;

pub use install::{AGENT, CONTROLLER, HOST_POLICY, NAMESPACE};
pub use store::Backup;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use tokio::sync::OnceCell;

use crate::audit::Audit;
use crate::certificates::{Certificates, private_file};
use crate::eventually::eventually;
use crate::kubeconfig::{self, Access};
use crate::port::ReservedPort;
use crate::process::{Owned, Spawn, lock, stop_all};
use crate::{Error, Result, binaries};

/// Names the folder of a running control plane that [`ControlPlane::shared`] uses in place of a new
/// one.
pub const SHARED: &str = "HCS_TESTS_CONTROL_PLANE";

/// How long the control plane may take to become ready: 5 s on an idle machine.
const READY: Duration = Duration::from_mins(2);

/// A running control plane. The one that [`ControlPlane::start`] gave stops when dropped.
#[derive(Debug)]
pub struct ControlPlane {
    dir: PathBuf,
    access: Access,
    processes: Mutex<Vec<Owned>>,
    _port: Option<ReservedPort>,
    /// Where etcd's sockets are, if the folder's own path is too long for them.
    sockets: Option<tempfile::TempDir>,
}

impl ControlPlane {
    /// The control plane that all scenarios of this process share, with the project installed on it: started by the
    /// first that asks, or the one whose folder [`SHARED`] names. It ends with the process.
    pub async fn shared() -> Result<Arc<Self>> {
        static CONTROL_PLANE: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
        let start = || async {
            if let Some(dir) = std::env::var_os(SHARED) {
                return Ok::<_, Error>(Arc::new(Self::attach(Path::new(&dir))?));
            }
            let control_plane = Self::start(&fresh_run_folder()?).await?;
            control_plane.install().await?;
            Ok(Arc::new(control_plane))
        };
        CONTROL_PLANE.get_or_try_init(start).await.cloned()
    }

    /// Starts a new one in `dir`, and returns when the API server is ready. What an earlier one left
    /// in `dir` is removed, except simulated nodes. The store is as an API server leaves it that has started on an empty
    /// one.
    pub async fn start(dir: &Path) -> Result<Self> {
        let store = store::begun().await?;
        Self::start_on(dir, Some(&store)).await
    }

    /// As [`ControlPlane::start`], with a copy of this store, or an empty one.
    async fn start_on(dir: &Path, store: Option<&Path>) -> Result<Self> {
        let dir = std::path::absolute(dir).map_err(|source| Error::file("find", dir, source))?;
        let sockets = prepare(&dir)?;
        if let Some(store) = store {
            store::copy(store, &store::of(&dir))?;
        }
        let certificates = Certificates::make(&dir.join("pki"))?;
        let port = ReservedPort::reserve()
            .map_err(|source| Error::file("reserve a port for", &dir, source))?;
        let access = Access {
            server: format!("https://127.0.0.1:{}", port.number()),
            authority: fs::read(&certificates.authority)
                .map_err(|source| Error::file("read", &certificates.authority, source))?,
            token: random_token()?,
            namespace: "default".to_owned(),
        };
        write_configuration(&dir, &access)?;
        let control_plane = Self {
            dir,
            access,
            processes: Mutex::default(),
            _port: Some(port),
            sockets,
        };
        control_plane.start_store()?;
        control_plane.start_api_server().await?;
        Ok(control_plane)
    }

    /// Uses the one that another process runs in `dir`.
    pub fn attach(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).map_err(|source| Error::file("find", dir, source))?;
        let access = Access::read_kubeconfig(&dir.join("kubeconfig"))?;
        Ok(Self {
            dir,
            access,
            processes: Mutex::default(),
            _port: None,
            sockets: None,
        })
    }

    /// Starts one of its processes.
    fn start_process(&self, name: &str, flags: Vec<String>) -> Result {
        let program = self.dir.join("bin").join(name);
        let process = Spawn::new(name, program, &self.logs())
            .args(flags)
            // Garbage is collected less often, for 110 MB more: a tenth less work in all scenarios on Linux.
            .env("GOGC", "400")
            .start()?;
        lock(&self.processes).push(process);
        Ok(())
    }

    fn start_store(&self) -> Result {
        self.start_process("etcd", flags::etcd(&self.dir, &self.sockets()))
    }

    /// Starts the API server, waits for `/readyz`, then starts the controller manager, which gives
    /// up where it finds no API server.
    async fn start_api_server(&self) -> Result {
        let certificates = Certificates::existing(&self.dir.join("pki"));
        let port = self.access.server.rsplit(':').next().unwrap_or_default();
        let flags = flags::api_server(&self.dir, &self.sockets(), &certificates, port);
        self.start_process("kube-apiserver", flags)?;
        let client = self.client().await?;
        let ready = eventually(READY, "the API server is ready", || async {
            self.all_running()?;
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .unwrap_or_default();
            Ok(client.request_text(request).await)
        });
        ready
            .await
            .map_err(|error| error.with_evidence(&self.log_tails()))?;
        self.start_process(
            "kube-controller-manager",
            flags::controller_manager(&self.dir),
        )
    }

    /// An error if one of its processes has ended.
    pub fn all_running(&self) -> Result {
        for process in lock(&self.processes).iter() {
            if let Some(status) = process.ended() {
                let (name, log) = (process.name().to_owned(), process.log_tail(20));
                return Err(Error::Ended { name, status, log });
            }
        }
        Ok(())
    }

    /// Whether it has an API server now: one that [`ControlPlane::kill_api_server`] took away is still away.
    pub fn has_api_server(&self) -> bool {
        let processes = lock(&self.processes);
        let mut servers = processes
            .iter()
            .filter(|process| process.name() == "kube-apiserver");
        servers.any(|server| server.ended().is_none())
    }

    /// Stops it: the controller manager and the API server first, so that neither complains that
    /// its store has gone.
    pub fn stop(&self) {
        let processes = lock(&self.processes);
        let (store, servers): (Vec<&Owned>, Vec<&Owned>) = processes
            .iter()
            .partition(|process| process.name() == "etcd");
        stop_all(&servers);
        stop_all(&store);
    }

    /// Takes the API server and the controller manager away, as a crash does, until
    /// [`ControlPlane::restart_api_server`]. For scenarios with a control plane of their own.
    pub fn kill_api_server(&self) {
        lock(&self.processes).retain(|process| {
            let stays = process.name() == "etcd";
            if !stays {
                process.kill();
            }
            stays
        });
    }

    /// Starts the API server again, at the same address, and waits until it is ready.
    pub async fn restart_api_server(&self) -> Result {
        self.kill_api_server();
        self.start_api_server().await
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The kubeconfig of system:masters.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The kubectl that was built with it.
    pub fn kubectl(&self) -> PathBuf {
        self.dir.join("bin/kubectl")
    }

    /// The kubectl that was built with it, as system:masters. It remembers what this server has apart from what those
    /// had that used the same port before: `kubectl explain` would believe them.
    pub fn kubectl_command(&self) -> std::process::Command {
        let mut kubectl = std::process::Command::new(self.kubectl());
        kubectl
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.dir.join("cache"));
        kubectl
    }

    /// The folder with a log file for each process.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// How to reach it as system:masters.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// What the API server was asked to write.
    pub fn audit(&self) -> Audit {
        Audit::new(self.logs().join("audit.log"))
    }

    /// A client as system:masters, for the async runtime that this is called in.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(&self.kubeconfig()).await
    }

    /// Its processes' names and ids.
    pub fn processes(&self) -> Vec<(String, u32)> {
        let processes = lock(&self.processes);
        processes
            .iter()
            .map(|process| (process.name().to_owned(), process.pid()))
            .collect()
    }

    /// The folder of etcd's sockets.
    fn sockets(&self) -> PathBuf {
        let elsewhere = self.sockets.as_ref();
        elsewhere.map_or(self.dir.join("etcd"), |folder| folder.path().to_owned())
    }

    fn log_tails(&self) -> String {
        let mut tails = String::new();
        for process in lock(&self.processes).iter() {
            // Writing to a String cannot fail.
            let _ = writeln!(tails, "--- {}\n{}", process.name(), process.log_tail(10));
        }
        tails
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes the folders and links, and a folder for etcd's sockets if `dir`'s own path is too long for
/// the address of one (108 bytes).
fn prepare(dir: &Path) -> Result<Option<tempfile::TempDir>> {
    for old in ["etcd", "pki", "logs", "cache", "cache-of-install"] {
        match fs::remove_dir_all(dir.join(old)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &dir.join(old), error));
            }
            _ => {}
        }
    }
    for folder in ["bin", "etcd", "logs", "nodes"] {
        let folder = dir.join(folder);
        fs::create_dir_all(&folder)
            .map_err(|source| Error::file("create the folder", &folder, source))?;
    }
    for name in binaries::CONTROL_PLANE {
        let link = dir.join("bin").join(name);
        binaries::link(&binaries::control_plane(name)?, &link)
            .map_err(|source| Error::file("link", &link, source))?;
    }
    if dir.as_os_str().len() < 80 {
        return Ok(None);
    }
    tempfile::Builder::new()
        .prefix("hcs-")
        .tempdir()
        .map(Some)
        .map_err(|source| Error::file("create a folder in", &std::env::temp_dir(), source))
}

fn write_configuration(dir: &Path, access: &Access) -> Result {
    access.write_kubeconfig(&dir.join("kubeconfig"))?;
    let token = format!("{},admin,admin,\"system:masters\"\n", access.token);
    private_file(&dir.join("pki/tokens.csv"), token.as_bytes())?;
    private_file(
        &dir.join("pki/audit-policy.yaml"),
        flags::AUDIT_POLICY.as_bytes(),
    )
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 32];
    let device = Path::new("/dev/urandom");
    fs::File::open(device)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|source| Error::file("read", device, source))?;
    Ok(binaries::hexadecimal(&bytes))
}

/// A folder below cargo's target folder for this process' run. Those of earlier runs are removed,
/// but for the last one, whose logs someone may be reading.
fn fresh_run_folder() -> Result<PathBuf> {
    let runs = binaries::target_folder()?.join("scenarios");
    let failed = |source| Error::file("prepare", &runs, source);
    fs::create_dir_all(&runs).map_err(failed)?;
    let mut ended: Vec<(std::time::SystemTime, PathBuf)> = fs::read_dir(&runs)
        .map_err(failed)?
        .filter_map(std::result::Result::ok)
        .filter(|run| {
            let owner = run.file_name().to_str().and_then(|name| name.parse().ok());
            owner.is_some_and(|pid: u32| !crate::process::alive(pid))
        })
        .filter_map(|run| Some((run.metadata().ok()?.modified().ok()?, run.path())))
        .collect();
    for (_, run) in &ended {
        crate::node::end_containers(run)?;
    }
    ended.sort();
    ended.pop();
    for (_, run) in ended {
        fs::remove_dir_all(&run).map_err(|source| Error::file("remove", &run, source))?;
    }
    Ok(runs.join(std::process::id().to_string()))
}
