//! Rules of single fields: required, enumerated, bounded.

use serde_json::{Value, json};

use super::ask::{Server, lcow};

#[tokio::test]
async fn a_node_name_is_required_and_a_dns_name() {
    let server = Server::shared().await;
    for name in ["a", "win-1", "node.example.com", "0", &"a".repeat(253)] {
        server.accepts(json!({ "nodeName": name })).await;
    }
    server
        .refuses(json!({ "nodeName": null }), "spec.nodeName: Required value")
        .await;
    server
        .refuses(
            json!({ "nodeName": "" }),
            "spec.nodeName in body should be at least 1",
        )
        .await;
    let long = json!({ "nodeName": "a".repeat(254) });
    server
        .refuses(long, "spec.nodeName: Too long: may not be more than 253")
        .await;
    for name in [
        "Win-1", "-a", "a-", "a_b", "a b", "a..b", ".a", "a.", "ä", "a/b", "a\nb",
    ] {
        server
            .refuses(
                json!({ "nodeName": name }),
                "nodeName must be a Node's name",
            )
            .await;
    }
}

#[tokio::test]
async fn each_enumerated_field_takes_its_values_and_no_others() {
    let server = Server::shared().await;
    let fields = [
        (
            "desiredState",
            &["Created", "Running", "Stopped", "Deleted"][..],
            "\"Paused\"",
        ),
        (
            "restartPolicy",
            &["Always", "OnFailure", "Never"],
            "\"Never\"",
        ),
        ("updatePolicy", &["Recreate", "Manual"], "\"Manual\""),
        ("managementPolicy", &["Manage", "Observe"], "\"Observe\""),
        (
            "stopSignal",
            &["CtrlC", "CtrlBreak", "CtrlClose", "CtrlLogOff"],
            "\"WINCH\"",
        ),
    ];
    for (field, values, listed) in fields {
        for value in values {
            server.accepts(json!({ field: value })).await;
        }
        let unsupported = format!("spec.{field}: Unsupported value: \"Other\"");
        server
            .refuses(json!({ field: "Other" }), &unsupported)
            .await;
        server.refuses(json!({ field: "Other" }), listed).await;
        let lower = values[0].to_lowercase();
        server
            .refuses(
                json!({ field: lower }),
                &format!("spec.{field}: Unsupported"),
            )
            .await;
    }
    let runtime =
        |os: &str, isolation: &str| json!({ "runtime": { "os": os, "isolation": isolation } });
    for (os, isolation) in [
        ("Windows", "Process"),
        ("Windows", "HyperV"),
        ("Linux", "HyperV"),
    ] {
        server.accepts(runtime(os, isolation)).await;
    }
    server
        .refuses(
            runtime("BSD", "HyperV"),
            "spec.runtime.os: Unsupported value",
        )
        .await;
    server
        .refuses(
            runtime("Windows", "None"),
            "spec.runtime.isolation: Unsupported value",
        )
        .await;
    let policy =
        |policy: &str| json!({ "runtime": lcow(), "scratch": { "reclaimPolicy": policy } });
    server.accepts(policy("Delete")).await;
    server.accepts(policy("Retain")).await;
    server
        .refuses(
            policy("Recycle"),
            "spec.scratch.reclaimPolicy: Unsupported value",
        )
        .await;
}

/// A change with `value` at a path of fields below the spec.
fn at(path: &str, value: &Value) -> Value {
    path.rsplit('.')
        .fold(value.clone(), |inner, field| json!({ field: inner }))
}

/// Adds what a change of this field needs beside it so that no other rule comes in between.
fn complete(path: &str, change: &mut Value) {
    match path {
        "scratch.sizeGB" => change["runtime"] = lcow(),
        "tty.width" => change["tty"]["height"] = json!(30),
        "tty.height" => change["tty"]["width"] = json!(120),
        "restart.maxBackoffSeconds" => change["restart"]["initialBackoffSeconds"] = json!(1),
        "restart.initialBackoffSeconds" => change["restart"]["maxBackoffSeconds"] = json!(86_400),
        _ => {}
    }
}

#[tokio::test]
async fn each_number_keeps_its_bounds() {
    let server = Server::shared().await;
    let numbers = [
        ("terminationGracePeriodSeconds", 0, 86_400),
        ("ttlSecondsAfterFinished", 0, 31_536_000),
        ("restart.maxRestarts", 0, 1_000_000),
        ("restart.resetAfterSeconds", 1, 2_592_000),
        ("restart.maxBackoffSeconds", 1, 86_400),
        ("restart.initialBackoffSeconds", 1, 86_400),
        ("scratch.sizeGB", 1, 65_536),
        ("tty.width", 1, 65_535),
        ("tty.height", 1, 65_535),
    ];
    for (path, least, most) in numbers {
        let with = |value: Value| {
            let mut change = at(path, &value);
            complete(path, &mut change);
            change
        };
        server.accepts(with(json!(least))).await;
        server.accepts(with(json!(most))).await;
        let low = format!("spec.{path} in body should be greater than or equal to {least}");
        server.refuses(with(json!(least - 1)), &low).await;
        let high = format!("spec.{path} in body should be less than or equal to {most}");
        server.refuses(with(json!(most + 1)), &high).await;
        for no_number in [json!("10"), json!(1.5), json!(true)] {
            server
                .refuses(with(no_number), &format!("spec.{path}: Invalid value"))
                .await;
        }
    }
}

#[tokio::test]
async fn a_console_needs_both_width_and_height() {
    let server = Server::shared().await;
    server
        .accepts(json!({ "tty": { "width": 120, "height": 30 } }))
        .await;
    server
        .refuses(
            json!({ "tty": { "width": 120 } }),
            "spec.tty.height: Required value",
        )
        .await;
    server
        .refuses(
            json!({ "tty": { "height": 30 } }),
            "spec.tty.width: Required value",
        )
        .await;
}

#[tokio::test]
async fn a_restart_request_is_short_and_otherwise_opaque() {
    let server = Server::shared().await;
    for request in ["", "2026-01-01", "käse\n", &"x".repeat(256)] {
        server.accepts(json!({ "restartRequest": request })).await;
    }
    let long = json!({ "restartRequest": "x".repeat(257) });
    server
        .refuses(
            long,
            "spec.restartRequest: Too long: may not be more than 256",
        )
        .await;
}
