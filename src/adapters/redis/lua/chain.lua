-- Returns the row of a token and the rows of the tokens that this token is bound to, directly or
-- through another token. Each row comes with its id. ARGV: id, maximum number of rows.
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
