//! The items of a loop: one text, and where each lies in it. A hundred thousand of them as trees would take a hundred
//! times the room.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::json::Json;

/// Items that are read when their turn comes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Items {
    text: Json,
    /// Start and end of each item in the text.
    spans: Arc<[(u32, u32)]>,
}

impl Items {
    /// The items of an array.
    ///
    /// # Errors
    /// Says why these cannot be a loop's items.
    pub(super) fn of(array: &Json, count: u32) -> Result<Self, String> {
        let text = array.text();
        let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| "loops over what is no array".to_owned())?;
        if items.len() != count as usize {
            return Err("tells a count that is not that of its items".to_owned());
        }
        let start = text.as_ptr() as usize;
        let span = |item: &&RawValue| {
            let from = item.get().as_ptr() as usize - start;
            Some((u32::try_from(from).ok()?, u32::try_from(from + item.get().len()).ok()?))
        };
        let spans: Option<Arc<[_]>> = items.iter().map(span).collect();
        Ok(Self { text: array.without_tree(), spans: spans.ok_or("loops over more than fits")? })
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.spans.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, index: u32) -> Option<Json> {
        let (from, to) = *self.spans.get(index as usize)?;
        self.text.text().get(from as usize..to as usize).map(|item| Json::from_own_text(item.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_found_in_the_text() {
        let items = Items::of(&Json::parse(r#"[1, {"a": [2, "]"]} ,null]"#).unwrap(), 3).unwrap();
        let texts: Vec<String> = (0..3).map(|n| items.get(n).unwrap().text().to_owned()).collect();
        assert_eq!(texts, ["1", r#"{"a": [2, "]"]}"#, "null"]);
        assert_eq!(items.get(3), None);
    }

    #[test]
    fn what_is_no_array_of_that_length_is_refused() {
        assert!(Items::of(&Json::parse("{}").unwrap(), 0).is_err());
        assert!(Items::of(&Json::parse("[1]").unwrap(), 2).is_err());
    }
}
