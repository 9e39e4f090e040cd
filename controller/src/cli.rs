//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::settings::{AgentSettings, Given};
use crate::{run_agent, run_controller};

/// Exit code for a wrong command line or setting, as clap's own.
const USAGE: u8 = 2;

/// Runs containers on Windows nodes through runhcs, as HcsContainer objects ask for.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the HcsContainer objects of one node true. Runs on that node.
    ///
    /// Each setting can be given as a flag, as the environment variable shown, or in the YAML file
    /// of --config (in camelCase: --node-name is nodeName); the first of these counts. The API
    /// server is found through KUBECONFIG, or through the pod's service account.
    Agent {
        /// A YAML file with settings.
        #[arg(long, env = "HCS_OPERATOR_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        /// Only check the settings, and exit.
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        given: Box<Given>,
    },
    /// Say of the cluster's HcsContainer objects what no node can say: that no agent looks after them.
    Controller(run_controller::Args),
    /// The agent as a Windows service.
    #[cfg(windows)]
    #[command(subcommand)]
    Service(crate::service::Verb),
    /// Make this program a node's service and look after it: what the DaemonSet's pod runs.
    ///
    /// When it ends, by whatever end, the service and all containers go on.
    #[cfg(windows)]
    NodeSetup(crate::node_setup::Args),
    /// Print the CustomResourceDefinitions as YAML, for `kubectl apply -f -`.
    Crd,
}

impl Cli {
    /// Runs the command to its end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Agent {
                config,
                check,
                given,
            } => {
                let given = given.with_file(config.as_deref())?;
                let settings = match AgentSettings::check(&given) {
                    Ok(settings) => settings,
                    Err(wrong) => {
                        for setting in wrong {
                            eprintln!("error: {setting}");
                        }
                        return Ok(ExitCode::from(USAGE));
                    }
                };
                if check {
                    println!("the settings are sound");
                    return Ok(ExitCode::SUCCESS);
                }
                run_agent::run(settings)
            }
            Command::Controller(args) => run_controller::run(args),
            #[cfg(windows)]
            Command::Service(verb) => Ok(verb.run()?),
            #[cfg(windows)]
            Command::NodeSetup(args) => match crate::node_setup::run(&args)? {},
            Command::Crd => {
                print!(
                    "{}",
                    hcs_crds::crds_yaml().context("failed to make the definitions")?
                );
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
