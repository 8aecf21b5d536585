-- Records last uses, and never moves one backwards. ARGV: feed, then for each use: id, time,
-- address and client, or empty texts. No index contains them, and nothing is published.
local moved = 0
for at = 2, #ARGV, 4 do
  local id, used = ARGV[at], ARGV[at + 1]
  local last, version = unpack(redis.call('HMGET', token(id), 'lu', 've'))
  -- A stored value that is not a time stays, so that the reader of the row reports it as corrupt.
  if version and (not last or (tonumber(last) and tonumber(last) < tonumber(used))) then
    note(id, { lu = used, ua = ARGV[at + 2], uc = ARGV[at + 3] })
    moved = moved + 1
  end
end
return { 'done', moved }
