-- Every change to the jobs in Redis: one call is one transaction. Called with KEYS[1], the prefix
-- of all keys (a hash tag keeps them in one slot of a cluster), and the name of a function below.
-- Times are the server's own, so that replicas need not agree on one. JSON passes through as text.
--
--   <p>job:<id>        hash: what JobRecord holds, and bytes, idempotency
--   <p>items:<id>      hash: <n> -> JSON of name and url
--   <p>state:<id>      hash: <n>:s status, <n>:t token, <n>:a attempts, <n>:d JSON of what came of it
--   <p>in:<id>:<n>     bytes of a picture;  <p>out:<id>:<n>:<token> bytes of a result
--   <p>back:<id>:<n>   bytes of the picture that stands behind the subject
--   <p>waiting         sorted by turn (<p>waiting:video those of videos), <p>leases by the end of the lease: "<id>:<n>"
--   <p>expiry          sorted by time: <id>;  <p>events by when they are due: <event>
--   <p>event:<event>   hash: what Event holds;  <p>caller:<caller> sorted by time: <id>
--   <p>same:<caller>:<digest>  "<digest of the request> <id>";  <p>bytes: the sum of all jobs

local p = KEYS[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function text(number) return string.format('%.6f', number) end

local function job_key(id) return p .. 'job:' .. id end

local function at_work(id)
  local status = redis.call('HGET', job_key(id), 'status')
  return status == 'queued' or status == 'running'
end

local function line_of(kind)
  return kind == 'video' and p .. 'waiting:video' or p .. 'waiting'
end

local function line(id) return line_of(redis.call('HGET', job_key(id), 'kind')) end

local function account(id, change)
  redis.call('HINCRBY', job_key(id), 'bytes', change)
  redis.call('INCRBY', p .. 'bytes', change)
end

local function lasts(id, keep)
  redis.call('HSET', job_key(id), 'expires', text(now + keep))
  redis.call('ZADD', p .. 'expiry', now + keep, id)
end

local function remove_bytes(id)
  local total = tonumber(redis.call('HGET', job_key(id), 'total'))
  for n = 0, total - 1 do
    local token = redis.call('HGET', p .. 'state:' .. id, n .. ':t')
    redis.call('UNLINK', p .. 'in:' .. id .. ':' .. n, p .. 'back:' .. id .. ':' .. n)
    if token then redis.call('UNLINK', p .. 'out:' .. id .. ':' .. n .. ':' .. token) end
    redis.call('ZREM', line(id), id .. ':' .. n)
    redis.call('ZREM', p .. 'leases', id .. ':' .. n)
  end
end

local function tell(id, kind)
  local job = redis.call('HMGET', job_key(id), 'callback', 'caller', 'expires', 'total', 'done', 'failed')
  if not job[1] or job[1] == '' then return end
  local event = 'msg_' .. string.sub(id, 5) .. '_' .. kind
  redis.call('HSET', p .. 'event:' .. event, 'id', event, 'type', 'job.' .. kind, 'job', id,
    'url', job[1], 'caller', job[2], 'created', text(now), 'expires', job[3], 'total', job[4],
    'done', job[5], 'failed', job[6], 'attempts', 0)
  redis.call('ZADD', p .. 'events', now, event)
end

local function forget(id, keep)
  remove_bytes(id)
  redis.call('UNLINK', p .. 'items:' .. id, p .. 'state:' .. id)
  redis.call('HSET', job_key(id), 'status', 'expired')
  lasts(id, keep)
end

local ops = {}

-- id, caller, same, request, bytes needed, keep for the unfinished, turn, most waiting,
-- most bytes, the items as a JSON array of texts, then fields of the job by name and value
function ops.add(id, caller, same, request, needed, keep, turn, most_waiting, most_bytes, rows, ...)
  local given, items = {...}, cjson.decode(rows)
  if same ~= '' then
    local known = redis.call('GET', p .. 'same:' .. caller .. ':' .. same)
    if known then
      local digest, other = string.match(known, '(%S+) (%S+)')
      if digest ~= request then return {'conflict', ''} end
      if redis.call('EXISTS', job_key(other)) == 1 then return {'known', other} end
    end
  end
  local key, total = job_key(id), #items
  local waiting = redis.call('ZCARD', p .. 'waiting') + redis.call('ZCARD', p .. 'waiting:video')
  if waiting + total > tonumber(most_waiting) then
    return {'busy', tostring(waiting)}
  end
  if tonumber(redis.call('GET', p .. 'bytes') or '0') + tonumber(needed) > tonumber(most_bytes) then
    return {'full', ''}
  end
  redis.call('HSET', key, unpack(given))
  redis.call('HSET', key, 'id', id, 'caller', caller, 'status', 'queued', 'created', text(now),
    'total', total, 'done', 0, 'failed', 0, 'bytes', 0, 'same', same)
  account(id, tonumber(needed))
  for n = 0, total - 1 do
    redis.call('HSET', p .. 'items:' .. id, n, items[n + 1])
    redis.call('HSET', p .. 'state:' .. id, n .. ':s', 'queued', n .. ':a', 0)
    redis.call('ZADD', line(id), now + n * tonumber(turn), id .. ':' .. n)
    redis.call('PERSIST', p .. 'in:' .. id .. ':' .. n)
    redis.call('PERSIST', p .. 'back:' .. id .. ':' .. n)
  end
  redis.call('ZADD', p .. 'caller:' .. caller, now, id)
  if same ~= '' then redis.call('SET', p .. 'same:' .. caller .. ':' .. same, request .. ' ' .. id) end
  lasts(id, tonumber(keep))
  return {'new', id}
end

function ops.claim(lease, limit, turn, token, kind)
  local late = redis.call('ZRANGEBYSCORE', p .. 'leases', '-inf', now, 'LIMIT', 0, 100)
  for _, member in ipairs(late) do
    local id, n = string.match(member, '([^:]+):(%d+)')
    redis.call('ZREM', p .. 'leases', member)
    if at_work(id) then
      redis.call('HSET', p .. 'state:' .. id, n .. ':s', 'queued')
      redis.call('HDEL', p .. 'state:' .. id, n .. ':d')
      local created = tonumber(redis.call('HGET', job_key(id), 'created'))
      redis.call('ZADD', line(id), created + n * tonumber(turn), member)
    end
  end
  local found = {}
  while #found < tonumber(limit) do
    local popped = redis.call('ZPOPMIN', line_of(kind))
    if #popped == 0 then break end
    local id, n = string.match(popped[1], '([^:]+):(%d+)')
    if at_work(id) then
      local state = p .. 'state:' .. id
      local own = token .. #found
      -- A claim that was lost may have left a result that nobody speaks of.
      local former = redis.call('HGET', state, n .. ':t')
      if former then redis.call('UNLINK', p .. 'out:' .. id .. ':' .. n .. ':' .. former) end
      redis.call('HSET', state, n .. ':s', 'running', n .. ':t', own)
      redis.call('ZADD', p .. 'leases', now + tonumber(lease), popped[1])
      if redis.call('HGET', job_key(id), 'status') == 'queued' then
        redis.call('HSET', job_key(id), 'status', 'running', 'started', text(now))
      end
      local attempts = redis.call('HINCRBY', state, n .. ':a', 1)
      local job = redis.call('HMGET', job_key(id), 'caller', 'options')
      found[#found + 1] = {id, n, own, attempts, job[1], job[2], redis.call('HGET', p .. 'items:' .. id, n)}
    end
  end
  return found
end

local function ours(id, n, token)
  local state = redis.call('HMGET', p .. 'state:' .. id, n .. ':s', n .. ':t')
  return state[1] == 'running' and state[2] == token
end

function ops.renew(lease, ...)
  local lost, given = {}, {...}
  for at = 1, #given, 3 do
    local id, n, token = given[at], given[at + 1], given[at + 2]
    if ours(id, n, token) then
      redis.call('ZADD', p .. 'leases', now + tonumber(lease), id .. ':' .. n)
    else
      lost[#lost + 1] = token
    end
  end
  return lost
end

function ops.progress(id, n, token, done)
  if not ours(id, n, token) then return 0 end
  redis.call('HSET', p .. 'state:' .. id, n .. ':d', done)
  return 1
end

function ops.release(id, n, token, turn)
  if not ours(id, n, token) then return 0 end
  redis.call('HSET', p .. 'state:' .. id, n .. ':s', 'queued')
  redis.call('HDEL', p .. 'state:' .. id, n .. ':d')
  redis.call('HINCRBY', p .. 'state:' .. id, n .. ':a', -1)
  redis.call('ZREM', p .. 'leases', id .. ':' .. n)
  local created = tonumber(redis.call('HGET', job_key(id), 'created'))
  redis.call('ZADD', line(id), created + n * tonumber(turn), id .. ':' .. n)
  return 1
end

function ops.finish(id, n, token, status, done, keep)
  if not ours(id, n, token) then return 0 end
  local out = p .. 'out:' .. id .. ':' .. n .. ':' .. token
  local picture = p .. 'in:' .. id .. ':' .. n
  redis.call('HSET', p .. 'state:' .. id, n .. ':s', status, n .. ':d', done)
  redis.call('ZREM', p .. 'leases', id .. ':' .. n)
  redis.call('PERSIST', out)
  local back = p .. 'back:' .. id .. ':' .. n
  account(id, redis.call('STRLEN', out) - redis.call('STRLEN', picture) - redis.call('STRLEN', back))
  redis.call('UNLINK', picture, back)
  redis.call('HINCRBY', job_key(id), status, 1)
  local job = redis.call('HMGET', job_key(id), 'total', 'done', 'failed')
  if tonumber(job[2]) + tonumber(job[3]) >= tonumber(job[1]) then
    local ending = job[3] == job[1] and 'failed' or 'done'
    redis.call('HSET', job_key(id), 'status', ending, 'finished', text(now))
    lasts(id, tonumber(keep))
    tell(id, ending)
  end
  return 1
end

function ops.cancel(id, keep, row)
  local key = job_key(id)
  local status = redis.call('HGET', key, 'status')
  if status == 'queued' or status == 'running' then
    remove_bytes(id)
    local total = tonumber(redis.call('HGET', key, 'total'))
    for n = 0, total - 1 do
      if redis.call('HGET', p .. 'state:' .. id, n .. ':s') ~= 'failed' then
        redis.call('HSET', p .. 'state:' .. id, n .. ':s', 'cancelled')
      end
    end
    redis.call('HSET', key, 'status', 'cancelled', 'finished', text(now))
    account(id, total * tonumber(row) - tonumber(redis.call('HGET', key, 'bytes')))
    lasts(id, tonumber(keep))
    tell(id, 'cancelled')
  elseif status == 'done' or status == 'failed' then
    forget(id, tonumber(keep))
    account(id, tonumber(row) - tonumber(redis.call('HGET', key, 'bytes')))
  end
  return 1
end

function ops.expire(keep, row)
  local due = redis.call('ZRANGEBYSCORE', p .. 'expiry', '-inf', now, 'LIMIT', 0, 20)
  for _, id in ipairs(due) do
    local job = redis.call('HMGET', job_key(id), 'status', 'caller', 'same', 'bytes')
    redis.call('ZREM', p .. 'expiry', id)
    if job[1] == 'expired' or job[1] == 'cancelled' then
      account(id, -tonumber(job[4]))
      redis.call('UNLINK', job_key(id), p .. 'items:' .. id, p .. 'state:' .. id)
      redis.call('ZREM', p .. 'caller:' .. job[2], id)
      if job[3] and job[3] ~= '' then redis.call('UNLINK', p .. 'same:' .. job[2] .. ':' .. job[3]) end
    elseif job[1] then
      forget(id, tonumber(keep))
      account(id, tonumber(row) - tonumber(job[4]))
    end
  end
  return #due
end

-- lease, most events, then callers whose events are left for later
function ops.events(lease, limit, ...)
  local without, found, at = {}, {}, 0
  for _, caller in ipairs({...}) do without[caller] = true end
  while true do
    local page = redis.call('ZRANGEBYSCORE', p .. 'events', '-inf', now, 'LIMIT', at, 100)
    for _, event in ipairs(page) do
      if #found >= tonumber(limit) then return found end
      local key = p .. 'event:' .. event
      if without[redis.call('HGET', key, 'caller')] then
        at = at + 1
      else
        redis.call('ZADD', p .. 'events', now + tonumber(lease), event)
        redis.call('HINCRBY', key, 'attempts', 1)
        found[#found + 1] = redis.call('HGETALL', key)
      end
    end
    if #page < 100 then return found end
  end
end

function ops.settle(event, again)
  if again == '' then
    redis.call('ZREM', p .. 'events', event)
    redis.call('UNLINK', p .. 'event:' .. event)
  elseif redis.call('EXISTS', p .. 'event:' .. event) == 1 then
    redis.call('ZADD', p .. 'events', now + tonumber(again), event)
  end
  return 1
end

return ops[ARGV[1]](unpack(ARGV, 2))
