-- The functions that all scripts that write share. They change a row and its entries in the
-- indices.
--
-- If a script fails, Redis does not undo the writes that the script made before. So each script
-- reads all rows that it will change before its first write. In this way, it finds every corrupt
-- row in time.

-- Whether the script publishes each change. In the scripts, this first argument is called "feed".
local FEED = ARGV[1] == '1'
-- The highest version of a row. It is a text because numbers in Lua are exact only up to 2^53.
local LAST_VERSION = '9223372036854775807'
-- The sort key for the expiry of a token that never expires, in milliseconds since 1970: one
-- millisecond after the latest possible time.
local NEVER = '253402300800000'

local function corrupt()
  error('keyfob: corrupt row')
end

-- Returns a row as a table of its fields, or nil if it does not exist.
local function read(id)
  local pairs_of = redis.call('HGETALL', token(id))
  if #pairs_of == 0 then
    return nil
  end
  local row = {}
  for at = 1, #pairs_of, 2 do
    row[pairs_of[at]] = pairs_of[at + 1]
  end
  -- Checks only the fields that the scripts rely on. The caller of the script checks the other
  -- fields.
  if not (row.nf and row.ow and row.fa and row.ca and row.ve) or (row.bo and not row.is) or not string.match(row.ve, '^%d+$') then
    corrupt()
  end
  for _, number in ipairs({ 'ca', 'co', 'ex', 'gr', 'lu', 'ra', 'no', 'nc' }) do
    if row[number] and not string.match(row[number], '^%-?%d+$') then
      corrupt()
    end
  end
  return row
end

-- Returns a time as text of 15 digits: the milliseconds since the year 1. Such texts sort in the
-- order of their times.
local function sortable(millis)
  return string.format('%015.0f', millis + 62135596800000)
end

-- Returns the earlier of two stored times. If one time is nil, returns the other.
local function earlier(a, b)
  if not a or (b and tonumber(b) < tonumber(a)) then
    return b
  end
  return a
end

-- Returns all index entries of a row: for each key of an index, the member and its score. The
-- indices for lists are sorted by member, and all of their scores are zero. A row that is not
-- revoked also has entries in the sets that the revocations of groups read.
local function places(id, row)
  local owner, at = row.ow, {}
  local created = sortable(row.ca) .. id
  local lists = { created = created, expires = sortable(row.ex or NEVER) .. id, name = row.nf .. '\0' .. id }
  for list, member in pairs(lists) do
    at[P .. list] = { member, '0' }
    at[P .. list .. ':' .. owner] = { member, '0' }
    if row.is then
      at[P .. 'issued-' .. list .. ':' .. row.is] = { member, '0' }
    end
  end
  local ends = earlier(earlier(row.gr, row.co), row.ex)
  if not row.ra then
    at[P .. 'standing:id'] = { id, '0' }
    at[P .. 'standing:created'] = { created, '0' }
    at[P .. 'standing:family:' .. row.fa] = { id, '0' }
    -- The score is the time at which the token ends if nothing changes it, so that a script can
    -- count live tokens without reading their rows. A bound token counts towards the limit of its
    -- issuer. In the set of its owner, the score of a bound token is -inf, so that the token does
    -- not count there.
    local bound = row.bo == '1'
    at[P .. 'standing:owner:' .. owner] = { id, bound and '-inf' or ends or '+inf' }
    if bound then
      at[P .. 'standing:issuer:' .. row.is] = { id, ends or '+inf' }
    end
  end
  ends = earlier(ends, row.ra)
  if ends then
    at[P .. 'ends'] = { id, ends }
  end
  return at
end

-- Updates the index entries of a row that has changed. `before` is nil for a new row, and `now` is
-- nil for a deleted row.
local function index(id, before, now)
  local old, new = before and places(id, before) or {}, now and places(id, now) or {}
  for key, place in pairs(old) do
    if not new[key] or new[key][1] ~= place[1] then
      redis.call('ZREM', key, place[1])
    end
  end
  for key, place in pairs(new) do
    if not old[key] or old[key][1] ~= place[1] or old[key][2] ~= place[2] then
      redis.call('ZADD', key, place[2], place[1])
    end
  end
end

-- Sets fields of a row, and raises the version of the row. Clears a field if the new value is
-- empty.
local function change(id, row, fields)
  local now = {}
  for field, value in pairs(row) do
    now[field] = value
  end
  -- This write comes first, because it is the only write that fails if a stored value is corrupt.
  if row.ve ~= LAST_VERSION then
    redis.call('HINCRBY', token(id), 've', 1)
  end
  for field, value in pairs(fields) do
    if value == '' then
      redis.call('HDEL', token(id), field)
      now[field] = nil
    else
      redis.call('HSET', token(id), field, value)
      now[field] = value
    end
  end
  index(id, row, now)
end

local function revoke(id, row, at, reason, by)
  change(id, row, { ra = at, rr = reason, rb = by })
end

-- Returns a row that the script will change. If a fence covers the row (see rows.lua), writes the
-- revocation into the row first.
local function load(id)
  local row = read(id)
  if not row or row.ra then
    return row
  end
  local laid, group = fence(id, row.ow, row.fa)
  if not laid then
    return row
  end
  revoke(id, row, string.match(laid, '^(%S+) (%S+) (.+)$'))
  redis.call('ZREM', P .. 'fenced:' .. group, id)
  return read(id)
end

-- Returns whether the issuer has changed since the caller read it: it is missing, revoked or of
-- another version. An empty id means that the caller has no condition on an issuer. While a script
-- runs, the server runs no other script, so the issuer cannot be revoked before the script ends.
local function issuer_changed(id, version)
  if id == '' then
    return false
  end
  local row = load(id)
  return not row or row.ra or row.ve ~= version
end

-- Sets fields for last uses and notices, without a change of the version. Clears a field if the new
-- value is empty.
local function note(id, fields)
  for field, value in pairs(fields) do
    if value == '' then
      redis.call('HDEL', token(id), field)
    else
      redis.call('HSET', token(id), field, value)
    end
  end
end

-- Returns a row as a table, from the alternating fields and values that the caller passes.
local function given(values, first)
  local row = {}
  for at = first, #values, 2 do
    row[values[at]] = values[at + 1]
  end
  return row
end

local function add(id, row)
  for field, value in pairs(row) do
    redis.call('HSET', token(id), field, value)
  end
  index(id, nil, row)
  if row.bo == '1' then
    -- The script ended.lua removes the issuer from this set when all tokens that are bound to the
    -- issuer are revoked or deleted.
    redis.call('ZADD', P .. 'issuers', '0', row.is)
  end
end

-- Returns the reply for an operation on a whole project that fences block. The reply names their
-- groups, so that the caller finishes these revocations first. Returns nil if the project has no
-- fences.
local function fenced()
  local groups = redis.call('HKEYS', P .. 'fences')
  if #groups == 0 then
    return nil
  end
  return { 'fenced', unpack(groups) }
end

-- Publishes a change, if this is enabled. The message names the project, and also the token if `id`
-- is given.
local function tell(id)
  if FEED then
    local project = string.match(P, '{(.-)}')
    redis.call('PUBLISH', 'keyfob', id and project .. ' ' .. id or project)
  end
end
