//! How things look in answers: the documented field names, times in the site's zone, gates by their names.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::state::Shared;
use crate::domain::direction::Direction;
use crate::domain::payment::FeeLine;
use crate::domain::time::SiteZone;
use crate::ledger::job::VehicleInfo;

/// What is known of a car. From `event_id` on the fields are there if it is inside.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Vehicle {
    plate_id: String,
    plate_view: String,
    /// The vehicle type that was asked about; empty: none.
    camera_type: String,
    /// The one that was asked about; null: none.
    direction: Option<Direction>,
    already_inside: bool,
    /// The same as `already_inside`.
    has_entry: bool,
    /// The id of an active subscription of this plate.
    subscription: Option<String>,
    /// The stay's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// On the site's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_time: Option<String>,
    /// `central/edge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_from: Option<String>,
    /// `1 giờ 31 phút`
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    /// As what it came in, as corrected, which is what it pays as; empty: not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    entered_as: Option<String>,
    /// What leaving now would cost, in VND.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<i64>,
    /// What that consists of; the lines sum to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<FeeLine>>,
    /// Of an EXIT of a car that is not inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Vehicle {
    /// `direction`: the one that was asked about, if any.
    pub fn new(info: &VehicleInfo, direction: Option<Direction>, zone: &SiteZone) -> Self {
        let inside = info.inside.as_ref();
        let unseen = inside.is_none() && direction == Some(Direction::Exit);
        Self {
            plate_id: info.plate.as_str().to_owned(),
            plate_view: info.plate_view.clone(),
            camera_type: info.camera_type.clone(),
            direction,
            already_inside: inside.is_some(),
            has_entry: inside.is_some(),
            subscription: info.subscription_id.clone(),
            event_id: inside.map(|inside| inside.stay_id.clone()),
            entry_time: inside.map(|inside| zone.local_text(inside.entry_ms)),
            entry_from: inside.map(|inside| format!("{}/{}", inside.entry_central, inside.entry_edge)),
            duration: inside.map(|inside| inside.duration.clone()),
            entered_as: inside.map(|inside| inside.camera_type.clone()),
            fee: inside.map(|inside| inside.fee.0),
            lines: inside.map(|inside| inside.lines.clone()),
            error: unseen.then_some("No entry record found"),
        }
    }
}

/// What gates are called, `central/edge` by what the site says.
#[derive(Debug, Clone, Default)]
pub struct GateNames(HashMap<String, String>);

impl GateNames {
    /// As known now: those of this central by its settings.
    pub fn known(shared: &Shared) -> Self {
        let (config, held) = (shared.config(), shared.held());
        let told = held.settings.names().map(|(gate, name)| (gate.to_owned(), name.to_owned()));
        let own = config.edges.iter().filter(|edge| !edge.name.is_empty());
        let own = own.map(|edge| (format!("{}/{}", config.this_central.id, edge.id), edge.name.clone()));
        Self(told.chain(own).collect())
    }

    /// A gate as people call it, else by its address.
    pub fn of<'n>(&'n self, address: Option<&'n str>) -> &'n str {
        let address = address.unwrap_or_default();
        self.0.get(address).map_or(address, String::as_str)
    }
}
