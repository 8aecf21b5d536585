-- Revokes some of the rows along an index of rows that are not revoked. ARGV: feed (see
-- change.lua), index, lower bound, upper bound, time, reason, actor, maximum number of rows.
-- Returns the number of revoked rows, and 1 if rows are left or 0 if not.
local index_key, from, to, at, reason, by, most = P .. ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local waits = fenced()
if waits then
  return waits
end
local places, rows = redis.call('ZRANGEBYLEX', index_key, from, to, 'LIMIT', 0, most), {}
for _, place in ipairs(places) do
  local id = string.sub(place, -16)
  rows[id] = read(id) or corrupt()
end
for id, row in pairs(rows) do
  revoke(id, row, at, reason, by)
end
if #places > 0 then
  tell()
end
local left = redis.call('ZRANGEBYLEX', index_key, from, to, 'LIMIT', 0, 1)
return { 'done', #places, #left }
