//! Prints the command lines that calls would have: reads calls as JSON on standard input, one a
//! line, and writes for each its arguments as a JSON array, or `{"error": …}`, one a line.
//!
//! ```text
//! $ echo '{"client":{"debug":true},"method":"Start","in":{"id":"web"}}' |
//!     cargo run -q -p runhcs --example argv
//! ["--debug","start","web"]
//! ```

mod recorded;

use std::io::{self, BufRead, Write};

use serde_json::json;

fn main() -> anyhow::Result<()> {
    let cwd = std::env::current_dir()?;
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        let answer = match recorded::argv(&line?, &cwd) {
            Ok(argv) => json!(argv),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(output, "{answer}")?;
    }
    Ok(())
}
