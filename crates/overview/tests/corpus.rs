//! The inputs of the fuzz target for the answer that the command reads.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

#[path = "../../../fuzz/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/properties/overview.rs"]
mod overview;

#[test]
fn overviews_hold_their_properties() {
    corpus::replay("overview", overview::check);
}
