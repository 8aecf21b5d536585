-- Records that a notice was sent, and ends the lease on it. ARGV: feed (see change.lua), id, lead
-- of the notice in milliseconds. The script stores the lead only if it is shorter than the stored
-- lead.
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
