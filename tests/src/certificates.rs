//! The control plane's keys and certificates: made anew for each, so that nothing but its own kubeconfig opens it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::{Error, Result};

/// PEM files in one folder.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The certificate authority that clients are told to trust.
    pub authority: PathBuf,
    /// The API server's certificate, for 127.0.0.1 and localhost.
    pub server: PathBuf,
    /// The API server's key.
    pub server_key: PathBuf,
    /// The key that service account tokens are signed with.
    pub service_accounts: PathBuf,
    /// The key that they are checked with.
    pub service_accounts_public: PathBuf,
}

impl Certificates {
    /// Those that [`Certificates::make`] made in `dir` before.
    pub fn existing(dir: &Path) -> Self {
        Self {
            authority: dir.join("ca.crt"),
            server: dir.join("server.crt"),
            server_key: dir.join("server.key"),
            service_accounts: dir.join("service-accounts.key"),
            service_accounts_public: dir.join("service-accounts.pub"),
        }
    }

    /// Makes all of them in `dir`, which is created.
    pub fn make(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|source| Error::file("create the folder", dir, source))?;
        let authority_key = KeyPair::generate()?;
        let authority = authority()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);
        let server_key = KeyPair::generate()?;
        let server_pem = server()?.signed_by(&server_key, &issuer)?.pem();
        let service_accounts = KeyPair::generate()?;
        let made = Self::existing(dir);
        private_file(&made.authority, authority_pem.as_bytes())?;
        private_file(&made.server, server_pem.as_bytes())?;
        private_file(&made.server_key, server_key.serialize_pem().as_bytes())?;
        private_file(
            &made.service_accounts,
            service_accounts.serialize_pem().as_bytes(),
        )?;
        let public = service_accounts.public_key_pem();
        private_file(&made.service_accounts_public, public.as_bytes())?;
        Ok(made)
    }
}

fn authority() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("control plane of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(params)
}

fn server() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.distinguished_name = named("kube-apiserver");
    params
        .subject_alt_names
        .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Writes a file that only its owner can read.
pub(crate) fn private_file(path: &Path, content: &[u8]) -> Result {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(content)
    };
    write().map_err(|source| Error::file("write", path, source))
}
