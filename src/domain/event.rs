//! Events: what a central states about the world, once, in its own log.
//!
//! The author's bytes are the event. [`Draft::encode`] makes them; [`Event::parse`] reads them; nobody re-serialises a
//! parsed event. Unknown keys are ignored and unknown types kept as [`Body::Unknown`], so that formats can grow.

mod check;
pub mod type_name;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::anomaly::Anomaly;
use super::authorship::{Key, OpenedBy, Proof};
use super::direction::Direction;
use super::doer::{Doer, DoerKind};
use super::heard;
use super::ids::{FactId, Hlc, LogId};
use super::invoice::Invoiced;
use super::money::Vnd;
use super::naming::Naming;
use super::payment::{FeeLine, Method, Paid, PaidToo};
use super::plate::{self, PlateId};
use super::received::{PaymentAssigned, PaymentReceived};
use super::shift::{MoneyChange, ShiftClosed, ShiftOpened, ShiftRecounted};
use super::standing::CentralStanding;
use super::subscription::Subscription;
use super::tariff::Tariff;

/// Largest event, checked before authoring, in bytes.
pub const MAX_EVENT_BYTES: usize = 16 * 1024;
/// Longest id of a card or ticket, in characters.
pub const MAX_CARD_ID_CHARS: usize = 64;
/// Most pictures of one passage, and the longest word for what one shows, in characters.
pub const MAX_IMAGES: usize = 8;
pub const MAX_IMAGE_KIND_CHARS: usize = 32;
/// Room for what gates say.
const USUAL_EVENT_BYTES: usize = 512;

/// Why the bytes are not an event. Such an event is stored and forwarded, but has no effect (it is quarantined).
#[derive(Debug, thiserror::Error)]
#[error("malformed event: {0}")]
pub struct Malformed(String);

/// When an edge program reported the event, as it told it and as we received it, Unix ms. One of the two is the event's
/// `timestamp`: the told one if it can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    pub told_ms: i64,
    pub received_ms: i64,
}

/// A picture that belongs to a passage. The picture itself is no part of the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// Of the file, 64 hex digits in small letters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// What it shows: `plate`, `front`, `driver`.
    #[schema(max_length = 32)]
    pub kind: String,
}

/// A car came in. Predecessor name: `VEHICLE_ENTRY_PENDING`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub plate_id: PlateId,
    pub plate_view: String,
    pub edge_id: String,
    #[serde(default)]
    pub camera_type: String,
    /// Always `"ENTRY"`; predecessors read it.
    #[serde(default)]
    pub direction: String,
    /// The event's `timestamp` as text in the site's zone, for predecessors and people; ours read `timestamp`.
    #[serde(default)]
    pub entry_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// A person overrode the state of the lot.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Why, if that person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The open stay the author was told of and overrode: that car had left unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// An edge program reported it afterwards, with a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// A program at a gate told it of a car that had passed; nobody asked for the barrier to open. Absent in older events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub told: bool,
    /// What the gate says it took beforehand. It is shown, and counted nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_fee: Option<Vnd>,
    /// The card or ticket it came in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    /// Pictures of it, by what they are; they are kept elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Names of the anomalies its author knew of; one of a newer version is none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

/// The barrier closed behind the car. Predecessor name: `VEHICLE_ENTRY_CONFIRMED`. The stay is the `event_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmed {
    #[serde(default)]
    pub plate_id: Option<PlateId>,
    #[serde(default)]
    pub edge_id: String,
    #[serde(default)]
    pub confirmed_time: String,
}

