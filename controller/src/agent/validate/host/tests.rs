//! Each rule both ways, and what its message says.

use hcs_crds::{Bundle, Scratch};
use serde_json::json;

use super::*;
use crate::agent::validate::paths::Roots;

fn policy(change: impl FnOnce(&mut HostPolicy)) -> HostPolicy {
    let none = Roots::default;
    let mut policy = HostPolicy::of_roots(none(), none(), none(), none());
    change(&mut policy);
    policy
}

fn spec(runtime: Runtime) -> HcsContainerSpec {
    HcsContainerSpec {
        runtime,
        bundle: Bundle {
            config: Some(hcs_crds::OciConfig::default()),
            path: None,
        },
        scratch: Some(Scratch {
            size_gb: 40,
            ..Scratch::default()
        }),
        ..HcsContainerSpec::default()
    }
}

fn said(result: Result<(), Denied>) -> String {
    result.map_or_else(|denied| denied.to_string(), |()| "allowed".into())
}

/// The message has the field, the value, the setting, and what to do.
fn names(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

#[test]
fn a_kind_of_container_that_is_not_listed_is_denied() {
    let hyperv = Runtime {
        os: Os::Windows,
        isolation: Isolation::HyperV,
    };
    let linux = Runtime {
        os: Os::Linux,
        isolation: Isolation::HyperV,
    };
    let all = policy(|_| ());
    for runtime in [Runtime::default(), hyperv, linux] {
        assert_eq!(said(admit_spec(&spec(runtime), &all)), "allowed");
    }
    let one = policy(|policy| policy.kinds = vec![Kind::HyperV]);
    assert_eq!(said(admit_spec(&spec(hyperv), &one)), "allowed");
    let denied = said(admit_spec(&spec(Runtime::default()), &one));
    names(
        &denied,
        &[
            "spec.runtime: Process",
            "[HyperV]",
            "--allowed-runtimes",
            "make the object anew",
        ],
    );
    names(
        &said(admit_spec(&spec(linux), &one)),
        &["spec.runtime: Linux"],
    );
}

#[test]
fn an_inline_config_is_denied_where_only_bundles_may_run() {
    let bundles = policy(|policy| policy.inline_config = false);
    let mut object = spec(Runtime::default());
    names(
        &said(admit_spec(&object, &bundles)),
        &[
            "spec.bundle.config",
            "--allow-inline-config",
            "use spec.bundle.path",
        ],
    );
    object.bundle.config = None;
    assert_eq!(said(admit_spec(&object, &bundles)), "allowed");
}

#[test]
fn a_scratch_is_denied_only_above_its_limit() {
    let object = spec(Runtime::default());
    let at = |most| {
        said(admit_spec(
            &object,
            &policy(|policy| policy.max_scratch_gb = Some(most)),
        ))
    };
    assert_eq!(at(40), "allowed");
    names(
        &at(39),
        &[
            "spec.scratch.sizeGB: 40 GB",
            "at most 39",
            "--max-scratch-gb",
        ],
    );
}

#[test]
fn what_takes_hold_of_the_host_is_denied_unless_it_is_listed() {
    let cases = [
        (
            json!({"devices": [{"id": "x", "idType": "class"}]}),
            HostAccess::Devices,
        ),
        (
            json!({"credentialSpec": {"CmsPlugins": []}}),
            HostAccess::Credentials,
        ),
        (
            json!({"network": {"endpointList": ["e"]}}),
            HostAccess::Network,
        ),
        (
            json!({"network": {"networkNamespace": "n"}}),
            HostAccess::Network,
        ),
        (
            json!({"network": {"networkSharedContainerName": "c"}}),
            HostAccess::Network,
        ),
    ];
    for (windows, access) in cases {
        let config = json!({"windows": windows});
        let denied = said(admit_config(&config, Runtime::default(), &policy(|_| ())));
        names(
            &denied,
            &[
                "spec.bundle: windows.",
                &format!("{access:?}"),
                "--host-access",
                "remove it",
            ],
        );
        let others = HostAccess::value_variants()
            .iter()
            .copied()
            .filter(|other| *other != access);
        let others = policy(|policy| policy.access = others.collect());
        assert_ne!(
            said(admit_config(&config, Runtime::default(), &others)),
            "allowed"
        );
        let listed = policy(|policy| policy.access = vec![access]);
        assert_eq!(
            said(admit_config(&config, Runtime::default(), &listed)),
            "allowed"
        );
    }
    let nothing = json!({"windows": {"devices": [], "credentialSpec": null, "network": {"endpointList": [], "networkNamespace": "", "DNSSearchList": ["x"]}}});
    assert_eq!(
        said(admit_config(&nothing, Runtime::default(), &policy(|_| ()))),
        "allowed"
    );
}

const HYPERV: Runtime = Runtime {
    os: Os::Windows,
    isolation: Isolation::HyperV,
};
const LCOW: Runtime = Runtime {
    os: Os::Linux,
    isolation: Isolation::HyperV,
};

/// Where a kind of container says how much, beside the field.
fn binding(limited: &Limited) -> [(Runtime, &'static str); 3] {
    [
        (Runtime::default(), limited.container),
        (HYPERV, limited.vm),
        (LCOW, limited.vm),
    ]
}

#[test]
fn memory_counts_wherever_the_config_says_it_and_must_be_said() {
    let limited = policy(|policy| policy.max_memory_mb = Some(512));
    let field = |bytes: u64| json!({"windows": {"resources": {"memory": {"limit": bytes}}}});
    for (runtime, name) in binding(&MEMORY) {
        let at = |config: Value| said(admit_config(&config, runtime, &limited));
        assert_eq!(at(field(512 * MB)), "allowed");
        assert_eq!(at(field(MB)), "allowed");
        names(
            &at(field(512 * MB + 1)),
            &[
                "windows.resources.memory.limit: 513 MB",
                "at most 512",
                "--max-memory-mb",
                "ask for less",
            ],
        );
        assert_eq!(at(json!({"annotations": {name: "512"}})), "allowed");
        // Whatever hcsshim does not read as a number, or makes nothing of, is no limit.
        for nothing in [
            "0",
            "512MB",
            "",
            "+512",
            "-1",
            " 512",
            "99999999999999999999",
        ] {
            names(
                &at(json!({"annotations": {name: nothing}})),
                &["is not set"],
            );
        }
        for nothing in [json!({}), field(0), field(1), field(MB - 1)] {
            names(
                &at(nothing),
                &[
                    "windows.resources.memory.limit is not set",
                    "at most 512 MB",
                ],
            );
        }
        for name in [MEMORY.container, MEMORY.vm] {
            names(
                &at(json!({"annotations": {name: "513"}})),
                &[name, "513 MB"],
            );
            // The annotation outweighs the field.
            let mut both = field(MB);
            both["annotations"] = json!({name: "4096"});
            names(&at(both), &[name]);
        }
        let unlimited = admit_config(&json!({}), runtime, &policy(|_| ()));
        assert_eq!(said(unlimited), "allowed");
    }
}

#[test]
fn processors_count_wherever_the_config_says_them_and_must_be_said() {
    let limited = policy(|policy| policy.max_cpus = Some(2));
    let field = |count: u64| json!({"windows": {"resources": {"cpu": {"count": count}}}});
    for (runtime, name) in binding(&CPUS) {
        let at = |config: Value| said(admit_config(&config, runtime, &limited));
        assert_eq!(at(field(2)), "allowed");
        names(
            &at(field(3)),
            &["windows.resources.cpu.count: 3 processors", "--max-cpus"],
        );
        assert_eq!(at(json!({"annotations": {name: "2"}})), "allowed");
        for name in [CPUS.container, CPUS.vm] {
            names(
                &at(json!({"annotations": {name: "64"}})),
                &[name, "64 processors"],
            );
        }
        names(&at(json!({})), &["windows.resources.cpu.count is not set"]);
    }
}

#[test]
fn what_is_said_of_something_else_than_the_host_gives_away_is_no_limit() {
    let limited = policy(|policy| {
        policy.max_memory_mb = Some(512);
        policy.max_cpus = Some(2);
    });
    for (runtime, memory, cpus) in [
        (Runtime::default(), MEMORY.vm, CPUS.vm),
        (HYPERV, MEMORY.container, CPUS.container),
        (LCOW, MEMORY.container, CPUS.container),
    ] {
        let at = |config: Value| said(admit_config(&config, runtime, &limited));
        names(
            &at(json!({"annotations": {memory: "64"}})),
            &["windows.resources.memory.limit is not set"],
        );
        let resources = json!({"memory": {"limit": MB}});
        names(
            &at(json!({"annotations": {cpus: "1"}, "windows": {"resources": resources}})),
            &["windows.resources.cpu.count is not set"],
        );
    }
}
