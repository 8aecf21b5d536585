-- Names some of the tokens that are not live any more, or not there, and to which others are bound that can still work. ARGV: feed,
-- behind which id, the time, the first end of what can still work, how many to look at. Answers the last that it looked at, or
-- nothing if there is none left, and those that it found.
local from, now, cut, most = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local function reached(time)
  return time and tonumber(time) <= now
end
local ids = redis.call('ZRANGEBYLEX', P .. 'issuers', from, '+', 'LIMIT', 0, most)
local answer = { 'done', ids[#ids] or '' }
for _, id in ipairs(ids) do
  local set = P .. 'standing:issuer:' .. id
  if redis.call('EXISTS', set) == 0 then
    redis.call('ZREM', P .. 'issuers', id)
  elseif redis.call('ZCOUNT', set, cut, '+inf') > 0 then
    local row = load(id)
    if not row or row.ra or reached(row.gr) or reached(row.co) or reached(row.ex) then
      table.insert(answer, id)
    end
  end
end
return answer