/// A car left. Predecessor name: `VEHICLE_EXIT`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// `None` (absent): the stay is the `event_id`. `Some(None)` (`null`): its author knew of no stay. See [`Event::exit_stay`].
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub stay: Option<Option<String>>,
    /// Absent only in what v1 predecessors say.
    #[serde(default)]
    pub plate_id: Option<PlateId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_view: Option<String>,
    pub exit_central: String,
    pub exit_edge: String,
    #[serde(default)]
    pub exit_time: String,
    pub fee: Vnd,
    #[serde(default)]
    pub duration: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Why, if the person who forced it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The fee the request gave, if it gave one: part of what makes two requests the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_fee: Option<Vnd>,
    /// The fact id of the tariff the fee was computed with; absent: the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// An edge program reported it afterwards, with a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// A program at a gate told it of a car that had passed; nobody asked for the barrier to open.
    #[serde(default, skip_serializing_if = "is_false")]
    pub told: bool,
    /// A program had told this exit a moment before, and a person said what was taken: this one counts in place of that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_place_of_told: bool,
    /// What the gate says it took, where that is not `fee`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_fee: Option<Vnd>,
    /// What the fee consists of; its amounts sum to it. Absent where nothing was due, and in older events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<FeeLine>,
    /// How it was paid, if the gate said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Paid>,
    /// Who took the money, where a person only wrote down afterwards which car it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<Doer>,
    /// The card or ticket it left with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    /// As of an entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Names of the anomalies its author knew of; one of a newer version is none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

impl Entry {
    /// A car at an edge, of which nothing more is known.
    pub fn of(plate_id: PlateId, edge_id: impl Into<String>) -> Self {
        Self {
            plate_view: plate::view(&plate_id),
            plate_id,
            edge_id: edge_id.into(),
            camera_type: String::new(),
            direction: "ENTRY".to_owned(),
            entry_time: String::new(),
            confidence: None,
            request_id: None,
            force: false,
            reason: None,
            replaces: None,
            reported: None,
            told: false,
            told_fee: None,
            card_id: None,
            images: Vec::new(),
            doubts: Vec::new(),
        }
    }
}

/// What the request id of a passage begins with that tells of which car an opening was. No gate's id is like that.
const READING: &str = "\u{1}read ";

/// The request id of the passage that tells of which car an opening was, so that it is told once.
pub fn reading_of(opening: &FactId) -> String {
    format!("{READING}{opening}")
}

/// The opening that a passage with this request id tells the car of.
pub fn opening_read(request_id: &str) -> Option<FactId> {
    request_id.strip_prefix(READING)?.parse().ok()
}

impl Exit {
    /// The exit it is written anew in place of, as one of another car. Its request id says so, and who writes it doubts its fee: a gate's own
    /// ids may look alike, such as hashes in hex.
    pub fn in_place_of(&self) -> Option<FactId> {
        let is_doubted = self.doubts.iter().any(|doubt| doubt == Anomaly::FeeUncertain.name());
        self.request_id.as_deref().filter(|_| is_doubted)?.parse().ok()
    }

    /// The opening for a car nobody could read that it tells the car of.
    pub fn opening_read(&self) -> Option<FactId> {
        opening_read(self.request_id.as_deref()?)
    }

    /// What had told its passage: the exit it is in place of, or the opening it reads.
    pub fn says_again(&self) -> Option<FactId> {
        self.in_place_of().or_else(|| self.opening_read())
    }

    /// An exit from the stay that is the event's `event_id`, of which nothing more is known.
    pub fn of(
        plate_id: Option<PlateId>,
        exit_central: impl Into<String>,
        exit_edge: impl Into<String>,
        fee: Vnd,
    ) -> Self {
        Self {
            stay: None,
            plate_id,
            plate_view: None,
            exit_central: exit_central.into(),
            exit_edge: exit_edge.into(),
            exit_time: String::new(),
            fee,
            lines: Vec::new(),
            paid: None,
            taken_by: None,
            duration: String::new(),
            camera_type: None,
            confidence: None,
            request_id: None,
            force: false,
            reason: None,
            requested_fee: None,
            tariff_version: None,
            subscription_id: None,
            reported: None,
            told: false,
            in_place_of_told: false,
            told_fee: None,
            card_id: None,
            images: Vec::new(),
            doubts: Vec::new(),
        }
    }
}

/// A gate opened for a car whose plate could not be read. It is about no stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unread {
    pub edge_id: String,
    pub direction: Direction,
    /// What was told in place of a plate, bounded.
    #[serde(default)]
    pub text: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub camera_type: String,
    /// What the gate says it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Vnd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// As of an exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Paid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// A person opened, and why, if that was said.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Unread {
    /// What was taken, as far as the gate said. What no fee can be is in no sum.
    pub fn taken(&self) -> Option<Vnd> {
        let paid = || self.paid.as_ref().map(Paid::total).filter(|total| *total <= Vnd::MAX_TOLD);
        self.fee.or_else(paid)
    }
}

