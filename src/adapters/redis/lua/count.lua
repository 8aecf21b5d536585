-- Returns the number of entries in an index. ARGV: index.
return { 'done', redis.call('ZCARD', P .. ARGV[1]) }
