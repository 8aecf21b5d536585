//! Events as `tracing` events.

use tracing::{info, warn};

use crate::tokens::events::{Event, EventSink};
use crate::words::ids::TokenKey;

/// A sink that writes each event with `tracing`, under the target `keyfob`: what somebody should look at (refused, reused,
/// blocked and unavailable tokens) as a warning, the rest as information. Fields are ids, words and times.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

impl EventSink for TracingSink {
    fn record(&self, event: &Event<'_>) {
        let name = event.name();
        match event {
            Event::Issued { key, issuer: Some(issuer), actor } => {
                let (by, bound) = (issuer.id, issuer.bound);
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, %actor, issuer = %by, bound);
            }
            Event::Issued { key, issuer: None, actor } | Event::Imported { key, actor } => {
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, %actor);
            }
            Event::Verified { key, left_out } => {
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, left_out);
            }
            Event::Failed { key, rejection, left_out } => {
                let (project, id) = parts(key.as_ref());
                warn!(target: "keyfob", event = name, project, id, %rejection, left_out);
            }
            Event::Reused { key, successor, left_out } => {
                let successor = successor.as_ref().map(|id| id.as_str());
                warn!(target: "keyfob", event = name, project = %key.project, id = %key.id, successor, left_out);
            }
            Event::PolicyBlocked { key, left_out } => {
                warn!(target: "keyfob", event = name, project = %key.project, id = %key.id, left_out);
            }
            Event::Unavailable { key, left_out } => {
                let (project, id) = parts(key.as_ref());
                warn!(target: "keyfob", event = name, project, id, left_out);
            }
            Event::Rotated { key, successor, grace_until, actor } => {
                let (project, id) = (&key.project, &key.id);
                info!(target: "keyfob", event = name, %project, %id, %successor, %grace_until, %actor);
            }
            Event::Changed { key, how: _, actor } => {
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, %actor);
            }
            Event::Revoked { key, actor, reason } => {
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, %actor, %reason);
            }
            Event::Leaked { key, actor, is_first, left_out } => {
                warn!(target: "keyfob", event = name, project = %key.project, id = %key.id, %actor, is_first, left_out);
            }
            Event::GroupRevoked { project, group, count, actor, reason } => {
                info!(target: "keyfob", event = name, %project, ?group, count, %actor, %reason);
            }
            Event::IssuedRevoked { project, issuer, count, actor, reason } => {
                info!(target: "keyfob", event = name, %project, %issuer, count, %actor, %reason);
            }
            Event::RevokeFailed { key, actor, reason } => {
                warn!(target: "keyfob", event = name, project = %key.project, id = %key.id, %actor, %reason);
            }
            Event::ChangeFailed { key, how, actor } => {
                warn!(target: "keyfob", event = name, project = %key.project, id = %key.id, %how, %actor);
            }
            Event::GroupRevokeFailed { project, group, actor, reason } => {
                warn!(target: "keyfob", event = name, %project, ?group, %actor, %reason);
            }
            Event::Expiring { key, lead } => {
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, %lead);
            }
        }
    }
}

/// Project and id, where they are known.
fn parts(key: Option<&TokenKey>) -> (Option<&str>, Option<&str>) {
    (key.map(|key| key.project.as_str()), key.map(|key| key.id.as_str()))
}
