//! The names by which the JSON API knows a token: a UUID and a number, where keyfob has project and public id.
//!
//! They are made on first sight of a token. So a crash between storing a token and naming it leaves a token that
//! nobody has seen the secret of and that shows up, named, in its owner's next list.

use std::collections::HashMap;

use keyfob::{ProjectId, TokenId, TokenKey};
use sqlx::SqlitePool;
use uuid::{Builder, Uuid};

use crate::random;
use crate::setup::SetupError;

#[derive(Clone, Copy, Debug)]
pub struct TokenName {
    pub id: i64,
    pub uuid: Uuid,
}

pub struct TokenNames {
    pool: SqlitePool,
}

impl TokenNames {
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// The name of a token, made if it has none yet.
    pub async fn of(&self, key: &TokenKey, user: i64) -> Result<TokenName, SetupError> {
        let uuid = Builder::from_random_bytes(random::bytes()?).into_uuid();
        sqlx::query(
            "INSERT INTO token_names (uuid, user_id, project, token_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(uuid.to_string())
        .bind(user)
        .bind(key.project.as_str())
        .bind(key.id.as_str())
        .execute(&self.pool)
        .await?;
        let (id, uuid): (i64, String) =
            sqlx::query_as("SELECT id, uuid FROM token_names WHERE project = ? AND token_id = ?")
                .bind(key.project.as_str())
                .bind(key.id.as_str())
                .fetch_one(&self.pool)
                .await?;
        Ok(TokenName { id, uuid: uuid.parse()? })
    }

    /// The names of these tokens of a project, as far as they have any.
    pub async fn of_tokens(
        &self,
        project: &ProjectId,
        tokens: &[TokenId],
    ) -> Result<HashMap<TokenId, TokenName>, SetupError> {
        let ids: Vec<&str> = tokens.iter().map(TokenId::as_str).collect();
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT id, uuid, token_id FROM token_names WHERE project = ?
             AND token_id IN (SELECT value FROM json_each(?))",
        )
        .bind(project.as_str())
        .bind(serde_json::to_string(&ids)?)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(id, uuid, token)| Ok((TokenId::new(&token)?, TokenName { id, uuid: uuid.parse()? })))
            .collect()
    }

    /// The token that has this name.
    pub async fn find(&self, uuid: Uuid) -> Result<Option<(TokenName, TokenKey)>, SetupError> {
        let row: Option<(i64, String, String)> =
            sqlx::query_as("SELECT id, project, token_id FROM token_names WHERE uuid = ?")
                .bind(uuid.to_string())
                .fetch_optional(&self.pool)
                .await?;
        let Some((id, project, token)) = row else { return Ok(None) };
        let key = TokenKey { project: ProjectId::new(&project)?, id: TokenId::new(&token)? };
        Ok(Some((TokenName { id, uuid }, key)))
    }
}
