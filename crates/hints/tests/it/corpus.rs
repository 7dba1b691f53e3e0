//! The inputs of the fuzz targets, the crashes of the past among them.

use kube_autorollout_hints::Sender;

#[path = "../../../../fuzz/properties/hints.rs"]
mod hints;
#[path = "../../../../fuzz/properties/oidc.rs"]
mod oidc;
#[path = "../../../../fuzz/corpus.rs"]
mod replayed;

#[test]
fn payloads_hold_their_properties() {
    for sender in Sender::ALL {
        let target = format!("hints_{}", sender.as_str());
        replayed::replay(&target, |data| hints::check(sender, data));
    }
}

#[test]
fn tokens_and_documents_hold_their_properties() {
    replayed::replay("oidc", oidc::check);
}
