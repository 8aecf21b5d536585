-- What all scripts that write share: how a row is changed, and what it is found by.
--
-- Nothing undoes what a script has written before it fails. So each reads the rows that it will change, which finds what is
-- wrong with them, before it writes the first.

-- Whether each change is published.
local FEED = ARGV[1] == '1'
-- The highest version: no number of Lua's, which are exact to 2^53.
local LAST_VERSION = '9223372036854775807'
-- Never, as an expiry sorts: one millisecond behind the last time there is.
local NEVER = '253402300800000'

local function corrupt()
  error('keyfob: corrupt row')
end

-- A row by the names of its fields. Nothing where there is none.
local function read(id)
  local pairs_of = redis.call('HGETALL', token(id))
  if #pairs_of == 0 then
    return nil
  end
  local row = {}
  for at = 1, #pairs_of, 2 do
    row[pairs_of[at]] = pairs_of[at + 1]
  end
  -- As far as the scripts rely on it; the rest is for who is given the row.
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

-- A time as text that sorts as times do: milliseconds from year 1 on, 15 digits.
local function sortable(millis)
  return string.format('%015.0f', millis + 62135596800000)
end

-- The earlier of two times as they are stored, where there is one.
local function earlier(a, b)
  if not a or (b and tonumber(b) < tonumber(a)) then
    return b
  end
  return a
end

-- All that a row is found by: members and scores by key. Lists are sorted by member, all scores in them being zero.
-- What is not revoked stands once more in sets of its own, by what groups ask for.
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
    -- By its first end, so that those that live at a time are counted without a look at one of them. What is bound counts with
    -- its issuer, and stands before all times with its owner.
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

-- Makes the indices right for a row that is another now. Either may be nil: it comes or goes.
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

-- Sets fields, clears those that are set to an empty text, and raises the version.
local function change(id, row, fields)
  local now = {}
  for field, value in pairs(row) do
    now[field] = value
  end
  -- First, as it is the one write that what is stored could make fail.
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

-- A row to be changed: as `read`, with a fence that lies over it written into it.
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

-- Whether the issuing token is not as the caller judged it: it is missing, revoked or of another version. An empty id asks
-- nothing. A script runs alone, so nobody revokes it before the script ends.
local function issuer_changed(id, version)
  if id == '' then
    return false
  end
  local row = load(id)
  return not row or row.ra or row.ve ~= version
end

-- Sets fields that no rule reads, or clears those that are set to an empty text: the version stays.
local function note(id, fields)
  for field, value in pairs(fields) do
    if value == '' then
      redis.call('HDEL', token(id), field)
    else
      redis.call('HSET', token(id), field, value)
    end
  end
end

-- A row from fields and values by turns, as a caller gives them.
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
    -- Taken away by who finds that nothing stands under it any more.
    redis.call('ZADD', P .. 'issuers', '0', row.is)
  end
end

-- The fences that stand in the way of an act on a whole project, for the caller to finish first.
local function fenced()
  local groups = redis.call('HKEYS', P .. 'fences')
  if #groups == 0 then
    return nil
  end
  return { 'fenced', unpack(groups) }
end

-- Publishes the project, and the token where the change is one token's.
local function tell(id)
  if FEED then
    local project = string.match(P, '{(.-)}')
    redis.call('PUBLISH', 'keyfob', id and project .. ' ' .. id or project)
  end
end
