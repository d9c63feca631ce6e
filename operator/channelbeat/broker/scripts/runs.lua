-- What the scripts that move runs have in common: scripts/__init__.py puts it before those that say "uses runs". No script itself.
-- KEYS[1] is the state hash; all keys of ours begin like it. Times are ms by Redis's clock.
-- A live run is in exactly one of queue:CHANNEL, claims:CHANNEL and delayed; bell:CHANNEL has its one member exactly while the
-- queue has any (until a worker takes it, who then asks for the run, which rings it again). A run is put in its new place first:
-- where somebody overwrote that key, this fails, and nothing has happened. After it nothing fails: `try` lets any other key that
-- somebody overwrote cost itself alone.
local call, try, format, match = redis.call, redis.pcall, string.format, string.match
local root = string.sub(KEYS[1], 1, -6)
local stats, delayed, dead, deadlines = root .. 'stats', root .. 'delayed', root .. 'dead', root .. 'deadlines'
local HOUR, WEEK, BUFFERED = 3600, 604800, 10000 -- s a run is remembered, s a dead one; ms until a buffered run looks for itself
local time = call('TIME')
local second, micro = tonumber(time[1]), tonumber(time[2])
local now = second * 1000 + math.floor(micro / 1000)
local function ms(at) return format('%.0f', at) end
local stamp = ms(now)

-- Equal scores pop in random order: a microsecond apart keeps the order in which one script puts them.
local function tick()
  micro = micro + 1
  if micro == 1000000 then second, micro = second + 1, 0 end
end
local function queued_at()
  tick()
  return format('%d%03d.%03d', second, math.floor(micro / 1000), micro % 1000)
end

local policies = {}
local function policy_of(text)
  if not policies[text] then
    local limit, backoff, most, timeout, deadline, overlap, pause, version = match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%a+) (%d+) (%S+)$')
    policies[text] = {
      limit = tonumber(limit), backoff = tonumber(backoff), most = tonumber(most), timeout = timeout, deadline = tonumber(deadline),
      overlap = overlap, pause = tonumber(pause), version = version,
    }
  end
  return policies[text]
end

-- What is needed of a run's record; nil when there is none, or it is something else.
local function load(id)
  local key = root .. 'run:' .. id
  local got = try('HMGET', key, 'state', 'event', 'channel', 'policy', 'due', 'attempts', 'tries', 'token', 'worker', 'started', 'cancel', 'claim')
  local policy, due = got[4] and policy_of(got[4]), tonumber(got[5] or '')
  local attempts, tries = tonumber(got[6] or '0'), tonumber(got[7] or '0')
  if not (got[3] and policy and policy.version and due and attempts and tries) then return nil end -- guard: record
  return {
    id = id, key = key, state = got[1], event = got[2] or '', channel = got[3], policy = policy, due = due, attempts = attempts, tries = tries,
    token = got[8], worker = got[9], started = tonumber(got[10] or stamp) or now, cancel = got[11], claim = tonumber(got[12] or ''),
  }
end

-- Its message has a key of its own: a value so long would make Redis keep the whole record in its larger form.
local function body_key(id) return root .. 'body:' .. id end

-- Where a run of this state is; nil for one that has ended.
local function place(run)
  if run.state == 'queued' then return root .. 'queue:' .. run.channel end
  if run.state == 'running' then return root .. 'claims:' .. run.channel end
  if run.state == 'retrying' or run.state == 'delayed' or run.state == 'buffered' then return delayed end
end

local function count(event, what, by)
  if event ~= '' then try('HINCRBY', stats, event .. ' ' .. what, by) end
end

local function strike(bell)
  if type(try('ZADD', bell, 0, '!')) == 'number' then return end
  call('DEL', bell) -- somebody overwrote it, and whoever waits for it is refused
  call('ZADD', bell, 0, '!')
end
local function ring(channel)
  strike(root .. 'bell:' .. channel)
  try('SADD', root .. 'channels', channel)
end
-- Runs may have left the queue.
local function chime(channel)
  local bell = root .. 'bell:' .. channel
  if try('ZCARD', root .. 'queue:' .. channel) == 0 then call('DEL', bell) else strike(bell) end -- guard: chime
end

local function enter(run)
  call('ZADD', root .. 'queue:' .. run.channel, queued_at(), run.id)
  call('HSET', run.key, 'state', 'queued')
  ring(run.channel)
end

local function delay(run, at, state)
  call('ZADD', delayed, ms(at), run.id)
  call('HSET', run.key, 'state', state)
  if state == 'retrying' then count(run.event, 'retrying', 1) end
end

