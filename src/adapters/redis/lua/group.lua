-- Revokes an owner or a family in one act. ARGV: feed, the group, when, why, by whom, how many rows to write at once.
--
-- A small group is written here and now. Of a large one the rows are only set aside under a new name, which takes no time,
-- and a fence is laid over them: from then on each counts as revoked, and they are written later, some at a time.
local group, at, reason, by, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local standing = P .. 'standing:' .. group
local count = redis.call('ZCARD', standing)
if count > most then
  -- Fences over the same rows would need an order. So a family's stands alone, an owner's beside those of other owners.
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
  -- Again, with a fence written into it: of a family's rows some may be set aside with their owner's.
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
