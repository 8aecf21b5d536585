//! The access of a store to its connections.

use std::sync::Arc;

use sqlx::Pool;

use super::gate::{Gate, Pass};
use super::lease::{Engine, Lease};
use crate::adapters::fault::Faults;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// The pool of a store, and the gate through which the calls of this process come to connections.
pub(in crate::adapters) struct Access<E: Engine> {
    pub(in crate::adapters) pool: Pool<E>,
    pub(in crate::adapters) gate: Arc<Gate>,
    pub(in crate::adapters) faults: Arc<Faults>,
}

impl<E: Engine> Clone for Access<E> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), gate: Arc::clone(&self.gate), faults: Arc::clone(&self.faults) }
    }
}

impl<E: Engine> Access<E> {
    pub(in crate::adapters) fn new(pool: Pool<E>) -> Self {
        let gate = Arc::new(Gate::new(pool.options().get_max_connections()));
        Self { pool, gate, faults: Arc::default() }
    }

    /// Begins a transaction that writes in the project and does not take the project's turn (a lock
    /// on the project).
    pub(in crate::adapters) async fn begin(&self, project: &ProjectId) -> Result<Lease<E>, StoreError> {
        self.begin_with(self.gate.write(project.as_str()).await?, E::BEGIN).await
    }

    /// Begins a transaction that revokes a token of the project.
    pub(in crate::adapters) async fn begin_revocation(&self, project: &ProjectId) -> Result<Lease<E>, StoreError> {
        self.begin_with(self.gate.revocation(project.as_str()).await?, E::BEGIN).await
    }

    pub(super) async fn begin_with(&self, mut pass: Pass, begin: &'static str) -> Result<Lease<E>, StoreError> {
        for left in (0..=self.pool.size()).rev() {
            let mut lease = match self.lease(pass, left > 0).await? {
                Ok(lease) => lease,
                Err(kept) => {
                    pass = kept;
                    continue;
                }
            };
            match lease.begin(begin).await {
                // The transaction has done nothing yet, and the next connection may still be open.
                Err(error) if left > 0 && E::is_lost(&error) => pass = lease.into_pass(),
                begun => return begun.map(|()| lease).map_err(E::failed),
            }
        }
        unreachable!("the last try returns")
    }

    /// Takes a connection from the pool. Returns the pass if the connection was lost and the caller
    /// may try again.
    pub(in crate::adapters) async fn lease(
        &self,
        pass: Pass,
        may_retry: bool,
    ) -> Result<Result<Lease<E>, Pass>, StoreError> {
        match self.pool.acquire().await {
            Ok(connection) => Ok(Ok(Lease::new(connection, pass, &self.faults))),
            Err(error) if may_retry && E::is_lost(&error) => Ok(Err(pass)),
            Err(error) => Err(E::failed(error)),
        }
    }
}