-- An event's unfinished run number `n`, the oldest being 0. One that is nowhere to be found, as somebody deleted its key, is forgotten.
local function unfinished(event, n)
  local active = root .. 'active:' .. event
  local id = try('ZRANGE', active, n, n)[1]
  while id do
    local run = load(id)
    local where = run and place(run)
    if where and not try('ZSCORE', where, id) then where = nil end -- guard: ghost
    if where then return run end
    call('ZREM', active, id)
    id = call('ZRANGE', active, n, n)[1]
  end
end

-- A run of an event has ended: the one that waits for that has its turn, if nothing else keeps it.
local function release(event)
  local run, waiting, n = unfinished(event, 0), nil, 0
  while run and run.state == 'buffered' do
    waiting, n = waiting or run, n + 1
    run = unfinished(event, n)
  end
  if run then return end -- guard: buffered
  if waiting and pcall(enter, waiting) then call('ZREM', delayed, waiting.id) end
end

-- A run of an event that is to be paused has ended: does this pause it? Of its `row` the version in force is known, and the dead runs in a row.
local function pauses(run, state)
  local field, held = run.event .. ' row', try('HGET', stats, run.event .. ' row')
  local version, row = match(type(held) == 'string' and held or '', '^(%S+) (%d+)$')
  if version and version ~= run.policy.version then return false end -- guard: version
  row = state == 'dead' and (row or 0) + 1 or row or 0
  if state == 'succeeded' then row = 0 end -- guard: in-a-row
  try('HSET', stats, field, run.policy.version .. ' ' .. ms(row))
  if state ~= 'dead' or row ~= run.policy.pause then return false end -- beyond it, it is paused already
  try('HSET', stats, run.event .. ' paused', run.policy.version .. ' ' .. stamp)
  return true
end

-- The run has ended, and is to be in none of its places any more. `last`: what else its record is to say. Nothing of this fails.
local function finish(run, state, brief, last)
  local paused = false
  call('HSET', run.key, 'state', state, 'finished', stamp, unpack(last or {}))
  call('HDEL', run.key, 'token', 'worker', 'cancel')
  if state == 'dead' then
    try('ZADD', dead, stamp, run.id)
    call('EXPIRE', body_key(run.id), WEEK)
  else
    call('DEL', body_key(run.id))
  end
  call('EXPIRE', run.key, state == 'dead' and WEEK or HOUR)
  if run.policy.deadline > 0 then try('ZREM', deadlines, run.id) end
  if run.event ~= '' then
    count(run.event, state == 'succeeded' and 'ok' or state, 1)
    if state == 'succeeded' then try('HSET', stats, run.event .. ' lastSuccess', stamp) end
    if run.policy.pause > 0 then paused = pauses(run, state) end
    try('ZREM', root .. 'active:' .. run.event, run.id)
    if run.policy.overlap == 'BufferOne' then release(run.event) end -- of another policy by now: the sweep sees to it
  end
  try('XADD', root .. 'results', 'MAXLEN', '~', 10000, '*', 'run', run.id, 'event', run.event, 'channel', run.channel, 'state', state,
    'attempts', run.attempts, 'at', stamp, 'error', brief, 'paused', paused and '1' or '')
  return state
end

-- An attempt, for the run's own history, which keeps the last 128: field, and "worker start length how error". Short, see body_key.
local function history(run, how, brief)
  return 'a' .. run.tries % 128, table.concat({run.worker or '-', ms(run.started), ms(now - run.started), how, brief}, ' ')
end

-- Wait, or be queued at once; the state it is in then, and until when.
local function again(run, wait)
  if wait > 0 then delay(run, now + wait, 'retrying') else enter(run) end
  call('HDEL', run.key, 'token', 'worker')
  if wait > 0 then return 'retrying', ms(now + wait) end
  return 'queued', ''
end

-- An attempt failed: where does the run go? `soonest`: ms before which it must not be tried again; `at_once`: no back-off.
local function fail(run, how, brief, trace, soonest, at_once)
  local policy, ends, state, at = run.policy, nil, nil, ''
  if how == 'dead' or run.attempts > policy.limit then ends = 'dead' end -- guard: attempts
  if run.cancel then ends = 'cancelled' end -- guard: cancelled
  local wait = at_once and 0 or math.min(policy.backoff * 2 ^ (run.attempts - 1), policy.most)
  if not ends then state, at = again(run, math.max(wait, soonest)) end
  count(run.event, 'failed', 1)
  if run.event ~= '' then try('HSET', stats, run.event .. ' lastFailure', stamp) end
  call('HSET', run.key, 'error', brief, 'trace', trace, history(run, how, brief))
  if ends then state = finish(run, ends, brief) end
  return state, at
end
