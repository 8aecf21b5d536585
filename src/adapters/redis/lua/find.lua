-- Returns one row. ARGV: id.
local row = reply(ARGV[1])
if not row then
  return { 'none' }
end
return { 'done', row }
