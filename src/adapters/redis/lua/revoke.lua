-- Revokes one row, unless it is already revoked. ARGV: feed (see change.lua), id, time, reason,
-- actor. Returns the row.
local id = ARGV[2]
local row = load(id)
if not row then
  return { 'none' }
end
if not row.ra then
  revoke(id, row, ARGV[3], ARGV[4], ARGV[5])
  tell(id)
end
return { 'done', reply(id) }
