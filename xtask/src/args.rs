//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Development commands of hcs-operator.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Xtask {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One of the commands.
#[derive(Subcommand)]
pub enum Command {
    /// Watch HcsContainers come true: a real API server, one simulated Windows node and the samples, until Ctrl-C.
    Demo(Demo),
    /// Start a control plane with simulated nodes in the background.
    Up(Up),
    /// Stop what `up` started.
    Down(Down),
    /// What `up` leaves in the background.
    #[command(hide = true)]
    Supervise(Up),
    /// Check and test everything; the last line says how many tests passed.
    Test(Test),
    /// Write what is generated: the CRDs' YAML, docs/api.md, and parts of the Helm chart.
    Generate(Generate),
    /// Measure what the operator costs.
    Bench(Bench),
    /// Put a node under load while its agent is killed every minute, and see that nothing is lost and nothing grows.
    Load(Load),
    /// Hand made-up input to whatever reads what others write, until something breaks or the time is over.
    Fuzz(Fuzz),
}

/// Arguments of `demo`.
#[derive(Args)]
pub struct Demo {
    /// Walk one container through all its states, and end: with success only if each came true.
    #[arg(long)]
    pub once: bool,
    /// Where its files go.
    #[arg(long, value_name = "DIR", default_value_os_t = default_demo_folder())]
    pub dir: PathBuf,
}

/// Arguments of `up`.
#[derive(Args)]
pub struct Up {
    /// Where its files go: DIR/kubeconfig, DIR/bin/kubectl, DIR/nodes/NODE/runhcs, DIR/logs.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// How many nodes: node-1 to node-N.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub nodes: u32,
}

/// Arguments of `down`.
#[derive(Args)]
pub struct Down {
    /// The folder that was given to `up`.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// Arguments of `test`.
#[derive(Args)]
pub struct Test {
    /// Only these parts, in place of all.
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    pub only: Vec<Part>,
    /// Only tests whose name has this text in it.
    pub filter: Option<String>,
}

/// A part of `test`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// rustfmt.
    Fmt,
    /// clippy with warnings denied.
    Clippy,
    /// rustdoc with warnings denied.
    Docs,
    /// The generated files are up to date.
    Generated,
    /// cargo-deny: licences, banned crates, sources, advisories.
    Deny,
    /// Tests that need no control plane.
    Unit,
    /// Tests on a real control plane.
    Scenarios,
    /// The Windows build, and its unit tests under wine.
    Windows,
    /// The scenarios on Windows nodes with the simulator, under wine: all when asked for, and in CI; else what the real
    /// runhcs cannot do.
    Grounds,
    /// The script of verbs, played under wine by the real runhcs and by the simulator built for Windows.
    Transcripts,
    /// The scenarios on a Windows node with the real runhcs, under wine.
    RealRunhcs,
    /// The agent killed at each point of each lifecycle; a filter is the name of a lifecycle, or that and a point's
    /// number. Only when asked for: it takes the better part of an hour.
    Faults,
    /// Each perturbed view of each lifecycle; a filter as for faults. Only when asked for: it takes half an hour.
    Views,
    /// Random sequences of spec changes on real parts: 100, or as many as HCS_SEQUENCES says; a filter is the seed. Only
    /// when asked for: it takes minutes.
    Sequences,
}

impl Test {
    /// Whether a part is among those asked for.
    pub fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Whether a part that is wanted is run, rather than waited for until it is asked for by name.
    pub fn runs(&self, part: Part) -> bool {
        !self.only.is_empty() || !part.waits_to_be_asked_for()
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |name| name.get_name()))
    }
}

impl Part {
    /// Runs Windows programs.
    pub fn is_windows(self) -> bool {
        matches!(
            self,
            Self::Windows | Self::Grounds | Self::Transcripts | Self::RealRunhcs
        )
    }

    /// Takes too long for every run.
    pub fn waits_to_be_asked_for(self) -> bool {
        matches!(self, Self::Faults | Self::Views | Self::Sequences)
    }
}

/// Arguments of `generate`.
#[derive(Args)]
pub struct Generate {
    /// Write nothing, and fail if anything would change.
    #[arg(long)]
    pub check: bool,
}

/// Arguments of `bench`.
#[derive(Args)]
pub struct Bench {
    /// Containers on the one node.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub containers: u32,
    /// How long to watch the steady state.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub steady: u64,
    /// Write the result to docs/benchmarks.md too.
    #[arg(long)]
    pub write: bool,
}

/// Arguments of `load`.
#[derive(Args)]
pub struct Load {
    /// Containers on the one node.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub containers: u32,
    /// How long the load lasts once all containers run.
    #[arg(long, value_name = "MINUTES", default_value_t = 10)]
    pub minutes: u64,
    /// Write the figures to docs/benchmarks.md too.
    #[arg(long)]
    pub write: bool,
}

/// Arguments of `fuzz`.
#[derive(Args)]
pub struct Fuzz {
    /// How long, for each of the two crates that have targets.
    #[arg(long, value_name = "MINUTES", default_value_t = 5)]
    pub minutes: u64,
    /// Only targets whose name begins like this.
    pub target: Option<String>,
}

fn default_demo_folder() -> PathBuf {
    hcs_tests::binaries::workspace().join(".hcs/demo")
}
