//! Stores which forms have issued or rotated a token, so that a repeated form does nothing.

use sqlx::SqlitePool;

use crate::people::accounts::User;

/// The most forms of one person that are stored. The latest are kept.
const MOST: i64 = 128;

/// Spends a form before its operation. Returns whether the operation may run: if a form is sent
/// several times concurrently, only one request gets `true`. A form without an id of the page gets
/// `false`, because it would only fill the table.
pub async fn spend(pool: &SqlitePool, user: &User, form: &str) -> sqlx::Result<bool> {
    if form.len() != 32 || !form.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(false);
    }
    let spent = sqlx::query("INSERT INTO spent_forms (user_id, form) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(user.id)
        .bind(form)
        .execute(pool)
        .await?;
    if spent.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "DELETE FROM spent_forms WHERE user_id = ?1 AND id <= \
         (SELECT id FROM spent_forms WHERE user_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(user.id)
    .bind(MOST)
    .execute(pool)
    .await?;
    Ok(true)
}

/// Makes a form usable again after its operation was refused, so that the person can correct it and
/// send it again.
pub async fn give_back(pool: &SqlitePool, user: &User, form: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM spent_forms WHERE user_id = ? AND form = ?")
        .bind(user.id)
        .bind(form)
        .execute(pool)
        .await?;
    Ok(())
}
