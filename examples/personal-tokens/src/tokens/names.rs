//! The names of tokens in the JSON API. A name consists of a UUID and a number. The API uses it
//! instead of keyfob's project id and token id.
//!
//! A name is created when the service first returns the token. If the process crashes after it
//! stores a token and before it names the token, no one has seen the secret. The token then gets
//! its name when the owner next lists their tokens.

use std::collections::HashMap;

use keyfob::{ProjectId, TokenId, TokenKey};
use uuid::{Builder, Uuid};

use crate::db::{Db, query};
use crate::random;
use crate::setup::SetupError;

#[derive(Clone, Copy, Debug)]
pub struct TokenName {
    pub id: i64,
    pub uuid: Uuid,
}

pub struct TokenNames {
    db: Db,
}

impl TokenNames {
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Returns the name of a token. Creates the name if the token has none.
    pub async fn of(&self, key: &TokenKey, user: i64) -> Result<TokenName, SetupError> {
        let mut names = self.of_all(&key.project, &[key.id], user).await?;
        names.remove(&key.id).ok_or_else(|| "a token was not named".into())
    }

    /// Returns the names of a user's tokens in one project. Creates the missing names.
    pub async fn of_all(
        &self,
        project: &ProjectId,
        tokens: &[TokenId],
        user: i64,
    ) -> Result<HashMap<TokenId, TokenName>, SetupError> {
        let names = self.known(project, tokens).await?;
        if tokens.iter().all(|token| names.contains_key(token)) {
            return Ok(names);
        }
        let mut transaction = self.db.begin().await?;
        for token in tokens.iter().filter(|token| !names.contains_key(*token)) {
            let uuid = Builder::from_random_bytes(random::bytes()?).into_uuid();
            // Another request may name the token at the same time. The first name stays.
            query(
                "INSERT INTO token_names (uuid, user_id, project, token_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(uuid.to_string())
            .bind(user)
            .bind(project.as_str())
            .bind(token.as_str())
            .execute(&mut transaction)
            .await?;
        }
        transaction.commit().await?;
        self.known(project, tokens).await
    }

    async fn known(&self, project: &ProjectId, tokens: &[TokenId]) -> Result<HashMap<TokenId, TokenName>, SetupError> {
        let ids: Vec<&str> = tokens.iter().map(TokenId::as_str).collect();
        let rows: Vec<(i64, String, String)> = query(
            "SELECT id, uuid, token_id FROM token_names WHERE project = ?
             AND token_id IN (?*)",
        )
        .bind(project.as_str())
        .bind(&ids[..])
        .fetch_all(&self.db)
        .await?;
        rows.into_iter()
            .map(|(id, uuid, token)| Ok((TokenId::new(&token)?, TokenName { id, uuid: uuid.parse()? })))
            .collect()
    }

    /// Returns the user's token with this UUID. The same query runs whether the token belongs to
    /// another user or does not exist, so the response time does not reveal which.
    pub async fn find(&self, uuid: Uuid, user: i64) -> Result<Option<(TokenName, TokenKey)>, SetupError> {
        let row: Option<(i64, String, String)> =
            query("SELECT id, project, token_id FROM token_names WHERE uuid = ? AND user_id = ?")
                .bind(uuid.to_string())
                .bind(user)
                .fetch_optional(&self.db)
                .await?;
        let Some((id, project, token)) = row else { return Ok(None) };
        let key = TokenKey { project: ProjectId::new(&project)?, id: TokenId::new(&token)? };
        Ok(Some((TokenName { id, uuid }, key)))
    }
}
