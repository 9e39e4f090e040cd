//! What has to be done so that the wanted program is the service: pure, from what is installed.

use std::path::{Path, PathBuf};

use crate::agent::validate::paths::same_path;

/// The service as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The program that it runs.
    pub program: PathBuf,
    /// Whether it runs, or is about to.
    pub running: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the service, with this program.
    Create(PathBuf),
    /// Stop it. Containers go on.
    Stop,
    /// Let it be this program from its next start on.
    Point(PathBuf),
    /// Start it.
    Start,
    /// Wait until it is ready.
    WaitUntilReady,
}

/// From what is installed to `wanted` running. `renewed` tells that something it reads only at its
/// start has changed.
pub fn forward(installed: Option<&Installed>, wanted: PathBuf, renewed: bool) -> Vec<Step> {
    let Some(installed) = installed else {
        return vec![Step::Create(wanted), Step::Start, Step::WaitUntilReady];
    };
    let same = same_path(&installed.program, &wanted);
    let mut steps = Vec::new();
    if installed.running && same && !renewed {
        return vec![Step::WaitUntilReady];
    }
    if installed.running {
        steps.push(Step::Stop);
    }
    if !same {
        steps.push(Step::Point(wanted));
    }
    steps.extend([Step::Start, Step::WaitUntilReady]);
    steps
}

/// Back to what was installed before, after `forward` did not end well. None if there was nothing
/// else: the new one stays, and the service manager goes on trying.
pub fn back(installed: Option<&Installed>, wanted: &Path) -> Option<Vec<Step>> {
    let former = installed.filter(|former| !same_path(&former.program, wanted))?;
    Some(vec![
        Step::Stop,
        Step::Point(former.program.clone()),
        Step::Start,
        Step::WaitUntilReady,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str) -> PathBuf {
        std::env::temp_dir().join(name).join("hcs-operator.exe")
    }

    fn installed(name: &str, running: bool) -> Installed {
        Installed {
            program: program(name),
            running,
        }
    }

    #[test]
    fn where_nothing_is_installed_the_service_is_made_and_started() {
        let steps = forward(None, program("new"), true);
        let expected = [
            Step::Create(program("new")),
            Step::Start,
            Step::WaitUntilReady,
        ];
        assert_eq!(steps, expected);
        assert_eq!(back(None, &program("new")), None);
    }

    #[test]
    fn the_same_program_that_runs_is_left_alone() {
        let steps = forward(Some(&installed("new", true)), program("new"), false);
        assert_eq!(steps, [Step::WaitUntilReady]);
    }

    #[test]
    fn the_same_program_is_started_where_it_does_not_run() {
        let steps = forward(Some(&installed("new", false)), program("new"), false);
        assert_eq!(steps, [Step::Start, Step::WaitUntilReady]);
    }

    #[test]
    fn what_is_read_at_the_start_only_restarts_the_same_program() {
        let steps = forward(Some(&installed("new", true)), program("new"), true);
        assert_eq!(steps, [Step::Stop, Step::Start, Step::WaitUntilReady]);
    }

    #[test]
    fn another_program_takes_the_place_of_the_one_that_runs_or_not() {
        let point = Step::Point(program("new"));
        let rest = [point, Step::Start, Step::WaitUntilReady];
        for renewed in [false, true] {
            let stopped = forward(Some(&installed("old", false)), program("new"), renewed);
            assert_eq!(stopped, rest);
            let running = forward(Some(&installed("old", true)), program("new"), renewed);
            assert_eq!(running, [&[Step::Stop], &rest[..]].concat());
        }
    }

    #[test]
    fn a_new_program_that_is_no_good_gives_its_place_back() {
        let steps = back(Some(&installed("old", true)), &program("new")).unwrap();
        let former = Step::Point(program("old"));
        assert_eq!(
            steps,
            [Step::Stop, former, Step::Start, Step::WaitUntilReady]
        );
    }

    #[test]
    fn there_is_no_way_back_from_a_program_to_itself() {
        assert_eq!(back(Some(&installed("new", true)), &program("new")), None);
    }
}
