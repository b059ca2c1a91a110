-- The request of the client, from the arguments (the body, the first half of each idempotency key or nothing, and the
-- header fields), and a report in JSON as the last line.

function init(arguments)
  wrk.method = "POST"
  wrk.body = arguments[1]
  for index = 3, #arguments, 2 do
    wrk.headers[arguments[index]] = arguments[index + 1]
  end
  if arguments[2] ~= "" then
    new_key_for_each_request(arguments[2])
  end
end

-- Made once but for the key, since wrk shares its core with the vendor.
function new_key_for_each_request(prefix)
  wrk.headers["Idempotency-Key"] = "KEY"
  local before, after = wrk.format():match("^(.-: )KEY(\r\n.*)$")
  local number = 0
  function request()
    number = number + 1
    return before .. prefix .. number .. after
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p90":%d,"p99":%d,' ..
    '"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
