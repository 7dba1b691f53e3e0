//! The inputs of the fuzz target for responses of sinks.

#[path = "../../../../fuzz/corpus.rs"]
mod inputs;
#[path = "../../../../fuzz/properties/retry_after.rs"]
mod retry_after;

use proptest::prelude::*;

proptest! {
    #[test]
    fn any_response_of_a_sink_holds_the_properties(status in 200..600_u16, text in "[0-9]{0,25}|[A-Z][a-z]{2}, [0-9 A-Za-z:]{0,30}|.*") {
        let data = [&status.to_be_bytes()[..], text.as_bytes()].concat();
        retry_after::check(&data);
    }
}

#[test]
fn responses_of_sinks_hold_their_properties() {
    inputs::replay("retry_after", retry_after::check);
}
