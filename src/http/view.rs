//! How things look in answers: the documented field names, times in the site's zone.

use serde_json::{Map, Value, json};

use crate::domain::direction::Direction;
use crate::domain::time::SiteZone;
use crate::ledger::job::VehicleInfo;

/// What is known of a car, as `vehicle_info`. `direction`: the one that was asked about, if any.
#[must_use]
pub fn vehicle_info(info: &VehicleInfo, direction: Option<Direction>, zone: &SiteZone) -> Value {
    let mut fields = Map::new();
    fields.insert("plate_id".into(), info.plate.as_str().into());
    fields.insert("plate_view".into(), info.plate_view.as_str().into());
    fields.insert("camera_type".into(), info.camera_type.as_str().into());
    fields.insert("direction".into(), json!(direction));
    fields.insert("already_inside".into(), info.inside.is_some().into());
    fields.insert("has_entry".into(), info.inside.is_some().into());
    fields.insert("subscription".into(), json!(info.subscription_id));
    if let Some(inside) = &info.inside {
        fields.insert("event_id".into(), inside.stay_id.as_str().into());
        fields.insert("entry_time".into(), zone.local_text(inside.entry_ms).into());
        fields.insert("entry_from".into(), format!("{}/{}", inside.entry_central, inside.entry_edge).into());
        fields.insert("duration".into(), inside.duration.as_str().into());
        fields.insert("fee".into(), inside.fee.0.into());
    } else if direction == Some(Direction::Exit) {
        fields.insert("error".into(), "No entry record found".into());
    }
    Value::Object(fields)
}
