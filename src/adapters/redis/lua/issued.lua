-- Revokes some of the tokens that are bound to an issuer and must still be revoked. ARGV: feed (see
-- change.lua), id of the issuer, time, reason, actor, the earliest end of a token that must still
-- be revoked, maximum number of rows. The script publishes nothing, because the issuer has already
-- ended, so its tokens are rejected anyway. Returns the number of revoked rows, and the number of
-- rows that are left.
local set, at, reason, by, cut, most = P .. 'standing:issuer:' .. ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local ids, rows = redis.call('ZRANGEBYSCORE', set, cut, '+inf', 'LIMIT', 0, most), {}
for _, id in ipairs(ids) do
  rows[id] = read(id) or corrupt()
end
local revoked = 0
for id in pairs(rows) do
  -- Reads the row again, and writes a fence into it if one covers it.
  local row = load(id)
  if not row.ra then
    revoke(id, row, at, reason, by)
    revoked = revoked + 1
  end
end
return { 'done', revoked, redis.call('ZCOUNT', set, cut, '+inf') }
