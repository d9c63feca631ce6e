-- The workers that were seen lately. uses runs
-- KEYS[1] state hash     ARGV[1] how long ago that may be (ms)
-- Result: msgpack, seven values a worker, one after the other: worker, pod, channels, concurrency, slots at work, when it was seen, and first seen (ms).
-- Needs Redis 6.2. Nothing is written.
local seen, found = try('ZRANGEBYSCORE', root .. 'workers', ms(now - tonumber(ARGV[1])), '+inf', 'WITHSCORES'), {}
for i = 1, #seen, 2 do
  local facts, at = try('HMGET', root .. 'worker:' .. seen[i], 'pod', 'channels', 'concurrency', 'busy', 'since'), #found
  if facts[2] then -- otherwise somebody overwrote it
    found[at + 1], found[at + 2], found[at + 3] = seen[i], facts[1] or '', facts[2]
    found[at + 4], found[at + 5] = tonumber(facts[3] or '') or 1, tonumber(facts[4] or '') or 0
    found[at + 6], found[at + 7] = tonumber(seen[i + 1]), tonumber(facts[5] or '') or tonumber(seen[i + 1])
  end
end
return cmsgpack.pack(found)
