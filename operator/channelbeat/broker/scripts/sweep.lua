-- Runs whose time has come go to their queue, and those whose worker vanished; runs past their start deadline expire. uses runs
-- KEYS[1] state hash     ARGV[1] how long a claim lasts that does not say (ms)     ARGV[2] the most runs of a kind that are moved at once
-- Result: [queued, lost, dead, when the next is due or '', 1 if there is more to do]
-- Needs Redis 6.2. The first write is one that is never refused. What cannot be moved for a key that somebody overwrote waits,
-- and holds up nothing else.
local limit = tonumber(ARGV[2])
try('ZREMRANGEBYSCORE', dead, '-inf', ms(now - WEEK * 1000))
local swept = tonumber(call('HGET', KEYS[1], ':swept') or '0')
call('HSET', KEYS[1], ':swept', stamp)
local BRIEF = 250 -- ms: less than half of the shortest claim
local tally = {queued = 0, lost = 0, dead = 0}
local more = false
local function each(ids, what, otherwise)
  more = more or #ids == limit
  for _, id in ipairs(ids) do
    if not pcall(what, id) and otherwise then pcall(otherwise, id) end
  end
end
local function due(key) return try('ZRANGEBYSCORE', key, '-inf', stamp, 'LIMIT', 0, limit) end
local function until_(key, at, id) call('ZADD', key, ms(at), id) end

-- Claims: if nobody swept for half a claim's length, Redis was away, or the leader, and the worker may not have been able to renew: it
-- lasts anew, once. So it does when the clock was set back.
local gap = math.abs(now - swept)
local function extend(claims, id)
  local run = load(id)
  local length = run and run.claim or tonumber(ARGV[1])
  if gap <= length / 2 then return end
  local last = swept <= now and tonumber(call('ZSCORE', claims, id)) or 0
  until_(claims, math.max(last, now + length), id)
end
local function vanished(claims, id)
  local run = load(id)
  if run and run.state ~= 'running' then run = nil end -- guard: running
  if run then
    local state = fail(run, 'lost', 'Lost: its worker ' .. (run.worker or '') .. ' gave no sign of life', '', 0, true)
    tally.lost = tally.lost + 1
    if state == 'dead' then tally.dead = tally.dead + 1 end
  end
  call('ZREM', claims, id)
end
local names = try('SMEMBERS', root .. 'channels')
for _, channel in ipairs(names) do
  local claims = root .. 'claims:' .. channel
  if gap > BRIEF then each(try('ZRANGE', claims, 0, -1), function(id) extend(claims, id) end) end -- guard: extend
  each(due(claims), function(id) vanished(claims, id) end, function(id) until_(claims, now + BUFFERED, id) end)
end

local function promote(id)
  local run = load(id)
  if run and run.state == 'buffered' then
    release(run.event)
    if call('ZSCORE', delayed, id) then until_(delayed, now + BUFFERED, id) end
    return
  end
  if run and run.state ~= 'retrying' and run.state ~= 'delayed' then run = nil end -- guard: delayed
  if run then
    enter(run)
    if run.state == 'retrying' then count(run.event, 'retrying', -1) end
    tally.queued = tally.queued + 1
  end
  call('ZREM', delayed, id)
end
each(due(delayed), promote, function(id) until_(delayed, now + BUFFERED, id) end)

local function expire(id)
  local run = load(id)
  if run and (run.tries > 0 or run.state ~= 'queued' and run.state ~= 'buffered') then run = nil end -- guard: expire
  if run then
    call('ZREM', place(run), id)
    finish(run, 'expired', '')
  end
  call('ZREM', deadlines, id)
end
each(due(deadlines), expire, function(id) until_(deadlines, now + BUFFERED, id) end)

-- Bells that were taken and not followed, and channels that have nothing any more.
for _, channel in ipairs(names) do
  chime(channel)
  if try('ZCARD', root .. 'queue:' .. channel) == 0 and try('ZCARD', root .. 'claims:' .. channel) == 0 then try('SREM', root .. 'channels', channel) end
end

local first = try('ZRANGE', delayed, 0, 0, 'WITHSCORES')
return {tally.queued, tally.lost, tally.dead, first[2] or '', more and 1 or 0}