/// What was really taken at an exit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RightFee {
    /// The EXIT. The correction names the stay by the name the exit does, and is later.
    pub exit: FactId,
    /// What it was taken for until then, for people.
    pub before: Vnd,
    pub fee: Vnd,
}

/// How it was really paid at an exit. What was taken, and by whom, stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RightMethod {
    /// As of a [`RightFee`].
    pub exit: FactId,
    /// What was known of it until then, for people; absent: the gate had not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Method>,
    pub method: Method,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What of it was paid in other ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<PaidToo>,
}

/// A person corrected what is known of a stay: the plate, the type, what was taken and how it was paid, that it is void. The stay is the `event_id`. Of
/// each the latest that states it counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Correction {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_id: Option<PlateId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_view: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_fee: Option<RightFee>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_method: Option<RightMethod>,
    /// Voids of this stay that count no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undoes: Vec<FactId>,
    /// What it changes in what was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub money: Vec<MoneyChange>,
    pub reason: String,
    /// Its [`Event::by`] as text, for older versions; in their events what the request said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A person removed a stay. The stay is the `event_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Void {
    /// The facts of the stay as its author saw them.
    pub removes: Vec<FactId>,
    /// What it changes in what was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub money: Vec<MoneyChange>,
    pub reason: String,
    /// Its [`Event::by`] as text, for older versions; in their events what the request said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The site's tariff from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TariffUpdate {
    pub tariff: Tariff,
}

/// A tariff that says more than versions of hourly prices know, which would charge something else by what they understand of it: to
/// them this is of an unknown type. It is in force from now on, or from a moment on that lay ahead when it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceList {
    /// Unix ms; absent: from now on. Of two for the same moment the later counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from_ms: Option<i64>,
    /// `None`: what was announced for that moment is withdrawn.
    pub tariff: Option<Tariff>,
}

/// One subscription from now on; `None`: it is removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionUpdate {
    pub id: String,
    pub subscription: Option<Subscription>,
}

/// What an event states.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are entries and exits, and each is read, applied and let go")]
pub enum Body {
    Entry(Entry),
    Confirmed(Confirmed),
    Exit(Exit),
    Unread(Unread),
    Correction(Correction),
    Void(Void),
    Tariff(TariffUpdate),
    PriceList(PriceList),
    Subscription(SubscriptionUpdate),
    /// A central was let in or thrown out.
    Central(CentralStanding),
    /// The site or a gate was given a name.
    Naming(Naming),
    /// A person took over a gate.
    ShiftOpened(ShiftOpened),
    /// A shift ended, and what it came to.
    ShiftClosed(ShiftClosed),
    /// The cash of a closed shift was counted anew.
    ShiftRecounted(ShiftRecounted),
    /// A bank or provider says that money came in.
    PaymentReceived(PaymentReceived),
    /// A person says what such money is for.
    PaymentAssigned(PaymentAssigned),
    /// The invoice program numbered what was taken at an exit.
    Invoiced(Invoiced),
    /// A type of a newer version: stored, forwarded, quarantined.
    Unknown {
        type_name: String,
    },
}

/// A parsed event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub log: LogId,
    pub seq: u64,
    pub hlc: Hlc,
    /// When it happened, Unix ms: what times and fees are computed from.
    pub timestamp_ms: i64,
    /// The author's median clock offset to its peers; `None`: unknown.
    pub skew_ms: Option<i64>,
    /// The central it happened at; other than the log's only for what was heard from a predecessor.
    pub source_central: String,
    /// The stay's id (an EXIT carries its entry's); `None` for tariffs and subscriptions.
    pub event_id: Option<String>,
    /// Who told us what we only wrote down: a predecessor, or a database of one that was imported. `None`: our own event.
    pub heard_from: Option<String>,
    /// Who did it, by login, token or key; `None`: an older event, or one that was heard.
    pub by: Option<Doer>,
    pub body: Body,
}

