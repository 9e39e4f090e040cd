//! Any object that the definitions let pass. No struct is made with `..`: a field that is new has to be named here.

use hcs_crds::{
    Backoff, Bundle, Capability, CommandRecord, ContainerCounts, DesiredState, ForeignContainers,
    HcsContainerSpec, HcsContainerStatus, HcsNode, HcsNodeStatus, Initiator, Inventory, Isolation,
    Leftover, LeftoverKind, Leftovers, ManagementPolicy, Os, Phase, Processes, ReclaimPolicy,
    RestartPolicy, RestartSettings, RunhcsInfo, Runtime, Scratch, ScratchStatus, StopSignal,
    Supported, Termination, Tty, UpdatePolicy, whole_seconds,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// What a status says in words: any at all, control characters and quotes too, and none.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        Just(String::new()),
        Just("a\tb\n\u{7f}\\\"'".to_owned())
    ]
}

/// An absolute path that keeps the rules of `hcs_crds`.
fn path() -> impl Strategy<Value = String> {
    let part = "[a-wy-zA-WY-Z][a-z0-9 _äé()+-]{0,10}z";
    let start = select(vec![r"C:\", "d:/", "/"]);
    (start, vec(part, 1..4), select(vec!["\\", "/"]))
        .prop_map(|(start, parts, between)| start.to_owned() + &parts.join(between))
}

fn node_name() -> impl Strategy<Value = String> {
    "[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?([.][a-z0-9]{1,5}){0,2}"
}

fn time() -> impl Strategy<Value = Time> {
    (0_i64..4_000_000_000).prop_map(|second| whole_seconds(Timestamp::from_second(second).unwrap()))
}

/// A value of the kind that a configuration may have anywhere. No fraction that is whole: the API server stores 1.0 as 1.
fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_i32..1_000).prop_map(|n| json!(f64::from(n) + 0.5)),
        text().prop_map(Value::from),
    ];
    plain.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// An OCI configuration that fits the runtime, with more in it than anyone knows of.
