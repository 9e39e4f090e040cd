//! The simulator's executable: `runhcs` of a simulated node.

use runhcs_sim::cli;
use runhcs_sim::platform::{ShimChannel, exit_code_on_this_platform};

fn main() {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let outcome = cli::run(&args);
    let refused = !outcome.stdout.is_empty() || !outcome.stderr.is_empty();
    if refused && args.first().is_some_and(|verb| verb == "shim") {
        // A shim that could not make sense of its arguments: whoever launched it reads on.
        if let Ok(channel) = ShimChannel::take() {
            channel.answer(&outcome.stdout);
        }
    } else {
        outcome.print();
    }
    std::process::exit(exit_code_on_this_platform(outcome.exit_code));
}
