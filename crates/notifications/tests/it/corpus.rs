//! The inputs of the fuzz target for answers of sinks.

#[path = "../../../../fuzz/corpus.rs"]
mod inputs;
#[path = "../../../../fuzz/properties/retry_after.rs"]
mod retry_after;

#[test]
fn answers_of_sinks_hold_their_properties() {
    inputs::replay("retry_after", retry_after::check);
}
