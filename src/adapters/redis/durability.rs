//! How many replicas must have an operation before it is acknowledged.

/// How many replicas of a master must have an operation before it is acknowledged.
///
/// Last uses and leases of notices wait for no replica in either mode: a fail-over may set them back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum Durability {
    /// Every replica that the master lists in `CLUSTER NODES`, failed ones too, because a replica that comes back may win an
    /// election. Of a single server, every replica that is connected to it.
    ///
    /// If a listed replica is not connected, or does not acknowledge the operation within 0.8 seconds, the operation is applied
    /// and answered [`Unavailable`](crate::store::StoreErrorKind::Unavailable): "applied on the master, may be lost in a fail-over;
    /// repeat". A repeat is acknowledged after the replica has caught up, or after an operator has taken it out of the cluster
    /// (`CLUSTER FORGET` on every node).
    #[default]
    EveryReplica,
    /// One replica of those, if there are any.
    ///
    /// This mode keeps acknowledging while some replicas are away, and gives up the safety of partitions: **a fail-over may
    /// undo an acknowledged revocation**. A master that is cut off together with one replica acknowledges with that replica,
    /// while the other side elects another one. Choose it only if a lost revocation is better than a refused one.
    OneReplica,
}