impl Event {
    /// # Errors
    /// [`Malformed`] if the envelope or the data of a known type has another shape, a vehicle event names no stay, a fee is
    /// negative or above [`Vnd::MAX_FEE`], or the timestamp is outside the years 1 to 9999.
    pub fn parse(json: &str) -> Result<Self, Malformed> {
        let envelope: Envelope<'_> = serde_json::from_str(json).map_err(malformed)?;
        let data = envelope.data.get();
        let body = match &*envelope.type_name {
            type_name::ENTRY => Body::Entry(read(data)?),
            type_name::CONFIRMED => Body::Confirmed(read(data)?),
            type_name::EXIT => Body::Exit(read(data)?),
            type_name::UNREAD => Body::Unread(read(data)?),
            type_name::CORRECTION => Body::Correction(read(data)?),
            type_name::VOID => Body::Void(read(data)?),
            type_name::TARIFF => Body::Tariff(read(data)?),
            type_name::PRICE_LIST => Body::PriceList(read(data)?),
            type_name::SUBSCRIPTION => Body::Subscription(read(data)?),
            type_name::CENTRAL => Body::Central(read(data)?),
            type_name::NAMING => Body::Naming(read(data)?),
            type_name::SHIFT_OPENED => Body::ShiftOpened(read(data)?),
            type_name::SHIFT_CLOSED => Body::ShiftClosed(read(data)?),
            type_name::SHIFT_RECOUNTED => Body::ShiftRecounted(read(data)?),
            type_name::PAYMENT_RECEIVED => Body::PaymentReceived(read(data)?),
            type_name::PAYMENT_ASSIGNED => Body::PaymentAssigned(read(data)?),
            type_name::INVOICED => Body::Invoiced(read(data)?),
            other => Body::Unknown { type_name: other.to_owned() },
        };
        let event = Self {
            log: envelope.log,
            seq: envelope.seq,
            hlc: envelope.hlc,
            timestamp_ms: envelope.timestamp,
            skew_ms: envelope.skew_ms,
            source_central: envelope.source_central.into_owned(),
            event_id: envelope.event_id,
            heard_from: envelope.heard_from,
            by: envelope.by,
            body,
        };
        event.check()?;
        Ok(event)
    }

    /// True if it is a fact about a stay: neither a setting, nor a car that could not be read, nor of an unknown type.
    pub fn is_of_a_stay(&self) -> bool {
        let is_other = self.body.is_setting() || self.body.is_of_a_shift() || self.body.is_of_a_payment();
        !is_other && !matches!(self.body, Body::Invoiced(_) | Body::Unread(_) | Body::Unknown { .. })
    }

    /// The name of the person who did it.
    pub fn person(&self) -> Option<&str> {
        self.by.as_ref().filter(|by| by.kind == DoerKind::Person).and_then(|by| by.name.as_deref())
    }

    /// What it changes in what was taken, of a correction or a void.
    pub fn money(&self) -> &[MoneyChange] {
        match &self.body {
            Body::Correction(correction) => &correction.money,
            Body::Void(void) => &void.money,
            _ => &[],
        }
    }

    /// Its place in its log; of what was heard from a predecessor what was said, so that all who heard it made one fact.
    pub fn fact_id(&self) -> FactId {
        match self.heard_from {
            None => FactId::Authored { log: self.log.clone(), seq: self.seq },
            Some(_) => FactId::Heard(heard::digest(self.event_id.as_deref(), self.timestamp_ms, &self.body)),
        }
    }

    /// The stay an EXIT names: `None` for any other event and for an exit whose author knew of no stay.
    pub fn exit_stay(&self) -> Option<&str> {
        match &self.body {
            Body::Exit(Exit { stay: Some(stay), .. }) => stay.as_deref(),
            Body::Exit(Exit { stay: None, .. }) => self.event_id.as_deref(),
            _ => None,
        }
    }