fn config(runtime: Runtime) -> impl Strategy<Value = Map<String, Value>> {
    let process = (
        vec(text(), 0..3),
        vec("[A-Z]{1,5}=[a-z%\"]{0,5}", 0..3),
        value(),
    );
    let rest = (vec(path(), 2..5), value(), of(value()), any::<bool>());
    (process, rest).prop_map(move |((args, env, more), (layers, extra, odd, hyperv))| {
        let mut args = args;
        args.insert(0, r"C:\web.exe".to_owned());
        let mut config = json!({
            "ociVersion": "1.0.2",
            "process": {"args": args, "cwd": r"C:\", "env": env, "terminal": hyperv, "xMore": more},
            "windows": {"layerFolders": layers, "xExtra": extra},
            "annotations": {"web.example/a b": "\"\u{e9}"},
        });
        if runtime.isolation == Isolation::HyperV && hyperv {
            config["windows"]["hyperv"] = json!({"xOdd": odd});
        }
        if runtime.os == Os::Linux {
            config["linux"] = json!({});
        }
        if let Some(odd) = odd {
            config["xOdd"] = odd;
        }
        config.as_object().cloned().unwrap()
    })
}

fn bundle(runtime: Runtime) -> impl Strategy<Value = Bundle> {
    prop_oneof![
        path().prop_map(|path| Bundle {
            config: None,
            path: Some(path)
        }),
        config(runtime).prop_map(|config| Bundle {
            config: Some(config.into()),
            path: None
        }),
    ]
}

fn runtime() -> impl Strategy<Value = Runtime> {
    select(vec![
        (Os::Windows, Isolation::Process),
        (Os::Windows, Isolation::HyperV),
        (Os::Linux, Isolation::HyperV),
    ])
    .prop_map(|(os, isolation)| Runtime { os, isolation })
}

fn desired_state(isolation: Isolation) -> impl Strategy<Value = DesiredState> {
    use DesiredState as D;
    let mut states = vec![D::Created, D::Running, D::Stopped, D::Deleted];
    states.extend((isolation == Isolation::HyperV).then_some(D::Paused));
    select(states)
}

fn stop_signal(os: Os) -> impl Strategy<Value = StopSignal> {
    let all = StopSignal::ALL.iter().copied();
    select(all.filter(|signal| signal.is_for(os)).collect::<Vec<_>>())
}

fn scratch() -> impl Strategy<Value = Scratch> {
    let reclaim = select(vec![ReclaimPolicy::Delete, ReclaimPolicy::Retain]);
    (1_u32..=65_536, of(path()), any::<bool>(), reclaim).prop_map(
        |(size_gb, cache_file, use_virtual_memory, reclaim_policy)| Scratch {
            size_gb,
            cache_file,
            use_virtual_memory,
            reclaim_policy,
        },
    )
}

fn tty() -> impl Strategy<Value = Tty> {
    (1_u16.., 1_u16..).prop_map(|(width, height)| Tty { width, height })
}

fn restart() -> impl Strategy<Value = RestartSettings> {
    let backoff = (1_u32..=86_400, 1_u32..=86_400);
    (of(0_u32..=1_000_000), backoff, 1_u32..=2_592_000).prop_map(
        |(max_restarts, (a, b), reset_after_seconds)| RestartSettings {
            max_restarts,
            initial_backoff_seconds: a.min(b),
            max_backoff_seconds: a.max(b),
            reset_after_seconds,
        },
    )
}

/// Any spec that the API server takes.
pub fn spec() -> impl Strategy<Value = HcsContainerSpec> {
    runtime().prop_flat_map(|runtime| {
        let policies = (
            select(vec![
                RestartPolicy::Always,
                RestartPolicy::OnFailure,
                RestartPolicy::Never,
            ]),
            select(vec![UpdatePolicy::Recreate, UpdatePolicy::Manual]),
            select(vec![ManagementPolicy::Manage, ManagementPolicy::Observe]),
        );
        let scratch =
            of(scratch()).prop_map(move |scratch| scratch.filter(|_| runtime.os == Os::Linux));
        let place = (
            node_name(),
            desired_state(runtime.isolation),
            bundle(runtime),
        );
        let more = (scratch, of(tty()), restart(), of(text()));
        let end = (
            of(stop_signal(runtime.os)),
            0_u32..=86_400,
            of(0_u32..=31_536_000),
        );
        (policies, place, more, end).prop_map(move |(policies, place, more, end)| {
            HcsContainerSpec {
                node_name: place.0,
                desired_state: place.1,
                runtime,
                bundle: place.2,
                scratch: more.0,
                tty: more.1,
                restart_policy: policies.0,
                restart: more.2,
                restart_request: more.3,
                update_policy: policies.1,
                stop_signal: end.0,
                termination_grace_period_seconds: end.1,
                management_policy: policies.2,
                ttl_seconds_after_finished: end.2,
            }
        })
    })
}

/// Conditions, one a type, as the API server asks of such a list.
fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let types = proptest::sample::subsequence(
        vec![
            "Ready",
            "Reconciling",
            "Stalled",
            "ScratchReady",
            "example.com/Any",
        ],
        0..=5,
    );
    let status = select(vec!["True", "False", "Unknown"]);
    let one = (status, "[A-Z][a-z]{0,20}", text(), time(), of(0_i64..));
    (types, vec(one, 5)).prop_map(|(types, all)| {
        let all = types.into_iter().zip(all);
        all.map(
            |(type_, (status, reason, message, time, generation))| Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason,
                message,
                last_transition_time: time,
                observed_generation: generation,
            },
        )
        .collect()
    })
}

fn termination() -> impl Strategy<Value = Termination> {
    use Initiator as I;
    let by = select(vec![I::Guest, I::Operator, I::Node, I::Unknown]);
    let code = (of(any::<i64>()), of(text()), of(text()));
    (code, by, of(time()), of(time())).prop_map(|(code, initiator, started_at, finished_at)| {
        Termination {
            exit_code: code.0,
            exit_code_hex: code.1,
            reason: code.2,
            initiator,
            started_at,
            finished_at,
        }
    })
}

fn command() -> impl Strategy<Value = CommandRecord> {
    let duration = 0_u64..=i64::MAX as u64;
    (text(), of(any::<i64>()), duration, of(text())).prop_map(
        |(command, exit_code, duration_ms, stderr)| CommandRecord {
            command,
            exit_code,
            duration_ms,
            stderr,
        },
    )
}

fn processes() -> impl Strategy<Value = Processes> {
    (any::<u32>(), vec(any::<u32>(), 0..64), any::<bool>()).prop_map(|(count, pids, truncated)| {
        Processes {
            count,
            pids,
            truncated,
        }
    })
}

fn backoff() -> impl Strategy<Value = Backoff> {
    (any::<u32>(), of(time())).prop_map(|(consecutive_failures, retry_after)| Backoff {
        consecutive_failures,
        retry_after,
    })
}

