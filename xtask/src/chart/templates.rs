//! Manifests as Helm templates: the same text, with the release's namespace, labels and annotations.

use std::fmt::Write;

use super::File;

/// The namespace in the manifests, which a release can choose.
const NAMESPACE: &str = "hcs-operator-system";

/// A template that is made of a manifest.
pub struct Template<'a> {
    /// The manifest's path, `/` between its parts.
    pub source: &'a str,
    /// What it says.
    pub manifest: &'a str,
    /// When a release has it.
    pub condition: &'a str,
    /// The chart's own template that gives the labels.
    pub labels: &'a str,
    /// The one that gives the annotations; none if it gives nothing.
    pub annotations: &'a str,
}

impl<'a> Template<'a> {
    /// Of the manifest in the file `source`, with the labels and annotations of most objects.
    pub fn of(source: &'a str, manifest: &'a str) -> Self {
        Self {
            source,
            manifest,
            condition: "true",
            labels: "hcs-operator.labels",
            annotations: "hcs-operator.annotations",
        }
    }

    /// As a file of the same name in another folder.
    pub fn written(&self, folder: &str) -> File {
        let name = self.source.rsplit('/').next().unwrap_or(self.source);
        (format!("{folder}/{name}"), self.text())
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{{{{- /* Generated from {} by `cargo xtask generate`. Do not edit. */}}}}\n{{{{- if {} }}}}\n",
            self.source, self.condition
        );
        let mut metadata = Metadata::None;
        for line in self.manifest.lines() {
            // Comments before the first object would be documents of their own in `helm template`.
            if line.starts_with('#') && matches!(metadata, Metadata::None) {
                continue;
            }
            metadata = self.enter(metadata, line, &mut text);
            text.push_str(&templated(line));
            text.push('\n');
            self.inside(&metadata, line, &mut text);
        }
        self.leave(&metadata, &mut text);
        text.push_str("{{- end }}\n");
        text
    }

    /// Before a line: whether it begins or ends an object's metadata.
    fn enter(&self, metadata: Metadata, line: &str, text: &mut String) -> Metadata {
        match metadata {
            Metadata::Inside { .. } if !line.starts_with(' ') => {
                self.leave(&metadata, text);
                Metadata::Past
            }
            _ if line == "metadata:" => Metadata::Inside {
                labels: false,
                annotations: false,
            },
            Metadata::None if line != "---" => Metadata::Past,
            Metadata::Inside {
                labels,
                annotations,
            } => Metadata::Inside {
                labels: labels || line == "  labels:",
                annotations: annotations || line == "  annotations:",
            },
            same => same,
        }
    }

    /// After a line: what joins the object's own labels and annotations.
    fn inside(&self, metadata: &Metadata, line: &str, text: &mut String) {
        let helper = match (metadata, line) {
            (Metadata::Inside { .. }, "  labels:") => self.labels,
            (Metadata::Inside { .. }, "  annotations:") => self.annotations,
            _ => return,
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "    {{{{- with include \"{helper}\" . }}}}\n    {{{{- . | nindent 4 }}}}\n    {{{{- end }}}}"
        );
    }

    /// At the end of an object's metadata: the labels and annotations, if it has none of its own.
    fn leave(&self, metadata: &Metadata, text: &mut String) {
        let &Metadata::Inside {
            labels,
            annotations,
        } = metadata
        else {
            return;
        };
        for (there, key, helper) in [
            (labels, "labels", self.labels),
            (annotations, "annotations", self.annotations),
        ] {
            if !there {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "  {{{{- with include \"{helper}\" . }}}}\n  {key}:\n    {{{{- . | nindent 4 }}}}\n  {{{{- end }}}}"
                );
            }
        }
    }
}

/// Where in an object a line is.
enum Metadata {
    /// Before the first object.
    None,
    /// In its metadata, and whether that has labels and annotations.
    Inside { labels: bool, annotations: bool },
    /// Elsewhere.
    Past,
}

/// A line with the release's namespace, and without what Helm would take for its own.
fn templated(line: &str) -> String {
    if line.trim_start().starts_with('#') {
        return line.replace("{{", "{ {").replace("}}", "} }");
    }
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("{{").into_iter().chain(rest.find("}}")).min() {
        let (before, from) = rest.split_at(at);
        let (braces, after) = from.split_at(2);
        // Writing to a String cannot fail.
        let _ = write!(text, "{before}{{{{ \"{braces}\" }}}}");
        rest = after;
    }
    text.push_str(rest);
    text.replace(NAMESPACE, "{{ .Release.Namespace }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
# What it is.
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  namespace: hcs-operator-system
data:
  alert: '{{ $labels.x }}'
---
# More.
apiVersion: v1
kind: ConfigMap
metadata:
  name: b
  labels:
    own: label
";

    #[test]
    fn a_manifest_gets_the_release_s_namespace_labels_and_annotations() {
        let (path, text) = Template::of("manifests/x/a.yaml", MANIFEST).written("templates");
        assert_eq!(path, "templates/a.yaml");
        assert!(
            text.contains("  namespace: {{ .Release.Namespace }}\n"),
            "{text}"
        );
        let labels = "include \"hcs-operator.labels\"";
        let annotations = "include \"hcs-operator.annotations\"";
        assert_eq!(text.matches(labels).count(), 2, "{text}");
        assert_eq!(text.matches(annotations).count(), 2, "{text}");
        assert_eq!(text.matches("\n  labels:\n").count(), 2, "{text}");
    }

    #[test]
    fn braces_of_the_manifest_s_own_stay_as_they_are() {
        let (_, text) = Template::of("a.yaml", MANIFEST).written("templates");
        let alert = r#"  alert: '{{ "{{" }} $labels.x {{ "}}" }}'"#;
        assert!(text.contains(alert), "{text}");
    }
}
