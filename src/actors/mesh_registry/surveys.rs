//! Comparing clocks, and letting the links know what to say in their HEARTBEATs: from time to time, and soon after a link
//! came or went.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, Context, WrapFuture};

use super::MeshRegistry;
use crate::actors::db_writer::{Held, SkewMeasured};
use crate::actors::mesh_survey;
use crate::actors::peer_link::Say;
use crate::domain::ids::CentralId;
use crate::wire::frame::Heartbeat;

/// How often the links are told what to say in their HEARTBEATs, and the clocks are compared. A HEARTBEAT leaves every
/// 30 s.
const SURVEY_PERIOD: Duration = Duration::from_secs(10);
/// After a link came or went, the links are told this soon; others that come or go meanwhile are told with it.
const TELL_LINKS_AFTER: Duration = Duration::from_millis(100);

impl MeshRegistry {
    pub(super) fn survey_later(context: &mut Context<Self>, pause: Duration) {
        context.run_later(pause, |registry, context| {
            registry.survey(context, |_, context| Self::survey_later(context, SURVEY_PERIOD));
        });
    }

    /// A link came or went.
    pub(super) fn tell_links_soon(&mut self, context: &mut Context<Self>) {
        if !std::mem::replace(&mut self.telling_links, true) {
            context.run_later(TELL_LINKS_AFTER, |registry, context| {
                // What comes or goes from here on may be too late for this survey.
                registry.telling_links = false;
                registry.survey(context, |_, _| {});
            });
        }
    }

    /// Compares the clocks and lets the links know what to say in their HEARTBEATs; then does the rest.
    fn survey(&self, context: &mut Context<Self>, then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static) {
        let links = self.handles();
        let survey = async move {
            let statuses = mesh_survey::ask_all(&links).await;
            (links, statuses)
        };
        context.spawn(survey.into_actor(self).map(|(links, statuses), registry, context| {
            let metrics = &registry.context.around.metrics;
            mesh_survey::show(metrics, &links, &statuses, registry.context.clock);
            registry.context.writer.do_send(SkewMeasured(mesh_survey::median_offset_ms(&statuses)));
            registry.context.legacy.settle_relays(&statuses);
            let mut linked = mesh_survey::linked(&statuses);
            linked.extend(registry.context.legacy.linked());
            let held = registry.context.held.borrow().clone();
            registry.say(&linked, &held);
            then(registry, context);
        }));
    }

    fn say(&self, linked: &[CentralId], held: &Held) {
        let mut digests = BTreeMap::new();
        // Until all is folded it says nothing about what is held.
        digests.extend(held.digest.map(|digest| ("history".to_owned(), digest.to_string())));
        digests.insert("have".to_owned(), mesh_survey::have_digest(&self.context.have.borrow()));
        digests.insert(mesh_survey::TARIFF.to_owned(), mesh_survey::tariff_name(held));
        let zone = self.context.config.borrow().site.time_zone.name().to_owned();
        digests.insert(mesh_survey::TIME_ZONE.to_owned(), zone);
        let wall_ms = self.context.clock.now().wall_ms;
        let keys = self.context.trust.keys_to_tell();
        for (_, _, link) in self.handles() {
            link.addr().do_send(Say(Heartbeat {
                wall_ms,
                links: linked.to_vec(),
                digests: digests.clone(),
                keys: keys.clone(),
            }));
        }
    }
}
