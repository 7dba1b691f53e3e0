//! Reads one object of a list. One that cannot be read is the trouble of its owner only.

use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::{Value, error::Error};

use crate::workload::{OwnerReference, controlled_by};

/// An object that is not what this version knows as one of its kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The UID of the object that controls it.
    pub(super) owner: String,
    /// Which one, and why.
    pub(super) what: String,
}

/// Reads an object, or finds out whose it is.
///
/// # Errors
///
/// When it can neither be read nor finds out whose it is.
pub(super) fn read<T: DeserializeOwned>(object: &str) -> Result<Result<T, Unreadable>, Error> {
    match serde_json::from_str(object) {
        Ok(read) => Ok(Ok(read)),
        Err(error) => unreadable(object, &error).map(Err).ok_or(error),
    }
}

fn unreadable(object: &str, error: &Error) -> Option<Unreadable> {
    let object: Value = serde_json::from_str(object).ok()?;
    let metadata = object.get("metadata")?;
    let owners = Vec::<OwnerReference>::deserialize(metadata.get("ownerReferences")?).ok()?;
    let owner = controlled_by(&owners)?.to_owned();
    let name = metadata.get("name")?.as_str()?;
    Some(Unreadable {
        owner,
        what: format!("{name}: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    /// What is read of an object here.
    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Object {
        number: u32,
    }

    fn read(number: &Value, owners: &Value) -> Result<Result<Object, Unreadable>, Error> {
        let metadata = json!({ "name": "web-1", "ownerReferences": owners });
        let object = json!({ "metadata": metadata, "number": number });
        super::read(&object.to_string())
    }

    #[test]
    fn an_object_that_cannot_be_read_is_its_owners_trouble() {
        let owners = json!([{ "uid": "other" }, { "uid": "web", "controller": true }]);
        let good = read(&json!(1), &owners).expect("an object");
        assert_eq!(good, Ok(Object { number: 1 }));
        let bad = read(&json!("one"), &owners).expect("its owner");
        let bad = bad.expect_err("no object");
        assert_eq!(bad.owner, "web");
        assert!(bad.what.starts_with("web-1: "), "{bad:?}");
    }

    #[test]
    fn one_that_does_not_tell_whose_it_is_is_everybodys_trouble() {
        for owners in [json!([]), json!([{ "uid": "other" }]), json!("none")] {
            let error = read(&json!("one"), &owners).expect_err("nobody's");
            assert!(error.to_string().contains("\"one\""), "{error}");
        }
        super::read::<Object>("{").expect_err("no object");
    }
}
