-- Inserts a new row. ARGV: feed, id, limit or an empty text, now, the issuer's id and version or
-- empty texts, then the fields and values. The limit is the most live tokens of the owner or, for a
-- bound token, of its issuer.
local id, most, now = ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', token(id)) == 1 then
  return { 'conflict' }
end
local row = given(ARGV, 7)
if most ~= '' then
  -- The fence of an owner has already removed the owner's rows from the count. The fence of a
  -- family has not, so it must be finished first. If a fence covers the issuer, tokens bound to it
  -- may still count, but the insert is refused in any case.
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
