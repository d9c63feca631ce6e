-- Give up the lead, so that the next leader need not wait. Nothing happens when a newer one is there already.
-- KEYS[1] state hash     ARGV[1] epoch     Result: 1 or 0
if redis.call('HGET', KEYS[1], ':epoch') ~= ARGV[1] then return 0 end -- guard: resign-epoch
return redis.call('HDEL', KEYS[1], ':leaderSeen')
