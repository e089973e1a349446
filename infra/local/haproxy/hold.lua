-- Holds a request until the time in entry `hold` of the traffic map, in ms since the epoch. The runtime API changes the
-- map: setting `hold` to 0 releases the requests. If the client disconnects, HAProxy aborts the function and the variable
-- `held` stays set: the request must not be passed on then. `date` is the wall clock, by which the router sets `hold`;
-- core.now() may drift from it.

local traffic = Map.new("traffic.map", Map._str)
-- Each look costs processor time. So of many requests that look in the same millisecond the later ones look again later.
local most = 200
local tick, looks = 0, 0

core.register_action("hold", { "http-req" }, function(txn)
  local now = txn.f:date(0, "ms")
  while now < (tonumber(traffic:lookup("hold")) or 0) do
    if now ~= tick then tick, looks = now, 0 end
    looks = looks + 1
    core.msleep(1 + looks // most)
    now = txn.f:date(0, "ms")
  end
  txn:unset_var("txn.held")
end)

-- Whether the balancer has nearly as many connections as it may have. Beyond that it accepts none, and its clients wait without an answer.
-- A request has two: one with its client, and one between the entry point's two parts. The rest is for clients that are idle.
local share = 0.45
local most

core.register_fetches("crowded", function(txn)
  most = most or tonumber(core.get_info()["Maxconn"]) * share
  return txn.f:fe_conn() > most
end)
