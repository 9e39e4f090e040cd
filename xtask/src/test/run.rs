//! Test runners as processes: what they print, what they count, and several of them side by side.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::counts::Counts;
use crate::interrupt;

/// The line after which Rust's test runner tells what the failed tests printed, test by test.
const TALE_OF_FAILURES: &str = "failures:";

/// How many lines of what a failed test says are said again.
const GIST: usize = 30;

/// The gists of all failed tests so far.
static GISTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What failed tests said, in short: for the very end, where it is looked for.
pub fn gists() -> Vec<String> {
    std::mem::take(&mut *GISTS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The gist of a runner's tale, test by test: what each said first, without the stack.
fn gists_of(tale: &str) -> Vec<String> {
    let mut gists: Vec<String> = Vec::new();
    let mut left = 0;
    for line in tale.lines() {
        if line.starts_with("---- ") {
            gists.push(String::new());
            left = GIST;
        } else if line == "stack backtrace:" || line == TALE_OF_FAILURES {
            left = 0;
        }
        if let (Some(gist), 1..) = (gists.last_mut(), left) {
            gist.extend([line, "\n"]);
            left -= 1;
        }
    }
    gists
}

/// Runs a program of tests, or cargo test, shows what it prints, and sums up the closing lines of all runners. A run that
/// fails without a failed test (it did not compile, it crashed) counts as one.
pub fn run_tests(mut runner: Command) -> Result<Counts> {
    let text = format!("{runner:?}");
    let mut child = interrupt::spawn(runner.stdout(Stdio::piped()))?;
    let output = child
        .stdout
        .take()
        .context("the tests have no standard output")?;
    let counts = show(BufReader::new(output));
    interrupt::ending(&child);
    let status = child.wait().context("failed to wait for the tests")?;
    let mut counts = counts?;
    if !status.success() && counts.failed == 0 {
        eprintln!("{text} failed without a failed test: {status}");
        counts.add(Counts::FAILED);
    }
    Ok(counts)
}

/// Shows each line as it comes. What a runner tells of its failures is kept until it has told all: another runner's
/// lines may come in between.
fn show(output: impl BufRead) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut tale: Option<String> = None;
    for line in output.lines() {
        let line = line.context("failed to read what the tests print")?;
        let closing = Counts::from_line(&line);
        if line == TALE_OF_FAILURES && tale.is_none() {
            tale = Some(String::new());
        }
        match &mut tale {
            Some(tale) => tale.extend([line.as_str(), "\n"]),
            None => println!("{line}"),
        }
        if let Some(closing) = closing {
            counts.add(closing);
            tell(tale.take());
        }
    }
    // It ended amid its tale.
    tell(tale);
    Ok(counts)
}

fn tell(tale: Option<String>) {
    if let Some(tale) = tale {
        print!("{tale}");
        let mut gists = GISTS.lock().unwrap_or_else(PoisonError::into_inner);
        gists.extend(gists_of(&tale));
    }
}

/// Does all at once, and gives what came of each, in their order.
pub fn side_by_side<W, T>(work: Vec<W>) -> Vec<T>
where
    W: FnOnce() -> T + Send,
    T: Send,
{
    thread::scope(|scope| {
        let threads: Vec<_> = work.into_iter().map(|work| scope.spawn(work)).collect();
        let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Runs several lists of runners at once, each list's one after the other. Those that cannot be started are the error.
pub fn run_side_by_side(lists: Vec<Vec<Command>>) -> Result<Counts> {
    let runs = lists.into_iter().map(|list| || run_in_turn(list));
    side_by_side(runs.collect()).into_iter().sum()
}

fn run_in_turn(runners: Vec<Command>) -> Result<Counts> {
    let run = |runner: Command| {
        println!("     Running {}", runner.get_program().display());
        run_tests(runner)
    };
    runners.into_iter().map(run).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_runners_lines_are_summed_up() {
        let line = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0s\n";
        let counts = show(line.repeat(2).as_bytes()).unwrap();
        assert_eq!((counts.passed, counts.skipped), (6, 2));
    }

    #[test]
    fn a_tale_of_failures_without_an_end_loses_no_count() {
        let counts = show("test a ... FAILED\nfailures:\n\n---- a stdout ----\n".as_bytes());
        assert_eq!(counts.unwrap(), Counts::default());
    }

    #[test]
    fn the_gist_of_a_tale_is_what_each_test_said_first() {
        let long = "more\n".repeat(GIST);
        let tale = format!(
            "failures:\n\n---- a stdout ----\nit broke\nstack backtrace:\n 0: main\n\n\
             ---- b stdout ----\n{long}\n\nfailures:\n    a\n    b\n\ntest result: FAILED.\n"
        );
        let gists = gists_of(&tale);
        assert_eq!(gists.len(), 2);
        assert_eq!(gists[0], "---- a stdout ----\nit broke\n");
        assert_eq!(gists[1].lines().count(), GIST);
    }

    #[test]
    fn what_is_done_side_by_side_comes_in_its_order() {
        let (first, second) = std::sync::mpsc::channel();
        let work: Vec<Box<dyn FnOnce() -> u8 + Send>> = vec![
            // It can only end if the second runs beside it.
            Box::new(move || second.recv().unwrap()),
            Box::new(move || {
                first.send(1).unwrap();
                2
            }),
        ];
        assert_eq!(side_by_side(work), [1, 2]);
    }
}
