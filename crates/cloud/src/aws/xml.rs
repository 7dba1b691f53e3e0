//! Reads the few elements of STS responses that are needed. The documents are flat, so a real XML parser would only add attack
//! surface.

/// The text of the first element with a name.
pub(super) fn element(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    if text.contains('<') {
        return None; // not the text of an element
    }
    let text = text.trim();
    // `&amp;` comes last, so that nothing is unescaped twice.
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let plain = entities
        .into_iter()
        .fold(text.to_owned(), |text, (entity, letter)| {
            text.replace(entity, letter)
        });
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(<[A-C]>|</[A-C]>|&(amp|lt);|é|.)*") {
            if let Some(found) = element(&text, "A") {
                prop_assert!(!found.is_empty());
            }
        }

        #[test]
        fn what_is_written_is_read(text in "[a-zA-Z0-9/+=<>&]+") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let document = format!("<R><A>{escaped}</A></R>");
            prop_assert_eq!(element(&document, "A"), Some(text));
        }
    }

    #[test]
    fn elements_are_cut_by_name() {
        let document = "<A><B> text </B><C><D>x</D></C><E/><F></F><G>a&amp;lt;b</G></A>";
        assert_eq!(element(document, "B").as_deref(), Some("text"));
        assert_eq!(element(document, "D").as_deref(), Some("x"));
        assert_eq!(element(document, "G").as_deref(), Some("a&lt;b"));
        for none in ["A", "C", "E", "F", "H"] {
            assert_eq!(element(document, none), None, "{none}");
        }
    }
}
