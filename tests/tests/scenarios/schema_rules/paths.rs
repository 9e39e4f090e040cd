//! Rules of the three places where a spec names a path of the node: the bundle, each layer and the
//! scratch's cache file.

use serde_json::{Value, json};

use super::ask::{Server, lcow};

const ABSOLUTE: &str = "must be absolute";
const UNC: &str = "must not be a UNC or device path";
const STREAM: &str = "must not name an alternate data stream";
const CHARACTER: &str = "must not have control characters or any of";
const EMPTY_PART: &str = "must not have an empty part";
const DOT_OR_SPACE: &str = "must not have a part that ends in a dot or a space";
const DEVICE: &str = "must not have a part that is a device's name";
const SHORT: &str = "must not have a part that looks like a short (8.3) name";

const GOOD: [&str; 21] = [
    r"C:\b",
    r"c:\b\",
    "C:/b",
    r"D:\",
    r"C:\hcs\bundles\Web site\käse",
    r"C:\.hidden\a.b",
    r"C:\..b\...c",
    r"C:\a~b\~\a~1b",
    r"C:\v1.2~beta",
    r"C:\console\com\com10\nul1",
    r"C:\lpt\auxiliary.con",
    r"C:\a;b,c+d=e!f@g#h$i%j^k&l(m)n[o]p{q}'r`s",
    r"C:\-rf",
    r"C:\ leading",
    "/",
    "/a",
    "/var/lib/hcs/bundles/web",
    "/a/.b",
    "/tmp/.tmpX1/nodes/node-1",
    "/a b",
    "/ä",
];

const BAD: [(&str, &str); 57] = [
    ("b", ABSOLUTE),
    (r"b\c", ABSOLUTE),
    (r"\b", ABSOLUTE),
    (r"C:", ABSOLUTE),
    (r"C:b", ABSOLUTE),
    (r"1:\b", ABSOLUTE),
    (r"CC:\b", ABSOLUTE),
    (r" C:\b", ABSOLUTE),
    (r"\??\C:\b", ABSOLUTE),
    ("~/b", ABSOLUTE),
    ("./b", ABSOLUTE),
    ("%TEMP%", ABSOLUTE),
    ("-rf", ABSOLUTE),
    ("file:///C:/b", ABSOLUTE),
    (r"\\server\share\b", UNC),
    ("//server/share/b", UNC),
    (r"\/server\share", UNC),
    (r"/\server\share", UNC),
    (r"\\.\pipe\b", UNC),
    (r"\\.\C:\b", UNC),
    (r"\\?\C:\b", UNC),
    (r"\\?\UNC\server\share", UNC),
    (r"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\", UNC),
    ("//./pipe/b", UNC),
    ("//?/C:/b", UNC),
    (r"C:\b:stream", STREAM),
    (r"C:\b::$DATA", STREAM),
    (r"C:\b:s\c", STREAM),
    ("/b:c", STREAM),
    ("C:\\a\u{0}b", CHARACTER),
    ("C:\\a\nb", CHARACTER),
    ("C:\\a\u{7f}b", CHARACTER),
    ("C:\\a\u{85}b", CHARACTER),
    (r"C:\a*b", CHARACTER),
    (r"C:\a?b", CHARACTER),
    ("C:\\a\"b", CHARACTER),
    (r"C:\a<b", CHARACTER),
    (r"C:\a>b", CHARACTER),
    (r"C:\a|b", CHARACTER),
    (r"C:\a\\b", EMPTY_PART),
    ("/a//b", EMPTY_PART),
    (r"C:\a/\b", EMPTY_PART),
    (r"C:\..", DOT_OR_SPACE),
    (r"C:\a\..\b", DOT_OR_SPACE),
    ("C:/a/../b", DOT_OR_SPACE),
    (r"C:\a\.\b", DOT_OR_SPACE),
    ("/a/..", DOT_OR_SPACE),
    (r"C:\a.\b", DOT_OR_SPACE),
    (r"C:\a ", DOT_OR_SPACE),
    (r"C:\a...", DOT_OR_SPACE),
    (r"C:\NUL", DEVICE),
    (r"C:\a\con.txt\b", DEVICE),
    (r"C:\a\Com1 .log", DEVICE),
    (r"C:\lpt²", DEVICE),
    (r"C:\CONIN$", DEVICE),
    (r"C:\PROGRA~1\b", SHORT),
    (r"C:\a\LONGNA~12.TXT", SHORT),
];

/// The same change for each place that takes a path, with the field that a refusal must name.
fn places(path: &str) -> [(&'static str, Value); 3] {
    let layers = ["C:\\layers\\base", path];
    [
        (
            "spec.bundle.path",
            json!({ "bundle": { "config": null, "path": path } }),
        ),
        (
            "spec.bundle.config.windows.layerFolders[1]",
            json!({ "bundle": { "config": { "windows": { "layerFolders": layers } } } }),
        ),
        (
            "spec.scratch.cacheFile",
            json!({ "runtime": lcow(), "scratch": { "cacheFile": path } }),
        ),
    ]
}

#[tokio::test]
async fn absolute_paths_are_accepted_wherever_a_path_is() {
    let server = Server::shared().await;
    for path in GOOD {
        for (_, change) in places(path) {
            server.accepts(change).await;
        }
    }
}

#[tokio::test]
async fn paths_that_mean_another_place_are_refused_wherever_a_path_is() {
    let server = Server::shared().await;
    for (path, message) in BAD {
        for (field, change) in places(path) {
            server.refuses(change.clone(), message).await;
            server.refuses(change, field).await;
        }
    }
}

#[tokio::test]
async fn paths_have_from_1_to_1024_characters() {
    let server = Server::shared().await;
    let path = |length: usize| format!("C:\\{}", "ä".repeat(length - 3));
    for (field, change) in places(&path(1024)) {
        let refusal = server.create(change).await.err();
        assert_eq!(refusal, None, "{field}");
    }
    for (field, change) in places(&path(1025)) {
        server
            .refuses(
                change,
                &format!("{field}: Too long: may not be more than 1024"),
            )
            .await;
    }
    for (field, change) in places("") {
        server
            .refuses(
                change,
                &format!("{field} in body should be at least 1 chars long"),
            )
            .await;
    }
}
