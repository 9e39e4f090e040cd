//! Waiting for a condition, with a deadline and with the last state seen when it passes: the only way in which a
//! scenario waits.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{Error, Result};

/// How long after the first look the condition is looked at again, if a look takes no time; then ever more rarely, so that
/// who waits for long does not keep the API server from its work, up to [`RARELY`].
const SOON: Duration = Duration::from_millis(50);

/// How rarely it is looked at when it is long in coming.
const RARELY: Duration = Duration::from_millis(300);

/// Looks again and again until `look` gives `Ok(Ok(value))`. `Ok(Err(state))` means "not yet, this is what I saw", and
/// is shown if the deadline passes.
///
/// # Errors
/// [`Error::Deadline`], or at once the error that `look` gives.
pub async fn eventually<T, S, F>(deadline: Duration, what: &str, look: impl Fn() -> F) -> Result<T>
where
    S: Debug,
    F: Future<Output = Result<std::result::Result<T, S>>>,
{
    let end = Instant::now() + deadline;
    let mut pause = SOON;
    loop {
        let began = Instant::now();
        match look().await? {
            Ok(value) => return Ok(value),
            Err(state) if Instant::now() >= end => {
                let evidence = format!("last seen: {state:#?}");
                return Err(Error::Deadline {
                    what: what.to_owned(),
                    deadline,
                    evidence,
                });
            }
            // A look that takes long (a process under wine) must not keep from its work what is waited for.
            Err(_) => sleep(pause.max(2 * began.elapsed())).await,
        }
        pause = (pause * 3 / 2).min(RARELY);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_gives_its_value() {
        let looks = Cell::new(0);
        let value = eventually(Duration::from_mins(1), "three looks", || async {
            looks.set(looks.get() + 1);
            Ok(if looks.get() == 3 {
                Ok(looks.get())
            } else {
                Err("not yet")
            })
        });
        assert_eq!(value.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_deadline_shows_what_was_seen_last() {
        let never = eventually(Duration::ZERO, "never", || async {
            Ok(Err::<(), _>("still blue"))
        });
        let text = format!("{:?}", never.await.unwrap_err());
        assert!(
            text.contains("still blue") && text.contains("never"),
            "{text}"
        );
    }
}
