-- Settle a worker's last attempt, if there is one, and give it the next run or plain message of its channels. uses runs
-- KEYS[1] state hash     KEYS[2] the worker's hash     KEYS[3..] the layer's keys of the channels, the most important first
-- ARGV[1] token     ARGV[2] slot     ARGV[3] how long the claim lasts (ms)     ARGV[4] the worker, for people: HOST:PID
-- ARGV[5..11] the attempt to settle: run ('' for none), token, how (ok, failed, timeout, dead, back, cancelled), error in a line,
--   traceback, result, ms before which it must not be tried again; or a plain message that was handled: '', '', plain, channel, '', '', ms it took
-- ARGV[12..] the channels' names; none: settle only
-- Result: [msgpack [settled, next, kind, ...], the run's body]; settled: '' for nothing, lost (the claim was another's), or the state the run is in now;
--   next: when it is tried again, or ''; kind: none | again (ask at once) | run id event channel attempt limit due timeout |
--   plain channel member score.
-- Asked again with the same token it answers the same: the worker's hash remembers the last answer of each slot. Tokens end with a
-- number that grows: a question that was overtaken by the next one finds nothing.
-- Needs Redis 6.2. The first write is one that is never refused: it works when Redis is out of memory.
local token, slot = ARGV[1], 'slot' .. ARGV[2]
local function number(of) return tonumber(match(of, '%d+$')) or 0 end
local function body_of(run)
  local body = try('GET', body_key(run.id))
  return type(body) == 'string' and body or ''
end
local function answered()
  local remembered = call('HGET', KEYS[2], slot)
  if not remembered then return nil end
  local last = match(remembered, '^%S+')
  if number(last) > number(token) then return {cmsgpack.pack({'lost', '', 'none'})} end -- guard: overtaken
  if last ~= token then return nil end
  local text = string.sub(remembered, #token + 2)
  local told = cmsgpack.unpack(text)
  if told[3] ~= 'run' then return {text} end
  local run = load(told[4])
  if not run or run.token ~= token then return {cmsgpack.pack({told[1], told[2], 'none'})} end -- guard: repeat-token
  try('ZADD', root .. 'claims:' .. run.channel, ms(now + tonumber(ARGV[3])), run.id) -- it lasts from the answer that arrives
  return {text, body_of(run)}
end
local known = call('EXPIRE', KEYS[2], HOUR)
local before = answered()
if before then return before end -- guard: repeat

local settled, next_at = '', ''
local function settle(run, how, brief, trace, result, soonest)
  if how == 'ok' then
    local last = {history(run, 'succeeded', '')}
    if result ~= '' then last[3], last[4] = 'result', result end
    return finish(run, 'succeeded', '', last), ''
  elseif how == 'cancelled' or (how == 'back' and run.cancel) then
    return finish(run, 'cancelled', brief, {history(run, 'cancelled', brief)}), ''
  elseif how == 'back' then
    local state, at = again(run, soonest)
    call('HSET', run.key, 'attempts', run.attempts - 1, history(run, 'given-back', brief))
    return state, at
  end
  return fail(run, how, brief, trace, soonest, false)
end
local function measured(channel, busy)
  try('HINCRBY', stats, ':' .. channel .. ' busyMs', ms(math.max(0, busy)))
  try('HINCRBY', stats, ':' .. channel .. ' count', 1)
end
if ARGV[7] == 'plain' then measured(ARGV[8], tonumber(ARGV[11])) end
if ARGV[5] ~= '' then
  local run = load(ARGV[5])
  if run and run.token ~= ARGV[6] then run = nil end -- guard: settle-token
  settled = 'lost'
  if run then
    settled, next_at = settle(run, ARGV[7], ARGV[8], ARGV[9], ARGV[10], tonumber(ARGV[11]))
    if ARGV[7] ~= 'back' then measured(run.channel, now - run.started) end
    try('ZREM', root .. 'claims:' .. run.channel, run.id)
  end
end

local function late(run)
  return run.policy.deadline > 0 and run.tries == 0 and now > run.due + run.policy.deadline
end

local function start(run)
  run.attempts, run.tries = run.attempts + 1, run.tries + 1
  call('HSET', run.key, 'state', 'running', 'token', token, 'worker', ARGV[4], 'started', stamp, 'claim', ARGV[3], 'attempts', run.attempts, 'tries', run.tries,
    history({tries = run.tries, worker = ARGV[4], started = now}, '-', ''))
  if run.policy.deadline > 0 then try('ZREM', deadlines, run.id) end
  return {'run', run.id, run.event, run.channel, run.attempts, run.policy.limit, ms(run.due), run.policy.timeout}, body_of(run)
end

-- Nothing when the run is not to be started any more. `more`: there are others in the queue.
local function claim(channel, id, more)
  local bell, run, found, body = root .. 'bell:' .. channel, load(id), nil, nil
  if run and run.state ~= 'queued' then run = nil end -- guard: queued
  if run and late(run) then finish(run, 'expired', ''); run = nil end -- guard: deadline
  if run then
    local held = try('ZADD', root .. 'claims:' .. channel, ms(now + tonumber(ARGV[3])), id)
    -- where somebody overwrote the key, the run stays in its queue
    if type(held) == 'table' then return {'none'} end -- guard: claims
    found, body = start(run)
  end
  call('ZREM', root .. 'queue:' .. channel, id)
  if not found then chime(channel) elseif more then strike(bell) else call('DEL', bell) end -- guard: bell
  return found, body
end

-- Whichever has waited longer: a run, or a plain message.
local function pop(channel, plain)
  local first = try('ZRANGE', root .. 'queue:' .. channel, 0, 1, 'WITHSCORES')
  local other = try('ZRANGE', plain, 0, 0, 'WITHSCORES')
  if other[1] and not (first[1] and tonumber(first[2]) <= other[2] * 1000) then
    call('ZREM', plain, other[1])
    return {'plain', channel, other[1], other[2]}
  end
  if not first[1] then return {'none'} end
  return claim(channel, first[1], first[3])
end

local found, body, tries = {'none'}, nil, 0
for i = 12, #ARGV do
  repeat
    tries = tries + 1
    found, body = pop(ARGV[i], KEYS[i - 9])
  until found or tries > 100
  found = found or {'again'}
  if found[1] ~= 'none' then break end
end

local answer = cmsgpack.pack({settled, next_at, unpack(found)})
call('HSET', KEYS[2], slot, token .. ' ' .. answer)
if known == 0 then call('EXPIRE', KEYS[2], HOUR) end
return {answer, body}
