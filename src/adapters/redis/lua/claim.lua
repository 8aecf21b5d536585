-- Leases notices to one sender. ARGV: feed, until when, ids, versions and leases (or nothing) by turns: what has another
-- version or lease by now is another's, or must be judged anew.
local claimed = {}
for at = 3, #ARGV, 3 do
  local row = load(ARGV[at])
  if row and row.ve == ARGV[at + 1] and (row.nl or '') == ARGV[at + 2] then
    claimed[ARGV[at]] = row
  end
end
local answer = { 'done' }
for at = 3, #ARGV, 3 do
  local id = ARGV[at]
  if claimed[id] then
    note(id, { nl = ARGV[2] })
    tell(id)
    table.insert(answer, { id, reply(id) })
  end
end
return answer
