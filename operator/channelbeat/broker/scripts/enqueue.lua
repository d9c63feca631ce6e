-- Send, skip, adopt, look and trigger: a batch of decisions, each remembered in the step that carries it out.
-- KEYS[1] state hash     KEYS[2..] channel zsets
-- ARGV[1] gen     ARGV[2] epoch     ARGV[3] highest seq answered     ARGV[4] how far ahead of our clock a due time may be (ms)
-- ARGV[5] prefix of the decision logs     ARGV[6] decisions kept in a log
-- ARGV[7] msgpack [[event, ...], [[capacity, expiry s], ...one a channel key], [item, ...]]; the items' values stand one
--   after the other (a list for each would take as long again to unpack); an item, its event by index:
--   l event                                    look: answer the fence
--   a event due fence log                      adopt: make the fence or change its hash, never back in time
--   k event due fence hash log                 skip: decide without a message; `log` '' for none
--   s event due fence hash log channel body    send
--   t event token forget channel|0 body log    trigger, once per token; tokens before `forget` are dropped
--   b event before                             bury: drop a tombstone that is not younger
-- A fence is "due hash code", the hash '-' for a tombstone.
-- Result: msgpack [letters, {place: extra}, [room, ...], [expired, ...], now ms, seq]; letters: s done, d duplicate, u unfenced,
--   h held (an earlier item of the event was not done), f full, w wrong type, e early.
-- Error replies, nothing written: WIPED, STALE <epoch>, ROLLBACK <seq>, and Redis's own OOM.
-- Needs Redis 6.2. Reads and checks first; the first write is one that is refused for want of memory, so that an error
-- finds nothing half done (later writes of a script are not refused); messages before fences; seq last.
local call, format, match = redis.call, string.format, string.match
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, logs, keep = KEYS[1], ARGV[5], tonumber(ARGV[6])
local held = call('HMGET', state, ':gen', ':epoch', ':seq')
local gen, epoch, seq = held[1] or '', tonumber(held[2] or '0'), tonumber(held[3] or '0')
if gen ~= ARGV[1] then return redis.error_reply('WIPED') end -- guard: generation
if epoch > tonumber(ARGV[2]) then return redis.error_reply('STALE ' .. format('%.0f', epoch)) end -- guard: epoch
if epoch < tonumber(ARGV[2]) then return redis.error_reply('ROLLBACK epoch') end -- guard: epoch-rollback
if seq < tonumber(ARGV[3]) then return redis.error_reply('ROLLBACK ' .. format('%.0f', seq)) end -- guard: rollback

local batch = cmsgpack.unpack(ARGV[7])
local events, settings, items = batch[1], batch[2], batch[3]
local latest, stamp = now + tonumber(ARGV[4]), format('%.0f', now)
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
  local kind, channel = call('TYPE', KEYS[i]).ok, {key = KEYS[i], room = 0, expired = 0, pairs = {}}
  channel.wrong = kind ~= 'zset' and kind ~= 'none'
  if not channel.wrong then
    local setting = settings[i - 1]
    channel.expired = call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. format('%.3f', now / 1000 - setting[2]))
    channel.room, channel.expiry = setting[1] - call('ZCARD', KEYS[i]), setting[2]
  end
  channels[i - 1] = channel
end

-- Equal scores pop in random order: a microsecond apart keeps the order of the batch.
local second, micro = tonumber(time[1]), tonumber(time[2])
local function put(channel, body)
  micro = micro + 1
  if micro == 1000000 then second, micro = second + 1, 0 end
  local pairs, last = channel.pairs, #channel.pairs
  pairs[last + 1], pairs[last + 2] = format('%d.%06d', second, micro), body
  channel.room = channel.room - 1
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

local decide, width = {}, {l = 1, a = 4, k = 5, s = 7, t = 6, b = 2}
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
  if stuck[event] then return 'h' end -- guard: order-skip
  if hashes[event] ~= hash then return 'u' end -- guard: fenced-skip
  if due <= dues[event] then return 'd' end -- guard: once-skip
  if due > latest then return 'e' end -- guard: early-skip
  move(event, due, hash, text, log)
  return 's'
end
function decide.s(_, event, due, text, hash, log, target, body)
  local channel = channels[target]
  if stuck[event] then return 'h' end -- guard: order-send
  if hashes[event] ~= hash then return 'u' end -- guard: fenced-send
  if due <= dues[event] then return 'd' end -- guard: once-send
  if due > latest then return 'e' end -- guard: early-send
  if channel.wrong then return 'w' end -- guard: type
  if channel.room <= 0 then return 'f' end -- guard: capacity
  put(channel, body)
  move(event, due, hash, text, log)
  return 's'
end
function decide.t(_, event, due, forget, target, body, log)
  local field, token, channel = events[event] .. '!', format('%.0f', due), channels[target]
  local known, kept = tokens[field] or call('HGET', state, field) or '', {}
  for one in string.gmatch(known, '%d+') do
    if one == token then return 'd' end -- guard: token
    if tonumber(one) >= forget then kept[#kept + 1] = one end
  end
  if channel and channel.wrong then return 'w' end -- guard: type-trigger
  if channel and channel.room <= 0 then return 'f' end -- guard: capacity-trigger
  if channel then put(channel, body) end
  kept[#kept + 1] = token
  tokens[field] = table.concat(kept, ' ')
  remember(field, tokens[field])
  note(event, log)
  return 's'
end
function decide.b(_, event, before)
  if hashes[event] ~= '-' or dues[event] > before then return 'd' end -- guard: bury
  call('HDEL', state, events[event], events[event] .. '!')
  call('DEL', logs .. events[event])
  return 's'
end

local letters, at, last = {}, 1, #items
while at <= last do
  local kind, event, place = items[at], items[at + 1], #letters + 1
  local letter = decide[kind](place, unpack(items, at + 1, at + width[kind]))
  if letter ~= 's' and letter ~= 'd' then stuck[event] = true end
  letters[place] = letter
  at = at + 1 + width[kind]
end

local room, expired = {}, {}
for i, channel in ipairs(channels) do
  for p = 1, #channel.pairs, 1000 do call('ZADD', channel.key, unpack(channel.pairs, p, math.min(p + 999, #channel.pairs))) end
  if #channel.pairs > 0 then call('EXPIRE', channel.key, channel.expiry) end
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
