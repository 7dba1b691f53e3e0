//! Properties of rendering the `/status.json` of any server.

use kube_autorollout_core::labels::is_visible;
use kube_autorollout_overview::{Detail, Json, Overview, Page, Table, View as _};

/// `data` is the response.
pub(crate) fn check(data: &[u8]) {
    let overview: Overview<'_> = match serde_json::from_slice(data) {
        Ok(overview) => overview,
        Err(error) => {
            let message = error.to_string();
            assert!(message.chars().all(is_visible), "{message:?}");
            return;
        }
    };
    for detail in [Detail::Normal, Detail::Wide] {
        let mut shown = Vec::new();
        let table = Table {
            detail,
            coloured: false,
        };
        table
            .write(&overview, &mut shown)
            .expect("a vector takes all");
        let shown = String::from_utf8(shown).expect("text");
        let is_shown = |letter| letter == '\n' || is_visible(letter);
        assert!(shown.chars().all(is_shown), "{shown:?}");
    }
    let mut json = Vec::new();
    let written = Json::default().write_whole(overview.clone(), &mut json);
    written.expect("a vector takes all");
    assert!(json.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')));
    let read: Overview<'_> = serde_json::from_slice(&json).expect("what was written");
    assert_eq!(read, overview);
    let mut page = Vec::new();
    let rows = overview.workloads.clone();
    Page::default()
        .write(&overview, rows, &mut page)
        .expect("a vector takes all");
    let page = String::from_utf8(page).expect("text").to_lowercase();
    assert!(
        !page.contains("<script") && !page.contains("href=\"javascript:"),
        "{page}"
    );
}
