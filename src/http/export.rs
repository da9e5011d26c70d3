//! A table that is sent a page at a time, as fast as it is taken.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::stream;

use super::csv::BYTE_ORDER_MARK;
use super::error::ApiError;
use super::state::Shared;
use crate::store::error::StoreError;
use crate::store::reader::Reader;

/// Answers with the file `name`: `head`, then the lines of every page. `page` reads one: its lines, and the query for the next.
///
/// # Errors
/// 503 where the first page cannot be read: it is read before anything is sent, so that it is not half a table.
pub async fn export<Q: Send + 'static>(
    shared: Arc<Shared>,
    name: &str,
    head: String,
    query: Q,
    page: impl Fn(&mut Reader, Q) -> Result<(String, Option<Q>), StoreError> + Clone + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let (lines, next) = read(&shared, query, page.clone()).await?;
    let first = (BYTE_ORDER_MARK.to_owned() + &head + &lines, next);
    let rest = stream::try_unfold(Some(first), move |ahead| {
        let (shared, page) = (shared.clone(), page.clone());
        async move {
            let Some((text, next)) = ahead else { return Ok::<_, actix_web::Error>(None) };
            let ahead = match next {
                Some(query) => Some(read(&shared, query, page).await?),
                None => None,
            };
            Ok(Some((Bytes::from(text), ahead)))
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(Box::pin(rest)))
}

async fn read<Q: Send + 'static>(
    shared: &Shared,
    query: Q,
    page: impl Fn(&mut Reader, Q) -> Result<(String, Option<Q>), StoreError> + Send + 'static,
) -> Result<(String, Option<Q>), ApiError> {
    shared.readers.ask(move |reader| page(reader, query)).await.map_err(ApiError::from)
}
