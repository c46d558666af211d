//! Carrying actions out.

use super::settings::{Action, ContextKey, Effect, Extract, Source, When};
use super::values::{Hash, converted};
use crate::config::Literal;
use crate::data::{AttributesMut, Context, Value};

/// Actions, carried out in order.
#[derive(Clone, Debug)]
pub struct Actions {
    list: Vec<Action>,
    /// Text on its way from one attribute to another.
    text: String,
}

impl Actions {
    /// These actions.
    #[must_use]
    pub const fn new(list: Vec<Action>) -> Self {
        Self { list, text: String::new() }
    }

    /// Takes in what is known of the client, for all that is acted upon until the next call.
    pub fn set_context(&mut self, context: &Context) {
        for action in &mut self.list {
            if let Effect::Write { source: Source::Context(key, value), .. } = &mut action.effect {
                *value = context_value(key, context);
            }
        }
    }

    /// Acts upon the attributes of one record or resource.
    #[inline]
    pub fn apply(&mut self, attributes: &mut AttributesMut<'_, '_, '_>) {
        for Action { key, effect } in &mut self.list {
            match effect {
                Effect::Write { when, source, default } => {
                    write(key, *when, (source, default.as_ref()), attributes);
                }
                Effect::Delete(pattern) => {
                    // An empty name is one that is left out.
                    if !key.is_empty() {
                        attributes.remove(key);
                    }
                    if let Some(pattern) = pattern {
                        attributes.retain(|name, _| !pattern.is_match(name));
                    }
                }
                Effect::Hash(pattern) => {
                    if !key.is_empty() {
                        hash(key, attributes);
                    }
                    if let Some(pattern) = pattern {
                        attributes.for_each_name(|name, attributes| {
                            if pattern.is_match(name) {
                                hash(name, attributes);
                            }
                        });
                    }
                }
                Effect::Extract(extract) => extract.apply(key, attributes, &mut self.text),
                Effect::Convert(target) => {
                    let value = attributes.get(key);
                    if let Some(value) =
                        value.and_then(|value| converted(value, *target, &mut self.text))
                    {
                        attributes.set(key, value);
                    }
                }
            }
        }
    }
}

impl Extract {
    /// Gives the groups' attributes what the groups match in the text of `key`.
    fn apply(&mut self, key: &str, attributes: &mut AttributesMut<'_, '_, '_>, text: &mut String) {
        let Some(Value::Str(value)) = attributes.get(key) else { return };
        if self.regex.captures_read(&mut self.places, value).is_none() {
            return;
        }
        text.clear();
        text.push_str(value);
        for (index, name) in self.names.iter().enumerate() {
            let group = self.places.get(index + 1).and_then(|(start, end)| text.get(start..end));
            attributes.set(name, Value::Str(group.unwrap_or_default()));
        }
    }
}

#[inline]
fn write(
    key: &str,
    when: When,
    (source, default): (&Source, Option<&Literal>),
    attributes: &mut AttributesMut<'_, '_, '_>,
) {
    let is_wanted = match when {
        When::Insert => !attributes.contains(key),
        When::Update => attributes.contains(key),
        When::Upsert => true,
    };
    if !is_wanted {
        return;
    }
    let literal = match source {
        Source::Attribute(from) => {
            if attributes.copy(from, key) {
                return;
            }
            default
        }
        Source::Literal(literal) => Some(literal),
        Source::Context(_, value) => value.as_ref().or(default),
        Source::Nowhere => default,
    };
    if let Some(literal) = literal {
        attributes.set_encoded(key, literal.encoded());
    }
}

fn hash(key: &str, attributes: &mut AttributesMut<'_, '_, '_>) {
    if let Some(hash) = attributes.get(key).map(Hash::of) {
        attributes.set(key, Value::Str(hash.as_str()));
    }
}

fn context_value(key: &ContextKey, context: &Context) -> Option<Literal> {
    let text = match key {
        // As in the Collector, an address that is not known is an empty text.
        ContextKey::Address => {
            context.peer.map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default()
        }
        ContextKey::Identity => context.identity.as_deref()?.to_owned(),
        ContextKey::Metadata(name) => {
            context.metadata.get(name).filter(|values| !values.is_empty())?.join(";")
        }
    };
    Some(Value::Str(&text).into())
}
