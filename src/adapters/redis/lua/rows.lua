-- What all scripts share: where a row stands and how it is read.
--
-- KEYS[1] is how the project's keys begin, and never a key itself. While the project's slot moves to another node, the
-- server sees that it is not there and refuses the script before its first line: one that ran where only some of the keys
-- are would take the others for absent.
local P = KEYS[1]

-- A row's hash, in the order in which its fields are answered. An empty text is no field.
local FIELDS = {
  'px', 'dg', 'na', 'ow', 'ki', 'sc', 'me', 'ad', 'ca', 'cb', 'co', 'nb', 'ex', 'lu', 'da', 'db', 'ra', 'rb', 'rr', 'fa',
  'rf', 'rt', 'gr', 'rq', 'ns', 'nl', 've',
}
local OWNER, REVOKED_AT, FAMILY, VERSION = 4, 17, 20, 27

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
  if not row[REVOKED_AT] and row[OWNER] and row[FAMILY] then
    local laid = fence(id, row[OWNER], row[FAMILY])
    if laid then
      row[#FIELDS + 1] = laid
    end
  end
  return row
end
