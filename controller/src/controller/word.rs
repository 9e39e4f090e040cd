//! What is to be said of an object: pure.

use std::collections::HashMap;
use std::time::Duration;

use hcs_crds::conditions::{READY, RUNTIME_RESPONSIVE};
use hcs_crds::{AGENT_LEASE_PREFIX, Condition, Reason};

use super::standing::Standing;

/// The condition Ready, as the controller has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// False where no agent ever said anything, Unknown where one has.
    pub status: &'static str,
    /// Why.
    pub reason: Reason,
    /// In words that do not change while it is so.
    pub message: String,
}

impl Word {
    /// Whether the condition says it already.
    pub fn is_in(&self, conditions: &[Condition]) -> bool {
        conditions.iter().any(|c| {
            c.type_ == READY
                && c.status == self.status
                && c.reason == self.reason.as_str()
                && c.message == self.message
        })
    }
}

/// Of an HcsContainer that no agent has ever taken up, and that is this old.
pub fn of_new(node: &str, standing: &Standing, age: Duration, patience: Duration) -> Option<Word> {
    // An agent that lives has its reasons; it is at work on others, perhaps.
    let may_come = standing.had_agent() && !standing.silent;
    if age < patience || may_come {
        return None;
    }
    Some(if standing.exists {
        Word {
            status: "False",
            reason: Reason::NodeLost,
            message: format!("no agent has taken it up; see that one runs on node {node}"),
        }
    } else {
        Word {
            status: "False",
            reason: Reason::NodeUnknown,
            message: format!(
                "the cluster has no node {node}; spec.nodeName is immutable: delete the object and make it again"
            ),
        }
    })
}

/// Of an HcsContainer that an agent has taken up, and of the node's page.
pub fn of_known(node: &str, standing: &Standing) -> Option<Word> {
    if !standing.silent {
        return None;
    }
    let since = standing.renewed.as_deref().map_or_else(
        || format!("its agent has no lease {AGENT_LEASE_PREFIX}{node}"),
        |at| format!("its agent has not renewed the lease {AGENT_LEASE_PREFIX}{node} since {at}"),
    );
    let (reason, node_is) = if standing.exists {
        (Reason::NodeLost, "is in the cluster")
    } else {
        (Reason::NodeUnknown, "is not in the cluster")
    };
    Some(Word {
        status: "Unknown",
        reason,
        message: format!("node {node} {node_is}, and {since}; what runs there is not known"),
    })
}

/// Whether the agent itself has said that it cannot see its containers. Its objects say so too
/// then, and more exactly; an agent that can still write would be contradicted.
pub fn has_spoken_itself(page: &[Condition]) -> bool {
    let mut page = page.iter();
    page.any(|c| c.type_ == RUNTIME_RESPONSIVE && c.status == "False")
}

/// What was said in a silence, so that nothing is said twice: an agent that takes it back lives,
/// whatever its Lease looks like, and is not to be fought.
#[derive(Debug, Default)]
pub struct Spoken(HashMap<String, (Reason, Option<String>)>);

impl Spoken {
    /// Whether this is still to be said of the object with this uid.
    pub fn is_news(&self, uid: &str, word: &Word, renewed: Option<&String>) -> bool {
        let said = self.0.get(uid);
        said.is_none_or(|(reason, of)| *reason != word.reason || of.as_ref() != renewed)
    }

    /// It was said.
    pub fn note(&mut self, uid: &str, word: &Word, renewed: Option<&String>) {
        let said = (word.reason, renewed.cloned());
        self.0.insert(uid.to_owned(), said);
    }

    /// Forgets what is not there any more.
    pub fn keep_only(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| is_there(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(silent: bool, had_agent: bool, exists: bool) -> Standing {
        Standing {
            silent,
            exists,
            gone: false,
            renewed: had_agent.then(|| "10:00".to_owned()),
        }
    }

    fn brief(word: Option<Word>) -> Option<(&'static str, Reason)> {
        word.map(|word| (word.status, word.reason))
    }

    #[test]
    fn of_an_object_that_nobody_has_taken_up_something_is_said_when_nobody_may_come() {
        let (young, old) = (Duration::from_secs(29), Duration::from_secs(30));
        let say = |standing: &Standing, age| brief(of_new("n", standing, age, old));
        let lost = Some(("False", Reason::NodeLost));
        let unknown = Some(("False", Reason::NodeUnknown));
        assert_eq!(say(&standing(false, false, true), young), None);
        assert_eq!(say(&standing(false, false, true), old), lost);
        assert_eq!(say(&standing(false, false, false), old), unknown);
        assert_eq!(say(&standing(false, true, true), old), None);
        assert_eq!(say(&standing(true, true, true), old), lost);
        assert_eq!(say(&standing(true, true, false), old), unknown);
    }

    #[test]
    fn of_an_object_that_an_agent_has_taken_up_only_silence_is_said() {
        let say = |standing: &Standing| brief(of_known("n", standing));
        assert_eq!(say(&standing(false, true, true)), None);
        assert_eq!(say(&standing(false, true, false)), None);
        let lost = Some(("Unknown", Reason::NodeLost));
        assert_eq!(say(&standing(true, true, true)), lost);
        assert_eq!(say(&standing(true, false, true)), lost);
        let unknown = Some(("Unknown", Reason::NodeUnknown));
        assert_eq!(say(&standing(true, true, false)), unknown);
    }

    #[test]
    fn what_was_said_in_a_silence_is_not_said_again_in_it() {
        let mut spoken = Spoken::default();
        let word = of_known("n", &standing(true, true, true)).unwrap();
        let (first, second) = ("10:00".to_owned(), "11:00".to_owned());
        assert!(spoken.is_news("u", &word, Some(&first)));
        spoken.note("u", &word, Some(&first));
        assert!(!spoken.is_news("u", &word, Some(&first)));
        assert!(spoken.is_news("u", &word, Some(&second)));
        let another = of_known("n", &standing(true, true, false)).unwrap();
        assert!(spoken.is_news("u", &another, Some(&first)));
        assert!(spoken.is_news("v", &word, Some(&first)));
        spoken.keep_only(|uid| uid == "v");
        assert!(spoken.is_news("u", &word, Some(&first)));
    }
}
