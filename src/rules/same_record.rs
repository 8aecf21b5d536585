//! The comparison of two records.

use super::record::TokenRecord;

impl Eq for TokenRecord {}

impl PartialEq for TokenRecord {
    fn eq(&self, other: &Self) -> bool {
        // All fields are named, so that a new field does not compile until it is compared here.
        let Self {
            project,
            id,
            prefix,
            kind,
            digest,
            created_at,
            confirm_by,
            not_before,
            expires_at,
            grace_until,
            revoked,
            disabled,
            addresses,
            scopes,
            issuer,
            name,
            owner,
            metadata,
            created_by,
            last_used_at,
            last_used_from,
            family,
            rotated_from,
            rotated_to,
            request_id,
            notice_lead,
            notice_lease_until,
            notice_leases,
            import_scheme,
            version,
        } = other;
        let same_token = self.project == *project && self.id == *id && self.prefix == *prefix;
        let same_origin = self.created_at == *created_at
            && self.created_by == *created_by
            && self.request_id == *request_id
            && self.issuer == *issuer
            && self.import_scheme == *import_scheme
            && self.family == *family
            && self.rotated_from == *rotated_from;
        let same_use = self.kind == *kind
            && self.name == *name
            && self.owner == *owner
            && self.metadata == *metadata
            && self.scopes == *scopes
            && self.addresses == *addresses
            && self.last_used_at == *last_used_at
            && self.last_used_from == *last_used_from;
        let same_end = self.confirm_by == *confirm_by
            && self.not_before == *not_before
            && self.expires_at == *expires_at
            && self.grace_until == *grace_until
            && self.rotated_to == *rotated_to
            && self.revoked == *revoked
            && self.disabled == *disabled;
        let same_notices = self.notice_lead == *notice_lead
            && self.notice_lease_until == *notice_lease_until
            && self.notice_leases == *notice_leases;
        let same = same_token && same_origin && same_use && same_end && same_notices && self.version == *version;
        same && self.digest.ct_eq(digest)
    }
}
