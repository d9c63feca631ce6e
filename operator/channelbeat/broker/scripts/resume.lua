-- End an event's pause; its dead runs in a row are counted anew. The version in force stays known, so that runs from before an edit
-- that end after this do not count.
-- KEYS[1] stats hash     ARGV[1] event
-- Result: 1, or 0 when it was not paused. Needs Redis 6.2. The first write is one that is never refused.
local pause, row = ARGV[1] .. ' paused', ARGV[1] .. ' row'
local kept = redis.call('HMGET', KEYS[1], pause, row)
local version = string.match(kept[2] or kept[1] or '', '^%S+')
local ended = redis.call('HDEL', KEYS[1], pause)
if version then redis.call('HSET', KEYS[1], row, version .. ' 0') end -- guard: resumed
return ended
