-- Returns the ids of some issuers that are not live or do not exist, but still have bound tokens to
-- revoke. ARGV: feed (see change.lua), lower bound of the ids, now, the earliest end of a token
-- that must still be revoked, the number of ids to read. The reply begins with the last id that the
-- script has read, or with an empty text if no id was left. The found ids follow.
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
