//! One event in a frame: its fields without their names, those that are as always left out, texts
//! that are likely to come again as numbers in the list of the frame.

use nexus_events_dispatch::store::{Offset, StoredEvent};
use nexus_events_dispatch::{Error, Result};
use nexus_events_model::{
    CorrelationId, Event, EventId, EventType, IdBuffer, Metadata, Payload, Priority, SessionId,
    Text, UserId,
};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::time_of;
use crate::bytes::{self, Bytes, Wrong, put_bytes, put_number, put_signed};

// What an event has beyond the usual. The rare ones are last, where they cost a byte more.
const UUID: u64 = 1;
const KEY: u64 = 1 << 1;
const CORRELATION: u64 = 1 << 2;
const CORRELATION_UUID: u64 = 1 << 3;
const PRIORITY: u64 = 1 << 4;
const METADATA: u64 = 1 << 5;
const NO_PAYLOAD: u64 = 1 << 6;
const SESSION: u64 = 1 << 7;
const SESSION_UUID: u64 = 1 << 8;
const USER: u64 = 1 << 9;
const USER_UUID: u64 = 1 << 10;
const CHANNEL: u64 = 1 << 11;
const TARGET: u64 = 1 << 12;
const ZONE: u64 = 1 << 13;
const NOT_RETRYABLE: u64 = 1 << 14;
const MAX_RETRIES: u64 = 1 << 15;
const RETRIED: u64 = 1 << 16;

const MAX_RETRIES_USUAL: u32 = 3;

/// The list of texts of a frame that is written.
pub(super) trait Texts {
    fn number(&mut self, text: &str) -> u64;
    fn event_type(&mut self, name: &str) -> u64;
}

/// An id as its sixteen bytes, or as a text of the list.
fn put_id(into: &mut Vec<u8>, uuid: Option<Uuid>, text: &str, texts: &mut impl Texts) {
    match uuid {
        Some(uuid) => into.extend_from_slice(uuid.as_bytes()),
        None => put_number(into, texts.number(text)),
    }
}

pub(super) fn write(
    into: &mut Vec<u8>,
    event: &Event,
    key: Option<&Text>,
    recorded: i64,
    texts: &mut impl Texts,
) -> Result<()> {
    let mut flags = 0;
    let mut flag = |is: bool, flag: u64| flags |= if is { flag } else { 0 };
    let (correlation, session, user) =
        (event.correlation_id(), event.session_id(), event.user_id());
    let time = event.timestamp();
    let payload = event.payload().json()?;
    flag(event.id().as_uuid().is_some(), UUID);
    flag(key.is_some(), KEY);
    flag(correlation.is_some(), CORRELATION);
    flag(correlation.is_some_and(|id| id.as_uuid().is_some()), CORRELATION_UUID);
    flag(event.priority() != Priority::Normal, PRIORITY);
    flag(!event.metadata().is_empty(), METADATA);
    flag(payload == "{}", NO_PAYLOAD);
    flag(session.is_some(), SESSION);
    flag(session.is_some_and(|id| id.as_uuid().is_some()), SESSION_UUID);
    flag(user.is_some(), USER);
    flag(user.is_some_and(|id| id.as_uuid().is_some()), USER_UUID);
    flag(event.channel().is_some(), CHANNEL);
    flag(event.target().is_some(), TARGET);
    flag(!time.offset().is_utc(), ZONE);
    flag(!event.retryable(), NOT_RETRYABLE);
    flag(event.max_retries() != MAX_RETRIES_USUAL, MAX_RETRIES);
    flag(event.retry_count() != 0, RETRIED);

    put_number(into, flags);
    let mut buffer = IdBuffer::new();
    match event.id().as_uuid() {
        Some(uuid) => into.extend_from_slice(uuid.as_bytes()),
        // Each event has another, so the list would not save anything.
        None => put_bytes(into, event.id().as_text(&mut buffer).as_bytes()),
    }
    put_number(into, texts.event_type(event.event_type().as_str()));
    put_number(into, texts.number(event.source()));
    put_signed(into, recorded.wrapping_sub(super::micros_of(time)));
    if let Some(key) = key {
        put_number(into, texts.number(key));
    }
    if let Some(id) = correlation {
        put_id(into, id.as_uuid(), id.as_text(&mut buffer), texts);
    }
    if flags & PRIORITY != 0 {
        into.push(event.priority() as u8);
    }
    if flags & METADATA != 0 {
        put_bytes(into, &serde_json::to_vec(event.metadata()).map_err(Error::store)?);
    }
    if let Some(id) = session {
        put_id(into, id.as_uuid(), id.as_text(&mut buffer), texts);
    }
    if let Some(id) = user {
        put_id(into, id.as_uuid(), id.as_text(&mut buffer), texts);
    }
    for text in [event.channel(), event.target()].into_iter().flatten() {
        put_number(into, texts.number(text));
    }
    if flags & ZONE != 0 {
        let (hours, minutes, seconds) = time.offset().as_hms();
        into.extend([hours, minutes, seconds].map(|part| part as u8));
    }
    if flags & MAX_RETRIES != 0 {
        put_number(into, event.max_retries().into());
    }
    if flags & RETRIED != 0 {
        put_number(into, event.retry_count().into());
    }
    if flags & NO_PAYLOAD == 0 {
        into.extend_from_slice(payload.as_bytes());
    }
    Ok(())
}

