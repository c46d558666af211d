//! Writing what a path names.

use std::borrow::Cow;

use super::context::Context;
use super::error::EvalError;
use super::node::{Node, PathNode};
use super::path::{Form, PathSpec, Place, SPAN_KINDS};
use super::scene::Scene;
use super::slot::Slot;
use super::value::{List, Map, Value, write_pairs};
use crate::data::wire::{self, Writer};
use crate::data::{DataKind, Metric, Value as AnyValue, parse_hex};

impl PathSpec {
    pub(super) fn is_trace_state(&self) -> bool {
        self.form == Form::TraceState
    }
}

/// Where a field stands in a record, resolved for its kind.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// The field that holds the message, if that is not the context's.
    outer: Option<u32>,
    number: u32,
}

impl PathNode {
    /// Gives the path the value of `source`.
    ///
    /// # Errors
    ///
    /// Fails if that cannot be evaluated, or the path does not take such a value.
    pub fn assign(&self, source: &Node, scene: &mut Scene<'_>) -> Result<(), EvalError> {
        self.write(scene, |scene, path, writer| {
            let value = source.eval(scene)?;
            path.stage(&value, scene, writer)
        })
    }

    /// Gives the path a value, which is encoded by `stage` while the record can be read.
    pub(super) fn write(
        &self,
        scene: &mut Scene<'_>,
        stage: impl FnOnce(&Scene<'_>, &Self, &mut Writer) -> Result<bool, EvalError>,
    ) -> Result<(), EvalError> {
        let mut writer = std::mem::take(&mut scene.scratch[0]);
        writer.clear();
        let result = match stage(scene, self, &mut writer) {
            Ok(true) => self.apply(scene, writer.as_slice()),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        scene.scratch[0] = writer;
        result
    }

    /// Encodes what [`PathNode::write`] puts into the record: an `AnyValue` where there are keys,
    /// else fields. Returns whether there is anything to do.
    pub(super) fn stage(
        &self,
        value: &Value<'_>,
        scene: &Scene<'_>,
        writer: &mut Writer,
    ) -> Result<bool, EvalError> {
        if !self.keys.is_empty() {
            match (self.spec.form, value) {
                (Form::TraceState, Value::Str(text)) => writer.raw(text.as_bytes()),
                (Form::TraceState, value) => return Err(EvalError::expected("a string", value)),
                _ => value.write_any(writer)?,
            }
            return Ok(true);
        }
        let Some(spot) = self.spot(scene) else { return Ok(false) };
        stage_field(self.spec.form, spot.number, value, writer)?;
        Ok(true)
    }

    fn spot(&self, scene: &Scene<'_>) -> Option<Spot> {
        let here = |number| Spot { outer: None, number };
        match self.spec.place {
            Place::Field(number) => Some(here(number)),
            Place::Within(outer, number) => Some(Spot { outer: Some(outer), number }),
            Place::ByKind(numbers) => scene.number_by_kind(numbers).map(here),
            Place::Buckets(outer, number) => {
                scene.has_buckets().then_some(Spot { outer: Some(outer), number })
            }
            Place::Special => {
                let kind = Metric::of_encoded(scene.element.bytes()).kind()?;
                let number = match (self.spec.form, kind) {
                    (
                        Form::Temporality,
                        DataKind::Sum | DataKind::Histogram | DataKind::ExponentialHistogram,
                    ) => 2,
                    (Form::Monotonic, DataKind::Sum) => 3,
                    _ => return None,
                };
                Some(Spot { outer: Some(kind.field_number()), number })
            }
        }
    }

    /// Puts what was staged into the record.
    fn apply(&self, scene: &mut Scene<'_>, staged: &[u8]) -> Result<(), EvalError> {
        let Some(spot) = self.spot(scene) else { return Ok(()) };
        let mut scratch = std::mem::take(&mut scene.scratch[1]);
        let result = self.apply_at(spot, scene, staged, &mut scratch);
        scene.scratch[1] = scratch;
        result
    }

    fn apply_at(
        &self,
        spot: Spot,
        scene: &mut Scene<'_>,
        staged: &[u8],
        scratch: &mut Writer,
    ) -> Result<(), EvalError> {
        let (context, number) = (self.spec.context, spot.number);
        if let Some((first, rest)) = self.keys.split_first() {
            if let (Node::Const(Value::Str(key)), [], Form::Attributes) =
                (first, rest, self.spec.form)
            {
                scene.slot_mut(context).set_attribute(number, key, staged, scratch);
                return Ok(());
            }
            return self.apply_keyed(number, scene, staged, scratch);
        }
        let other = match self.spec.form {
            Form::Number { other } | Form::Double { other } => other,
            _ => 0,
        };
        let slot = scene.slot_mut(context);
        let Some(outer) = spot.outer else {
            if other != 0 {
                slot.clear_field(other);
            }
            match self.spec.form {
                Form::Attributes | Form::Messages | Form::Fixed64s | Form::Doubles => {
                    slot.replace_all(number, staged);
                }
                _ if staged.is_empty() => slot.clear_field(number),
                _ => slot.set_field(number, staged),
            }
            return Ok(());
        };
        let message = wire::payload(slot.bytes(), outer).unwrap_or_default().to_vec();
        let mut inner = Slot::default();
        inner.load(&message);
        inner.replace_all(number, staged);
        scratch.clear();
        scratch.bytes_field(outer, inner.bytes());
        slot.set_field(outer, scratch.as_slice());
        Ok(())
    }

    fn apply_keyed(
        &self,
        number: u32,
        scene: &mut Scene<'_>,
        staged: &[u8],
        scratch: &mut Writer,
    ) -> Result<(), EvalError> {
        let keys: Result<Vec<Value<'static>>, EvalError> =
            self.keys.iter().map(|key| owned_key(&key.eval(scene)?)).collect();
        let keys = keys?;
        let context = self.spec.context;
        if self.spec.form == Form::TraceState {
            return set_trace_state(scene.slot_mut(context), &keys, staged, scratch);
        }
        let message = scene.slot(context).bytes();
        if self.spec.form == Form::Any {
            let old = AnyValue::read(wire::payload(message, number).unwrap_or_default());
            let new = replaced(old, &keys, staged)?;
            scratch.clear();
            scratch.bytes_field(number, &new);
            scene.slot_mut(context).set_field(number, scratch.as_slice());
            return Ok(());
        }
        let Some((Value::Str(key), rest)) = keys.split_first() else {
            return Err(EvalError::new("a map is looked up with strings"));
        };
        let attributes = crate::data::Attributes::of_message(message, number);
        let new = replaced(attributes.get(key).unwrap_or_default(), rest, staged)?;
        scene.slot_mut(context).set_attribute(number, key, &new, scratch);
        Ok(())
    }
}

fn owned_key(key: &Value<'_>) -> Result<Value<'static>, EvalError> {
    match key {
        Value::Str(text) => Ok(Value::Str(Cow::Owned(text.to_string()))),
        Value::Int(index) => Ok(Value::Int(*index)),
        other => Err(EvalError::expected("a string or a whole number as key", other)),
    }
}

/// `old` with an encoded value at `keys`; maps that are not there are made.
fn replaced(old: AnyValue<'_>, keys: &[Value<'_>], encoded: &[u8]) -> Result<Vec<u8>, EvalError> {
    let Some((key, rest)) = keys.split_first() else { return Ok(encoded.to_vec()) };
    let mut writer = Writer::default();
    let new = match (key, old) {
        (Value::Str(key), AnyValue::KvList(map)) => {
            let new = replaced(map.get(key).unwrap_or_default(), rest, encoded)?;
            let mut pairs = Map::View(map).into_pairs();
            match pairs.iter_mut().find(|(name, _)| name == key) {
                Some((_, value)) => *value = AnyValue::read(&new).into(),
                None => pairs.push((key.clone(), AnyValue::read(&new).into())),
            }
            return encoded_value(&Value::Map(Map::Owned(pairs)));
        }
        (Value::Str(key), AnyValue::Empty) => {
            let new = replaced(AnyValue::Empty, rest, encoded)?;
            let pairs = vec![(key.clone(), AnyValue::read(&new).into())];
            return encoded_value(&Value::Map(Map::Owned(pairs)));
        }
        (Value::Int(index), AnyValue::Array(array)) => {
            let mut values: Vec<Value<'_>> = array.iter().map(Value::from).collect();
            let length = values.len();
            let place = usize::try_from(*index).ok().and_then(|index| values.get_mut(index));
            let Some(place) = place else {
                let message = format!("index {index} is outside of a list of {length}");
                return Err(EvalError::new(message));
            };
            let old = encoded_value(place)?;
            let new = replaced(AnyValue::read(&old), rest, encoded)?;
            *place = AnyValue::read(&new).into();
            Value::List(List::Owned(values)).write_any(&mut writer)?;
            return Ok(writer.into_vec());
        }
        (_, other) => other,
    };
    Err(EvalError::new(format!("{} has nothing to look up", Value::from(new).kind())))
}

fn encoded_value(value: &Value<'_>) -> Result<Vec<u8>, EvalError> {
    let mut writer = Writer::default();
    value.write_any(&mut writer)?;
    Ok(writer.into_vec())
}

/// Encodes a field; nothing for nil and for what is the default.
fn stage_field(
    form: Form,
    number: u32,
    value: &Value<'_>,
    writer: &mut Writer,
) -> Result<(), EvalError> {
    match (form, value) {
        (_, Value::Nil) => {}
        (Form::Str | Form::TraceState, Value::Str(text)) => writer.str_field(number, text),
        (Form::Any, value) => {
            let encoded = encoded_value(value)?;
            writer.bytes_field(number, &encoded);
        }
        (Form::AnyText, Value::Str(text)) => AnyValue::Str(text).write_field(number, writer),
        (Form::Attributes, Value::Map(map)) => write_pairs(map, number, writer)?,
        (Form::Int | Form::Temporality, Value::Int(int)) => {
            writer.varint_field(number, i64::from(low_bits(*int)).cast_unsigned());
        }
        (Form::Count, Value::Int(int)) => {
            writer.varint_field(number, u64::from(low_bits(*int).cast_unsigned()));
        }
        (Form::Sint, Value::Int(int)) => writer.sint_field(number, low_bits(*int)),
        (Form::Fixed32, Value::Int(int)) => {
            writer.fixed32_field(number, low_bits(*int).cast_unsigned());
        }
        (Form::Fixed64 | Form::TimeNanos | Form::Number { .. }, Value::Int(int)) => {
            writer.fixed64_field(number, int.cast_unsigned());
        }
        (Form::Double { .. }, Value::Double(double)) => writer.double_field(number, *double),
        (Form::Monotonic, Value::Bool(flag)) => {
            writer.varint_field(number, u64::from(*flag));
        }
        (Form::Time, Value::Time(time)) => {
            writer.fixed64_field(number, time.unix_nanos.cast_unsigned());
        }
        (Form::TraceId, Value::TraceId(id)) => writer.bytes_field(number, id.as_bytes()),
        (Form::SpanId, Value::SpanId(id)) => writer.bytes_field(number, id.as_bytes()),
        (Form::TraceIdHex, Value::Str(text)) => {
            writer.bytes_field(number, &digits::<16>(text)?);
        }
        (Form::SpanIdHex, Value::Str(text)) => writer.bytes_field(number, &digits::<8>(text)?),
        (Form::SpanKind, Value::Str(text)) => {
            let kind = SPAN_KINDS.iter().position(|kind| kind == text);
            let kind = kind.ok_or_else(|| EvalError::new(format!("`{text}` is no span kind")))?;
            writer.varint_field(number, kind as u64);
        }
        (Form::Messages, Value::Messages(messages)) => {
            messages.iter().for_each(|message| writer.bytes_field(number, message));
        }
        (Form::Fixed64s | Form::Doubles | Form::Varints, Value::List(list)) => {
            stage_numbers(form, number, list, writer)?;
        }
        (form, value) => return Err(EvalError::expected(form_name(form), value)),
    }
    Ok(())
}

fn stage_numbers(
    form: Form,
    number: u32,
    list: &List<'_>,
    writer: &mut Writer,
) -> Result<(), EvalError> {
    let mut packed = Writer::default();
    for value in list.iter() {
        match (form, value) {
            (Form::Doubles, Value::Double(double)) => {
                packed.raw(&double.to_le_bytes());
            }
            (Form::Varints, Value::Int(int)) => packed.varint(int.cast_unsigned()),
            (Form::Fixed64s, Value::Int(int)) => packed.raw(&int.to_le_bytes()),
            (_, value) => return Err(EvalError::expected("a list of numbers", &value)),
        }
    }
    if !packed.is_empty() {
        writer.bytes_field(number, packed.as_slice());
    }
    Ok(())
}

const fn form_name(form: Form) -> &'static str {
    let spec = PathSpec { context: Context::Log, name: "", place: Place::Special, form };
    match form {
        Form::Attributes => "a map",
        Form::Int | Form::Count | Form::Fixed32 | Form::Fixed64 | Form::TimeNanos => {
            "a whole number"
        }
        Form::Time => "a time",
        _ => spec.kind(),
    }
}

/// What a field of 32 bits keeps.
#[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
const fn low_bits(number: i64) -> i32 {
    number as i32
}

fn digits<const N: usize>(text: &str) -> Result<[u8; N], EvalError> {
    parse_hex(text).ok_or_else(|| EvalError::new(format!("an id has {} hexadecimal digits", 2 * N)))
}

/// The value of a member of a W3C trace state.
pub(super) fn trace_state_entry<'t>(state: &'t str, key: &str) -> Option<&'t str> {
    state.split(',').find_map(|entry| {
        let (name, value) = entry.trim().split_once('=')?;
        (name == key).then_some(value)
    })
}

fn set_trace_state(
    slot: &mut Slot<'_>,
    keys: &[Value<'_>],
    value: &[u8],
    scratch: &mut Writer,
) -> Result<(), EvalError> {
    let [Value::Str(key)] = keys else {
        return Err(EvalError::new("a trace state has one string as key"));
    };
    let old = std::str::from_utf8(wire::payload(slot.bytes(), 3).unwrap_or_default());
    let value = String::from_utf8_lossy(value);
    // What is written comes first, as the specification asks for.
    let mut state = format!("{key}={value}");
    for entry in old.unwrap_or_default().split(',').map(str::trim) {
        if !entry.is_empty() && entry.split_once('=').is_none_or(|(name, _)| name != key) {
            state.push(',');
            state.push_str(entry);
        }
    }
    scratch.clear();
    scratch.str_field(3, &state);
    slot.set_field(3, scratch.as_slice());
    Ok(())
}
