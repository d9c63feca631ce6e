-- Queue dead runs again, with all their attempts before them. uses runs
-- KEYS[1] state hash     ARGV[1..] runs
-- Result: the state each was in, '' for one that is not known; only dead ones are queued.
local states = {}
for i, id in ipairs(ARGV) do
  local run = load(id)
  states[i] = run and run.state or ''
  if states[i] ~= 'dead' then run = nil end -- guard: dead
  if run then
    enter(run)
    call('PERSIST', run.key)
    call('PERSIST', body_key(id))
    call('HDEL', run.key, 'finished')
    call('HSET', run.key, 'attempts', 0)
    if run.event ~= '' then try('ZADD', root .. 'active:' .. run.event, stamp, id) end
    try('ZREM', dead, id)
  end
end
return states
