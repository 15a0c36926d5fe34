//! The body of an event, in whichever form it came, converted lazily and at most once.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::PAYLOAD_DEPTH_MAX;

/// A value of the program's own type, still able to become JSON.
trait Typed: Any + Send + Sync {
    fn to_json(&self) -> serde_json::Result<Box<RawValue>>;
    fn type_name(&self) -> &'static str;
    fn size(&self) -> usize;
    fn needs_drop(&self) -> bool;
}

impl<T: Serialize + Send + Sync + 'static> Typed for T {
    fn to_json(&self) -> serde_json::Result<Box<RawValue>> {
        serde_json::value::to_raw_value(self)
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }

    fn size(&self) -> usize {
        size_of::<T>()
    }

    fn needs_drop(&self) -> bool {
        std::mem::needs_drop::<T>()
    }
}

/// The body of an event: a typed value, JSON text or a [`Value`], each converted into the others
/// only when somebody asks, and at most once.
///
/// A typed payload published in process reaches a typed handler without any serialisation.
///
/// ```
/// use nexus_events_model::Payload;
/// use serde::{Deserialize, Serialize};
/// use serde_json::json;
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Placed { order_id: u32 }
///
/// let typed = Payload::typed(Placed { order_id: 7 });
/// assert_eq!(typed.downcast_ref::<Placed>().unwrap().order_id, 7);
/// assert_eq!(typed.json()?, r#"{"order_id":7}"#);
///
/// let received = Payload::from_json(r#"{"order_id":7}"#)?;
/// assert_eq!(*received.decode::<Placed>()?, Placed { order_id: 7 });
/// assert_eq!(received.get("order_id"), Some(&json!(7)));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Clone)]
pub struct Payload {
    form: Form,
    /// Apart, so that a payload nobody converts stays small.
    converted: OnceLock<Arc<Converted>>,
}

/// How a payload came.
#[derive(Clone)]
enum Form {
    /// `{}`, which most events without a payload never need as a value.
    Empty,
    Typed(Arc<dyn Typed>),
    Json(Arc<RawValue>),
    /// JSON that somebody else has checked before.
    Checked(Arc<str>),
    Value(Value),
}

/// What a payload was converted into so far.
#[derive(Default)]
struct Converted {
    json: OnceLock<Box<RawValue>>,
    value: OnceLock<Value>,
    /// The first type somebody decoded into, so that ten handlers of one type decode once.
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Payload {
    #[allow(clippy::declare_interior_mutable_const, reason = "each use is to have its own")]
    pub(crate) const EMPTY: Self = Self::new(Form::Empty);

    const fn new(form: Form) -> Self {
        Self { form, converted: OnceLock::new() }
    }

    /// The JSON it was converted into, if it was.
    fn written(&self) -> Option<&RawValue> {
        self.converted.get()?.json.get().map(|raw| &**raw)
    }

    fn converted(&self) -> &Converted {
        self.converted.get_or_init(Arc::default)
    }

    /// Whether dropping it might run the program's own code: it is a value of a type that has
    /// something to drop, or was decoded into one.
    ///
    /// ```
    /// use nexus_events_model::Payload;
    /// assert!(!Payload::from_json("[1, 2]")?.may_run_code_when_dropped());
    /// assert!(!Payload::typed([0; 16]).may_run_code_when_dropped());
    /// assert!(Payload::typed(vec![0; 16]).may_run_code_when_dropped());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn may_run_code_when_dropped(&self) -> bool {
        self.as_typed().is_some_and(|typed| typed.needs_drop())
            || self.converted.get().is_some_and(|converted| converted.decoded.get().is_some())
    }

    /// `{}`
    #[must_use]
    pub fn empty() -> Self {
        Self::EMPTY
    }

