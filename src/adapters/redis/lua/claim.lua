-- Leases notices to one sender. ARGV: feed, until when, ids and versions by turns: what is of another version by now is
-- another's, or must be judged anew.
local claimed = {}
for at = 3, #ARGV, 2 do
  local row = load(ARGV[at])
  if row and row.ve == ARGV[at + 1] then
    claimed[ARGV[at]] = row
  end
end
local answer = { 'done' }
for at = 3, #ARGV, 2 do
  local id = ARGV[at]
  if claimed[id] then
    change(id, claimed[id], { nl = ARGV[2] })
    tell(id)
    table.insert(answer, { id, reply(id) })
  end
end
return answer
