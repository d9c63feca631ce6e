-- Send, skip, adopt, look and trigger: a batch of decisions, each remembered in the step that carries it out.
-- KEYS[1] state hash     KEYS[2..] channel zsets
-- ARGV[1] gen     ARGV[2] epoch     ARGV[3] highest seq answered     ARGV[4] how far ahead of our clock a due time may be (ms)
-- ARGV[5] prefix of the decision logs     ARGV[6] decisions kept in a log
-- ARGV[7] msgpack [[event, ...], [[capacity, expiry s], ...one a channel key], [item, ...]]; an item, its event by index:
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
local call, format = redis.call, string.format
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
local latest = now + tonumber(ARGV[4])
call('HSET', state, ':leaderSeen', format('%.0f', now))

local raw = {}
for i = 1, #events, 1000 do
  for _, value in ipairs(call('HMGET', state, unpack(events, i, math.min(i + 999, #events)))) do raw[#raw + 1] = value end
end
local fences = {}
for i = 1, #events do
  local due, hash = string.match(raw[i] or '', '^(%d+) (%S+) ')
  fences[i] = due and {due = tonumber(due), hash = hash} or false
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
local base, sent = time[1] + time[2] / 1000000, 0
local function put(channel, body)
  sent = sent + 1
  local pairs = channel.pairs
  pairs[#pairs + 1] = format('%.6f', base + sent / 1000000)
  pairs[#pairs + 1] = body
  channel.room = channel.room - 1
end

local moved, stuck, tokens, written, extra = {}, {}, {}, {}, {}
local function move(event, due, hash, text, log)
  fences[event], raw[event], moved[event] = {due = due, hash = hash}, text, true
  if log and log ~= '' then written[#written + 1] = {events[event], log} end
end

local decide = {}
function decide.l(item, place)
  extra[place] = raw[item[2]] or ''
  return 's'
end
function decide.a(item, place)
  local event, due, text = item[2], item[3], item[4]
  if stuck[event] then return 'h' end -- guard: order-adopt
  if due > latest then return 'e' end -- guard: early-adopt
  local fence = fences[event]
  if fence and fence.due > due then due, text = fence.due, format('%.0f', fence.due) .. string.match(text, '( .*)$') end -- guard: forward
  move(event, due, string.match(text, '^%d+ (%S+)'), text, item[5])
  extra[place] = format('%.0f', due)
  return 's'
end
function decide.k(item)
  local event, due, fence = item[2], item[3], fences[item[2]]
  if stuck[event] then return 'h' end -- guard: order-skip
  if not fence or fence.hash ~= item[5] then return 'u' end -- guard: fenced-skip
  if due <= fence.due then return 'd' end -- guard: once-skip
  if due > latest then return 'e' end -- guard: early-skip
  move(event, due, item[5], item[4], item[6])
  return 's'
end
function decide.s(item)
  local event, due, fence, channel = item[2], item[3], fences[item[2]], channels[item[7]]
  if stuck[event] then return 'h' end -- guard: order-send
  if not fence or fence.hash ~= item[5] then return 'u' end -- guard: fenced-send
  if due <= fence.due then return 'd' end -- guard: once-send
  if due > latest then return 'e' end -- guard: early-send
  if channel.wrong then return 'w' end -- guard: type
  if channel.room <= 0 then return 'f' end -- guard: capacity
  put(channel, item[8])
  move(event, due, item[5], item[4], item[6])
  return 's'
end
function decide.t(item)
  local field, token, forget, channel = events[item[2]] .. '!', format('%.0f', item[3]), item[4], channels[item[5]]
  local known, kept = tokens[field] or call('HGET', state, field) or '', {}
  for one in string.gmatch(known, '%d+') do
    if one == token then return 'd' end -- guard: token
    if tonumber(one) >= forget then kept[#kept + 1] = one end
  end
  if channel and channel.wrong then return 'w' end -- guard: type-trigger
  if channel and channel.room <= 0 then return 'f' end -- guard: capacity-trigger
  if channel then put(channel, item[6]) end
  kept[#kept + 1] = token
  tokens[field] = table.concat(kept, ' ')
  if item[7] ~= '' then written[#written + 1] = {events[item[2]], item[7]} end
  return 's'
end
function decide.b(item)
  local fence = fences[item[2]]
  if not fence or fence.hash ~= '-' or fence.due > item[3] then return 'd' end -- guard: bury
  call('HDEL', state, events[item[2]], events[item[2]] .. '!')
  call('DEL', logs .. events[item[2]])
  return 's'
end

local letters = {}
for place, item in ipairs(items) do
  local letter = decide[item[1]](item, place)
  if letter ~= 's' and letter ~= 'd' then stuck[item[2]] = true end
  letters[place] = letter
end

local room, expired = {}, {}
for i, channel in ipairs(channels) do
  for p = 1, #channel.pairs, 1000 do call('ZADD', channel.key, unpack(channel.pairs, p, math.min(p + 999, #channel.pairs))) end
  if #channel.pairs > 0 then call('EXPIRE', channel.key, channel.expiry) end
  room[i], expired[i] = channel.room, channel.expired
end
local fields = {}
for event in pairs(moved) do
  fields[#fields + 1] = events[event]
  fields[#fields + 1] = raw[event]
end
for field, text in pairs(tokens) do
  fields[#fields + 1] = field
  fields[#fields + 1] = text
end
for i = 1, #fields, 1000 do call('HSET', state, unpack(fields, i, math.min(i + 999, #fields))) end
for _, entry in ipairs(written) do
  -- pcall: a log that somebody overwrote costs itself alone
  local length = redis.pcall('RPUSH', logs .. entry[1], entry[2] .. ' ' .. format('%.0f', now))
  if type(length) == 'number' and length > keep + 20 then call('LTRIM', logs .. entry[1], -keep, -1) end
end
seq = call('HINCRBY', state, ':seq', 1)
return cmsgpack.pack({table.concat(letters), extra, room, expired, format('%.0f', now), seq})
