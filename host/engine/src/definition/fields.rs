//! Reads the members of an object one by one, and knows at the end which were never asked for.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::diagnostic::{DiagnosticCode, Diagnostics, Place};

/// An object that is being read. `null` counts as absent, except in [`Fields::raw`].
pub struct Fields<'v> {
    /// Where it is.
    pub place: Place,
    members: &'v Map<String, Value>,
    known: BTreeSet<&'static str>,
}

impl<'v> Fields<'v> {
    /// Starts to read `value`; anything but an object is reported.
    pub fn open(value: &'v Value, place: Place, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !value.is_object() {
            wrong_type(diagnostics, &place, "an object", value);
        }
        value.as_object().map(|members| Self::of(members, place))
    }

    /// Starts to read the members of an object.
    #[must_use]
    pub fn of(members: &'v Map<String, Value>, place: Place) -> Self {
        Self { place, members, known: BTreeSet::new() }
    }

    /// The member as it stands.
    pub fn raw(&mut self, name: &'static str) -> Option<&'v Value> {
        self.known.insert(name);
        self.members.get(name)
    }

    /// The member, unless it is null.
    pub fn value(&mut self, name: &'static str) -> Option<&'v Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// The member under its name or its alias, with the place where it was found.
    pub fn either(
        &mut self,
        name: &'static str,
        alias: &'static str,
        diagnostics: &mut Diagnostics,
    ) -> Option<(&'v Value, Place)> {
        match (self.value(name), self.value(alias)) {
            (Some(value), None) => Some((value, self.place.at(name))),
            (None, alias_value) => alias_value.map(|value| (value, self.place.at(alias))),
            (Some(value), Some(_)) => {
                let message = format!("`{alias}` is another name of `{name}`, which is given too: it is ignored");
                diagnostics.warning(&self.place.at(alias), DiagnosticCode::DuplicateField, message);
                Some((value, self.place.at(name)))
            }
        }
    }

    /// Reports that a member is missing.
    pub fn missing(&self, name: &str, diagnostics: &mut Diagnostics) {
        let message = format!("`{name}` is missing");
        diagnostics.error(&self.place.at(name), DiagnosticCode::MissingField, message);
    }

    /// A text of at most `characters_max` characters, none of which is a control character other than white space.
    pub fn text(
        &mut self,
        name: &'static str,
        characters_max: usize,
        diagnostics: &mut Diagnostics,
    ) -> Option<&'v str> {
        let value = self.value(name)?;
        text(value, &self.place.at(name), characters_max, diagnostics)
    }

    /// A whole number between `min` and `max`.
    pub fn whole(&mut self, name: &'static str, min: u64, max: u64, diagnostics: &mut Diagnostics) -> Option<u64> {
        let value = self.value(name)?;
        let number = whole(value);
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ if value.is_number() => {
                let message = format!("`{name}` must be a whole number from {min} to {max}, not {value}");
                diagnostics.error(&self.place.at(name), DiagnosticCode::InvalidValue, message);
                None
            }
            _ => {
                wrong_type(diagnostics, &self.place.at(name), "a number", value);
                None
            }
        }
    }

    /// [`Fields::whole`] for small numbers.
    pub fn small(&mut self, name: &'static str, min: u32, max: u32, diagnostics: &mut Diagnostics) -> Option<u32> {
        let number = self.whole(name, min.into(), max.into(), diagnostics)?;
        u32::try_from(number).ok()
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
        diagnostics: &mut Diagnostics,
    ) -> Option<T> {
        let value = self.value(name)?;
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let message = format!("`{name}` must be one of {}, not {}", words.join(", "), shown(value));
            diagnostics.error(&self.place.at(name), DiagnosticCode::InvalidValue, message);
        }
        found.map(|(_, word)| *word)
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str, diagnostics: &mut Diagnostics) -> Option<bool> {
        let value = self.value(name)?;
        if !value.is_boolean() {
            wrong_type(diagnostics, &self.place.at(name), "true or false", value);
        }
        value.as_bool()
    }

    /// The members of an object, to be read in turn.
    pub fn object(&mut self, name: &'static str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let value = self.value(name)?;
        Self::open(value, self.place.at(name), diagnostics)
    }

    /// A list, with its place.
    pub fn list(&mut self, name: &'static str, diagnostics: &mut Diagnostics) -> Option<(&'v [Value], Place)> {
        let value = self.value(name)?;
        let place = self.place.at(name);
        if !value.is_array() {
            wrong_type(diagnostics, &place, "a list", value);
        }
        value.as_array().map(|items| (items.as_slice(), place))
    }

    /// A list of short texts.
    pub fn texts(&mut self, name: &'static str, diagnostics: &mut Diagnostics) -> Vec<String> {
        let Some((items, place)) = self.list(name, diagnostics) else { return Vec::new() };
        if items.len() > TEXTS_MAX {
            too_many(diagnostics, &place, "entries", TEXTS_MAX);
        }
        let items = items.iter().take(TEXTS_MAX).enumerate();
        items.filter_map(|(index, item)| text(item, &place.at(index), 256, diagnostics)).map(str::to_owned).collect()
    }

    /// Reports members that mean something only elsewhere, unless they are null.
    pub fn foreign(&mut self, names: &[&'static str], reason: &str, diagnostics: &mut Diagnostics) {
        for name in names {
            if !self.known.contains(name) && self.value(name).is_some() {
                let message = format!("`{name}` {reason}: it is ignored");
                diagnostics.warning(&self.place.at(name), DiagnosticCode::UnknownField, message);
            }
        }
    }

    /// Reports the members that nobody asked for.
    pub fn close(self, diagnostics: &mut Diagnostics) {
        for name in self.members.keys().filter(|name| !self.known.contains(name.as_str())) {
            let message = format!("field {} is not known: it is kept and ignored", shown(&Value::from(name.as_str())));
            diagnostics.warning(&self.place.at(name), DiagnosticCode::UnknownField, message);
        }
    }
}

/// The most entries of a list of short texts.
const TEXTS_MAX: usize = 64;

/// A text of at most `characters_max` characters without control characters other than white space.
pub fn text<'v>(
    value: &'v Value,
    place: &Place,
    characters_max: usize,
    diagnostics: &mut Diagnostics,
) -> Option<&'v str> {
    let Some(text) = value.as_str() else {
        wrong_type(diagnostics, place, "a text", value);
        return None;
    };
    if text.len() > characters_max && text.chars().nth(characters_max).is_some() {
        let message = format!("text is longer than {characters_max} characters");
        diagnostics.error(place, DiagnosticCode::InvalidValue, message);
        return None;
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        diagnostics.error(place, DiagnosticCode::InvalidValue, "text holds control characters");
        return None;
    }
    Some(text)
}

/// A number without fraction, however it is written.
#[must_use]
pub fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=9e15).contains(float))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within 0 and 9e15")]
        Some(float as u64)
    })
}

/// Reports a value of the wrong type.
pub fn wrong_type(diagnostics: &mut Diagnostics, place: &Place, wanted: &str, found: &Value) {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    diagnostics.error(place, DiagnosticCode::InvalidType, format!("expected {wanted}, found {found}"));
}

/// Reports that there is more of something than allowed.
pub fn too_many(diagnostics: &mut Diagnostics, place: &Place, what: &str, max: usize) {
    diagnostics.error(place, DiagnosticCode::TooMany, format!("more than {max} {what}"));
}

/// A value for a message: cut where it is long.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
