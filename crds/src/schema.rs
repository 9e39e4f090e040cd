//! What schemars can not derive: the shapes that Kubernetes' structural schemas need.

use schemars::{Schema, SchemaGenerator, json_schema};

/// An object whose fields the API server neither knows nor prunes.
pub(crate) fn open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
