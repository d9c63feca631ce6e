-- Take the lead of a layer: a new epoch, and what the store is to us.
-- KEYS[1] state hash
-- ARGV[1] owner      ARGV[2] how long another owner must have been silent (ms)     ARGV[3] random name for a new generation
-- ARGV[4] generation we know, '' for none        ARGV[5] highest seq we were answered, 0 for none
-- Result: [verdict, epoch, gen, seq, now ms], or the error reply TAKEN <owner> <ms since it was seen>
-- Wiped leaves the generation unwritten: whoever raises the fences calls this again, knowing none, to found it.
-- Needs Redis 6.2. Reads and checks first; the first write is one that is refused for want of memory.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], ':owner', ':leaderSeen', ':epoch', ':gen', ':seq')
local owner, seen, epoch, gen, seq = held[1], held[2], tonumber(held[3] or '0'), held[4], tonumber(held[5] or '0')
local silent = now - tonumber(seen or '0')
if owner and owner ~= ARGV[1] and silent < tonumber(ARGV[2]) then return redis.error_reply('TAKEN ' .. owner .. ' ' .. string.format('%.0f', silent)) end -- guard: owner

-- The clock's time as the least next epoch: a store that went back in time cannot hand out an epoch twice.
epoch = math.max(epoch + 1, now)
redis.call('HSET', KEYS[1], ':owner', ARGV[1], ':leaderSeen', string.format('%.0f', now), ':epoch', string.format('%.0f', epoch))

local verdict = 'Same'
if ARGV[4] ~= '' and gen and seq < tonumber(ARGV[5]) then verdict = 'RolledBack' end -- guard: rolled-back
if ARGV[4] ~= '' and gen ~= ARGV[4] then verdict = 'Wiped' end -- guard: wiped
if verdict == 'Same' and not gen then
  verdict, gen = 'New', string.format('%.0f', now) .. '-' .. ARGV[3]
  redis.call('HSET', KEYS[1], ':gen', gen)
end
return {verdict, string.format('%.0f', epoch), gen or '', string.format('%.0f', seq), string.format('%.0f', now)}
