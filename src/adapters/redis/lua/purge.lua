-- Deletes some of the rows that ended before a time. ARGV: feed (see change.lua), time, maximum
-- number of rows. Returns the number of deleted rows, and 1 if rows are left or 0 if not.
local before, most = '(' .. ARGV[2], ARGV[3]
local waits = fenced()
if waits then
  return waits
end
local ids, rows = redis.call('ZRANGEBYSCORE', P .. 'ends', '-inf', before, 'LIMIT', 0, most), {}
for _, id in ipairs(ids) do
  rows[id] = read(id) or corrupt()
end
for id, row in pairs(rows) do
  index(id, row, nil)
  redis.call('DEL', token(id))
end
if #ids > 0 then
  tell()
end
local left = redis.call('ZRANGEBYSCORE', P .. 'ends', '-inf', before, 'LIMIT', 0, 1)
return { 'done', #ids, #left }
