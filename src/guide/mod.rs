//! The guides: the life of a token, ways into an existing service, operations, design, and the
//! threat model.

#![allow(unused_imports, reason = "for the links of the pages")]

use crate::{
    error::*, events::*, import::*, keys::*, leak::*, notices::*, owners::*, policy::*, record::*, rotation::*,
    store::*, tokens::*, *,
};

#[cfg(all(feature = "cache", feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
use crate::store::{cache::*, mysql::*, postgres::*, redis::*, sqlite::*};

#[doc = include_str!("lifecycle.md")]
pub mod lifecycle {}

#[doc = include_str!("operations.md")]
/// # Figures: what a verification costs
///
/// The column "maximum ratio" shows the goal of the project, where there is one. A median through
/// the cache is compared with a `MemoryStore` that never waits. It is above its goal, because the
/// caches of the processor are cold after a wait: see [the engines behind a
/// cache](#figures-the-engines-behind-a-cache).
///
#[doc = include_str!("operations/cost.md")]
///
#[doc = include_str!("operations/cost.svg")]
///
/// # Figures: verification beside its floor
///
/// The picture and the rows of other crates come from another loop of the same run, with other
/// texts. So a ratio there can differ from the ratio of the same work in the rows above them.
///
#[doc = include_str!("operations/verification.md")]
///
#[doc = include_str!("operations/verification.svg")]
///
/// # Figures: the engines behind a cache
///
/// A hit in the cache runs the same code in front of every engine. If other requests wait for the
/// engine, a hit takes up to about four times as long as in front of a `MemoryStore`, because the
/// caches of the processor are cold after a wait. The rows "beside a MemoryStore with sleeps" show
/// this: there, the thread sleeps for as long as the engine's requests waited. The last two rows of
/// each table are hits without waits. Most of the mean of all requests comes from the requests that
/// wait.
///
/// The loads and the cache are those of [what a verification
/// costs](#figures-what-a-verification-costs), but every engine has a million tokens, and other
/// programs used the processor. So do not compare the times of the two sections. Each load runs for
/// a fixed number of requests. So a slow engine has a longer run, in which more entries can exceed
/// the bound.
///
#[doc = include_str!("operations/behind.md")]
///
/// # Figures: how the cost grows
///
/// On SQLite, the time of a verification varies from run to run: in four further runs, its median
/// was 74 to 89 µs with 1,000 tokens, and 74 to 158 µs with 10,000 tokens. So a part of the growth
/// in its row may be this variation. `cargo bench --bench stores --all-features -- growth --only
/// SQLite --most 10000` repeats these runs.
///
#[doc = include_str!("operations/growth.md")]
///
#[doc = include_str!("operations/growth.svg")]
///
/// # Figures: what the maintenance jobs cost
///
/// "The store knows which projects have work: no" is the same engine behind a wrapper that hides
/// this knowledge. Redis and `Layered` work in this way.
///
#[doc = include_str!("operations/maintenance.md")]
pub mod operations {}

#[doc = include_str!("design.md")]
///
/// # What a feature costs
#[doc = include_str!("design/features.md")]
pub mod design {}

#[doc = include_str!("existing_service.md")]
///
#[cfg_attr(all(feature = "axum", feature = "sqlite", feature = "token-api"), doc = "```no_run")]
#[cfg_attr(not(all(feature = "axum", feature = "sqlite", feature = "token-api")), doc = "```ignore")]
#[doc = include_str!("../../examples/existing_service.rs")]
/// ```
pub mod existing_service {}

#[doc = include_str!("replicated.md")]
pub mod replicated {}

#[doc = include_str!("hand_made_tokens.md")]
pub mod hand_made_tokens {}

#[doc = include_str!("threat_model.md")]
pub mod threat_model {}
