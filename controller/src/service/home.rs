//! The service's own folder: `%ProgramData%\hcs-operator\service`.
//!
//! ```text
//! releases\<version>-<hash>\   hcs-operator.exe and settings.yaml, never changed
//! kubeconfig token ca.crt      how the service reaches the API server
//! renewed                      the service was not started since ca.crt or kubeconfig changed
//! rolled-back                  why the last program was not kept
//! setup.lock                   held by the one that sets up
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::ServiceError;
use crate::node_setup::credentials::{KUBECONFIG, RENEWED};
use crate::platform;
use crate::settings::program_data;

/// The folder.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// Made if it is not there; refused if others than administrators can change what is in it.
    pub fn open() -> Result<Self, ServiceError> {
        let home = Self::existing();
        for folder in [program_data(), home.0.clone(), home.releases()] {
            platform::create_private_folder(&folder).map_err(ServiceError::io("make", &folder))?;
            let distrust =
                platform::distrust(&folder).map_err(ServiceError::io("look at", &folder))?;
            if let Some(why) = distrust {
                let remedy = platform::remedy(&folder);
                let path = folder;
                return Err(ServiceError::Unsafe { path, why, remedy });
            }
        }
        Ok(home)
    }

    /// The same without a look at it.
    pub fn existing() -> Self {
        Self(program_data().join("service"))
    }

    /// That of the program that runs as the service, whatever its environment says.
    pub fn of(program: &Path) -> Option<Self> {
        program.ancestors().nth(3).map(|home| Self(home.to_owned()))
    }

    /// Itself.
    pub fn folder(&self) -> &PathBuf {
        &self.0
    }

    /// Where programs and their settings are.
    pub fn releases(&self) -> PathBuf {
        self.0.join("releases")
    }

    /// How the service reaches the API server.
    pub fn kubeconfig(&self) -> PathBuf {
        self.0.join(KUBECONFIG)
    }

    /// Why the last program was not kept; not there if it was.
    pub fn rolled_back(&self) -> PathBuf {
        self.0.join("rolled-back")
    }

    /// Keeps every other that sets up out, on the whole machine, until it is dropped or its
    /// process ends. Waits for one that is at it.
    pub fn lock(&self) -> Result<File, ServiceError> {
        let path = self.0.join("setup.lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(ServiceError::io("open", &path))?;
        // One handle must not lock twice: Windows would let it wait for itself.
        let locked = match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                println!("waiting for another that sets up this node");
                file.lock()
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        locked.map_err(ServiceError::io("lock", &path))?;
        Ok(file)
    }

    /// Removes all of it. A program that runs right now stays, without credentials.
    pub fn forget(&self) -> Result<(), ServiceError> {
        for name in ["token", "ca.crt", KUBECONFIG, RENEWED, "rolled-back"] {
            let path = self.0.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ServiceError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        if self.releases().is_dir() {
            crate::node_setup::release::remove_others(&self.releases(), &[])
                .map_err(ServiceError::io("empty", &self.releases()))?;
        }
        Ok(())
    }
}
