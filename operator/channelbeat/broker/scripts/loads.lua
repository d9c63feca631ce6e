-- How much waits in channels, how much of it workers hold, and what they have handled. uses runs
-- KEYS[1] state hash     ARGV[1] the layer's prefix     ARGV[2] how long its messages last (s)     ARGV[3] msgpack [channel, ...], up to about 1,000
-- Result: msgpack, five values a channel, one after the other: waiting (false if one of its keys is something else), in flight, ms that handlers
--   took in all, how many that were, since when the oldest plain message waits (ms) or false.
-- Needs Redis 6.2. Nothing is written.
local channels, fields, found = cmsgpack.unpack(ARGV[3]), {}, {}
for i, channel in ipairs(channels) do fields[2 * i - 1], fields[2 * i] = ':' .. channel .. ' busyMs', ':' .. channel .. ' count' end
local sums = try('HMGET', stats, unpack(fields))
local expired = format('%.3f', now / 1000 - tonumber(ARGV[2]))
for i, channel in ipairs(channels) do
  local plain, at = ARGV[1] .. channel, 5 * i - 5
  local messages, runs = try('ZCOUNT', plain, expired, '+inf'), try('ZCARD', root .. 'queue:' .. channel)
  local held, oldest = try('ZCARD', root .. 'claims:' .. channel), false
  local known = type(messages) == 'number' and type(runs) == 'number' and type(held) == 'number'
  if known and messages > 0 then
    local first = call('ZRANGEBYSCORE', plain, expired, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    oldest = math.floor(math.min(now, first[2] * 1000)) -- its sender's clock may be ahead
  end
  found[at + 1], found[at + 2], found[at + 5] = known and messages + runs, known and held, oldest
  found[at + 3], found[at + 4] = tonumber(sums[2 * i - 1] or '') or 0, tonumber(sums[2 * i] or '') or 0
end
return cmsgpack.pack(found)
