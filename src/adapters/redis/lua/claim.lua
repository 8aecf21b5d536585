-- Leases notices to one sender. ARGV: feed (see change.lua), end of the lease, then for each
-- notice: id, version and number of leases of the token. The script skips a token if its version or
-- its number of leases has changed. In this case, another sender has claimed the notice, or the
-- caller must decide again whether the notice is due.
local claimed = {}
for at = 3, #ARGV, 3 do
  local row = load(ARGV[at])
  if row and row.ve == ARGV[at + 1] and (row.nc or '0') == ARGV[at + 2] then
    claimed[ARGV[at]] = row
  end
end
local answer = { 'done' }
for at = 3, #ARGV, 3 do
  local id = ARGV[at]
  if claimed[id] then
    if claimed[id].nc ~= LAST_VERSION then
      redis.call('HINCRBY', token(id), 'nc', 1)
    end
    note(id, { nl = ARGV[2] })
    tell(id)
    table.insert(answer, { id, reply(id) })
  end
end
return answer
