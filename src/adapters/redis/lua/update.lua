-- Sets fields of one row, if the row has the expected version. ARGV: feed (see change.lua), id,
-- expected version, then the fields and values. Returns the row.
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
