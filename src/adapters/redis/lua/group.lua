-- Revokes the tokens of an owner or a family in one operation. ARGV: feed (see change.lua), group,
-- time, reason, actor, maximum number of rows to write in this operation.
--
-- For a small group, the script writes all rows. For a large group, it only renames the set of the
-- group's rows, which takes constant time, and adds a fence (see rows.lua). From then on, each row
-- of the group counts as revoked. Later calls of finish.lua write the rows, some in each call.
local group, at, reason, by, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local standing = P .. 'standing:' .. group
local count = redis.call('ZCARD', standing)
if count > most then
  -- Two fences that cover the same row would need an order. So there is no other fence while a
  -- family has a fence. Several owners may have fences at the same time.
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
  -- Reads the row again, and writes a fence into it if one covers it: the owner of some rows of a
  -- family may have a fence.
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