/// The list of texts of a frame that is read.
pub(super) struct Known<'f> {
    pub(super) texts: &'f [Text],
    pub(super) types: &'f [EventType],
}

impl Known<'_> {
    fn text(&self, bytes: &mut Bytes<'_>) -> std::result::Result<&Text, Wrong> {
        let number = usize::try_from(bytes.number()?).unwrap_or(usize::MAX);
        self.texts.get(number).ok_or("a text is not in the list")
    }

    fn event_type(&self, bytes: &mut Bytes<'_>) -> std::result::Result<&EventType, Wrong> {
        let number = usize::try_from(bytes.number()?).unwrap_or(usize::MAX);
        self.types.get(number).ok_or("an event type is none")
    }
}

fn id<'i, I>(
    has: bool,
    is_uuid: bool,
    bytes: &mut Bytes<'i>,
    known: &Known<'_>,
    of_uuid: impl FnOnce(Uuid) -> I,
    of_text: impl FnOnce(Text) -> nexus_events_model::Result<I>,
) -> std::result::Result<Option<I>, Wrong> {
    Ok(match (has, is_uuid) {
        (false, _) => None,
        (true, true) => Some(of_uuid(Uuid::from_bytes(bytes.fixed()?))),
        (true, false) => Some(of_text(known.text(bytes)?.clone()).map_err(|_| "an id is none")?),
    })
}

pub(super) fn read(
    bytes: &[u8],
    offset: u64,
    recorded: i64,
    recorded_time: OffsetDateTime,
    known: &Known<'_>,
) -> std::result::Result<StoredEvent, Wrong> {
    let mut bytes = Bytes::new(bytes);
    let flags = bytes.number()?;
    let has = |flag: u64| flags & flag != 0;
    let event_id = match has(UUID) {
        true => EventId::from(Uuid::from_bytes(bytes.fixed()?)),
        false => EventId::new(bytes.text()?).map_err(|_| "an id is none")?,
    };
    let mut builder = Event::builder(known.event_type(&mut bytes)?.clone()).id(event_id);
    let source = known.text(&mut bytes)?;
    if !source.is_empty() {
        builder = builder.source(source.clone());
    }
    let time = recorded.wrapping_sub(bytes.signed()?);
    let key = if has(KEY) { Some(known.text(&mut bytes)?.clone()) } else { None };
    if let Some(id) = id(
        has(CORRELATION),
        has(CORRELATION_UUID),
        &mut bytes,
        known,
        CorrelationId::from,
        CorrelationId::new,
    )? {
        builder = builder.correlation_id(id);
    }
    if has(PRIORITY) {
        let priority = Priority::ALL.get(usize::from(bytes.byte()?));
        builder = builder.priority(*priority.ok_or("a priority is none")?);
    }
    if has(METADATA) {
        let metadata: Metadata =
            serde_json::from_slice(bytes.bytes()?).map_err(|_| "metadata is none")?;
        builder = builder.all_metadata(metadata);
    }
    if let Some(id) =
        id(has(SESSION), has(SESSION_UUID), &mut bytes, known, SessionId::from, SessionId::new)?
    {
        builder = builder.session_id(id);
    }
    if let Some(id) = id(has(USER), has(USER_UUID), &mut bytes, known, UserId::from, UserId::new)? {
        builder = builder.user_id(id);
    }
    if has(CHANNEL) {
        builder = builder.channel(known.text(&mut bytes)?.clone());
    }
    if has(TARGET) {
        builder = builder.target(known.text(&mut bytes)?.clone());
    }
    let mut time = time_of(time).ok_or("a time is none")?;
    if has(ZONE) {
        let [hours, minutes, seconds] = bytes.fixed::<3>()?.map(|part| part as i8);
        let zone = UtcOffset::from_hms(hours, minutes, seconds).map_err(|_| "a zone is none")?;
        time = time.checked_to_offset(zone).ok_or("a zone is none")?;
    }
    builder = builder.timestamp(time).retryable(!has(NOT_RETRYABLE));
    if has(MAX_RETRIES) {
        builder = builder.max_retries(short(bytes.number()?)?);
    }
    if has(RETRIED) {
        builder = builder.retry_count(short(bytes.number()?)?);
    }
    if !has(NO_PAYLOAD) {
        builder = builder.payload(Payload::from_checked_json(bytes::text(bytes.rest())?));
    }
    let event = builder.build().map_err(|_| "a field of an event is none")?;
    Ok(StoredEvent::new(Offset::new(offset), key, recorded_time, event))
}

fn short(number: u64) -> std::result::Result<u32, Wrong> {
    u32::try_from(number).map_err(|_| "a number is too large")
}
