-- Marks a notice as sent. ARGV: feed, id, lead in milliseconds. The lead is stored only if it is
-- shorter than the stored one.
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
