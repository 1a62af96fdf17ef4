//! Strings kept once and passed around as small numbers.

use std::num::NonZeroU32;
use std::sync::Arc;

use rustc_hash::FxHashMap;

/// Number of a string. Not zero, so that an optional one is as small.
pub(crate) type NameId = NonZeroU32;

/// All strings of a fold: names of functions, files and threads recur in thousands of frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    ids: FxHashMap<Arc<str>, NameId>,
    texts: Vec<Arc<str>>,
}

impl Names {
    /// The number of `text`.
    pub(crate) fn intern(&mut self, text: &str) -> NameId {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        // Four billion distinct strings do not fit in memory, so this does not saturate.
        let id = NameId::MIN.saturating_add(u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX));
        self.ids.insert(text, id);
        id
    }

    /// The number of a string that may be missing.
    pub(crate) fn intern_option(&mut self, text: Option<&str>) -> Option<NameId> {
        text.map(|text| self.intern(text))
    }

    /// The string behind a number.
    pub(crate) fn text(&self, id: NameId) -> &str {
        self.texts.get(id.get() as usize - 1).map_or("", |text| text)
    }

    /// An owned copy of a string that may be missing.
    pub(crate) fn owned(&self, id: Option<NameId>) -> Option<String> {
        id.map(|id| self.text(id).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_one_number() {
        let mut names = Names::default();
        let (a, b) = (names.intern("a"), names.intern("b"));
        assert_ne!(a, b);
        assert_eq!(names.intern("a"), a);
        assert_eq!((names.text(a), names.text(b)), ("a", "b"));
        assert_eq!(names.owned(None), None);
    }
}
