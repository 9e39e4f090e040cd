//! Hands the pod's token and certificate authority over to the service, and again whenever the
//! kubelet has renewed them. The agent's client reads the token's file anew each minute.

use std::fs;
use std::io;
use std::path::Path;

use crate::agent::write_whole;
use crate::in_cluster::InCluster;

/// The kubeconfig in the service's folder.
pub const KUBECONFIG: &str = "kubeconfig";

/// Copies what has changed, each file whole. Returns whether the service must start anew for it,
/// as for anything but the token.
pub fn hand_over(pod: &InCluster, folder: &Path) -> io::Result<bool> {
    copy(&fs::read(pod.folder.join("token"))?, &folder.join("token"))?;
    let authority = copy(
        &fs::read(pod.folder.join("ca.crt"))?,
        &folder.join("ca.crt"),
    )?;
    let kubeconfig = InCluster::kubeconfig(&pod.server, folder).to_string();
    let config = copy(kubeconfig.as_bytes(), &folder.join(KUBECONFIG))?;
    Ok(authority || config)
}

fn copy(bytes: &[u8], to: &Path) -> io::Result<bool> {
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    write_whole(to, bytes)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_token_needs_no_new_start() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("pod"), dir.path().join("service"));
        fs::create_dir(&from).unwrap();
        let pod = |server: &str| InCluster {
            server: server.into(),
            folder: from.clone(),
        };
        fs::write(from.join("token"), "t1").unwrap();
        fs::write(from.join("ca.crt"), "c1").unwrap();
        assert!(hand_over(&pod("https://a"), &to).unwrap());
        assert!(!hand_over(&pod("https://a"), &to).unwrap());
        fs::write(from.join("token"), "t2").unwrap();
        assert!(!hand_over(&pod("https://a"), &to).unwrap());
        assert_eq!(fs::read_to_string(to.join("token")).unwrap(), "t2");
        fs::write(from.join("ca.crt"), "c2").unwrap();
        assert!(hand_over(&pod("https://a"), &to).unwrap());
        assert!(hand_over(&pod("https://b"), &to).unwrap());
        assert!(
            fs::read_to_string(to.join(KUBECONFIG))
                .unwrap()
                .contains("https://b")
        );
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
