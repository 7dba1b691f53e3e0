//! The inputs of the fuzz target for the response that the command reads.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

#[path = "../../../fuzz/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/properties/overview.rs"]
mod overview;

use kube_autorollout_core::state::State;
use kube_autorollout_overview::{Container, Image, Json, Overview, Row};
use proptest::prelude::*;

proptest! {
    /// Whatever the words of a controller are, in the places that other people write.
    #[test]
    fn any_words_of_a_controller_hold_the_properties(words in prop::collection::vec(".{0,80}", 6)) {
        let image = Image {
            version: Some((&*words[0]).into()),
            revision: Some((&*words[1]).into()),
            source: Some((&*words[2]).into()),
            ..Image::of(&*words[3])
        };
        let container = Container {
            running: vec![image.clone()],
            tag: Some(image),
            ..Container::new("app", &words[4])
        };
        let row = Row {
            containers: vec![container],
            ..Row::new(&*words[5], "Deployment", &*words[5], State::UpToDate)
        };
        let whole = Overview {
            leader: (&*words[5]).into(),
            workloads: vec![row],
            ..Overview::default()
        };
        let mut data = Vec::new();
        Json::default().write_whole(whole, &mut data).expect("a vector takes all");
        overview::check(&data);
    }
}

#[test]
fn overviews_hold_their_properties() {
    corpus::replay("overview", overview::check);
}
