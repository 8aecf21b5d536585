//! The ids of the forms that have issued or rotated a token. They are stored, so that a form that
//! is sent again does nothing.

use sqlx::SqlitePool;

use crate::people::accounts::User;

/// The maximum number of form ids that are stored for one person. The latest ids are kept.
const MOST: i64 = 128;

/// Marks a form as used. Returns whether the operation of the form may run: if a form is sent
/// several times, even concurrently, only one request gets `true`. A form whose id is not 32
/// hexadecimal digits gets `false`, because it does not come from the page.
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

/// Makes a form usable again after its operation was refused, so that the person can correct the
/// form and send it again.
pub async fn give_back(pool: &SqlitePool, user: &User, form: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM spent_forms WHERE user_id = ? AND form = ?")
        .bind(user.id)
        .bind(form)
        .execute(pool)
        .await?;
    Ok(())
}
