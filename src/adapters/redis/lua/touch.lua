-- Records last uses, and never replaces a use by an earlier use. ARGV: feed (see change.lua), then
-- for each use: id, time, address or an empty text, client or an empty text. No index contains last
-- uses, and the script publishes nothing. Returns the number of rows that it has changed.
local moved = 0
for at = 2, #ARGV, 4 do
  local id, used = ARGV[at], ARGV[at + 1]
  local last, version = unpack(redis.call('HMGET', token(id), 'lu', 've'))
  -- If the stored value is not a time, the script keeps it, so that the reader of the row reports
  -- the row as corrupt.
  if version and (not last or (tonumber(last) and tonumber(last) < tonumber(used))) then
    note(id, { lu = used, ua = ARGV[at + 2], uc = ARGV[at + 3] })
    moved = moved + 1
  end
end
return { 'done', moved }
