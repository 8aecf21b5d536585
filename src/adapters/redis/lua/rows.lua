-- What all scripts share: where a row stands and how it is read.
--
-- KEYS[1] is how the project's keys begin, and never a key itself. While the project's slot moves to another node, the
-- server sees that it is not there and refuses the script before its first line: one that ran where only some of the keys
-- are would take the others for absent.
local P = KEYS[1]

-- A row's hash, in the order in which its fields are answered: that of the columns of a record. An empty text is no field.
local FIELDS = {
  'px', 'dg', 'na', 'ow', 'ki', 'sc', 'me', 'ad', 'ca', 'cb', 'is', 'bo', 'co', 'nb', 'ex', 'lu', 'ua', 'uc', 'da', 'db',
  'ra', 'rb', 'rr', 'fa', 'rf', 'rt', 'gr', 'rq', 'no', 'nl', 'nc', 'ia', 'ip', 'im', 've',
}
local OWNER, ISSUER, BOUND, REVOKED_AT, FAMILY, NOTICE, LEASES, VERSION = 4, 11, 12, 21, 24, 29, 31, 35

-- The last notice of a row, as its lead in milliseconds. Rows of the first versions have a word instead, and count no leases.
local WORDS = { month = '2592000000', week = '604800000', day = '86400000' }
local function sent_lead(lead, word)
  return lead or WORDS[word]
end

local function token(id)
  return P .. 'token:' .. id
end

-- A fence is a group's revocation that is not written into all of its rows yet: it stands in `fences` by the name of its group,
-- and the rows that it counts for in a set of their own. Answers it where one lies over this row, and its group.
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

-- The row as it is answered: its fields, and a fence behind them where one lies over it. Nothing where there is no row.
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
