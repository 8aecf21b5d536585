-- How many places an index has. ARGV: the index.
return { 'done', redis.call('ZCARD', P .. ARGV[1]) }
