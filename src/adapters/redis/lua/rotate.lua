-- Rotates one row. ARGV: feed, its id, the version that it must have, the end of its grace, the successor's id and row.
local id, version, grace, new_id, new = ARGV[2], ARGV[3], ARGV[4], ARGV[5], given(ARGV, 6)
local row = load(id)
if not row then
  return { 'none' }
end
if row.ve ~= version or row.ra or redis.call('EXISTS', token(new_id)) == 1 then
  return { 'conflict' }
end
if row.rt then
  -- Only a retry of the request that made it may put another in the place of a successor that waits.
  local waits = load(row.rt)
  if not waits or not waits.co or waits.ra or not waits.rq or waits.rq ~= new.rq then
    return { 'conflict' }
  end
  revoke(row.rt, waits, new.ca, 'superseded', new.cb)
  tell(row.rt)
end
add(new_id, new)
change(id, row, { rt = new_id, gr = grace })
tell(new_id)
tell(id)
return { 'done', reply(id) }
