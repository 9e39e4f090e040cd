//! runhcs as the agent sees it: one method that runs a call and tells how it went.
//!
//! A call that a hung runhcs does not answer gives its place up after a while, and where all places hang, others get one of
//! some that are kept for that, so that the containers beside it are not held up. It is killed at its deadline all the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hcs_crds::CommandRecord;
use runhcs::{
    CreateOpts, CreateScratchOpts, DeleteOpts, ErrorKind, ResizeTtyOpts, Runhcs, Signal, TtySize,
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

use super::capabilities::{self, Capabilities};
use super::table::Listed;
use crate::metrics::Metrics;

/// How long a call counts towards the number of calls at once.
const COUNTS_FOR: Duration = Duration::from_secs(2);
/// Where no place has changed hands for so long, what has them hangs, and the others take those that are kept.
const STUCK_AFTER: Duration = Duration::from_millis(100);
/// Places that are kept: as many as there are reconciles that call at once.
const KEPT: usize = super::TURNS;
/// How much of stderr `status.recentCommands` keeps, in bytes.
const STDERR_SHOWN: usize = 512;

/// A call of runhcs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `runhcs list`.
    List,
    /// `runhcs create-scratch`.
    CreateScratch {
        /// The file to make.
        path: PathBuf,
        /// Size in GB.
        size_gb: u32,
        /// A template to copy.
        cache_file: Option<PathBuf>,
        /// Whether the formatting VM uses virtual memory.
        use_virtual_memory: bool,
    },
    /// `runhcs create`.
    Create {
        /// Container id.
        id: String,
        /// Bundle folder.
        bundle: PathBuf,
        /// Where runhcs writes the shim's pid.
        pid_file: PathBuf,
    },
    /// `runhcs start`.
    Start(String),
    /// `runhcs pause`.
    Pause(String),
    /// `runhcs resume`.
    Resume(String),
    /// `runhcs kill`.
    Kill(String, Signal),
    /// `runhcs resize-tty`.
    Resize(String, TtySize),
    /// `runhcs ps`.
    Ps(String),
    /// `runhcs delete`.
    Delete {
        /// Container id.
        id: String,
        /// `--force`.
        force: bool,
    },
}

impl Call {
    /// The verb and what it is about, as `status.recentCommands` shows it.
    pub fn describe(&self) -> String {
        match self {
            Self::List => "list".into(),
            Self::CreateScratch { path, size_gb, .. } => {
                format!(
                    "create-scratch --destpath {} --sizeGB {size_gb}",
                    path.display()
                )
            }
            Self::Create { id, .. } => format!("create {id}"),
            Self::Start(id) => format!("start {id}"),
            Self::Pause(id) => format!("pause {id}"),
            Self::Resume(id) => format!("resume {id}"),
            Self::Kill(id, signal) => format!("kill {id} {signal}"),
            Self::Resize(id, size) => format!("resize-tty {id} {} {}", size.width, size.height),
            Self::Ps(id) => format!("ps {id}"),
            Self::Delete { id, force: true } => format!("delete --force {id}"),
            Self::Delete { id, force: false } => format!("delete {id}"),
        }
    }

    /// The verb, a metrics label.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::CreateScratch { .. } => "create-scratch",
            Self::Create { .. } => "create",
            Self::Start(_) => "start",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Kill(..) => "kill",
            Self::Resize(..) => "resize-tty",
            Self::Ps(_) => "ps",
            Self::Delete { .. } => "delete",
        }
    }
}

/// What a call that succeeded says.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing.
    Done,
    /// Pids inside the container.
    Pids(Vec<u32>),
    /// All containers.
    List(Vec<Listed>),
}

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What it means.
    pub kind: ErrorKind,
    /// What runhcs or the system said, for a person.
    pub message: String,
}

