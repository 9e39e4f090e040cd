//! Rules of several fields together, and of a change.

use hcs_crds::{Os, StopSignal};
use serde_json::json;

use super::ask::{Server, lcow};

#[tokio::test]
async fn the_node_of_an_object_cannot_be_changed() {
    let server = Server::shared().await;
    let stored = server.stored("moves", json!({})).await;
    stored
        .may_become(json!({ "nodeName": "win-1", "desiredState": "Stopped" }))
        .await;
    stored
        .may_not_become(json!({ "nodeName": "win-2" }), "nodeName is immutable")
        .await;
    stored
        .may_not_become(json!({ "nodeName": null }), "spec.nodeName: Required value")
        .await;
    stored.delete().await;
}

#[tokio::test]
async fn the_runtime_of_an_object_cannot_be_changed_nor_left_to_its_default() {
    let server = Server::shared().await;
    let stored = server
        .stored(
            "changes-runtime",
            json!({ "runtime": { "isolation": "HyperV" } }),
        )
        .await;
    stored
        .may_become(json!({ "runtime": { "os": "Windows", "isolation": "HyperV" } }))
        .await;
    for change in [
        json!({ "runtime": { "os": "Linux" } }),
        json!({ "runtime": { "isolation": "Process" } }),
        // Without a runtime the default would be another one.
        json!({ "runtime": null }),
    ] {
        stored.may_not_become(change, "runtime is immutable").await;
    }
    stored.delete().await;
    let stored = server.stored("names-default-runtime", json!({})).await;
    stored
        .may_become(json!({ "runtime": { "os": "Windows", "isolation": "Process" } }))
        .await;
    stored.delete().await;
}

#[tokio::test]
async fn everything_else_can_be_changed() {
    let server = Server::shared().await;
    let stored = server
        .stored("changes-much", json!({ "runtime": lcow() }))
        .await;
    stored
        .may_become(json!({
            "desiredState": "Paused",
            "bundle": { "config": null, "path": "C:\\bundles\\web" },
            "scratch": { "sizeGB": 40 },
            "tty": { "width": 80, "height": 25 },
            "restartPolicy": "Never",
            "restart": { "maxRestarts": 1 },
            "restartRequest": "again",
            "updatePolicy": "Manual",
            "stopSignal": "QUIT",
            "terminationGracePeriodSeconds": 1,
            "managementPolicy": "Observe",
            "ttlSecondsAfterFinished": 1,
        }))
        .await;
    stored.delete().await;
}

#[tokio::test]
async fn linux_needs_hyperv_isolation() {
    let server = Server::shared().await;
    server.accepts(json!({ "runtime": lcow() })).await;
    let message = "os Linux (LCOW) needs isolation HyperV";
    server
        .refuses(json!({ "runtime": { "os": "Linux" } }), message)
        .await;
    let process = json!({ "runtime": { "os": "Linux", "isolation": "Process" } });
    server.refuses(process.clone(), message).await;
    server.refuses(process, "spec.runtime.isolation").await;
}

#[tokio::test]
async fn a_scratch_needs_linux() {
    let server = Server::shared().await;
    server
        .accepts(json!({ "runtime": lcow(), "scratch": {} }))
        .await;
    for isolation in ["Process", "HyperV"] {
        let windows = json!({ "runtime": { "isolation": isolation }, "scratch": {} });
        server
            .refuses(windows, "scratch needs runtime.os Linux")
            .await;
    }
}

#[tokio::test]
async fn paused_needs_hyperv_isolation() {
    let server = Server::shared().await;
    for runtime in [lcow(), json!({ "os": "Windows", "isolation": "HyperV" })] {
        server
            .accepts(json!({ "desiredState": "Paused", "runtime": runtime }))
            .await;
    }
    let message = "desiredState Paused needs runtime.isolation HyperV";
    server
        .refuses(json!({ "desiredState": "Paused" }), message)
        .await;
    let stored = server.stored("pauses", json!({})).await;
    stored
        .may_not_become(json!({ "desiredState": "Paused" }), message)
        .await;
    stored.delete().await;
}

#[tokio::test]
async fn the_first_wait_is_not_longer_than_the_longest_defaults_included() {
    let server = Server::shared().await;
    let waits = |restart| json!({ "restart": restart });
    server
        .accepts(waits(
            json!({ "initialBackoffSeconds": 7, "maxBackoffSeconds": 7 }),
        ))
        .await;
    server
        .accepts(waits(json!({ "initialBackoffSeconds": 300 })))
        .await;
    server
        .accepts(waits(json!({ "maxBackoffSeconds": 10 })))
        .await;
    let message = "must not be greater than maxBackoffSeconds (default 300)";
    for restart in [
        json!({ "initialBackoffSeconds": 8, "maxBackoffSeconds": 7 }),
        json!({ "initialBackoffSeconds": 301 }),
        json!({ "maxBackoffSeconds": 9 }),
    ] {
        server.refuses(waits(restart), message).await;
    }
}

#[tokio::test]
async fn a_stop_signal_exists_in_the_system_that_runs() {
    let server = Server::shared().await;
    for signal in StopSignal::ALL.iter().copied() {
        for (os, runtime) in [
            (Os::Windows, json!({ "isolation": "HyperV" })),
            (Os::Linux, lcow()),
        ] {
            let change = json!({ "runtime": runtime, "stopSignal": signal });
            if signal.is_for(os) {
                server.accepts(change).await;
            } else {
                server
                    .refuses(change, "stopSignal does not exist in runtime.os")
                    .await;
            }
        }
    }
}
