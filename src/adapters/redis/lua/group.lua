-- Revokes an owner or a family in one operation. ARGV: feed, group, time, reason, actor, the most
-- rows to write immediately.
--
-- A small group is written immediately. For a large one, the set of its rows is only renamed, which
-- takes constant time, and a fence is put over it. From then on each of its rows counts as revoked.
-- Later calls write them, some at a time.
local group, at, reason, by, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local standing = P .. 'standing:' .. group
local count = redis.call('ZCARD', standing)
if count > most then
  -- Fences over the same rows would need an order. So the fence of a family is the only fence, and
  -- the fence of an owner may exist beside those of other owners.
  local family = string.sub(group, 1, 7) == 'family:'
  for _, other in ipairs(redis.call('HKEYS', P .. 'fences')) do
    if family or other == group or string.sub(other, 1, 7) == 'family:' then
      return fenced()
    end
  end
  redis.call('RENAME', standing, P .. 'fenced:' .. group)
  redis.call('HSET', P .. 'fences', group, at .. ' ' .. reason .. ' ' .. by)
  tell()
  return { 'laid', count }
end
local ids, rows = redis.call('ZRANGE', standing, 0, -1), {}
for _, id in ipairs(ids) do
  rows[id] = read(id) or corrupt()
end
local revoked = 0
for id in pairs(rows) do
  -- Reads the row again, with a fence written into it: some rows of a family may be in the set of
  -- their owner's fence.
  local row = load(id)
  if not row.ra then
    revoke(id, row, at, reason, by)
    revoked = revoked + 1
  end
end
if revoked > 0 then
  tell()
end
return { 'done', revoked }
