-- Metrics of the pipeline, for the Redis exporter: names and numbers, as redis_script_values.
-- Times are seconds since 1970.
local found = {}

local function add(name, value)
    found[#found + 1] = name
    found[#found + 1] = string.format('%.3f', value)
end

local function seconds_of(iso) -- a time in UTC, as Python's isoformat writes it
    local year, month, day, hour, minute, second =
        iso:match('(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)')
    year, month = tonumber(year), tonumber(month)
    if month <= 2 then year, month = year - 1, month + 12 end -- a year begins in March
    local leap_days = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    local days = 365 * year + leap_days + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second
end

local views = redis.call('HGETALL', 'materialized_until:ml_platform_features')
for n = 1, #views, 2 do
    add('materialized_until:' .. views[n], seconds_of(views[n + 1]))
end

local runs = redis.call('GET', 'materialization_runs:ml_platform_features')
if runs then add('materialization_runs', runs) end

local progress = redis.call('GET', 'user_streaming_features:progress') -- in milliseconds
if progress then add('streaming_progress', progress / 1000) end

return found
