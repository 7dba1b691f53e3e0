//! Splits a list into its items while it is received.
//!
//! The API server sends a list as one JSON object, ten thousand pods as tens of megabytes. Only one item is in memory at a
//! time: it is passed on when its last brace has been received. Everything around the items is stored and parsed at the end,
//! which shows whether the list was complete.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use memchr::memchr2;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::error::Error;

/// The nesting depth of the items: in an array in an object.
const ITEMS: usize = 2;

/// A list that is being received.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The number of open objects and arrays.
    depth: usize,
    /// Within the array of items.
    inside: bool,
    string: StringState,
    /// The item that is being received.
    item: Vec<u8>,
    /// The list without its items.
    envelope: Vec<u8>,
}

/// Whether the next byte is in a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum StringState {
    #[default]
    Outside,
    Inside,
    /// In a string, after a backslash.
    Escaped,
}

impl Items {
    /// Feeds the next bytes of the list, and passes on each item that they complete.
    ///
    /// # Errors
    ///
    /// Those of `each`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = bytes;
        while let Some((byte, after)) = self.skip_string(rest).split_first() {
            if self.take(*byte) {
                each(&self.item)?;
                self.item.clear();
            }
            rest = after;
        }
        Ok(())
    }

    /// Consumes the rest of a string, in which most bytes of a list are, at once; returns the bytes after it.
    fn skip_string<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.string != StringState::Inside {
            return bytes;
        }
        let length = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        let (string, rest) = bytes.split_at(length);
        self.buffer().extend_from_slice(string);
        rest
    }

    /// The buffer of the next bytes.
    fn buffer(&mut self) -> &mut Vec<u8> {
        if self.inside && self.depth > ITEMS {
            &mut self.item
        } else {
            &mut self.envelope
        }
    }

    /// The metadata of the list, after the last byte.
    ///
    /// # Errors
    ///
    /// When it is not a complete list in JSON.
    pub(super) fn end(self) -> Result<ListMeta, Error> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            metadata: ListMeta,
            /// Required, whatever is left of it.
            #[serde(rename = "items")]
            _items: IgnoredAny,
        }
        let List { metadata, .. } = serde_json::from_slice(&self.envelope)?;
        Ok(metadata)
    }

    /// Consumes one byte; returns whether it completes an item.
    fn take(&mut self, byte: u8) -> bool {
        let within = self.inside && self.depth > ITEMS;
        let mut complete = false;
        match (self.string, byte) {
            (StringState::Inside, b'\\') => self.string = StringState::Escaped,
            (StringState::Inside, b'"') => self.string = StringState::Outside,
            (StringState::Escaped, _) | (StringState::Outside, b'"') => {
                self.string = StringState::Inside;
            }
            (StringState::Outside, b'{' | b'[') => {
                let begins = byte == b'[' && self.depth + 1 == ITEMS && self.is_at_items();
                self.inside = self.inside || begins;
                self.depth += 1;
                if self.inside && self.depth > ITEMS {
                    self.item.push(byte);
                    return false;
                }
            }
            (StringState::Outside, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                self.inside = self.inside && self.depth >= ITEMS;
                complete = within && self.depth == ITEMS;
            }
            (StringState::Outside, b',') if self.inside && !within => return false, // between two items
            (StringState::Inside | StringState::Outside, _) => {}
        }
        if within {
            self.item.push(byte);
        } else {
            self.envelope.push(byte);
        }
        complete
    }

    /// Whether the next value is that of `items`.
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

    /// Splits a list that is received in chunks of this length.
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
    fn a_list_is_split_into_items_however_it_is_chunked() {
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
    fn an_incomplete_list_is_an_error() {
        let text = json!({ "metadata": {}, "items": [{ "a": 1 }, { "b": 2 }] }).to_string();
        for end in 0..text.len() {
            apart(&text[..end], 8).expect_err(&text[..end]);
        }
    }

    #[test]
    fn what_is_not_a_list_is_an_error() {
        for text in ["{}", "[]", "null", "nonsense", r#"{"items":[1"#] {
            apart(text, 3).expect_err(text);
        }
    }

    #[test]
    fn strings_within_items_are_unchanged() {
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
