//! Who holds what only one container may have at once: a bundle folder, a layer that is written to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
pub struct Claims(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    holders: HashMap<String, ObjectId>,
    /// Objects that were refused, and what they were refused for.
    waiting: HashMap<ObjectId, String>,
}

impl Claims {
    /// The claims of records as they were left.
    pub fn of(records: &[Record]) -> Self {
        let holders = records
            .iter()
            .flat_map(|r| r.claims.iter().map(|what| (what.clone(), r.object.clone())))
            .collect();
        Self(Mutex::new(Inner {
            holders,
            waiting: HashMap::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `wanted` the object's claims, all or none.
    pub fn take(&self, object: &ObjectId, wanted: &[String]) -> Result<(), InUse> {
        let mut inner = self.lock();
        for what in wanted {
            if let Some(holder) = inner.holders.get(what).filter(|holder| *holder != object) {
                let refusal = InUse {
                    what: what.clone(),
                    holder: holder.clone(),
                };
                inner.waiting.insert(object.clone(), what.clone());
                return Err(refusal);
            }
        }
        inner.waiting.remove(object);
        inner.holders.retain(|_, holder| holder != object);
        inner
            .holders
            .extend(wanted.iter().map(|what| (what.clone(), object.clone())));
        Ok(())
    }

    /// Whether any object has claimed this place.
    pub fn holds(&self, what: &str) -> bool {
        self.lock().holders.contains_key(what)
    }

    /// Whether what the object was refused for is still another's.
    pub fn waits(&self, object: &ObjectId) -> bool {
        self.lock().waiting.contains_key(object)
    }

    /// Gives up all of an object's claims; returns the objects that waited for one of them.
    pub fn release(&self, object: &ObjectId) -> Vec<ObjectId> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.waiting.remove(object);
        inner.holders.retain(|_, holder| holder != object);
        let free = |what: &String| !inner.holders.contains_key(what);
        inner
            .waiting
            .extract_if(|_, what| free(what))
            .map(|(waiting, _)| waiting)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> ObjectId {
        ObjectId::new(name, "n", name)
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
        assert!(claims.waits(&b));
        claims.take(&b, &["z".into(), "y".into()]).unwrap();
        assert!(!claims.waits(&b));
        assert!(claims.take(&a, &["z".into()]).is_err());
        assert_eq!(claims.release(&b), std::slice::from_ref(&a));
        claims.take(&a, &["z".into()]).unwrap();
    }
}