fn phase() -> impl Strategy<Value = Phase> {
    use Phase as P;
    select(vec![
        P::Pending,
        P::Creating,
        P::Created,
        P::Running,
        P::Paused,
        P::Stopping,
        P::Stopped,
        P::Failed,
        P::Deleted,
        P::Unknown,
    ])
}

/// Any status that the API server takes.
pub fn status() -> impl Strategy<Value = HcsContainerStatus> {
    let seen = (-1_i64.., phase(), of(text()), of(any::<u32>()));
    let process = (of(any::<u32>()), of(time()), of(text()), of(processes()));
    let ends = (any::<u32>(), of(termination()), of(backoff()), of(time()));
    let scratch =
        (text(), any::<u32>()).prop_map(|(path, size_gb)| ScratchStatus { path, size_gb });
    let rest = (
        of(scratch),
        of(tty()),
        vec(text(), 0..4),
        vec(command(), 0..4),
    );
    (seen, process, ends, rest, conditions()).prop_map(|(seen, process, ends, rest, conditions)| {
        HcsContainerStatus {
            observed_generation: seen.0,
            phase: seen.1,
            container_id: seen.2,
            attempt: seen.3,
            pid: process.0,
            pid_start_time: process.1,
            boot_id: process.2,
            processes: process.3,
            restart_count: ends.0,
            last_termination: ends.1,
            backoff: ends.2,
            scratch: rest.0,
            tty: rest.1,
            planned_actions: rest.2,
            recent_commands: rest.3,
            started_at: ends.3,
            conditions,
        }
    })
}

fn capabilities() -> impl Strategy<Value = Vec<Capability>> {
    let supported = select(vec![Supported::True, Supported::False, Supported::Unknown]);
    let named = proptest::collection::btree_map("[A-Z][a-z]{1,9}", (supported, text()), 0..4);
    named.prop_map(|named| {
        let named = named.into_iter();
        named
            .map(|(name, (supported, message))| Capability {
                name,
                supported,
                message,
            })
            .collect()
    })
}

fn counts() -> impl Strategy<Value = ContainerCounts> {
    any::<[u32; 11]>().prop_map(|n| ContainerCounts {
        total: n[0],
        pending: n[1],
        creating: n[2],
        created: n[3],
        running: n[4],
        paused: n[5],
        stopping: n[6],
        stopped: n[7],
        failed: n[8],
        deleted: n[9],
        unknown: n[10],
    })
}

fn inventory() -> impl Strategy<Value = Inventory> {
    use LeftoverKind as K;
    let foreign = (any::<u32>(), vec(text(), 0..4), any::<bool>());
    let bytes = || 0_u64..=i64::MAX as u64;
    let kinds = [
        K::Container,
        K::Bundle,
        K::Scratch,
        K::Record,
        K::MountedLayer,
        K::Unknown,
    ];
    let item = (select(kinds.to_vec()), text(), bytes()).prop_map(|(kind, name, bytes)| Leftover {
        kind,
        name,
        bytes,
    });
    let left = (any::<u32>(), bytes(), vec(item, 0..4), any::<bool>());
    (foreign, left).prop_map(|(foreign, left)| Inventory {
        foreign_containers: ForeignContainers {
            count: foreign.0,
            ids: foreign.1,
            truncated: foreign.2,
        },
        leftovers: Leftovers {
            count: left.0,
            bytes: left.1,
            items: left.2,
            truncated: left.3,
        },
    })
}

/// Any status of a node.
pub fn node_status() -> impl Strategy<Value = HcsNodeStatus> {
    let runhcs = (of(text()), of(text())).prop_map(|(path, version)| RunhcsInfo { path, version });
    let words = (of(text()), of(text()), of(text()));
    let rest = (capabilities(), counts(), inventory(), conditions());
    (-1_i64.., words, runhcs, rest).prop_map(|(observed_generation, words, runhcs, rest)| {
        HcsNodeStatus {
            observed_generation,
            agent_version: words.0,
            runhcs,
            os_build: words.1,
            boot_id: words.2,
            capabilities: rest.0,
            containers: rest.1,
            inventory: rest.2,
            conditions: rest.3,
        }
    })
}

/// The page of the node of this name.
pub fn node(name: &str, status: &HcsNodeStatus) -> HcsNode {
    let node = json!({
        "apiVersion": "hcs-operator.dev/v1alpha1", "kind": "HcsNode", "metadata": {"name": name},
        "status": status,
    });
    serde_json::from_value(node).unwrap()
}
