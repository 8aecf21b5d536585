//! The side of a copy on an SQL engine.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::connection::{CHUNK, Sql};
use super::refuse;
use super::row::{COLUMNS, Key, Row};
use super::side::{Answer, PAGE, Page, Place, Side, Target, Written};

/// The maximum time that the tool waits for the lock of another copy. After a `kill -9`, the server
/// releases the lock when it notices that the connection is closed.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two attempts to get a lock.
const PAUSE: Duration = Duration::from_millis(200);

/// The value of the column `equal` while [`Target::Opening`] is the state. Otherwise, the value is
/// 1 if the two stores were equal, and 0 if not.
const OPENING: i64 = 2;

/// Returns a random id for a store.
fn random_id() -> String {
    let word = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", word(), word())
}

/// Implements [`Side`] for a type of connection.
macro_rules! side {
    ($connection:ty) => {
        impl Side for Sql<$connection> {
            fn engine(&self) -> &'static str {
                self.dialect.engine
            }

            fn has_fence(&self) -> bool {
                true
            }

            fn take_turn(&mut self) -> Answer<'_, ()> {
                Box::pin(async move {
                    let began = Instant::now();
                    loop {
                        let taken = match self.dialect.turn {
                            Some(sql) => self.number(sql).await? == 1,
                            None => self.lock_file()?,
                        };
                        if taken {
                            return Ok(());
                        }
                        if began.elapsed() > PATIENCE {
                            return refuse("another copy from or to this store is under way (wait until it has ended)");
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                })
            }

            fn has_table(&mut self) -> Answer<'_, bool> {
                Box::pin(async move {
                    let names: Vec<String> =
                        sqlx::query_scalar(self.dialect.columns).fetch_all(&mut self.connection).await?;
                    let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
                    let known = COLUMNS[..self.dialect.width()].iter().map(|(name, _)| *name).collect();
                    if !there.is_empty() && there != known {
                        return refuse(
                            "the table keyfob_tokens has other columns than this tool knows \
                             (use the tool of the keyfob version that wrote the store)",
                        );
                    }
                    Ok(!there.is_empty())
                })
            }

            fn count(&mut self) -> Answer<'_, u64> {
                Box::pin(async move { Ok(self.number("SELECT count(*) FROM keyfob_tokens").await?.unsigned_abs()) })
            }

            fn imports(&mut self) -> Answer<'_, u64> {
                Box::pin(async move { Ok(self.number(self.dialect.imports()).await?.unsigned_abs()) })
            }

            fn page<'s>(&'s mut self, after: &'s Place) -> Answer<'s, Page> {
                Box::pin(async move {
                    // Each page is read in its own transaction, because a long transaction would
                    // keep SQLite from reusing the space of the write-ahead log.
                    let mut query = sqlx::query(AssertSqlSafe(self.dialect.page())).bind(&after.project);
                    if !self.dialect.seeks_pairs {
                        query = query.bind(&after.project);
                    }
                    let query = query.bind(&after.id).bind(PAGE as i64);
                    let rows = query.fetch_all(&mut self.connection).await?;
                    let rows = rows.iter().map(Row::of).collect::<sqlx::Result<Vec<_>>>()?;
                    let last = rows.last().filter(|_| rows.len() == PAGE).map(Row::key);
                    let next = last.map(|Key { project, id }| Place { project, id, cursor: None });
                    Ok(Page { rows, next })
                })
            }

            fn rows<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, BTreeMap<Key, Row>> {
                Box::pin(async move {
                    let mut found = BTreeMap::new();
                    for keys in keys.chunks(CHUNK) {
                        let sql = self.dialect.rows(keys.len());
                        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(keys.len() == CHUNK);
                        for key in keys {
                            query = query.bind(&key.project).bind(&key.id);
                        }
                        for row in query.fetch_all(&mut self.connection).await? {
                            let row = Row::of(&row)?;
                            found.insert(row.key(), row);
                        }
                    }
                    Ok(found)
                })
            }

            fn missing<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, Vec<Key>> {
                Box::pin(async move {
                    let mut missing: BTreeSet<Key> = keys.iter().cloned().collect();
                    for keys in keys.chunks(CHUNK) {
                        let sql = self.dialect.keys(keys.len());
                        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(keys.len() == CHUNK);
                        for key in keys {
                            query = query.bind(&key.project).bind(&key.id);
                        }
                        let there: Vec<(String, String)> = query.fetch_all(&mut self.connection).await?;
                        there.into_iter().for_each(|(project, id)| {
                            missing.remove(&Key { project, id });
                        });
                    }
                    Ok(missing.into_iter().collect())
                })
            }

            fn write(&mut self, rows: Vec<Written>) -> Answer<'_, u64> {
                Box::pin(async move {
                    // The fence keeps services from changing these rows between the read of the
                    // old rows and this transaction.
                    let old: Vec<Key> = rows.iter().filter_map(|row| Some(row.old.as_ref()?.key())).collect();
                    let new: Vec<Row> = rows.into_iter().map(|row| row.new).collect();
                    self.replace(&old, &new).await?;
                    Ok(0)
                })
            }

            fn delete<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, u64> {
                Box::pin(async move { self.replace(keys, &[]).await })
            }

            fn analyze(&mut self) -> Answer<'_, ()> {
                Box::pin(async move { Ok(self.run(self.dialect.analyze).await?) })
            }

            fn known_id(&mut self) -> Answer<'_, Option<String>> {
                Box::pin(async move {
                    if !self.has("keyfob_copy_source").await? {
                        return Ok(None);
                    }
                    const ID: &str = "SELECT id FROM keyfob_copy_source";
                    Ok(sqlx::query_scalar(ID).fetch_optional(&mut self.connection).await?)
                })
            }

            fn id(&mut self) -> Answer<'_, String> {
                Box::pin(async move {
                    self.run(&["CREATE TABLE IF NOT EXISTS keyfob_copy_source (id VARCHAR(64) NOT NULL PRIMARY KEY)"])
                        .await?;
                    if let Some(id) = self.known_id().await? {
                        return Ok(id);
                    }
                    let (sql, id) = (self.dialect.set_id(), random_id());
                    sqlx::query(AssertSqlSafe(sql)).bind(&id).execute(&mut self.connection).await?;
                    Ok(id)
                })
            }

            fn target(&mut self) -> Answer<'_, Target> {
                Box::pin(async move {
                    if self.has("keyfob_copy_target").await? {
                        const RECORD: &str = "SELECT source, equal FROM keyfob_copy_target";
                        let record = sqlx::query_as(RECORD).fetch_optional(&mut self.connection).await?;
                        if let Some((of, equal)) = record {
                            return Ok(match equal {
                                OPENING => Target::Opening { of },
                                equal => Target::Copy { of, equal: equal != 0 },
                            });
                        }
                    }
                    let holds = self.count().await? > 0 || self.imports().await? > 0;
                    Ok(if holds { Target::InUse } else { Target::Empty })
                })
            }

            fn begin<'s>(&'s mut self, source: &'s str) -> Answer<'s, ()> {
                Box::pin(async move {
                    self.fence().await?;
                    // The fence refuses the writes of services, so the store stays empty if it is
                    // empty now.
                    if self.count().await? > 0 {
                        self.unfence().await?;
                        return refuse("TO is in use: it holds tokens that are not a copy of FROM");
                    }
                    const TABLE: &str = "CREATE TABLE IF NOT EXISTS keyfob_copy_target \
                                         (source VARCHAR(64) NOT NULL PRIMARY KEY, equal BIGINT NOT NULL)";
                    self.run(&[TABLE]).await?;
                    let sql = self.dialect.record();
                    sqlx::query(AssertSqlSafe(sql)).bind(source).execute(&mut self.connection).await?;
                    Ok(())
                })
            }

            fn set_equal(&mut self, equal: bool) -> Answer<'_, ()> {
                Box::pin(async move {
                    let sql = self.dialect.set_equal();
                    sqlx::query(AssertSqlSafe(sql)).bind(i64::from(equal)).execute(&mut self.connection).await?;
                    Ok(())
                })
            }

            fn open_target(&mut self) -> Answer<'_, ()> {
                Box::pin(async move {
                    if self.dialect.ddl_commits {
                        let sql = self.dialect.set_equal();
                        sqlx::query(AssertSqlSafe(sql)).bind(OPENING).execute(&mut self.connection).await?;
                    }
                    let unfence = self.unfencing().await?;
                    self.change_fence(&[unfence, &["DROP TABLE IF EXISTS keyfob_copy_target"]]).await
                })
            }

            fn is_fenced(&mut self) -> Answer<'_, bool> {
                Box::pin(async move { Ok(self.fenced().await?) })
            }

            fn fence(&mut self) -> Answer<'_, ()> {
                Box::pin(async move {
                    if self.fenced().await? {
                        return Ok(());
                    }
                    self.change_fence(&[self.dialect.fence]).await
                })
            }

            fn unfence(&mut self) -> Answer<'_, ()> {
                Box::pin(async move {
                    match self.unfencing().await? {
                        [] => Ok(()),
                        unfence => self.change_fence(&[unfence]).await,
                    }
                })
            }

            fn close(self: Box<Self>) -> Answer<'static, ()> {
                Box::pin(async move { Ok(self.connection.close().await?) })
            }
        }
    };
}

side!(SqliteConnection);
side!(PgConnection);
side!(MySqlConnection);
