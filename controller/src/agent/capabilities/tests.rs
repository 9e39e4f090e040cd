use super::*;
use runhcs::ErrorKind as E;

const NO_LAYERS: &str = "failed to mount container storage: invalid layer type <nil>\n";
const SHIM: &str = "unknown shim failure, exit code 2\n";

fn help(verbs: &[&str], flags: &[&str]) -> Help {
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    Help {
        version: Some("spec: 1.0.2-dev".into()),
        verbs: owned(verbs),
        flags: owned(flags),
    }
}

const VERBS: [&str; 7] = [
    "create",
    "create-scratch",
    "start",
    "kill",
    "delete",
    "list",
    "ps",
];

fn fails(message: &str) -> Result<Reply, CallError> {
    Err(CallError {
        kind: E::Failed,
        message: message.into(),
    })
}

#[test]
fn a_create_that_fails_at_the_missing_layers_works() {
    let said = "failed to CreateSandboxLayer: hcsshim::CreateScratchLayer failed in Win32";
    assert_eq!(judge_create(E::StorageFailed, said), Some(Ability::Works));
}

#[test]
fn a_create_that_hands_on_no_layers_is_told_from_one_that_works() {
    let broken = Ability::Broken(Defect::NoLayersHandedOn);
    assert_eq!(judge_create(E::StorageFailed, NO_LAYERS), Some(broken));
}

#[test]
fn a_create_that_fails_for_another_cause_tells_nothing() {
    assert_eq!(judge_create(E::AccessDenied, "Access is denied."), None);
    assert_eq!(judge_create(E::TimedOut, ""), None);
    let unclear = judge(&help(&VERBS, &[]), None, Err("Access is denied.".into()));
    assert_eq!(unclear.create, Ability::Unknown);
    assert_eq!(unclear.unclear.as_deref(), Some("Access is denied."));
    assert_eq!(unclear.defect(), None);
}

#[test]
fn a_verb_that_is_missing_is_named() {
    let found = judge(&help(&["create", "list"], &[]), None, Ok(Ability::Works));
    assert_eq!(found.defect(), Some(&Defect::NoVerb { verb: "start" }));
    let no_scratch = Ability::Broken(Defect::NoVerb {
        verb: "create-scratch",
    });
    assert_eq!(found.create_scratch, no_scratch);
}

#[test]
fn virtual_memory_is_known_by_the_help_text() {
    let with = help(&[], &["--use-virtual-memory"]);
    let found = |scratch: Option<&Help>| {
        judge(&help(&VERBS, &[]), scratch, Ok(Ability::Works)).virtual_memory
    };
    assert_eq!(found(Some(&with)), Some(true));
    assert_eq!(found(Some(&Help::default())), Some(false));
    assert_eq!(found(None), None);
}

#[test]
fn what_containers_go_through_is_learned_and_kept_for_the_same_version() {
    let known = Known::default();
    let whole = judge(&help(&VERBS, &[]), None, Ok(Ability::Works));
    known.found(whole.clone());
    let start = Call::Start("hc-u-1".into());
    known.learn(&start, &fails(SHIM));
    let seen = known.subscribe();
    let broken = Ability::Broken(Defect::ShimCrashes);
    assert_eq!(seen.borrow().start, broken);
    known.found(whole.clone());
    assert_eq!(seen.borrow().start, broken);
    known.learn(&start, &fails("the program is not there"));
    assert_eq!(seen.borrow().start, broken);
    known.learn(&start, &Ok(Reply::Done));
    assert_eq!(seen.borrow().start, Ability::Works);
    let another = Capabilities {
        version: Some("spec: 1.2.0".into()),
        ..whole
    };
    known.found(another);
    assert_eq!(seen.borrow().start, Ability::Unknown);
}

#[test]
fn each_defect_says_what_to_do() {
    for defect in [
        Defect::NoLayersHandedOn,
        Defect::ShimCrashes,
        Defect::NoVerb { verb: "ps" },
        Defect::NoFlag { verb: "create" },
    ] {
        let text = defect.to_string();
        assert!(
            text.contains("v0.11.7") && text.contains("docs/windows.md"),
            "{text}"
        );
    }
}
