//! A backup at once, whatever its time is: `/api/backup`.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::code::Code;
use super::error::ApiError;
use super::operation::{Operation, post};
use super::state::Worker;
use crate::access::right::Need;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post("/api/backup", Need::Administer, begin, "Make a backup now.")
            .answers_with::<Begun>(202, "Begun; the status tells how it ends")
            .refuses(&[Code::BackupOff]),
    ]
}

/// It is being made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Begun {
    success: bool,
    /// Where backups go.
    dir: String,
}

/// `POST`: one that is being made already is that one.
pub async fn begin(worker: web::Data<Worker>) -> Result<HttpResponse, ApiError> {
    let Some(dir) = worker.shared.config().backup.dir.clone() else {
        return Err(ApiError::new(Code::BackupOff, "name a directory for backups in the settings first (backup.dir)"));
    };
    worker.shared.backups.begin();
    Ok(HttpResponse::Accepted().json(Begun { success: true, dir }))
}
