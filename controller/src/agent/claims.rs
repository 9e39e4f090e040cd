//! Who holds what only one container may have at once: a bundle folder, a layer that is written to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::record::{ObjectId, Record};

/// A claim that another object holds.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what:?} is in use by HcsContainer {holder}; give each its own, or delete one of the two")]
pub struct InUse {
    /// The place.
    pub what: String,
    /// Who holds it.
    pub holder: ObjectId,
}

/// All claims on this node.
#[derive(Debug, Default)]
pub struct Claims(Mutex<HashMap<String, ObjectId>>);

impl Claims {
    /// The claims of records as they were left.
    pub fn of(records: &[Record]) -> Self {
        let claims = records
            .iter()
            .flat_map(|r| r.claims.iter().map(|what| (what.clone(), r.object.clone())))
            .collect();
        Self(Mutex::new(claims))
    }

    /// Makes `wanted` the object's claims, all or none.
    pub fn take(&self, object: &ObjectId, wanted: &[String]) -> Result<(), InUse> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for what in wanted {
            if let Some(holder) = claims.get(what).filter(|holder| *holder != object) {
                return Err(InUse {
                    what: what.clone(),
                    holder: holder.clone(),
                });
            }
        }
        claims.retain(|_, holder| holder != object);
        claims.extend(wanted.iter().map(|what| (what.clone(), object.clone())));
        Ok(())
    }

    /// Gives up all of an object's claims.
    pub fn release(&self, object: &ObjectId) {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, holder| holder != object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> ObjectId {
        ObjectId {
            uid: name.into(),
            namespace: "n".into(),
            name: name.into(),
        }
    }

    #[test]
    fn the_second_object_is_told_who_holds_its_bundle_until_it_is_released() {
        let claims = Claims::default();
        let (a, b) = (object("a"), object("b"));
        claims.take(&a, &["x".into(), "y".into()]).unwrap();
        let refusal = claims.take(&b, &["z".into(), "y".into()]).unwrap_err();
        assert_eq!(
            refusal,
            InUse {
                what: "y".into(),
                holder: a.clone()
            }
        );
        claims.take(&a, &["x".into()]).unwrap();
        claims.take(&b, &["z".into(), "y".into()]).unwrap();
        claims.release(&b);
        claims.take(&a, &["z".into()]).unwrap();
    }
}
