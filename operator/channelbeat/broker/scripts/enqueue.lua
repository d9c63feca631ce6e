-- Send, skip, adopt, look and trigger: a batch of decisions, each remembered in the step that carries it out. uses runs
-- KEYS[1] state hash     KEYS[2..] targets: channel zsets of the layer, and queues of ours
-- ARGV[1] gen     ARGV[2] epoch     ARGV[3] highest seq answered     ARGV[4] how far ahead of our clock a due time may be (ms)
-- ARGV[5] prefix of the decision logs     ARGV[6] decisions kept in a log
-- ARGV[7] msgpack [[event, ...], [[capacity, expiry s, '' or for a queue its channel], ...one a target], [item, ...]]; the items' values stand one
--   after the other (a list for each would take as long again to unpack); an item, its event by index:
--   l event                                    look: answer the fence
--   a event due fence log                      adopt: make the fence or change its hash, never back in time
--   k event due fence hash log                 skip: decide without a message; `log` '' for none
--   s event due fence hash log channel body    send
--   q event due fence hash log queue body run policy     send as a run
--   t event token forget channel|0 body log    trigger, once per token; tokens before `forget` are dropped
--   v event token forget queue body log run policy       trigger as a run
--   b event before                             bury: drop a tombstone that is not younger, and of whose runs none is left
-- A fence is "due hash code", the hash '-' for a tombstone.
-- Result: msgpack [letters, {place: extra}, [room, ...], [expired, ...], now ms, seq]; letters: s done, d duplicate, u unfenced,
--   h held (an earlier item of the event was not done), f full, w wrong type, e early; o overlap and p paused: decided, without a run.
-- Error replies, nothing written: WIPED, STALE <epoch>, ROLLBACK <seq>, and Redis's own OOM.
-- Needs Redis 6.2. Reads and checks first; the first write is one that is refused for want of memory, so that an error
-- finds nothing half done (later writes of a script are not refused); messages before fences; seq last.
local state, logs, keep = KEYS[1], ARGV[5], tonumber(ARGV[6])
local held = call('HMGET', state, ':gen', ':epoch', ':seq')
local gen, epoch, seq = held[1] or '', tonumber(held[2] or '0'), tonumber(held[3] or '0')
if gen ~= ARGV[1] then return redis.error_reply('WIPED') end -- guard: generation
if epoch > tonumber(ARGV[2]) then return redis.error_reply('STALE ' .. format('%.0f', epoch)) end -- guard: epoch
if epoch < tonumber(ARGV[2]) then return redis.error_reply('ROLLBACK epoch') end -- guard: epoch-rollback
if seq < tonumber(ARGV[3]) then return redis.error_reply('ROLLBACK ' .. format('%.0f', seq)) end -- guard: rollback

local batch = cmsgpack.unpack(ARGV[7])
local events, settings, items = batch[1], batch[2], batch[3]
local latest = now + tonumber(ARGV[4])
call('HSET', state, ':leaderSeen', stamp)

