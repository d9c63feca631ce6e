-- Keep a worker's claims, and let it be seen. uses runs
-- KEYS[1] state hash     KEYS[2] the worker's hash
-- ARGV[1] worker     ARGV[2] how long claims last (ms)     ARGV[3] number of facts     then facts (field, value) and claims (run, token)
-- Result: a word for each claim: kept | cancel (kept, and somebody wants the run cancelled) | lost
-- Needs Redis 6.2. The first write is one that is never refused: it works when Redis is out of memory.
try('ZREMRANGEBYSCORE', root .. 'workers', '-inf', ms(now - 3600000))
try('ZADD', root .. 'workers', stamp, ARGV[1])
local facts = 3 + 2 * tonumber(ARGV[3])
for i = 4, facts, 2 do call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
call('HSETNX', KEYS[2], 'since', stamp)
call('EXPIRE', KEYS[2], HOUR)
local words, until_ = {}, ms(now + tonumber(ARGV[2]))
for i = facts + 1, #ARGV, 2 do
  local run = load(ARGV[i])
  if run and run.token ~= ARGV[i + 1] then run = nil end -- guard: renew-token
  if run then try('ZADD', root .. 'claims:' .. run.channel, until_, run.id) end
  words[#words + 1] = not run and 'lost' or run.cancel and 'cancel' or 'kept'
end
return words
