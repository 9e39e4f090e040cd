//! `cargo xtask`: every command that a developer of this project types.

mod args;
mod bench;
mod chart;
mod checks;
mod demo;
mod fuzz;
mod generate;
mod interrupt;
mod kubectl;
mod lock;
mod samples;
mod skips;
mod stack;
mod test;
mod updown;
mod windows;

use std::process::ExitCode;

use clap::Parser;

use args::{Command, Xtask};

fn main() -> ExitCode {
    let result = match Xtask::parse().command {
        Command::Demo(args) => demo::demo(&args),
        Command::Up(args) => updown::up(&args),
        Command::Down(args) => updown::down(&args),
        Command::Supervise(args) => updown::supervise(&args),
        Command::Test(args) => test::test(&args),
        Command::Generate(args) => generate::generate(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Load(args) => bench::load::load(&args),
        Command::Fuzz(args) => fuzz::fuzz(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
