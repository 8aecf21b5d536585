//! The ids of the forms that have created a token, a person or a project. They are stored, so that
//! a form that is sent again does nothing.

use crate::db::{Db, query};
use crate::people::accounts::User;
use crate::tokens::own::Refused;
use crate::web::sessions::unix_now;

/// The maximum number of form ids that are stored for one person. The latest ids are kept.
const MOST: i64 = 128;

/// Marks a form as used. Returns whether the operation of the form may run: if a form is sent
/// several times, even concurrently, only one request gets `true`. A form whose id is not 32
/// hexadecimal digits gets `false`, because it does not come from the page.
pub async fn spend(db: &Db, user: &User, form: &str) -> sqlx::Result<bool> {
    if form.len() != 32 || !form.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(false);
    }
    // Both statements are one transaction: if the second one fails, the form stays usable.
    let mut transaction = db.begin().await?;
    let spent = query("INSERT INTO spent_forms (user_id, form, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(user.id)
        .bind(form)
        .bind(unix_now()? * 1000)
        .execute(&mut transaction)
        .await?;
    if spent == 0 {
        return Ok(false);
    }
    query(
        "DELETE FROM spent_forms WHERE user_id = ?1 AND id <= \
         (SELECT id FROM spent_forms WHERE user_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(user.id)
    .bind(MOST)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Makes a form usable again after its operation was refused, so that the person can correct the
/// form and send it again. After a failure, the form stays used: the operation may have stored a
/// token before it failed, and the form would create another one.
pub async fn give_back(db: &Db, user: &User, form: &str, refused: &Refused) -> sqlx::Result<()> {
    if matches!(refused, Refused::Failed) {
        return Ok(());
    }
    query("DELETE FROM spent_forms WHERE user_id = ? AND form = ?").bind(user.id).bind(form).execute(db).await?;
    Ok(())
}