-- By event: its fence as it is stored, and read; false where there is none.
local texts, dues, hashes = {}, {}, {}
for first = 1, #events, 1000 do
  for i, text in ipairs(call('HMGET', state, unpack(events, first, math.min(first + 999, #events)))) do
    local due, hash = match(text or '', '^(%d+) (%S+) ')
    local event = first + i - 1
    texts[event], dues[event], hashes[event] = text, tonumber(due or '') or false, hash or false
  end
end

local channels = {}
for i = 2, #KEYS do
  local kind, setting = call('TYPE', KEYS[i]).ok, settings[i - 1]
  local channel = {key = KEYS[i], room = 0, expired = 0, pairs = {}, expiry = setting[2], queue = setting[3]}
  channel.wrong = kind ~= 'zset' and kind ~= 'none'
  if not channel.wrong then
    if channel.queue == '' then channel.expired = call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. format('%.3f', now / 1000 - setting[2])) end
    channel.room = setting[1] - call('ZCARD', KEYS[i])
  end
  channels[i - 1] = channel
end

local function put(channel, score, member)
  local pairs, last = channel.pairs, #channel.pairs
  pairs[last + 1], pairs[last + 2] = score, member
  channel.room = channel.room - 1
end
local function send(channel, body)
  tick()
  put(channel, format('%d.%06d', second, micro), body)
end

-- What keeps a tracked send of the event from becoming a run now: 'o', or 'b' when it is to wait for the event's other run.
local function overlap(event, policy)
  if policy.overlap == 'Allow' or not unfinished(events[event], 0) then return nil end
  return policy.overlap == 'BufferOne' and not unfinished(events[event], 1) and 'b' or 'o'
end
-- Of an event that may be paused, `row` tells the version in force, by which runs from before an edit are known (scripts/runs.lua).
local function paused(event, policy)
  local pause, row, version = events[event] .. ' paused', events[event] .. ' row', policy.pause > 0 and policy.version or nil
  local kept = try('HMGET', stats, pause, row)
  if match(kept[1] or '', '^%S+') == version and version then return true end
  if kept[1] then call('HDEL', stats, pause) end -- it was edited since
  if match(kept[2] or '', '^%S+') == version then return false end
  if version then try('HSET', stats, row, version .. ' 0') else call('HDEL', stats, row) end
  return false
end
-- Everything of a run but its decision. It is in its queue at once, and found there by the next of its event.
local function run(channel, event, due, body, id, policy, buffered)
  local key = root .. 'run:' .. id
  local new = try('HSETNX', key, 'state', buffered and 'buffered' or 'queued')
  if new == 0 then return 's' end -- guard: known
  local placed
  if type(new) == 'number' then
    placed = buffered and try('ZADD', delayed, ms(now + BUFFERED), id) or not buffered and try('ZADD', channel.key, queued_at(), id)
  end
  if type(placed) ~= 'number' then -- somebody overwrote one of the keys
    if new == 1 then call('DEL', key) end
    return 'w'
  end
  call('HSET', key, 'channel', channel.queue, 'event', events[event], 'due', ms(due), 'enqueued', stamp, 'policy', policy)
  call('SET', body_key(id), body)
  try('ZADD', root .. 'active:' .. events[event], stamp, id)
  local deadline = policy_of(policy).deadline
  if deadline > 0 then try('ZADD', deadlines, ms(due + deadline), id) end
  if not buffered then channel.room, channel.rings = channel.room - 1, true end
  return 's'
end

local stuck, tokens, fields, written, extra = {}, {}, {}, {}, {}
local function remember(field, text)
  local last = #fields
  fields[last + 1], fields[last + 2] = field, text
end
local function note(event, log)
  local last = #written
  written[last + 1], written[last + 2] = logs .. events[event], log
end
local function move(event, due, hash, text, log)
  texts[event], dues[event], hashes[event] = text, due, hash
  remember(events[event], text)
  if log ~= '' then note(event, log) end
end

local function refused(event, due, hash)
  if stuck[event] then return 'h' end -- guard: order
  if hashes[event] ~= hash then return 'u' end -- guard: fenced
  if due <= dues[event] then return 'd' end -- guard: once
  if due > latest then return 'e' end -- guard: early
end
local function closed(channel)
  if channel and channel.wrong then return 'w' end -- guard: type
  if channel and channel.room <= 0 then return 'f' end -- guard: capacity
end

local decide, width = {}, {l = 1, a = 4, k = 5, s = 7, q = 9, t = 6, v = 8, b = 2}
function decide.l(place, event)
  extra[place] = texts[event] or ''
  return 's'
end
function decide.a(place, event, due, text, log)
  if stuck[event] then return 'h' end -- guard: order-adopt
  if due > latest then return 'e' end -- guard: early-adopt
  if dues[event] and dues[event] > due then due, text = dues[event], format('%.0f', dues[event]) .. match(text, '( .*)$') end -- guard: forward
  move(event, due, match(text, '^%d+ (%S+)'), text, log)
  extra[place] = format('%.0f', due)
  return 's'
end
function decide.k(_, event, due, text, hash, log)
  local letter = refused(event, due, hash)
  if letter then return letter end
  move(event, due, hash, text, log)
  return 's'
end
function decide.s(_, event, due, text, hash, log, target, body)
  local channel = channels[target]
  local letter = refused(event, due, hash) or closed(channel)
  if letter then return letter end
  send(channel, body)
  move(event, due, hash, text, log)
  return 's'
end
function decide.q(_, event, due, text, hash, log, target, body, id, policy)
  local channel, rules = channels[target], policy_of(policy)
  local letter = refused(event, due, hash)
  if letter then return letter end
  local function without(code)
    move(event, due, hash, ms(due) .. ' ' .. hash .. ' ' .. code, log ~= '' and ms(due) .. ' - ' .. code or '')
  end
  if paused(event, rules) then without('suspended/Paused') return 'p' end -- guard: paused
  local other = overlap(event, rules)
  if other == 'o' then without('skipped/PreviousRunActive') return 'o' end -- guard: overlap
  letter = closed(channel)
  if letter then return letter end
  letter = run(channel, event, due, body, id, policy, other == 'b')
  if letter == 's' then move(event, due, hash, text, log) end
  return letter
end
local function trigger(event, due, forget, channel, log, carry_out, overlaps)
  local field, token = events[event] .. '!', ms(due)
  local known, kept = tokens[field] or call('HGET', state, field) or '', {}
  for one in string.gmatch(known, '%d+') do
    if one == token then return 'd' end -- guard: token
    if tonumber(one) >= forget then kept[#kept + 1] = one end
  end
  if overlaps then return 'o' end -- guard: overlap-trigger
  local letter = closed(channel)
  if letter then return letter end
  letter = carry_out()
  if letter ~= 's' then return letter end
  kept[#kept + 1] = token
  tokens[field] = table.concat(kept, ' ')
  remember(field, tokens[field])
  note(event, log)
  return 's'
end
function decide.t(_, event, due, forget, target, body, log)
  local channel = channels[target]
  return trigger(event, due, forget, channel, log, function()
    if channel then send(channel, body) end
    return 's'
  end)
end
function decide.v(_, event, due, forget, target, body, log, id, policy)
  local other = overlap(event, policy_of(policy))
  local function carry_out() return run(channels[target], event, due, body, id, policy, other == 'b') end
  return trigger(event, due, forget, channels[target], log, carry_out, other == 'o')
end
function decide.b(_, event, before)
  if hashes[event] ~= '-' or dues[event] > before then return 'd' end -- guard: bury
  if unfinished(events[event], 0) then return 'd' end -- guard: bury-unfinished
  call('HDEL', state, events[event], events[event] .. '!')
  call('DEL', logs .. events[event])
  for _, what in ipairs({'ok', 'failed', 'dead', 'expired', 'cancelled', 'row', 'retrying', 'lastSuccess', 'lastFailure', 'paused'}) do
    try('HDEL', stats, events[event] .. ' ' .. what)
  end
  return 's'
end

local letters, at, last = {}, 1, #items
while at <= last do
  local kind, event, place = items[at], items[at + 1], #letters + 1
  local letter = decide[kind](place, unpack(items, at + 1, at + width[kind]))
  if match(letter, '[^sdop]') then stuck[event] = true end
  letters[place] = letter
  at = at + 1 + width[kind]
end

local room, expired = {}, {}
for i, channel in ipairs(channels) do
  for p = 1, #channel.pairs, 1000 do call('ZADD', channel.key, unpack(channel.pairs, p, math.min(p + 999, #channel.pairs))) end
  if #channel.pairs > 0 then call('EXPIRE', channel.key, channel.expiry) end
  if channel.rings then ring(channel.queue) end
  room[i], expired[i] = channel.room, channel.expired
end
for i = 1, #fields, 1000 do call('HSET', state, unpack(fields, i, math.min(i + 999, #fields))) end
for i = 1, #written, 2 do
  -- pcall: a log that somebody overwrote costs itself alone
  local length = redis.pcall('RPUSH', written[i], written[i + 1] .. ' ' .. stamp)
  if type(length) == 'number' and length > keep + 20 then call('LTRIM', written[i], -keep, -1) end
end
seq = call('HINCRBY', state, ':seq', 1)
return cmsgpack.pack({table.concat(letters), extra, room, expired, stamp, seq})
