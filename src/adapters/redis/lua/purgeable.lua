-- Returns a number above 0 if a purge has something to do: rows that ended before a time, or
-- fences. The rows of a fence are not yet sorted by the time of their revocation. ARGV: time.
local ended = redis.call('ZRANGEBYSCORE', P .. 'ends', '-inf', '(' .. ARGV[1], 'LIMIT', 0, 1)
return { 'done', #ended + redis.call('EXISTS', P .. 'fences') }
