-- A new row. ARGV: feed, its id, the most live tokens of its owner or, if it is bound, of its issuer, or nothing; the time to judge them at, the issuer's id and
-- version or nothing, the row.
local id, most, now = ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', token(id)) == 1 then
  return { 'conflict' }
end
local row = given(ARGV, 7)
if most ~= '' then
  -- The owner's own fence has taken its rows out of the owner's count; a family's has not. Of an issuer that lies under a fence,
  -- what is bound to it may still count: it is refused either way.
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
