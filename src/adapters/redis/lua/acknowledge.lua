-- Marks a notice as sent. ARGV: feed, the id, the lead in milliseconds. Only a shorter one than the last takes its place.
local id, lead = ARGV[2], ARGV[3]
local row = load(id)
if not row then
  return { 'none' }
end
local fields = { nl = '' }
local sent = sent_lead(row.no, row.ns)
if not sent or tonumber(lead) < tonumber(sent) then
  fields.no = lead
  fields.ns = ''
end
note(id, fields)
tell(id)
return { 'done', reply(id) }