/// What the answer to a delete comes to: what is gone already counts as deleted.
pub fn deleted(answer: Result<Reply, CallError>) -> Result<(), CallError> {
    match answer {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A call and how it went.
#[derive(Debug)]
pub struct Outcome {
    /// For `status.recentCommands`.
    pub command: CommandRecord,
    /// The answer.
    pub result: Result<Reply, CallError>,
}

/// Something that runs calls: runhcs, or a fake of it in unit tests.
pub trait Runtime: Send + Sync + 'static {
    /// Runs one call to its end or its deadline.
    fn run(&self, call: &Call) -> impl Future<Output = Outcome> + Send;

    /// Finds out what it can do; `folder` is for the probe alone. No container comes of it.
    fn probe(&self, folder: &Path) -> impl Future<Output = Capabilities> + Send;
}

/// Places for calls that run at once. One that takes long gives its place up, and some are kept for when all of them are
/// taken by what hangs, so that it holds up no others.
struct Places {
    usual: Semaphore,
    /// When one of the usual ones was last taken or given back.
    moved: watch::Sender<Instant>,
    kept: Semaphore,
}

/// A place that is taken.
struct Place<'a> {
    _permit: Option<SemaphorePermit<'a>>,
    moved: Option<&'a watch::Sender<Instant>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(moved) = self.moved {
            moved.send_replace(Instant::now());
        }
    }
}

impl Places {
    fn new(parallel: usize) -> Self {
        Self {
            usual: Semaphore::new(parallel),
            moved: watch::Sender::new(Instant::now()),
            kept: Semaphore::new(KEPT),
        }
    }

    async fn one(&self) -> Place<'_> {
        let kept = async {
            self.are_stuck().await;
            self.kept.acquire().await
        };
        tokio::select! {
            biased;
            permit = self.usual.acquire() => {
                self.moved.send_replace(Instant::now());
                Place { _permit: permit.ok(), moved: Some(&self.moved) }
            }
            permit = kept => Place { _permit: permit.ok(), moved: None },
        }
    }

    async fn are_stuck(&self) {
        loop {
            let since = *self.moved.borrow();
            if since.elapsed() >= STUCK_AFTER {
                return;
            }
            tokio::time::sleep_until(since + STUCK_AFTER).await;
        }
    }

    /// Runs a call in a place of its own; how long it took without its wait for that.
    async fn take_one_for<T>(&self, call: impl Future<Output = T>) -> (T, Duration) {
        let place = self.one().await;
        let start = Instant::now();
        let mut running = std::pin::pin!(call);
        let soon = tokio::time::timeout(COUNTS_FOR, &mut running).await;
        let result = if let Ok(result) = soon {
            result
        } else {
            drop(place);
            running.await
        };
        (result, start.elapsed())
    }
}

/// The real thing.
pub struct RunhcsRuntime {
    client: Runhcs,
    scratch_timeout: Duration,
    shim_logs: Option<PathBuf>,
    places: Places,
    metrics: Metrics,
}

impl RunhcsRuntime {
    /// A runtime with `parallel` places; `create-scratch` has a deadline of its own.
    pub fn new(
        client: Runhcs,
        scratch_timeout: Duration,
        shim_logs: Option<PathBuf>,
        parallel: usize,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            scratch_timeout,
            shim_logs,
            places: Places::new(parallel),
            metrics,
        }
    }

    async fn call(&self, call: &Call) -> Result<Reply, runhcs::Error> {
        let client = &self.client;
        match call {
            Call::List => return client.list_as().await.map(Reply::List),
            Call::Ps(id) => return client.ps(id).await.map(Reply::Pids),
            Call::CreateScratch {
                path,
                size_gb,
                cache_file,
                use_virtual_memory,
            } => {
                let client = Runhcs {
                    timeout: Some(self.scratch_timeout),
                    ..client.clone()
                };
                let opts = CreateScratchOpts {
                    size_gb: Some(*size_gb),
                    cache_file: cache_file.clone(),
                    use_virtual_memory: *use_virtual_memory,
                };
                client.create_scratch_with_opts(path, &opts).await
            }
            Call::Create {
                id,
                bundle,
                pid_file,
            } => {
                let shim_log = self
                    .shim_logs
                    .as_ref()
                    .map(|folder| folder.join(format!("{id}.log")));
                let opts = CreateOpts {
                    pid_file: Some(pid_file.clone()),
                    shim_log: shim_log.map(|path| path.to_string_lossy().into_owned()),
                    ..CreateOpts::default()
                };
                client.create(id, bundle, &opts).await
            }
            Call::Start(id) => client.start(id).await,
            Call::Pause(id) => client.pause(id).await,
            Call::Resume(id) => client.resume(id).await,
            Call::Kill(id, signal) => client.kill(id, signal).await,
            Call::Resize(id, size) => {
                client
                    .resize_tty(id, *size, &ResizeTtyOpts::default())
                    .await
            }
            Call::Delete { id, force } => client.delete(id, &DeleteOpts { force: *force }).await,
        }
        .map(|()| Reply::Done)
    }
}

