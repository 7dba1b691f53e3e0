//! Takes a list apart while it comes in.
//!
//! The API server sends a list as one JSON object, ten thousand pods as tens of megabytes. Only one of its items is in
//! memory at a time here: its bytes are handed on when its last brace has come, and everything around the items is kept
//! and parsed at the end, which shows whether the list was whole.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use memchr::memchr2;
use serde_json::error::Error;

use super::metadata;

/// How deep the items themselves are: in an array in an object.
const ITEMS: usize = 2;

/// A list that is under way.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Objects and arrays that are open.
    depth: usize,
    /// Within the array of items.
    inside: bool,
    text: Text,
    /// The item that is under way.
    item: Vec<u8>,
    /// The list without its items.
    envelope: Vec<u8>,
}

/// Whether braces are braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Text {
    #[default]
    Outside,
    Inside,
    /// The next byte belongs to a backslash.
    Escaped,
}

impl Items {
    /// Takes the next bytes of the list, and hands on each item that they complete.
    ///
    /// # Errors
    ///
    /// What `each` returns.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = bytes;
        while let Some((byte, after)) = self.skip_text(rest).split_first() {
            if self.take(*byte) {
                each(&self.item)?;
                self.item.clear();
            }
            rest = after;
        }
        Ok(())
    }

    /// Takes what lies within a text, which is most of a list, in one piece, and gives what follows.
    fn skip_text<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.text != Text::Inside {
            return bytes;
        }
        let length = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at(length);
        self.part().extend_from_slice(text);
        rest
    }

    /// Where the next bytes belong.
    fn part(&mut self) -> &mut Vec<u8> {
        if self.inside && self.depth > ITEMS {
            &mut self.item
        } else {
            &mut self.envelope
        }
    }

    /// What is left of the list, once all of it has come.
    ///
    /// # Errors
    ///
    /// When it is not the JSON of a list, or not all of it.
    pub(super) fn end(self) -> Result<ListMeta, Error> {
        metadata(&self.envelope)
    }

    /// Takes one byte; whether it completes an item.
    fn take(&mut self, byte: u8) -> bool {
        let within = self.inside && self.depth > ITEMS;
        let mut complete = false;
        match (self.text, byte) {
            (Text::Inside, b'\\') => self.text = Text::Escaped,
            (Text::Inside, b'"') => self.text = Text::Outside,
            (Text::Escaped, _) | (Text::Outside, b'"') => self.text = Text::Inside,
            (Text::Outside, b'{' | b'[') => {
                let begins = byte == b'[' && self.depth + 1 == ITEMS && self.is_at_items();
                self.inside = self.inside || begins;
                self.depth += 1;
                if self.inside && self.depth > ITEMS {
                    self.item.push(byte);
                    return false;
                }
            }
            (Text::Outside, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                self.inside = self.inside && self.depth >= ITEMS;
                complete = within && self.depth == ITEMS;
            }
            (Text::Outside, b',') if self.inside && !within => return false, // between two items
            (Text::Inside | Text::Outside, _) => {}
        }
        if within {
            self.item.push(byte);
        } else {
            self.envelope.push(byte);
        }
        complete
    }

    /// Whether what comes next is the value of `items`.
    fn is_at_items(&self) -> bool {
        let before = self.envelope.trim_ascii_end().strip_suffix(b":");
        before.is_some_and(|before| before.trim_ascii_end().ends_with(br#""items""#))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
    use serde_json::{Value, json};

    use super::*;

    /// Takes a text apart in pieces of some length.
    fn apart(text: &str, length: usize) -> Result<(Vec<Value>, ListMeta), Error> {
        let mut items = Items::default();
        let mut found = Vec::new();
        for bytes in text.as_bytes().chunks(length) {
            items.feed(bytes, |item| {
                found.push(serde_json::from_slice(item)?);
                Ok(())
            })?;
        }
        Ok((found, items.end()?))
    }

    #[test]
    fn a_list_is_taken_apart_wherever_it_is_cut() {
        let items = [
            json!({ "metadata": { "name": "a", "labels": { "items": "[{" } } }),
            json!({ "text": "a \"quoted\" } brace, and a backslash \\" }),
            json!({ "items": [{ "nested": [1, 2, { "deep": [] }] }] }),
            json!({}),
        ];
        let metadata = json!({ "resourceVersion": "5", "continue": "more" });
        let list = json!({ "kind": "PodList", "items": items, "metadata": metadata });
        for text in [list.to_string(), format!("{list:#}\n")] {
            for length in [1, 2, 3, 7, 64, text.len()] {
                let (found, metadata) = apart(&text, length).expect("a list");
                assert_eq!(found, items, "in pieces of {length}");
                assert_eq!(metadata.continue_.as_deref(), Some("more"));
            }
        }
    }

    #[test]
    fn a_list_may_be_empty() {
        for items in [json!([]), json!(null)] {
            let text = json!({ "metadata": {}, "items": items }).to_string();
            let (found, _) = apart(&text, 1).expect("a list");
            assert_eq!(found, [] as [Value; 0]);
        }
    }

    #[test]
    fn a_list_that_breaks_off_is_an_error() {
        let text = json!({ "metadata": {}, "items": [{ "a": 1 }, { "b": 2 }] }).to_string();
        for end in 0..text.len() {
            apart(&text[..end], 8).expect_err(&text[..end]);
        }
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for text in ["{}", "[]", "null", "nonsense", r#"{"items":[1"#] {
            apart(text, 3).expect_err(text);
        }
    }

    #[test]
    fn any_text_within_items_is_left_as_it_is() {
        let texts = ["", "\\", "\\\"", "}{", "][,", "\u{1F980}\n", "\"items\":["];
        let items: Vec<_> = texts
            .iter()
            .map(|text| json!({ *text: [text, text] }))
            .collect();
        let list = json!({ "items": items }).to_string();
        for length in 1..20 {
            let (found, _) = apart(&list, length).expect("a list");
            assert_eq!(found, items, "in pieces of {length}");
        }
    }
}
