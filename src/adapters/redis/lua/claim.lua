-- Leases notices to one sender. ARGV: feed, end of the lease, then for each notice: id, version,
-- number of leases. A row is skipped if its version or number of leases has changed: another sender
-- has claimed it, or it must be judged again.
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
