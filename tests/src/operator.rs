//! The processes under test: the agent of a node, and the controller. Each can be killed, stopped and started again,
//! with the same arguments and data.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::eventually::eventually;
use crate::process::{Owned, Slot, Spawn, lock};
use crate::tracer::Tracing;
use crate::{Error, Result};

/// How long an agent or a controller may take until it is ready.
const READY: Duration = Duration::from_mins(1);

/// An `hcs-operator` process; dropping it stops it, its containers go on.
#[derive(Debug)]
pub struct Operator {
    spawn: Spawn,
    data_dir: PathBuf,
    process: Slot,
    tracing: Mutex<Option<Tracing>>,
}

impl Operator {
    /// Starts it. `spawn` must say `--http-address 127.0.0.1:0` and have the address written to
    /// `http-address` in `data_dir`.
    /// The first process of it is traced if so asked.
    pub fn start(spawn: Spawn, data_dir: &Path, tracing: Option<Tracing>) -> Result<Self> {
        let operator = Self {
            spawn,
            data_dir: data_dir.to_owned(),
            process: Slot::default(),
            tracing: Mutex::new(tracing),
        };
        operator.start_again()?;
        Ok(operator)
    }

    /// Starts it again after [`Operator::kill`] or [`Operator::stop`].
    pub fn start_again(&self) -> Result {
        // The last one's address would be taken for the new one's.
        let last = self.address_file();
        if last.exists() {
            fs::remove_file(&last).map_err(|error| Error::file("remove", &last, error))?;
        }
        let spawn = self.spawn.clone();
        let spawn = match lock(&self.tracing).take() {
            Some(tracing) => tracing.of(spawn, &self.data_dir)?,
            None => spawn,
        };
        *lock(&self.process) = Some(spawn.start()?);
        Ok(())
    }

    /// Adds an argument or a variable for the next start.
    pub fn configure(&mut self, change: impl FnOnce(Spawn) -> Spawn) {
        self.spawn = change(self.spawn.clone());
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        if let Some(process) = lock(&self.process).take() {
            process.kill();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&self) {
        lock(&self.process).take();
    }

    /// Kills it, starts it again and waits until it is ready.
    pub async fn crash_and_restart(&self) -> Result {
        self.kill();
        self.start_again()?;
        self.ready().await
    }

    /// Waits until `/readyz` says yes.
    pub async fn ready(&self) -> Result {
        let what = format!("{} is ready", self.spawn.name);
        eventually(READY, &what, || async {
            self.running()?;
            let answer = self.get("/readyz").await;
            Ok(match answer {
                Ok((200, _)) => Ok(()),
                other => Err((other, self.log_tail(20))),
            })
        })
        .await
    }

    /// An error with the end of its log if it has ended by itself.
    pub fn running(&self) -> Result {
        let process = lock(&self.process);
        match process
            .as_ref()
            .and_then(|process| Some((process, process.ended()?)))
        {
            Some((process, status)) => Err(Error::Ended {
                name: process.name().to_owned(),
                status,
                log: process.log_tail(20),
            }),
            None => Ok(()),
        }
    }

    /// The answer to a GET: status and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let address = self.http_address()?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
        let uri: http::Uri = format!("http://{address}{path}")
            .parse()
            .map_err(|source| Error::Address {
                address: address.clone(),
                source,
            })?;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Http {
            url: format!("http://{address}{path}"),
            source,
        };
        let answer = client
            .get(uri)
            .await
            .map_err(|error| failed(error.into()))?;
        let status = answer.status().as_u16();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| failed(error.into()))?;
        Ok((
            status,
            String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        ))
    }

    /// The value of a metric's first series whose line starts with `series`, such as
    /// `hcs_agent_relist_total` or `x_total{verb="list"}`.
    pub async fn metric(&self, series: &str) -> Result<Option<f64>> {
        let (_, text) = self.get("/metrics").await?;
        let line = text.lines().find(|line| line.starts_with(series));
        Ok(line
            .and_then(|line| line.rsplit(' ').next())
            .and_then(|value| value.parse().ok()))
    }

    /// The address that it serves HTTP on, `127.0.0.1:<port>`.
    pub fn http_address(&self) -> Result<String> {
        let file = self.address_file();
        let address =
            fs::read_to_string(&file).map_err(|source| Error::file("read", &file, source));
        Ok(address?.trim().to_owned())
    }

    fn address_file(&self) -> PathBuf {
        self.data_dir.join("http-address")
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its process id, `None` while it is not running.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Owned::pid)
    }

    /// Its resident memory in bytes, `None` while it is not running.
    pub fn resident_bytes(&self) -> Option<u64> {
        lock(&self.process).as_ref().and_then(Owned::resident_bytes)
    }

    /// Everything that it has logged, over restarts.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.spawn.log).unwrap_or_default()
    }

    /// The last lines that it logged.
    pub fn log_tail(&self, lines: usize) -> String {
        crate::process::tail(&self.spawn.log, lines)
    }
}
