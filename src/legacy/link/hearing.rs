//! What a predecessor says becomes jobs of the writer.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};
use log::warn;

use super::LegacyLink;
use crate::actors::db_writer::Decide;
use crate::actors::supervise;
use crate::domain::doer::{Doer, DoerKind};
use crate::domain::plate::PlateId;
use crate::ledger::job::{Answer, CorrectStay, Hearing, Job, Refusal, Told, VoidStay};
use crate::legacy::dialect::hear::Statement;

/// What could not be written down is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

impl LegacyLink {
    /// Writes down what it said. It says it only once, so this is tried until it is durable.
    pub(super) fn hear(&self, statements: Vec<Statement>, context: &mut Context<Self>) {
        let from = self.around.config.id.to_string();
        let told = statements.iter().cloned().map(|Statement { draft, source_central, .. }| Told {
            draft,
            source_central,
            from: from.clone(),
        });
        let (decide, outcome) = Decide::new(Job::Hear(told.collect()));
        self.around.writer.do_send(decide);
        context.spawn(wrap_future::<_, Self>(outcome).map(move |outcome, link, context| match outcome {
            Ok(Ok(Answer::Heard(hearings))) => {
                for reason in hearings.into_iter().filter_map(|hearing| match hearing {
                    Hearing::Refused(reason) => Some(reason),
                    Hearing::New | Hearing::Known => None,
                }) {
                    warn!(event = "legacy_unusable", peer = link.name().as_str(), reason = reason.as_str(); "a predecessor said something that has no effect");
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                context.run_later(AGAIN, move |link, context| link.hear(statements, context));
            }
        }));
    }

    pub(super) fn change(&self, stay_id: String, corrected: Option<(PlateId, String)>) {
        let reason = format!("sửa ở / changed at {}", self.name());
        let job = match corrected {
            Some((plate, view)) => Job::Correct(CorrectStay {
                stay_id,
                plate: Some(plate),
                plate_view: Some(view),
                reason,
                ..CorrectStay::default()
            }),
            None => Job::Void(VoidStay { stay_id, reason }),
        };
        let (decide, outcome) = Decide::new(job.by(Doer::new(DoerKind::Predecessor, self.name().as_str())));
        self.around.writer.do_send(decide);
        let peer = self.name().clone();
        supervise::spawn(async move {
            if let Ok(Err(refusal)) = outcome.await
                && !matches!(refusal, Refusal::Unchanged | Refusal::AlreadyVoid)
            {
                let reason = refusal.to_string();
                warn!(event = "legacy_unusable", peer = peer.as_str(), reason = reason.as_str(); "a predecessor changed something that cannot be changed here");
            }
        });
    }
}
