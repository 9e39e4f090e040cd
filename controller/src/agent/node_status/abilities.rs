//! What the node can do, as its page says it: what the probe of runhcs found, and what containers
//! were seen to do. What cannot be tried without a container, and was not seen, is not known.

use std::sync::atomic::{AtomicBool, Ordering};

use hcs_crds::{
    CAPABILITY_CREATE, CAPABILITY_HYPERV, CAPABILITY_LCOW, CAPABILITY_PAUSE_PROCESS, Capability,
    HcsContainer, Isolation, Os, Phase, Supported,
};

use crate::agent::capabilities::{Ability, Capabilities, Pausing};

/// What containers of this node were seen to do since the agent began.
#[derive(Debug, Default)]
pub struct Witnessed {
    hyperv: AtomicBool,
    lcow: AtomicBool,
}

impl Witnessed {
    /// Takes in a container of the node.
    pub fn note(&self, object: &HcsContainer) {
        let phase = object.status.as_ref().map_or(Phase::Pending, |s| s.phase);
        if !matches!(phase, Phase::Running | Phase::Paused) {
            return;
        }
        let runtime = object.spec.runtime;
        match (runtime.os, runtime.isolation) {
            (Os::Linux, _) => self.lcow.store(true, Ordering::Relaxed),
            (Os::Windows, Isolation::HyperV) => self.hyperv.store(true, Ordering::Relaxed),
            (Os::Windows, Isolation::Process) => {}
        }
    }
}

/// All that the page tells.
pub fn capabilities(known: &Capabilities, witnessed: &Witnessed) -> Vec<Capability> {
    let defect = known.defect().map(ToString::to_string);
    let of_vm = |seen: &AtomicBool, what: &str| match &defect {
        Some(defect) => (Supported::False, defect.clone()),
        None if seen.load(Ordering::Relaxed) => {
            (Supported::True, format!("{what} was seen to run"))
        }
        None => {
            let text = format!("not known before {what} runs: no harmless command tells");
            (Supported::Unknown, text)
        }
    };
    let lcow = match &known.create_scratch {
        Ability::Broken(defect) => (Supported::False, defect.to_string()),
        Ability::Works | Ability::Unknown => of_vm(&witnessed.lcow, "a Linux container"),
    };
    let hyperv = of_vm(&witnessed.hyperv, "a container with Hyper-V isolation");
    [
        (CAPABILITY_CREATE, create(known, defect.as_ref())),
        (CAPABILITY_HYPERV, hyperv),
        (CAPABILITY_LCOW, lcow),
        (CAPABILITY_PAUSE_PROCESS, pause(&known.pausing)),
    ]
    .map(|(name, (supported, message))| Capability {
        name: name.to_owned(),
        supported,
        message,
    })
    .into()
}

fn pause(known: &Pausing) -> (Supported, String) {
    match known {
        Pausing::NotTried => {
            let text = "not known before a container with process isolation has to be removed by force: \
                        it is tried on that";
            (Supported::Unknown, text.to_owned())
        }
        Pausing::Works => {
            let text =
                "a container was paused before it was removed by force; no spec may ask for it yet";
            (Supported::True, text.to_owned())
        }
        Pausing::Refused(said) => (Supported::False, said.clone()),
        Pausing::Unclear(said) => (Supported::Unknown, said.clone()),
    }
}

fn create(known: &Capabilities, defect: Option<&String>) -> (Supported, String) {
    match (defect, &known.create) {
        (Some(defect), _) => (Supported::False, defect.clone()),
        (None, Ability::Works) => {
            let text = "a create was tried, and came as far as it should";
            (Supported::True, text.to_owned())
        }
        (None, _) => {
            let said = known.unclear.as_deref().unwrap_or("not tried yet");
            (Supported::Unknown, said.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use hcs_crds::{HcsContainerSpec, HcsContainerStatus};

    use super::*;
    use crate::agent::capabilities::Defect;

    fn says(known: &Capabilities, witnessed: &Witnessed) -> Vec<(String, Supported)> {
        let all = capabilities(known, witnessed);
        all.into_iter().map(|c| (c.name, c.supported)).collect()
    }

    fn table(create: Supported, hyperv: Supported, lcow: Supported) -> Vec<(String, Supported)> {
        let pause = Supported::Unknown;
        [
            ("Create", create),
            ("HyperV", hyperv),
            ("LCOW", lcow),
            ("PauseProcess", pause),
        ]
        .map(|(name, supported)| (name.to_owned(), supported))
        .into()
    }

    fn running(os: Os) -> HcsContainer {
        let mut spec = HcsContainerSpec::default();
        spec.runtime.os = os;
        spec.runtime.isolation = Isolation::HyperV;
        let mut object = HcsContainer::new("web", spec);
        object.status = Some(HcsContainerStatus {
            phase: Phase::Running,
            ..HcsContainerStatus::default()
        });
        object
    }

    #[test]
    fn what_was_not_seen_is_not_known_and_what_was_seen_stays_known() {
        use Supported::{True, Unknown};
        let (mut known, witnessed) = (Capabilities::default(), Witnessed::default());
        assert_eq!(says(&known, &witnessed), table(Unknown, Unknown, Unknown));
        known.create = Ability::Works;
        known.create_scratch = Ability::Works;
        assert_eq!(says(&known, &witnessed), table(True, Unknown, Unknown));
        witnessed.note(&running(Os::Linux));
        assert_eq!(says(&known, &witnessed), table(True, Unknown, True));
        witnessed.note(&running(Os::Windows));
        assert_eq!(says(&known, &witnessed), table(True, True, True));
    }

    #[test]
    fn what_a_try_to_pause_told_is_said_and_only_a_refusal_is_a_no() {
        use Supported::{False, True, Unknown};
        let said = |text: &str| text.to_owned();
        for (pausing, supported) in [
            (Pausing::NotTried, Unknown),
            (Pausing::Works, True),
            (
                Pausing::Refused(said("The request is not supported.")),
                False,
            ),
            (Pausing::Unclear(said("did not end within 60s")), Unknown),
        ] {
            let known = Capabilities {
                pausing,
                ..Capabilities::default()
            };
            let all = capabilities(&known, &Witnessed::default());
            assert_eq!(all[3].name, "PauseProcess");
            assert_eq!(all[3].supported, supported, "{known:?}");
        }
    }

    #[test]
    fn a_runhcs_that_makes_no_container_makes_none_of_any_kind() {
        use Supported::{False, Unknown};
        let broken = Ability::Broken(Defect::NoLayersHandedOn);
        let mut known = Capabilities {
            create: broken.clone(),
            ..Capabilities::default()
        };
        let witnessed = Witnessed::default();
        assert_eq!(says(&known, &witnessed), table(False, False, False));
        known.create = Ability::Unknown;
        known.create_scratch = broken;
        assert_eq!(says(&known, &witnessed), table(Unknown, Unknown, False));
    }
}