    /// A value of the program's own type.
    pub fn typed<T: Serialize + Send + Sync + 'static>(value: T) -> Self {
        Self::shared(Arc::new(value))
    }

    /// A value that others hold too; costs no allocation.
    ///
    /// ```
    /// use std::sync::Arc;
    /// # use nexus_events_model::Payload;
    /// let prices = Arc::new(vec![1, 2, 3]);
    /// assert_eq!(Payload::shared(prices).json()?, "[1,2,3]");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn shared<T: Serialize + Send + Sync + 'static>(value: Arc<T>) -> Self {
        Self::new(Form::Typed(value))
    }

    fn as_typed(&self) -> Option<&Arc<dyn Typed>> {
        match &self.form {
            Form::Typed(typed) => Some(typed),
            Form::Empty | Form::Json(_) | Form::Checked(_) | Form::Value(_) => None,
        }
    }

    /// JSON text, checked here and parsed when somebody looks inside.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPayload`] with the offending line and column; [`ErrorKind::TooLarge`]
    /// for more than 100 levels of arrays and objects.
    pub fn from_json(json: impl Into<String>) -> Result<Self> {
        match RawValue::from_string(json.into()) {
            Ok(raw) => Self::from_raw(raw),
            Err(error) => {
                Err(Error::new(ErrorKind::InvalidPayload, format!("payload is not JSON: {error}"))
                    .with_source(error))
            }
        }
    }

    /// JSON text that was checked before, by this type and on its way to a disk for instance: it is
    /// not checked again until somebody looks inside. What is not JSON after all fails then.
    ///
    /// ```
    /// # use nexus_events_model::Payload;
    /// let payload = Payload::from_checked_json(r#"{"order_id":7}"#);
    /// assert_eq!(payload.get("order_id").unwrap(), 7);
    /// assert!(Payload::from_checked_json("{").value().is_err());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn from_checked_json(json: impl Into<Arc<str>>) -> Self {
        Self::new(Form::Checked(json.into()))
    }

    pub(crate) fn from_raw(raw: Box<RawValue>) -> Result<Self> {
        if nests_too_deep(raw.get()) {
            let message = format!(
                "payload nests deeper than {PAYLOAD_DEPTH_MAX} arrays and objects; flatten it"
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let payload = Self::new(Form::Json(Arc::from(raw)));
        if may_be_unreadable(payload.json()?) {
            // Nobody could look inside, so it is refused here; else the work is kept.
            payload.value().map_err(|error| {
                let message = format!("payload is JSON that no reader takes: {error}");
                Error::new(ErrorKind::InvalidPayload, message).with_source(error)
            })?;
        }
        Ok(payload)
    }

    /// The payload as JSON text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPayload`] when a typed value cannot be written as JSON.
    pub fn json(&self) -> Result<&str> {
        match &self.form {
            Form::Checked(json) => Ok(json),
            _ => self.raw().map(RawValue::get),
        }
    }

    pub(crate) fn raw(&self) -> Result<&RawValue> {
        if let Some(raw) = self.written() {
            return Ok(raw);
        }
        let raw = match &self.form {
            Form::Empty => RawValue::from_string("{}".to_owned()),
            Form::Typed(typed) => write(&**typed),
            Form::Json(raw) => return Ok(raw),
            Form::Checked(json) => RawValue::from_string(json.to_string()),
            Form::Value(value) => serde_json::value::to_raw_value(value),
        };
        let raw = raw.map_err(|error| self.not_json(error))?;
        Ok(self.converted().json.get_or_init(|| raw))
    }

    /// The payload as a JSON value.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPayload`] when a typed value cannot be written as JSON, or JSON text
    /// holds a number outside the range of [`f64`].
    pub fn value(&self) -> Result<&Value> {
        if let Form::Value(value) = &self.form {
            return Ok(value);
        }
        if let Some(value) = self.converted.get().and_then(|converted| converted.value.get()) {
            return Ok(value);
        }
        let value = serde_json::from_str(self.json()?).map_err(|error| self.not_json(error))?;
        Ok(self.converted().value.get_or_init(|| value))
    }

    /// The field of this name, when the payload is an object that has it.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.value().ok()?.get(field)
    }

    /// The part at a JSON pointer.
    ///
    /// ```
    /// # use nexus_events_model::Payload;
    /// let payload = Payload::from_json(r#"{"items":[{"sku":"a"}]}"#)?;
    /// assert_eq!(payload.pointer("/items/0/sku").unwrap(), "a");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        self.value().ok()?.pointer(pointer)
    }

    /// The typed value, when the payload was made from this very type.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        let typed: &dyn Any = &**self.as_typed()?;
        typed.downcast_ref()
    }

    /// The payload as a `T`: without any work when it was made from one, decoded otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPayload`] naming the type and the offending field.
    pub fn decode<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        if let Some(typed) = self.as_typed() {
            let typed: Arc<dyn Any + Send + Sync> = typed.clone();
            if let Ok(same) = typed.downcast() {
                return Ok(same);
            }
        }
        let known = self.converted.get().and_then(|converted| converted.decoded.get());
        if let Some(Ok(known)) = known.cloned().map(Arc::downcast) {
            return Ok(known);
        }
        let value: T = serde_json::from_str(self.json()?).map_err(|error| {
            let message = format!("payload is not a {}: {error}", std::any::type_name::<T>());
            Error::new(ErrorKind::InvalidPayload, message).with_source(error)
        })?;
        let value = Arc::new(value);
        // Another type may have come first; then this one is decoded anew at each call.
        let _ = self.converted().decoded.set(value.clone());
        Ok(value)
    }

    /// About how many bytes the payload holds, without converting it.
    ///
    /// ```
    /// # use nexus_events_model::Payload;
    /// assert_eq!(Payload::from_json("[1,2,3]")?.size(), 7);
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        if let Some(raw) = self.written() {
            return raw.get().len();
        }
        match &self.form {
            Form::Empty => 0,
            Form::Typed(typed) => typed.size(),
            Form::Json(raw) => raw.get().len(),
            Form::Checked(json) => json.len(),
            Form::Value(value) => value_size(value),
        }
    }

    fn not_json(&self, error: serde_json::Error) -> Error {
        let name = self.as_typed().map_or("payload", |typed| typed.type_name());
        Error::new(ErrorKind::InvalidPayload, format!("{name} cannot be written as JSON: {error}"))
            .with_source(error)
    }
}

