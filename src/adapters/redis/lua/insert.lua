-- Inserts a new row. ARGV: feed (see change.lua), id, limit or an empty text, now, id and version
-- of the issuer or empty texts, then the fields and values of the row. The limit is the maximum
-- number of live tokens of the owner or, for a bound token, of live tokens that are bound to the
-- same issuer.
local id, most, now = ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', token(id)) == 1 then
  return { 'conflict' }
end
local row = given(ARGV, 7)
if most ~= '' then
  -- If an owner has a fence, the owner's rows no longer count. If a family has a fence, its rows
  -- still count, so the caller must finish this fence first. If a fence covers the issuer, the
  -- tokens that are bound to it may still count, but the insert is refused in any case.
  for _, group in ipairs(redis.call('HKEYS', P .. 'fences')) do
    if string.sub(group, 1, 7) == 'family:' then
      return fenced()
    end
  end
  local group = row.bo == '1' and 'issuer:' .. row.is or 'owner:' .. row.ow
  if redis.call('ZCOUNT', P .. 'standing:' .. group, '(' .. now, '+inf') >= tonumber(most) then
    return { 'limit' }
  end
end
if issuer_changed(ARGV[5], ARGV[6]) then
  return { 'issuer' }
end
add(id, row)
tell(id)
return { 'done' }
