-- Marks a notice as sent. ARGV: feed, the id, the stage, and the stages that are not later than that.
local id, stage = ARGV[2], ARGV[3]
local row = load(id)
if not row then
  return { 'none' }
end
local fields = { nl = '' }
for at = 4, #ARGV do
  if row.ns == ARGV[at] then
    fields.ns = stage
  end
end
note(id, fields)
tell(id)
return { 'done', reply(id) }
