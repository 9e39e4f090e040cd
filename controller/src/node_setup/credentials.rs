//! Hands the pod's token and certificate authority over to the service, and again whenever the
//! kubelet has renewed them. The agent's client reads the token's file anew each minute, the others
//! at its start only: that they have changed is kept in a file until the service was started since,
//! so that the next pod knows it too if this one ends in between.

use std::fs;
use std::io;
use std::path::Path;

use crate::agent::write_whole;
use crate::in_cluster::InCluster;

/// The kubeconfig in the service's folder.
pub const KUBECONFIG: &str = "kubeconfig";
/// There while the service has not been started since its authority or kubeconfig changed.
pub const RENEWED: &str = "renewed";

/// Copies what has changed, each file whole. Returns whether the service must start anew for it,
/// as for anything but the token, until [`taken`] says that it was.
pub fn hand_over(pod: &InCluster, folder: &Path) -> io::Result<bool> {
    copy(&fs::read(pod.folder.join("token"))?, &folder.join("token"))?;
    let authority = fs::read(pod.folder.join("ca.crt"))?;
    let kubeconfig = InCluster::kubeconfig(&pod.server, folder).to_string();
    let read_at_start = [
        (authority.as_slice(), folder.join("ca.crt")),
        (kubeconfig.as_bytes(), folder.join(KUBECONFIG)),
    ];
    let marker = folder.join(RENEWED);
    if read_at_start.iter().any(|(bytes, to)| !holds(to, bytes)) {
        // Before any of them: whatever ends this process from here on, the marker tells.
        write_whole(&marker, b"")?;
    }
    for (bytes, to) in read_at_start {
        copy(bytes, &to)?;
    }
    marker.try_exists()
}

/// The service was started since [`hand_over`].
pub fn taken(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(RENEWED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn holds(file: &Path, bytes: &[u8]) -> bool {
    fs::read(file).is_ok_and(|there| there == bytes)
}

fn copy(bytes: &[u8], to: &Path) -> io::Result<()> {
    if holds(to, bytes) {
        return Ok(());
    }
    write_whole(to, bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A pod's folder, the service's, and the pod with this server.
    fn folders(dir: &Path) -> (PathBuf, PathBuf, impl Fn(&str) -> InCluster) {
        let (from, to) = (dir.join("pod"), dir.join("service"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("token"), "t1").unwrap();
        fs::write(from.join("ca.crt"), "c1").unwrap();
        let folder = from.clone();
        let pod = move |server: &str| InCluster {
            server: server.into(),
            folder: folder.clone(),
        };
        (from, to, pod)
    }

    #[test]
    fn only_a_new_token_needs_no_new_start() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to, pod) = folders(dir.path());
        let needs_start = |server: &str| {
            let needs = hand_over(&pod(server), &to).unwrap();
            taken(&to).unwrap();
            needs
        };
        assert!(needs_start("https://a"));
        assert!(!needs_start("https://a"));
        fs::write(from.join("token"), "t2").unwrap();
        assert!(!needs_start("https://a"));
        assert_eq!(fs::read_to_string(to.join("token")).unwrap(), "t2");
        fs::write(from.join("ca.crt"), "c2").unwrap();
        assert!(needs_start("https://a"));
        assert!(needs_start("https://b"));
        let kubeconfig = fs::read_to_string(to.join(KUBECONFIG)).unwrap();
        assert!(kubeconfig.contains("https://b"));
    }

    #[test]
    fn who_hands_over_next_knows_that_the_service_was_not_started_since() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to, pod) = folders(dir.path());
        assert!(hand_over(&pod("https://a"), &to).unwrap());
        assert!(hand_over(&pod("https://a"), &to).unwrap());
        taken(&to).unwrap();
        assert!(!hand_over(&pod("https://a"), &to).unwrap());

        // One that ends amid it: the authority cannot be written here.
        fs::write(from.join("ca.crt"), "c2").unwrap();
        fs::remove_file(to.join("ca.crt")).unwrap();
        fs::create_dir(to.join("ca.crt")).unwrap();
        hand_over(&pod("https://a"), &to).unwrap_err();
        fs::remove_dir(to.join("ca.crt")).unwrap();
        fs::write(to.join("ca.crt"), "c2").unwrap();
        assert!(hand_over(&pod("https://a"), &to).unwrap());
    }

    #[test]
    fn a_token_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let pod = InCluster {
            server: "https://a".into(),
            folder: dir.path().join("none"),
        };
        assert!(hand_over(&pod, dir.path()).is_err());
    }
}
