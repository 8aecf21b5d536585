//! The sessions of signed-in people, stored in the host's own database, and the extractor that
//! returns the signed-in person of a request.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result as StoreResult};
use tower_sessions::{Session, SessionStore};

use crate::api::error::ApiError;
use crate::app::App;
use crate::db::{Db, query};
use crate::people::accounts::User;
use crate::random;
use crate::setup::SetupError;
use crate::web::error::PageError;
use crate::web::returns;

/// The data that a session stores.
#[derive(Serialize, Deserialize)]
struct Visit {
    user: i64,
    /// The [`User::session_mark`] when the session began or was last renewed. The session ends when
    /// the user's mark changes.
    #[serde(default)]
    mark: u64,
    csrf: String,
}

const VISIT: &str = "visit";

/// Begins a session for the user under a new session id. So an attacker gains nothing from a
/// session id that the attacker planted in the browser before the sign-in.
pub async fn begin(session: &Session, user: &User) -> Result<(), SetupError> {
    session.clear().await;
    session.cycle_id().await?;
    let visit = Visit { user: user.id, mark: user.session_mark, csrf: random::hex128()? };
    session.insert(VISIT, visit).await?;
    Ok(())
}

/// The signed-in person of a request, who is not suspended. Every handler that requires a session
/// has this extractor as an argument.
pub struct SignedIn {
    pub user: User,
    visit: Visit,
    session: Session,
}

impl SignedIn {
    /// Returns the CSRF value of this session, which every form of the session carries.
    pub fn csrf(&self) -> &str {
        &self.visit.csrf
    }

    /// Checks that a form carries the CSRF value of this session.
    ///
    /// # Errors
    /// Returns [`PageError::ForgedForm`] if `csrf` is not the CSRF value of this session.
    pub fn check_form(&self, csrf: &str) -> Result<(), PageError> {
        match bool::from(self.visit.csrf.as_bytes().ct_eq(csrf.as_bytes())) {
            true => Ok(()),
            false => Err(PageError::ForgedForm),
        }
    }

    /// Moves the session to a new session id and stores the person's current session mark in it.
    pub async fn renew(&self, user: &User) -> Result<(), SetupError> {
        begin(&self.session, user).await
    }

    /// Ends the session.
    pub async fn end(self) -> Result<(), SetupError> {
        Ok(self.session.flush().await?)
    }
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let api = parts.uri.path().starts_with("/api/");
        let failed = |error: SetupError| match api {
            true => ApiError::failed(error).into_response(),
            false => PageError::failed(error).into_response(),
        };
        let session = Session::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let visit: Option<Visit> = session.get(VISIT).await.map_err(|error| failed(error.into()))?;
        let user = match &visit {
            Some(visit) => app.accounts.find(visit.user).await.map_err(|error| failed(error.into()))?,
            None => None,
        };
        match (user, visit) {
            (Some(user), Some(visit)) if !user.suspended && visit.mark == user.session_mark => {
                Ok(Self { user, visit, session })
            }
            _ if api => Err(ApiError::NotSignedIn.into_response()),
            _ => Err(returns::to_sign_in(&parts.method, &parts.uri, &app.finder).into_response()),
        }
    }
}

/// The store of the sessions, in the host's own database.
#[derive(Clone, Debug)]
pub struct StoredSessions {
    db: Db,
    /// The clock of the system, or that of a test.
    clock: fn() -> SystemTime,
}

impl StoredSessions {
    pub fn new(db: Db) -> Self {
        Self { db, clock: SystemTime::now }
    }

    fn now(&self) -> StoreResult<i64> {
        unix_seconds((self.clock)()).map_err(|error| Error::Backend(error.to_string()))
    }
}

/// Returns the key of the row of a session: a hash of the session id. So no one can use a session
/// with only a copy of the database. The hash needs no salt, because the id has 128 random bits.
fn row_key(id: &Id) -> Vec<u8> {
    Sha256::digest(id.0.to_le_bytes()).to_vec()
}

/// Returns the seconds since 1970 of the system's clock.
///
/// # Errors
/// Returns an error if the clock is before 1970. Then nothing can tell which sessions have expired.
pub(crate) fn unix_now() -> io::Result<i64> {
    unix_seconds(SystemTime::now())
}

fn unix_seconds(time: SystemTime) -> io::Result<i64> {
    let before = |_| io::Error::other("the clock of the system is before 1970; set it");
    Ok(time.duration_since(SystemTime::UNIX_EPOCH).map_err(before)?.as_secs() as i64)
}

