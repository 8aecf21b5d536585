-- Last uses, forwards only. ARGV: feed, and by turns: an id, a time, and the address and the client it came from, or nothing. No
-- index knows of them, and nothing is published.
local moved = 0
for at = 2, #ARGV, 4 do
  local id, used = ARGV[at], ARGV[at + 1]
  local last, version = unpack(redis.call('HMGET', token(id), 'lu', 've'))
  -- What is no time is left to who reads it.
  if version and (not last or (tonumber(last) and tonumber(last) < tonumber(used))) then
    note(id, { lu = used, ua = ARGV[at + 2], uc = ARGV[at + 3] })
    moved = moved + 1
  end
end
return { 'done', moved }
