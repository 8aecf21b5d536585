//! The number of replicas that must have an operation before it is acknowledged.

/// The number of replicas that must have received an operation from their master before the store
/// acknowledges the operation.
///
/// With every variant, the store acknowledges last uses and leases of notices without waiting for
/// replicas. So a fail-over may undo them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum Durability {
    /// Every replica that the master lists in `CLUSTER NODES`. This includes failed replicas,
    /// because a replica that comes back may win an election. On a single server, this is every
    /// replica that is connected to the server.
    ///
    /// If a listed replica is not connected, or does not acknowledge the operation within 0.8
    /// seconds, the call fails with [`Unavailable`](crate::store::StoreErrorKind::Unavailable):
    /// "applied on the master, may be lost in a fail-over; repeat". The master has applied the
    /// operation in this case. A repeat of the operation is acknowledged after the replica has
    /// caught up, or after an operator has removed the replica from the cluster (`CLUSTER FORGET`
    /// on every node).
    #[default]
    EveryReplica,
    /// At least one replica of the master, if it has any.
    ///
    /// This mode keeps acknowledging operations while some replicas are unreachable. It is not safe
    /// in a network partition: **a fail-over may undo an acknowledged revocation**. If a master is
    /// cut off from the cluster together with one replica, the master still acknowledges
    /// operations, while the other side of the partition elects another replica. Choose this mode
    /// only if you prefer a lost revocation to a refused revocation.
    OneReplica,
}
