-- The functions that all scripts share. They build the keys of a row, and read rows.
--
-- KEYS[1] is the prefix of the project's keys. No key has exactly this name. While the project's
-- slot moves to another node, the server finds that this key is absent, and refuses the script
-- before it runs. If a script ran while only some of the project's keys were on the node, it would
-- treat the other keys as absent.
local P = KEYS[1]

-- The fields of a row's hash, in the order in which replies contain them. This is the order of a
-- record's columns. An empty text is stored as an absent field.
local FIELDS = {
  'px', 'dg', 'na', 'ow', 'ki', 'sc', 'me', 'ad', 'ca', 'cb', 'is', 'bo', 'co', 'nb', 'ex', 'lu', 'ua', 'uc', 'da', 'db',
  'ra', 'rb', 'rr', 'fa', 'rf', 'rt', 'gr', 'rq', 'no', 'nl', 'nc', 'ia', 'ip', 'im', 've',
}
local OWNER, ISSUER, BOUND, REVOKED_AT, FAMILY, NOTICE, LEASES, VERSION = 4, 11, 12, 21, 24, 29, 31, 35

-- Returns the lead of a row's last notice in milliseconds. `lead` is nil in rows of the first
-- versions, which store a word instead and have no number of leases.
local WORDS = { month = '2592000000', week = '604800000', day = '86400000' }
local function sent_lead(lead, word)
  return lead or WORDS[word]
end

local function token(id)
  return P .. 'token:' .. id
end

-- Returns the fence that covers this row, and the fence's group. Returns nil if no fence covers it.
--
-- A fence is the revocation of a group that is not yet written into all rows of the group. The hash
-- `fences` contains the revocation under the name of the group, and the set `fenced:GROUP` contains
-- the ids of the rows that are left.
local function fence(id, owner, family)
  if redis.call('EXISTS', P .. 'fences') == 0 then
    return nil
  end
  for _, group in ipairs({ 'owner:' .. owner, 'family:' .. family }) do
    local laid = redis.call('HGET', P .. 'fences', group)
    if laid and redis.call('ZSCORE', P .. 'fenced:' .. group, id) then
      return laid, group
    end
  end
  return nil
end

-- Returns a row as replies contain it: the values of its fields, followed by the fence if a fence
-- covers the row. Returns nil if the row does not exist.
local function reply(id)
  local row = redis.call('HMGET', token(id), unpack(FIELDS))
  if not row[VERSION] and redis.call('EXISTS', token(id)) == 0 then
    return nil
  end
  if not row[LEASES] then
    row[NOTICE] = sent_lead(row[NOTICE], redis.call('HGET', token(id), 'ns')) or false
    row[LEASES] = '0'
  end
  if not row[REVOKED_AT] and row[OWNER] and row[FAMILY] then
    local laid = fence(id, row[OWNER], row[FAMILY])
    if laid then
      row[#FIELDS + 1] = laid
    end
  end
  return row
end
