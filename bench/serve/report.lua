-- wrk's script: the body to send is the argument; the report is one line of JSON, times in microseconds.

function init(arguments)
   if arguments[1] and arguments[1] ~= "" then
      wrk.method = "POST"
      wrk.body = arguments[1]
      wrk.headers["content-type"] = "application/json"
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   local line = '{"requests": %d, "duration": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d'
   io.write("REPORT ", string.format(line, summary.requests, summary.duration, errors.connect, errors.read,
      errors.write, errors.status, errors.timeout))
   for name, percent in pairs({p50 = 50, p75 = 75, p90 = 90, p95 = 95, p99 = 99, p999 = 99.9}) do
      io.write(string.format(', "%s": %d', name, latency:percentile(percent)))
   end
   io.write("}\n")
end
