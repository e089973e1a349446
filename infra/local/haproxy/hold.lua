-- Holds a request until the time in entry `hold` of the traffic map, in ms since the epoch. The runtime API changes the
-- map: setting `hold` to 0 releases the requests. If the client disconnects, HAProxy aborts the function and the variable
-- `held` stays set: the request must not be passed on then. `date` is the wall clock, by which the router sets `hold`;
-- core.now() may drift from it.

local traffic = Map.new("traffic.map", Map._str)
local poll_ms = 2

core.register_action("hold", { "http-req" }, function(txn)
  while txn.f:date(0, "ms") < (tonumber(traffic:lookup("hold")) or 0) do
    core.msleep(poll_ms)
  end
  txn:unset_var("txn.held")
end)
