-- Put a one-off run into the queue of a channel, or among the delayed until its time. uses runs
-- KEYS[1] state hash
-- ARGV[1] run     ARGV[2] channel     ARGV[3] body     ARGV[4] policy     ARGV[5] when (ms), '' for now     ARGV[6] or how long from now (ms), ''
-- ARGV[7] the most runs a queue may have
-- Result: [state it is in, 1 if it is new, ms since a leader was seen or '']; a run that is remembered is not made again.
-- Error reply, nothing written: FULL, and Redis's own OOM.
local key = root .. 'run:' .. ARGV[1]
local seen = call('HGET', KEYS[1], ':leaderSeen')
local since = seen and ms(now - tonumber(seen)) or ''
local known = call('HGET', key, 'state')
if known then return {known, 0, since} end -- guard: put-once
if call('ZCARD', root .. 'queue:' .. ARGV[2]) >= tonumber(ARGV[7]) then return redis.error_reply('FULL ' .. ARGV[2]) end -- guard: limit
local at = ARGV[5] ~= '' and tonumber(ARGV[5]) or now + tonumber(ARGV[6] ~= '' and ARGV[6] or '0')
local run = {id = ARGV[1], key = key, channel = ARGV[2], event = ''}
if at > now then delay(run, at, 'delayed') else enter(run) end
call('HSET', key, 'channel', ARGV[2], 'event', '', 'due', ms(at), 'enqueued', stamp, 'policy', ARGV[4])
call('SET', body_key(ARGV[1]), ARGV[3])
return {at > now and 'delayed' or 'queued', 1, since}
