//! An event as the line a dashboard shows.

use serde::Serialize;

use crate::domain::doer::Doer;
use crate::domain::event::{Body, Event};
use crate::domain::plate::{self, PlateId};

/// What happened, where, to which car. Times are Unix ms, `fee` is VND.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventLine {
    /// `entry`, `confirmed`, `exit`, `correction`, `void`, `unread` (a gate opened for a car that could not be read), `tariff`, `subscription`, `central`, `naming`, `shift_opened`, `shift_closed`, `shift_recounted`, `payment` (money came in for `stay`; `fee` is the amount), `payment_assigned` (a person says what such money is for), or `unknown`: of a newer version.
    pub kind: &'static str,
    /// The log and the place in it: the same on every central.
    pub id: String,
    pub at_ms: i64,
    /// Where it happened.
    pub central: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plate_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plate_view: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<i64>,
    /// How it was paid; absent: the gate did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'static str>,
    /// The other ways in which a part of it was paid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// A person overrode the state of the lot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub manual: bool,
    /// Of an exit: nobody had seen the entry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_entry: bool,
    /// Nothing was due: a subscription.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub subscribed: bool,
    /// Who did it: `an`, `token:backup`, `edge:edge-1`; absent: nobody proved to be anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl EventLine {
    fn bare(event: &Event, kind: &'static str) -> Self {
        Self {
            kind,
            id: format!("{}#{}", event.log, event.seq),
            at_ms: event.timestamp_ms,
            central: event.source_central.clone(),
            edge: None,
            stay: event.event_id.clone(),
            plate_id: None,
            plate_view: None,
            camera_type: None,
            fee: None,
            method: None,
            also: Vec::new(),
            duration: None,
            manual: false,
            without_entry: false,
            subscribed: false,
            by: event.by.as_ref().and_then(Doer::text),
        }
    }

    /// Of a change of a stay that names no plate: the one its id was made of.
    fn of_stay(event: &Event, stay: Option<&str>, kind: &'static str) -> Self {
        let made_of = stay.and_then(|id| id.split('~').next()?.rsplit('_').next());
        let plate = made_of.and_then(|text| PlateId::parse(text).ok());
        Self {
            plate_view: plate.as_ref().map(plate::view),
            plate_id: plate.map(|plate| plate.as_str().to_owned()),
            ..Self::bare(event, kind)
        }
    }

    /// The line of an event.
    pub fn of(event: &Event) -> Self {
        let bare = |kind| Self::bare(event, kind);
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        match &event.body {
            Body::Entry(entry) => Self {
                edge: some(&entry.edge_id),
                plate_id: some(entry.plate_id.as_str()),
                plate_view: some(&entry.plate_view),
                camera_type: some(&entry.camera_type),
                manual: entry.force,
                ..bare("entry")
            },
            Body::Confirmed(confirmed) => Self {
                edge: some(&confirmed.edge_id),
                plate_id: confirmed.plate_id.as_ref().map(|plate| plate.as_str().to_owned()),
                ..bare("confirmed")
            },
            Body::Exit(exit) => Self {
                central: exit.exit_central.clone(),
                edge: some(&exit.exit_edge),
                plate_id: exit.plate_id.as_ref().map(|plate| plate.as_str().to_owned()),
                plate_view: exit.plate_view.clone().or_else(|| exit.plate_id.as_ref().map(plate::view)),
                camera_type: exit.camera_type.clone(),
                fee: Some(exit.fee.0),
                method: exit.paid.as_ref().map(|paid| paid.method.name()),
                also: exit.paid.iter().flat_map(|paid| &paid.also).map(|too| too.method.name()).collect(),
                duration: some(&exit.duration),
                manual: exit.force,
                without_entry: event.exit_stay().is_none(),
                subscribed: exit.subscription_id.is_some() && exit.fee.0 == 0,
                ..bare("exit")
            },
            Body::Correction(correction) => {
                let stay = Self::of_stay(event, event.event_id.as_deref(), "correction");
                Self {
                    plate_id: correction.plate_id.as_ref().map(|plate| plate.as_str().to_owned()).or(stay.plate_id),
                    plate_view: correction.plate_view.clone().or(stay.plate_view),
                    ..bare("correction")
                }
            }
            Body::Void(_) => Self::of_stay(event, event.event_id.as_deref(), "void"),
            Body::Unread(unread) => {
                Self { edge: some(&unread.edge_id), fee: unread.taken().map(|fee| fee.0), ..bare("unread") }
            }
            Body::Tariff(_) | Body::PriceList(_) => bare("tariff"),
            Body::Subscription(update) => Self {
                plate_view: update.subscription.as_ref().and_then(|listed| some(&listed.plate_number)),
                ..bare("subscription")
            },
            Body::Central(_) => bare("central"),
            Body::Naming(_) => bare("naming"),
            Body::ShiftOpened(opened) => Self { edge: some(&opened.edge_id), ..bare("shift_opened") },
            Body::ShiftClosed(closed) => Self { edge: some(&closed.edge_id), ..bare("shift_closed") },
            Body::ShiftRecounted(again) => Self { edge: some(&again.edge_id), ..bare("shift_recounted") },
            Body::PaymentReceived(payment) => Self {
                stay: payment.stay.clone(),
                fee: Some(payment.amount.0),
                ..Self::of_stay(event, payment.stay.as_deref(), "payment")
            },
            Body::PaymentAssigned(assigned) => Self {
                stay: assigned.stay.clone(),
                fee: Some(assigned.amount.0),
                ..Self::of_stay(event, assigned.stay.as_deref(), "payment_assigned")
            },
            Body::Invoiced(invoiced) => Self {
                stay: Some(invoiced.stay.clone()),
                fee: Some(invoiced.amount.0),
                ..Self::of_stay(event, Some(&invoiced.stay), "invoiced")
            },
            Body::Unknown { .. } => bare("unknown"),
        }
    }

    /// The gate it happened at, `central/edge`; `None`: at none.
    pub fn gate(&self) -> Option<String> {
        self.edge.as_ref().map(|edge| format!("{}/{edge}", self.central))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The newest file of golden events: one of each kind, by who did it.
    const EVENTS: &str = include_str!("../../tests/golden/events/since_money.jsonl");

    #[test]
    fn a_line_names_the_car_and_who_did_it() {
        let lines = EVENTS.lines().map(|line| EventLine::of(&Event::parse(line).unwrap()));
        let said: Vec<_> = lines.map(|line| (line.kind, line.plate_id, line.plate_view, line.by)).collect();
        let some = |text: &str| Some(text.to_owned());
        let car = |kind, by: &str| (kind, some("29A12345"), some("29A-123.45"), some(by));
        assert_eq!(
            said,
            [
                car("entry", "an"),
                car("exit", "token:backup"),
                ("correction", some("29A12346"), some("29A-123.46"), some("edge:edge-2")),
                ("unread", None, None, None),
                // These name the stay alone.
                car("void", "an"),
                car("correction", "an"),
            ]
        );
    }
}
