//! An event sink that logs events with `tracing`.

use tracing::{info, warn};

use crate::tokens::events::{Event, EventSink};
use crate::words::ids::{TokenId, TokenKey};

/// An event sink that logs each event with `tracing`. The target of the log entries is `keyfob`.
///
/// It logs a warning for each event that needs attention: a rejected, reused, policy-blocked or
/// leaked token, an unavailable store, and a change or revocation that failed. It logs all other
/// events at the level `INFO`. The fields contain ids, actors, reasons, numbers and times. They
/// never contain a part of a secret.
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
            Event::Verified { key, issuers: [], left_out } => {
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, left_out);
            }
            Event::Verified { key, issuers, left_out } => {
                let issuers = issuers.iter().map(TokenId::as_str).collect::<Vec<_>>().join(" ");
                info!(target: "keyfob", event = name, project = %key.project, id = %key.id, issuers, left_out);
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

/// Returns the project and the id of a key. Both are `None` if there is no key.
fn parts(key: Option<&TokenKey>) -> (Option<&str>, Option<&str>) {
    (key.map(|key| key.project.as_str()), key.map(|key| key.id.as_str()))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::rules::issuer::Issuer;
    use crate::rules::sample::{ada, id, record};

    /// A writer that collects the bytes of all log lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the line that the sink writes for an event.
    fn line(event: &Event<'_>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || TracingSink.record(event));
        String::from_utf8(lines.0.lock().expect("no writer panics").clone()).expect("log lines are UTF-8")
    }

    #[test]
    fn a_line_names_the_issuer_and_the_chain() {
        let key = record().key();
        let (near, far, actor) = (id('2'), id('3'), ada());
        let verified = line(&Event::Verified { key, issuers: &[near, far], left_out: 0 });
        assert!(verified.contains(&format!("issuers=\"{near} {far}\"")), "{verified}");
        assert!(!line(&Event::Verified { key, issuers: &[], left_out: 0 }).contains("issuers"));
        let issued = line(&Event::Issued { key, issuer: Some(Issuer { id: near, bound: true }), actor: &actor });
        assert!(issued.contains(&format!("issuer={near} bound=true")), "{issued}");
        let reason = Default::default();
        let ended = Event::IssuedRevoked { project: key.project, issuer: near, count: 3, actor: &actor, reason };
        assert!(line(&ended).contains(&format!("issuer={near} count=3")), "{}", line(&ended));
    }
}