    /// Whether the plate of an entry is another than the one its id ends with: ids were made of the plate that was read at the
    /// gate, and a predecessor that edits a row keeps its id.
    pub fn has_edited_plate(&self) -> bool {
        let read = self.event_id.as_deref().and_then(|id| id.rsplit('_').next());
        let read = read.and_then(|text| PlateId::parse(text).ok());
        matches!((&self.body, read), (Body::Entry(entry), Some(read)) if entry.plate_id != read)
    }

    /// The plate as recorded in the event, where it states one.
    pub fn recorded_plate(&self) -> Option<&PlateId> {
        match &self.body {
            Body::Entry(entry) => Some(&entry.plate_id),
            Body::Confirmed(confirmed) => confirmed.plate_id.as_ref(),
            Body::Exit(exit) => exit.plate_id.as_ref(),
            Body::Correction(correction) => correction.plate_id.as_ref(),
            _ => None,
        }
    }

    /// When a program at a gate says that it happened.
    pub fn told_ms(&self) -> Option<i64> {
        self.reported().map(|reported| reported.told_ms)
    }

    /// What was told with it of when it happened.
    pub fn reported(&self) -> Option<Reported> {
        match &self.body {
            Body::Entry(entry) => entry.reported,
            Body::Exit(exit) => exit.reported,
            Body::Unread(unread) => unread.reported,
            _ => None,
        }
    }

    /// The edge and the request id that made the event, where it carries one.
    pub fn request(&self) -> Option<(&str, &str)> {
        match &self.body {
            Body::Entry(entry) => entry.request_id.as_deref().map(|id| (entry.edge_id.as_str(), id)),
            Body::Exit(exit) => exit.request_id.as_deref().map(|id| (exit.exit_edge.as_str(), id)),
            Body::Unread(unread) => unread.request_id.as_deref().map(|id| (unread.edge_id.as_str(), id)),
            _ => None,
        }
    }
}

/// An event about to be authored: all but its place in the log, which the ledger gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub hlc: Hlc,
    pub timestamp_ms: i64,
    pub skew_ms: Option<i64>,
    pub event_id: Option<String>,
    /// See [`Event::by`].
    pub by: Option<Doer>,
    pub body: Body,
}

impl Draft {
    /// The author's bytes.
    ///
    /// # Errors
    /// [`Malformed`] if they exceed [`MAX_EVENT_BYTES`] or the body is [`Body::Unknown`].
    pub fn encode(&self, log: &LogId, seq: u64) -> Result<String, Malformed> {
        self.encode_as(log, seq, log.central.as_str(), None, &Proof::default())
    }

    /// The bytes of what `heard_from` told of an event at `source_central`.
    ///
    /// # Errors
    /// As [`Draft::encode`].
    pub fn encode_heard(
        &self,
        log: &LogId,
        seq: u64,
        source_central: &str,
        heard_from: &str,
    ) -> Result<String, Malformed> {
        self.encode_as(log, seq, source_central, Some(heard_from), &Proof::default())
    }

    /// As [`Draft::encode_heard`] or, if nobody told it, [`Draft::encode`], with what shows who wrote it.
    ///
    /// # Errors
    /// As [`Draft::encode`].
    pub fn encode_as(
        &self,
        log: &LogId,
        seq: u64,
        source: &str,
        heard_from: Option<&str>,
        proof: &Proof,
    ) -> Result<String, Malformed> {
        let at = Place { log, seq, source, heard_from, proof };
        let json = match &self.body {
            Body::Entry(data) => self.write(at, type_name::ENTRY, data),
            Body::Confirmed(data) => self.write(at, type_name::CONFIRMED, data),
            Body::Exit(data) => self.write(at, type_name::EXIT, data),
            Body::Unread(data) => self.write(at, type_name::UNREAD, data),
            Body::Correction(data) => self.write(at, type_name::CORRECTION, data),
            Body::Void(data) => self.write(at, type_name::VOID, data),
            Body::Tariff(data) => self.write(at, type_name::TARIFF, data),
            Body::PriceList(data) => self.write(at, type_name::PRICE_LIST, data),
            Body::Subscription(data) => self.write(at, type_name::SUBSCRIPTION, data),
            Body::Central(data) => self.write(at, type_name::CENTRAL, data),
            Body::Naming(data) => self.write(at, type_name::NAMING, data),
            Body::ShiftOpened(data) => self.write(at, type_name::SHIFT_OPENED, data),
            Body::ShiftClosed(data) => self.write(at, type_name::SHIFT_CLOSED, data),
            Body::ShiftRecounted(data) => self.write(at, type_name::SHIFT_RECOUNTED, data),
            Body::PaymentReceived(data) => self.write(at, type_name::PAYMENT_RECEIVED, data),
            Body::PaymentAssigned(data) => self.write(at, type_name::PAYMENT_ASSIGNED, data),
            Body::Invoiced(data) => self.write(at, type_name::INVOICED, data),
            Body::Unknown { type_name } => Err(Malformed(format!("cannot author an event of type {type_name}"))),
        }?;
        if json.len() > MAX_EVENT_BYTES {
            return Err(Malformed(format!("{} bytes, at most {MAX_EVENT_BYTES}", json.len())));
        }
        Ok(json)
    }

