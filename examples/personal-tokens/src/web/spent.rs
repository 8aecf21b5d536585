//! Stores which forms have made or rotated a token, so that a form that is sent again does it no
//! second time.

use sqlx::SqlitePool;

use crate::people::accounts::User;

/// How many forms of one person are remembered. The latest are.
const MOST: i64 = 128;

/// Spends a form, before what it does is done. Returns whether it is to be done: of requests that
/// come at the same time, one is told so. A form that has no id of the page's is never to be done,
/// because it would only fill the table.
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

/// Gives a form back whose act was refused, so that the person can correct it and send it again.
pub async fn give_back(pool: &SqlitePool, user: &User, form: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM spent_forms WHERE user_id = ? AND form = ?")
        .bind(user.id)
        .bind(form)
        .execute(pool)
        .await?;
    Ok(())
}
