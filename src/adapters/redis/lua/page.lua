-- Returns rows along an index, each with its position in the index. A position ends with the id of
-- the token. ARGV: index, lower bound, upper bound, 1 for descending order, maximum number of rows.
local index, from, to, backwards, most = P .. ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local places
if backwards then
  places = redis.call('ZREVRANGEBYLEX', index, to, from, 'LIMIT', 0, most)
else
  places = redis.call('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, most)
end
local answer = { 'done' }
for _, place in ipairs(places) do
  -- If the row does not exist, the reply has false instead of the row, and the caller reports the
  -- index as corrupt.
  table.insert(answer, { place, reply(string.sub(place, -16)) or false })
end
return answer
