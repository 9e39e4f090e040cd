//! What runhcs says of a container, as `list` and `state` print it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// A container as runhcs has it on record at the moment of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// The OCI version that its bundle's `config.json` names.
    #[serde(default, deserialize_with = "null_as_default")]
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The shim that stands for the container on the host.
    #[serde(default, deserialize_with = "null_as_default")]
    pub pid: ShimPid,
    /// What it is doing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: Status,
    /// The bundle's folder, as absolute path on the node.
    #[serde(default, deserialize_with = "null_as_default")]
    pub bundle: String,
    /// The root file system's folder; empty for Windows containers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub rootfs: String,
    /// When it was created; the epoch where runhcs does not say.
    #[serde(default, deserialize_with = "null_as_default")]
    pub created: DateTime<Utc>,
    /// The annotations of its bundle's `config.json`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// Meant to be the compute system's owner; every known runhcs leaves it empty.
    #[serde(default, deserialize_with = "null_as_default")]
    pub owner: String,
}

/// Go writes `null` for what it has no value for, and reads it as the zero value.
fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A container's status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "String")]
pub enum Status {
    /// Made, its init process not started.
    Created,
    /// Its init process was started, and its compute system has not ended.
    Running,
    /// All its processes are suspended.
    Paused,
    /// Its compute system has ended, or never came to be.
    Stopped,
    /// Anything else, in runhcs' words: `unknown`, or nothing at all.
    Unknown(String),
}

impl Status {
    /// The status in runhcs' words.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Unknown(raw) => raw,
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

impl From<String> for Status {
    fn from(raw: String) -> Self {
        match raw.as_str() {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "stopped" => Self::Stopped,
            _ => Self::Unknown(raw),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The host process that stands for a container, as far as runhcs knows.
///
/// A pid alone proves nothing: it is stale after a shim that was killed, and the system gives
/// numbers out again. Compare the process's start time before trusting it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "i64")]
pub enum ShimPid {
    /// The shim's pid.
    Known(NonZeroU32),
    /// 0: the shim has ended by itself, or never was.
    #[default]
    Gone,
    /// A negative number (-1): `create` died before it had a shim. Such a container can only be
    /// deleted.
    HalfMade,
    /// A number that is no pid.
    Invalid(i64),
}

impl ShimPid {
    /// The pid, where there is one.
    pub fn get(self) -> Option<u32> {
        match self {
            Self::Known(pid) => Some(pid.get()),
            Self::Gone | Self::HalfMade | Self::Invalid(_) => None,
        }
    }
}

impl From<i64> for ShimPid {
    fn from(raw: i64) -> Self {
        if raw < 0 {
            return Self::HalfMade;
        }
        match u32::try_from(raw).map(NonZeroU32::new) {
            Ok(Some(pid)) => Self::Known(pid),
            Ok(None) => Self::Gone,
            Err(_) => Self::Invalid(raw),
        }
    }
}

impl fmt::Display for ShimPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(pid) => pid.fmt(f),
            Self::Gone => f.write_str("0"),
            Self::HalfMade => f.write_str("-1"),
            Self::Invalid(raw) => raw.fmt(f),
        }
    }
}
