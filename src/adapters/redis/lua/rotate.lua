-- Rotates one row. ARGV: feed (see change.lua), id, expected version, end of the grace period, id
-- of the successor, id and version of the issuer or empty texts, then the fields and values of the
-- successor. The script implements the same rule as TokenRecord::may_rotate.
local id, version, grace, new_id, new = ARGV[2], ARGV[3], ARGV[4], ARGV[5], given(ARGV, 8)
local row = load(id)
if not row then
  return { 'none' }
end
if row.ve ~= version or row.ra or redis.call('EXISTS', token(new_id)) == 1 then
  return { 'conflict' }
end
local now = tonumber(new.ca)
local function ended(time)
  return time and tonumber(time) <= now
end
if row.rf then
  local old = load(row.rf)
  if old and old.gr and not (old.ra or ended(old.gr) or ended(old.co) or ended(old.ex)) then
    return { 'conflict' }
  end
end
local waits
if row.rt then
  -- Only a repeat of the same request may replace a successor. The successor must be unchanged and
  -- unconfirmed. If it has ended, its end must be at most 12 hours ago. The rotated token must not
  -- be disabled, revoked or expired, but its grace period may have ended.
  waits = load(row.rt)
  if row.da or ended(row.ex) or not waits or not waits.co or waits.ra or not waits.rq or waits.rq ~= new.rq then
    return { 'conflict' }
  end
  if waits.ve ~= '1' or tonumber(earlier(earlier(waits.gr, waits.co), waits.ex)) < now - 12 * 60 * 60 * 1000 then
    return { 'conflict' }
  end
end
if issuer_changed(ARGV[6], ARGV[7]) then
  return { 'issuer' }
end
if waits then
  revoke(row.rt, waits, new.ca, 'superseded', new.cb)
  tell(row.rt)
end
-- Reads the row again, because `issuer_changed` may have written a fence into it if it is also the
-- issuer.
row = read(id)
add(new_id, new)
change(id, row, { rt = new_id, gr = grace })
tell(new_id)
tell(id)
return { 'done', reply(id) }
