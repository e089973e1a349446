-- Holds a request while the value of `hold` in the traffic map, the time (ms since the epoch) at which the hold ends by
-- itself, lies ahead. The map is the one that the runtime API changes: setting it to 0 lets the requests go.
-- Where the client leaves meanwhile HAProxy aborts the function, and the variable `held` stays: the request must not go on.
-- `date` is the wall clock, which whoever sets the hold reads as well; core.now() may drift from it.

local traffic = Map.new("traffic.map", Map._str)
local poll_ms = 2

core.register_action("hold", { "http-req" }, function(txn)
  while txn.f:date(0, "ms") < (tonumber(traffic:lookup("hold")) or 0) do
    core.msleep(poll_ms)
  end
  txn:unset_var("txn.held")
end)
