-- Last uses, forwards only. ARGV: feed, ids and times by turns. No index knows of them, and nothing is published.
local moved = 0
for at = 2, #ARGV, 2 do
  local key, used = token(ARGV[at]), ARGV[at + 1]
  local last, version = unpack(redis.call('HMGET', key, 'lu', 've'))
  -- What is no time is left to who reads it.
  if version and (not last or (tonumber(last) and tonumber(last) < tonumber(used))) then
    redis.call('HSET', key, 'lu', used)
    moved = moved + 1
  end
end
return { 'done', moved }