impl Runtime for RunhcsRuntime {
    async fn run(&self, call: &Call) -> Outcome {
        let (result, took) = self.places.take_one_for(self.call(call)).await;
        let label = result
            .as_ref()
            .map_or_else(|error| error.kind().label(), |_| "ok");
        self.metrics.runhcs_call(call.verb(), label, took);
        tracing::debug!(verb = call.verb(), result = label, ?took, "called runhcs");
        outcome(call, result, took)
    }

    async fn probe(&self, folder: &Path) -> Capabilities {
        capabilities::probe(&self.client, folder).await
    }
}

fn outcome(call: &Call, result: Result<Reply, runhcs::Error>, took: Duration) -> Outcome {
    let (exit_code, stderr) = match &result {
        Ok(_) => (Some(0), None),
        Err(error) => {
            let code = error.exit_code().map(|code| i64::from(code.get()));
            (
                code,
                Some(end_of(error.stderr(), STDERR_SHOWN)).filter(|text| !text.is_empty()),
            )
        }
    };
    let command = CommandRecord {
        command: call.describe(),
        exit_code,
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        stderr,
    };
    Outcome {
        command,
        result: result.map_err(|error| call_error(call, &error)),
    }
}

fn call_error(call: &Call, error: &runhcs::Error) -> CallError {
    let said = end_of(error.stderr(), STDERR_SHOWN);
    let message = if said.is_empty() {
        // The source says what the system said; runhcs itself had no word.
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    } else {
        format!("runhcs {}: {said}", call.verb())
    };
    CallError {
        kind: error.kind(),
        message,
    }
}

/// The end of a text, at most `limit` bytes of it, without the white space around it.
pub(super) fn end_of(text: &str, limit: usize) -> String {
    let text = text.trim();
    let start = text.ceil_char_boundary(text.len().saturating_sub(limit));
    text.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The longest wait for a place of calls that take 100 ms each and come as fast as places are free, while some hang.
    async fn longest_wait(parallel: usize, hung: usize) -> Duration {
        let places = Places::new(parallel);
        let stuck = async {
            let hung = (0..hung).map(|_| places.take_one_for(std::future::pending::<()>()));
            futures::future::join_all(hung).await;
        };
        let calls = async {
            let (begun, mut longest) = (Instant::now(), Duration::ZERO);
            while begun.elapsed() < Duration::from_secs(10) {
                let asked = Instant::now();
                let call = tokio::time::sleep(Duration::from_millis(100));
                let ((), took) = places.take_one_for(call).await;
                longest = longest.max(asked.elapsed().saturating_sub(took));
            }
            longest
        };
        tokio::select! {
            biased;
            () = stuck => Duration::ZERO,
            longest = calls => longest,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_has_no_other_wait_for_its_place() {
        let parallel = 4;
        for hung in 1..parallel {
            assert_eq!(longest_wait(parallel, hung).await, Duration::ZERO, "{hung}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_places_hang_another_waits_for_a_tenth_of_a_second_at_most() {
        for (parallel, hung) in [(1, 1), (1, 8), (4, 4), (4, 12), (4, 3 + KEPT)] {
            let longest = longest_wait(parallel, hung).await;
            assert_eq!(longest, STUCK_AFTER, "{hung} of {parallel}");
        }
        // With one more at the same moment, until the first ones no longer count.
        let longest = longest_wait(4, 4 + KEPT).await;
        assert!(
            longest > STUCK_AFTER && longest <= COUNTS_FOR,
            "{longest:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_do_not_hang_keep_to_the_places_there_are() {
        let places = Places::new(2);
        let (running, most) = (Cell::new(0), Cell::new(0));
        let calls = (0..20).map(|_| {
            places.take_one_for(async {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                tokio::time::sleep(Duration::from_millis(9)).await;
                running.set(running.get() - 1);
            })
        });
        futures::future::join_all(calls).await;
        assert_eq!(most.get(), 2);
    }

    #[test]
    fn only_the_end_of_a_long_stderr_is_shown_and_never_half_a_character() {
        assert_eq!(end_of("  short \n", 100), "short");
        assert_eq!(end_of(&"é".repeat(10), 5), "éé");
    }
}
