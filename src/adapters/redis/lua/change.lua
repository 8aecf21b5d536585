-- Shared by all scripts that write: the change of a row and of its indices.
--
-- Redis does not undo the writes of a script that fails later. So each script reads all rows that
-- it will change before its first write, which finds every corrupt row in time.

-- Whether each change is published.
local FEED = ARGV[1] == '1'
-- The highest version. It is a text because Lua's numbers are exact only up to 2^53.
local LAST_VERSION = '9223372036854775807'
-- The expiry as a sort key of a token that never expires: one millisecond after the latest time.
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
  -- Checks only the fields that the scripts rely on. The caller of the script checks the others.
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

-- Returns a time as text that sorts as times do: milliseconds since year 1, 15 digits.
local function sortable(millis)
  return string.format('%015.0f', millis + 62135596800000)
end

-- Returns the earlier of two times as they are stored. Either may be nil.
local function earlier(a, b)
  if not a or (b and tonumber(b) < tonumber(a)) then
    return b
  end
  return a
end

-- Returns all index entries of a row: a member and its score for each key. Lists are sorted by
-- member, and all their scores are zero. A row that is not revoked has further entries in the sets
-- by which groups are revoked.
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
    -- The score is the time at which the token ends without any further change, so that live tokens
    -- are counted without reading them. A bound token counts towards the limit of its issuer. In
    -- its owner's set, its score is -inf, so that it does not count there.
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

-- Updates the indices of a row that has changed. `before` is nil for a new row, and `now` is nil
-- for a deleted row.
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

-- Sets fields, clears those with an empty value, and raises the version.
local function change(id, row, fields)
  local now = {}
  for field, value in pairs(row) do
    now[field] = value
  end
  -- This is the first write, because it is the only one that fails if a stored value is corrupt.
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

-- Reads a row that will be changed. If a fence covers it, the fence is written into the row first.
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

-- Returns whether the issuing token is not as the caller judged it: missing, revoked or of another
-- version. An empty id means that there is no condition. A script runs alone, so the issuer cannot
-- be revoked before the script ends.
local function issuer_changed(id, version)
  if id == '' then
    return false
  end
  local row = load(id)
  return not row or row.ra or row.ve ~= version
end

-- Sets fields that no rule reads, and clears those with an empty value. The version does not
-- change.
local function note(id, fields)
  for field, value in pairs(fields) do
    if value == '' then
      redis.call('HDEL', token(id), field)
    else
      redis.call('HSET', token(id), field, value)
    end
  end
end

-- Returns a row from alternating fields and values, as a caller passes them.
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
    -- The script ended.lua removes the issuer again when no token that is not revoked is bound to
    -- it.
    redis.call('ZADD', P .. 'issuers', '0', row.is)
  end
end

-- Returns the reply that names the fences which block an operation on a whole project, so that the
-- caller finishes them first. Returns nil if there are none.
local function fenced()
  local groups = redis.call('HKEYS', P .. 'fences')
  if #groups == 0 then
    return nil
  end
  return { 'fenced', unpack(groups) }
end

-- Publishes the project, and also the token if the change concerns a single token.
local function tell(id)
  if FEED then
    local project = string.match(P, '{(.-)}')
    redis.call('PUBLISH', 'keyfob', id and project .. ' ' .. id or project)
  end
end
