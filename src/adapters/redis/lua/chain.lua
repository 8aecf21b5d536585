-- Returns a row and the rows of the tokens that it is bound to, each with its id. ARGV: id, the
-- most rows.
local answer, id = { 'done' }, ARGV[1]
for _ = 1, tonumber(ARGV[2]) do
  local row = reply(id)
  if not row then
    break
  end
  table.insert(answer, { id, row })
  if row[BOUND] ~= '1' or not row[ISSUER] then
    break
  end
  id = row[ISSUER]
end
return answer