/// The program's own code: its panic must not become the reader's.
fn write(typed: &dyn Typed) -> serde_json::Result<Box<RawValue>> {
    catch_unwind(AssertUnwindSafe(|| typed.to_json()))
        .unwrap_or_else(|_| Err(serde::ser::Error::custom("its serialisation panicked")))
}

/// Whether valid JSON has more levels than anybody can take in.
fn nests_too_deep(json: &str) -> bool {
    // Counting is fast, and nearly always enough.
    if json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= PAYLOAD_DEPTH_MAX {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    json.bytes().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        depth > PAYLOAD_DEPTH_MAX
    })
}

/// Whether valid JSON may hold what a value cannot: half a character (`\\ud800`) or a number past
/// the range of [`f64`]. Says yes too often, never no too often.
fn may_be_unreadable(json: &str) -> bool {
    if json.contains("\\u") {
        return true;
    }
    let mut digits = 0_u32;
    json.bytes().any(|byte| {
        let exponent = digits > 0 && byte | 0x20 == b'e';
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        exponent || digits > 300
    })
}

fn value_size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_size).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| name.len() + value_size(value)).sum()
            }
            _ => 0,
        }
}

impl Default for Payload {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::new(Form::Value(value))
    }
}

impl From<serde_json::Map<String, Value>> for Payload {
    fn from(fields: serde_json::Map<String, Value>) -> Self {
        Self::from(Value::Object(fields))
    }
}

impl PartialEq for Payload {
    /// Equal JSON, whatever the form. A payload that cannot become JSON equals nothing.
    fn eq(&self, other: &Self) -> bool {
        matches!((self.value(), other.value()), (Ok(a), Ok(b)) if a == b)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Empty => f.write_str("Payload({})"),
            Form::Typed(typed) => write!(f, "Payload({})", typed.type_name()),
            Form::Json(raw) => write!(f, "Payload({})", raw.get()),
            Form::Checked(json) => write!(f, "Payload({json})"),
            Form::Value(value) => write!(f, "Payload({value})"),
        }
    }
}