fn backend(error: sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for StoredSessions {
    /// Inserts a new session. If the id already exists, the insert fails: two equal ids of 128
    /// random bits are a fault and not a coincidence.
    async fn create(&self, record: &mut Record) -> StoreResult<()> {
        query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(self.now()?)
            .execute(&self.db)
            .await
            .map_err(backend)?;
        query("INSERT INTO sessions (id_hash, data, expires_at) VALUES (?, ?, ?)")
            .bind(row_key(&record.id))
            .bind(serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?)
            .bind(record.expiry_date.unix_timestamp())
            .execute(&self.db)
            .await
            .map_err(backend)?;
        Ok(())
    }

    /// Updates an existing session. A session that does not exist is not inserted, so that a
    /// request in progress does not bring back a session that has ended.
    async fn save(&self, record: &Record) -> StoreResult<()> {
        query("UPDATE sessions SET data = ?, expires_at = ? WHERE id_hash = ?")
            .bind(serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?)
            .bind(record.expiry_date.unix_timestamp())
            .bind(row_key(&record.id))
            .execute(&self.db)
            .await
            .map_err(backend)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> StoreResult<Option<Record>> {
        let row: Option<(String, i64)> =
            query("SELECT data, expires_at FROM sessions WHERE id_hash = ? AND expires_at > ?")
                .bind(row_key(id))
                .bind(self.now()?)
                .fetch_optional(&self.db)
                .await
                .map_err(backend)?;
        let Some((data, expires_at)) = row else { return Ok(None) };
        let decode = |error: String| Error::Decode(error);
        Ok(Some(Record {
            id: *id,
            data: serde_json::from_str(&data).map_err(|error| decode(error.to_string()))?,
            expiry_date: OffsetDateTime::from_unix_timestamp(expires_at).map_err(|error| decode(error.to_string()))?,
        }))
    }

    async fn delete(&self, id: &Id) -> StoreResult<()> {
        query("DELETE FROM sessions WHERE id_hash = ?").bind(row_key(id)).execute(&self.db).await.map_err(backend)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn request_under_way_brings_back_no_session_that_has_ended() {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&dir.path().join("host.db")).await.expect("it opens");
        let sessions = StoredSessions::new(db);
        let expiry_date = OffsetDateTime::now_utc() + time::Duration::hours(8);
        let mut record = Record { id: Id::default(), data: [("a".into(), 1.into())].into(), expiry_date };
        sessions.create(&mut record).await.expect("it is stored");
        // One request has loaded the session. Then another request ends the session, as a sign-out
        // does.
        let mut under_way = sessions.load(&record.id).await.expect("it is read").expect("it is there");
        under_way.data.insert("a".into(), 2.into());
        sessions.save(&under_way).await.expect("it is stored");
        let stored = sessions.load(&record.id).await.expect("it is read").expect("it is there");
        assert_eq!(stored.data, under_way.data);
        sessions.delete(&record.id).await.expect("it is deleted");
        sessions.save(&under_way).await.expect("nothing is stored");
        assert!(sessions.load(&record.id).await.expect("it is read").is_none());
    }

    /// Otherwise, a clock that was reset to a time before 1970 would bring back expired sessions.
    #[tokio::test]
    async fn no_session_is_read_or_begun_while_the_clock_is_before_1970() {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&dir.path().join("host.db")).await.expect("it opens");
        let at = |clock| StoredSessions { clock, ..StoredSessions::new(db.clone()) };
        let mut record = Record { id: Id::default(), data: [].into(), expiry_date: OffsetDateTime::UNIX_EPOCH };
        record.expiry_date += time::Duration::seconds(1);
        at(|| SystemTime::UNIX_EPOCH).create(&mut record).await.expect("it is stored");
        // The session ends one second after 1970 began.
        let loaded = at(|| SystemTime::UNIX_EPOCH).load(&record.id).await.expect("it is read");
        assert!(loaded.is_some());
        let loaded = at(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1)).load(&record.id).await.expect("it is read");
        assert!(loaded.is_none());
        let before = at(|| SystemTime::UNIX_EPOCH - Duration::from_nanos(1));
        let words = "the clock of the system is before 1970; set it";
        for refused in [before.load(&record.id).await.map(|_| ()), before.create(&mut record).await] {
            let Err(Error::Backend(error)) = refused else { panic!("it is answered") };
            assert_eq!(error, words);
        }
    }
}
