-- Rows along an index, each with its place, at whose end is its id. ARGV: the index, from where, to where, 1 for backwards, the most rows.
local index, from, to, backwards, most = P .. ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local places
if backwards then
  places = redis.call('ZREVRANGEBYLEX', index, to, from, 'LIMIT', 0, most)
else
  places = redis.call('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, most)
end
local answer = { 'done' }
for _, place in ipairs(places) do
  -- A place without its row is answered as such: the caller knows what to call it.
  table.insert(answer, { place, reply(string.sub(place, -16)) or false })
end
return answer
