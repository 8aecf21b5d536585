-- Writes the revocation of a group that has a fence (see rows.lua) into some rows of the group.
-- After the last row, removes the fence. ARGV: feed (see change.lua), group, maximum number of
-- rows. A group cannot get a second fence while it has a fence, so any caller may finish a fence.
local group, most = ARGV[2], tonumber(ARGV[3])
local laid, set = redis.call('HGET', P .. 'fences', group), P .. 'fenced:' .. group
if not laid then
  return { 'done' }
end
local ids, rows = redis.call('ZRANGE', set, 0, most - 1), {}
for _, id in ipairs(ids) do
  rows[id] = read(id) or corrupt()
end
local at, reason, by = string.match(laid, '^(%S+) (%S+) (.+)$')
for id, row in pairs(rows) do
  revoke(id, row, at, reason, by)
end
if #ids > 0 then
  redis.call('ZREM', set, unpack(ids))
end
if redis.call('EXISTS', set) == 1 then
  return { 'more' }
end
redis.call('HDEL', P .. 'fences', group)
return { 'done' }
