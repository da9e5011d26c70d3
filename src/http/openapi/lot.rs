//! The lot: its history, its figures, its tariff and its subscriptions.

use super::operation::{Operation, delete, get, post, put};
use crate::http::amendments::{Amended, CorrectionRequest, VoidRequest};
use crate::http::code::Code;
use crate::http::history::{HistoryPage, HistoryParameters};
use crate::http::parking::{
    Fees, FeesRequest, FeesSet, Figures, Near, NearParameters, Preview, PreviewRequest, State, StatsParameters,
    StatusAnswer,
};
use crate::http::stories::{AnomalyParameters, EventsAside, OddStays, StoryAnswer};
use crate::http::subscriptions::{RestoreRequest, Subscriptions, SubscriptionsRequest, SubscriptionsSet};
use crate::http::xlsx::MEDIA_TYPE;

/// What people change is decided by the writer.
const DECIDED: &[Code] = &[Code::InvalidField, Code::Invalid, Code::NotDurable];
const OF_A_STAY: &[Code] = &[Code::NotFound, Code::AlreadyVoid];

pub(super) fn operations() -> Vec<Operation> {
    let operations = vec![
        get("/api/parking/history", "A page of the history, newest entry first.")
            .query::<HistoryParameters>()
            .answers::<HistoryPage>("The page")
            .refuses(&[Code::InvalidField, Code::Busy]),
        get("/api/parking/history.csv", "All rows of the same query as a table for spreadsheets.")
            .query::<HistoryParameters>()
            .answers_text(&["text/csv"], "The table, sent while it is read")
            .refuses(&[Code::InvalidField, Code::Busy]),
        get("/api/parking/history.xlsx", "As history.csv, as a workbook with times, amounts and their sums.")
            .query::<HistoryParameters>()
            .answers_text(&[MEDIA_TYPE], "The workbook")
            .refuses(&[Code::InvalidField, Code::Busy]),
        put("/api/parking/history/{event_id}", "Correct plate, type or fee of a stay, or take back its removal.")
            .body::<CorrectionRequest>()
            .answers::<Amended<'_>>("The stay as it now is")
            .refuses(DECIDED)
            .refuses(OF_A_STAY)
            .refuses(&[Code::Unchanged]),
        delete("/api/parking/history/{event_id}", "Remove a stay that did not happen.")
            .body::<VoidRequest>()
            .answers::<Amended<'_>>("The stay as it now is")
            .refuses(DECIDED)
            .refuses(OF_A_STAY),
        get("/api/parking/history/{event_id}/story", "Why a stay is as it is.")
            .answers::<StoryAnswer>("The story")
            .refuses(&[Code::NotFound, Code::Busy]),
        get("/api/parking/anomalies", "What is out of the ordinary, newest entry first.")
            .query::<AnomalyParameters>()
            .answers_either::<OddStays, EventsAside>("Stays; with `kind` `quarantined` or `waiting`, events")
            .refuses(&[Code::InvalidField, Code::Busy]),
        get("/api/parking/state", "The cars inside.").answers::<State>("The cars").refuses(&[Code::Busy]),
        get("/api/parking/near", "The cars inside whose plates read almost like one.")
            .query::<NearParameters>()
            .answers::<Near>("The cars, the nearest first")
            .refuses(&[Code::InvalidField, Code::Busy]),
        get("/api/stats", "The figures of a day, of the site and of each gate.")
            .query::<StatsParameters>()
            .answers::<Figures>("The figures")
            .refuses(&[Code::InvalidField, Code::Busy]),
        get("/api/status", "This central and its lot.").answers::<StatusAnswer>("The state").refuses(&[Code::Busy]),
        get("/api/parking/fees", "The tariff in force here.").answers::<Fees>("The tariff"),
        put("/api/parking/fees", "Put a tariff in force, at every central.")
            .body::<FeesRequest>()
            .answers::<FeesSet>("It is in force here")
            .refuses(DECIDED)
            .refuses(&[Code::StaleVersion]),
        post("/api/parking/fees/preview", "What a stay would cost by a tariff that need not be saved.")
            .body::<PreviewRequest>()
            .answers::<Preview>("The fee")
            .refuses(&[Code::InvalidField]),
        get("/api/subscriptions", "The subscriptions in force here.").answers::<Subscriptions>("All of them"),
        put("/api/subscriptions", "Replace the list of subscriptions, at every central.")
            .body::<SubscriptionsRequest>()
            .answers::<SubscriptionsSet>("They are in force here")
            .refuses(DECIDED)
            .refuses(&[Code::StaleVersion, Code::StaleList, Code::Busy]),
        post("/api/subscriptions/restore", "Bring subscriptions back that a PUT removed.")
            .body::<RestoreRequest>()
            .answers::<SubscriptionsSet>("They are in force here again")
            .refuses(DECIDED)
            .refuses(&[Code::StaleList, Code::Busy]),
    ];
    operations.into_iter().map(|operation| operation.tag("lot")).collect()
}
