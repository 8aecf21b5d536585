-- Sets fields of one row. ARGV: feed, id, expected version, then fields and values.
local id, version = ARGV[2], ARGV[3]
local row = load(id)
if not row then
  return { 'none' }
end
if row.ve ~= version then
  return { 'conflict' }
end
change(id, row, given(ARGV, 4))
tell(id)
return { 'done', reply(id) }
