//! `cargo xtask fuzz`: the fuzz targets, for longer than `cargo test` plays them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use hcs_tests::binaries::run;

use crate::args;
use crate::checks::cargo;

/// More than there are targets: all of them share the time.
const TARGETS: &str = "64";

/// Plays all targets side by side, or those whose name has the text in it. Fails with the first input that one of them
/// cannot bear, which it prints, made as short as it can be.
pub fn fuzz(args: &args::Fuzz) -> Result<ExitCode> {
    let time = Duration::from_mins(args.minutes);
    let filter = format!("fuzz::{}", args.target.as_deref().unwrap_or_default());
    let mut tests = cargo(&[
        "test",
        "--package=runhcs",
        "--package=hcs-operator",
        "--lib",
        "--bins",
    ]);
    tests
        .args([&filter, "--", "--test-threads", TARGETS])
        .env("BOLERO_RANDOM_TEST_TIME_MS", time.as_millis().to_string());
    run(tests, "the fuzz targets")?;
    Ok(ExitCode::SUCCESS)
}