    /// The author's bytes, and the event as everybody will read it from them.
    ///
    /// # Errors
    /// As [`Draft::encode`], and if what it says makes no sense (see [`Event::parse`]).
    pub fn author(self, log: LogId, seq: u64, proof: &Proof) -> Result<(String, Event), Malformed> {
        let json = self.encode_as(&log, seq, log.central.as_str(), None, proof)?;
        if !matches!(self.body, Body::Entry(_) | Body::Confirmed(_) | Body::Exit(_)) {
            let event = Event::parse(&json)?;
            return Ok((json, event));
        }
        // What gates make by the thousand is not read again: these bodies are written as they are.
        let event = Event {
            source_central: log.central.as_str().to_owned(),
            log,
            seq,
            hlc: self.hlc,
            timestamp_ms: self.timestamp_ms,
            skew_ms: self.skew_ms,
            event_id: self.event_id,
            heard_from: None,
            by: self.by,
            body: self.body,
        };
        event.check()?;
        debug_assert_eq!(Event::parse(&json).ok().as_ref(), Some(&event), "read as it was written");
        Ok((json, event))
    }

    fn write<T: Serialize>(&self, at: Place<'_>, type_name: &str, data: &T) -> Result<String, Malformed> {
        let envelope = EnvelopeOut {
            type_name,
            source_central: at.source,
            timestamp: self.timestamp_ms,
            event_id: self.event_id.as_deref(),
            data,
            log: at.log,
            seq: at.seq,
            hlc: self.hlc,
            skew_ms: self.skew_ms,
            heard_from: at.heard_from,
            by: self.by.as_ref(),
            reveal: at.proof.reveal,
            anchor: at.proof.anchor,
            opened_by: at.proof.opened_by.as_ref(),
        };
        let mut json = Vec::with_capacity(USUAL_EVENT_BYTES);
        serde_json::to_writer(&mut json, &envelope).map_err(malformed)?;
        String::from_utf8(json).map_err(|error| Malformed(error.to_string()))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    type_name: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    source_central: std::borrow::Cow<'a, str>,
    timestamp: i64,
    event_id: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
    log: LogId,
    seq: u64,
    hlc: Hlc,
    skew_ms: Option<i64>,
    heard_from: Option<String>,
    by: Option<Doer>,
}

/// Where an event lies, and whose it is.
#[derive(Clone, Copy)]
struct Place<'a> {
    log: &'a LogId,
    seq: u64,
    source: &'a str,
    heard_from: Option<&'a str>,
    proof: &'a Proof,
}

#[derive(Serialize)]
struct EnvelopeOut<'a, T> {
    #[serde(rename = "type")]
    type_name: &'a str,
    source_central: &'a str,
    timestamp: i64,
    event_id: Option<&'a str>,
    data: &'a T,
    log: &'a LogId,
    seq: u64,
    hlc: Hlc,
    #[serde(skip_serializing_if = "Option::is_none")]
    skew_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heard_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a Doer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reveal: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_by: Option<&'a OpenedBy>,
}

fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(data).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> Malformed {
    Malformed(error.to_string())
}

/// Tells a key that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
