-- Leases notices to one sender. ARGV: feed, until when, ids, versions and numbers of leases by turns: what has another version or
-- was leased again by now is another's, or must be judged anew.
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
