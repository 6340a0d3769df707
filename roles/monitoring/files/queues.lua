-- Run by prometheus-redis-exporter at each scrape; the line above sets `databases`, their numbers and queues.
-- The exporter's own -check-single-keys leaves out all keys after an empty one (1.69, Debian 13), and knows no priorities.
local values = {}

local function tell(key, value)
  values[#values + 1] = key
  values[#values + 1] = tostring(value)
end

-- 0 for a key of another kind, rather than an error that hides all queues.
local function number(...)
  local answer = redis.pcall(...)
  return type(answer) == "number" and answer or 0
end

for _, database in ipairs(databases) do
  redis.call("SELECT", database[1])
  for _, queue in ipairs(database[2]) do
    local waiting = number("LLEN", queue)
    for priority = 1, 9 do -- each has a list of its own
      waiting = waiting + number("LLEN", queue .. "\6\22" .. priority)
    end
    tell("queue:" .. queue, waiting)
  end
end

return values
