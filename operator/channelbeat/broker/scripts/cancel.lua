-- Cancel a run: one that waits ends here, the worker of one that runs is asked. uses runs
-- KEYS[1] state hash     ARGV[1] run
-- Result: the state it was in, '' for one that is not known.
local run = load(ARGV[1])
if not run then return '' end
if run.state == 'running' then
  call('HSET', run.key, 'cancel', stamp)
elseif place(run) then
  call('ZREM', place(run), run.id)
  if run.state == 'retrying' then count(run.event, 'retrying', -1) end
  finish(run, 'cancelled', '')
  chime(run.channel)
end
return run.state
